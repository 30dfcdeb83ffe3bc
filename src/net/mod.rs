//! Sockets, and nothing else: receive, hand to the core, send.

pub mod bind;
pub mod udp;
