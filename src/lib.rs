//! nakodo: a BitTorrent tracker for the edge.

#![forbid(unsafe_code)]

pub mod access;
pub mod admin;
pub mod api;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod daemon;
mod nearest;
pub mod net;
pub mod run;
pub mod store;
#[cfg(test)]
mod testing;
pub mod tracker;
pub mod wire;
