//! BitTorrent tracker protocols: parsers of requests, and emitters of replies. Policy is in `tracker`.
//!
//! One file for each message family, always in the same order: layout from the BEP, parser, emitter, tests of both
//! directions with dirty buffers. Input is read with `get`, never by index. Nothing here allocates. For malformed input
//! every parser returns an error that names the fault.

pub mod announce;
pub mod bencode;
pub mod http;
pub mod info_hash;
pub mod udp;
mod writer;

pub use announce::{Announce, AnnounceReply, Event, SwarmCounts, Transport};
pub use info_hash::InfoHash;
pub use writer::Writer;

/// Error: the output buffer is too small for the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;
