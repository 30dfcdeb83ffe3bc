//! Plain HTTP, for the tracker's announces and the admin API alike: the head of a request, its query, the status of a
//! response. Pure, like `wire`: bytes in, values out, and no allocation.

mod head;
pub mod query;
mod status;

pub use head::{Body, ForwardedFor, Head, HeadStatus, MAX_HEADERS, Malformed, Method, forwarded_client, parse_head};
pub use status::Status;
