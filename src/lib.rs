//! nakodo: a BitTorrent tracker for the edge.

#![forbid(unsafe_code)]

pub mod clock;
pub mod config;
mod nearest;
pub mod prefix;
pub mod wire;
