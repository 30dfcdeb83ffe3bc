//! Bytes ↔ requests and replies: the BitTorrent tracker protocols, and nothing that decides.
//!
//! One message family a file, each in the same order: the BEP's layout, parse, emit, tests in both directions into
//! dirty buffers. Bytes from outside are read with `get` and never by index; nothing here allocates, and every parser
//! answers malformed input with a value that says what was wrong.

pub mod announce;
pub mod bencode;
pub mod http;
pub mod info_hash;
pub mod udp;
mod writer;

pub use announce::{Announce, AnnounceReply, Event, SwarmCounts, Transport};
pub use info_hash::InfoHash;
pub use writer::Writer;

/// The buffer that a reply was to be written into is too small for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;
