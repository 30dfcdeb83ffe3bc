//! nakodo: a BitTorrent tracker for the edge.

#![forbid(unsafe_code)]

pub mod access;
pub mod clock;
pub mod store;
pub mod wire;
