//! Who may announce: the whitelist of address prefixes, as plain data.
//!
//! Nothing here opens a file or a socket, reads a clock, or logs. The table is allocated once; when it is full a
//! newcomer is refused, and everybody who is on it stays. What must survive a power cut is written by `store`, before
//! the table is changed.

pub mod prefix;
mod prefix_filter;
mod prefix_lengths;
pub mod whitelist;

pub use prefix::PrefixError;
pub use prefix_filter::PrefixFilter;
pub use whitelist::{ENTRY_OCTETS, Entry, Full, Put, REMOVALS_A_CALL, Retire, SLOTS_A_CALL, Seen, User, Whitelist};
