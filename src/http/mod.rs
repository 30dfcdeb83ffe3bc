//! Plain HTTP for the tracker and the admin API: request heads, queries, response statuses. Like `wire`, it is pure: it
//! converts bytes to values and never allocates.

mod head;
pub mod query;
mod status;

pub use head::{Body, ForwardedFor, Head, HeadStatus, MAX_HEADERS, Malformed, Method, forwarded_client, parse_head};
pub use status::Status;
