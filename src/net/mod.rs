//! Sockets, and nothing else: receive, hand to the core, send.

pub mod admin;
pub mod bind;
pub mod connection;
pub mod http;
pub mod udp;
