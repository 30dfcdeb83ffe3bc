//! The HTTP tracker protocol: requests in, whole responses out.
//!
//! | file | holds |
//! |---|---|
//! | `head` | the head of a request, and what it is for |
//! | `response` | what every response begins with; refusals and plain text |
//! | `announce` | `/announce`: BEP 3, 7, 21, 23 and 24 |
//! | `scrape` | `/scrape`: BEP 48 and 21 |

mod announce;
mod head;
mod response;
mod scrape;

pub use announce::{ANNOUNCE_REPLY_OVERHEAD_OCTETS, AnnounceError, emit_announce, parse_announce};
pub use head::{
    Body, ForwardedFor, Head, HeadStatus, MAX_HEADERS, Malformed, Method, Target, forwarded_client, parse_head,
};
pub use response::{RetryIn, Status, emit_failure, emit_plain, without_body};
pub use scrape::{InfoHashes, MAX_SCRAPE_REPLY_OCTETS, ScrapeError, emit_scrape, parse_scrape};
