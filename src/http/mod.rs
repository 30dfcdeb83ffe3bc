//! Plain HTTP for the tracker and the admin API: request heads, queries, response statuses. Like `wire`, it is pure: it
//! converts bytes to values and never allocates.

mod forwarded;
mod head;
mod proxy_protocol;
pub mod query;
mod status;

pub use forwarded::{ForwardingHeader, NoClient, all_forwarded, forwarded_client};
pub use head::{Body, Head, HeadStatus, Method, parse_head};
pub use proxy_protocol::{ProxyHeader, parse_proxy_header};
pub use status::Status;
