//! Plain HTTP for the tracker and the admin API: request heads, queries, response statuses. Like `wire`, it is pure: it
//! converts bytes to values and never allocates.

mod forwarded;
mod head;
pub mod query;
mod status;

pub use forwarded::{ForwardingHeader, NoClient, all_forwarded, forwarded_client};
pub use head::{Body, Head, HeadStatus, Method, parse_head};
pub use status::Status;
