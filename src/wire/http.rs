//! HTTP tracker protocol: parsers of requests, and emitters of complete responses.
//!
//! | file | holds |
//! |---|---|
//! | `target` | the paths of the protocol |
//! | `response` | the head of every response; refusals and plain text |
//! | `announce` | `/announce`: BEP 3, 7, 21, 23 and 24 |
//! | `scrape` | `/scrape`: BEP 48 and 21 |

mod announce;
mod response;
mod scrape;
mod target;

pub use announce::{ANNOUNCE_REPLY_OVERHEAD_OCTETS, emit_announce, parse_announce};
pub use response::{Failure, RetryIn, emit_failure, emit_options, emit_page, emit_plain, without_body};
pub use scrape::{MAX_SCRAPE_REPLY_OCTETS, emit_scrape, parse_scrape};
pub use target::{Target, Ticketed};
