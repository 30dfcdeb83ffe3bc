//! Whitelist of the address prefixes that may announce, as plain data.
//!
//! Nothing here opens a file or a socket, reads a clock, or logs. The table is allocated once. When it is full it
//! refuses new entries and keeps the existing ones. `store` writes each change to disk before the table is changed, so
//! that the change survives a power cut.

mod admission;
mod entry_text;
pub mod prefix;
mod prefix_filter;
mod prefix_lengths;
mod ticket_number;
mod user;
pub mod whitelist;

pub use admission::Admission;
pub use entry_text::{parse_entry, parse_running, write_entry, write_terms, write_user};
pub use prefix::Found;
pub use prefix_filter::PrefixFilter;
pub use ticket_number::{NumberError, TicketNumber, parse_base_36, write_base_36};
pub use user::{USER_OCTETS, User, UserError, controls, parse_user};
pub use whitelist::{
    ClockHistory, ENTRY_OCTETS, Entry, Full, Moved, Put, REMOVALS_A_CALL, Retire, Retired, SLOTS_A_CALL, Seen, ShownBy,
    Unsaved, Whitelist,
};
