//! nakodo: a BitTorrent tracker for the edge.

#![forbid(unsafe_code)]

pub mod access;
pub mod clock;
pub mod tracker;
pub mod wire;
