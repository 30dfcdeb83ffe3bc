//! Sockets, and nothing else: wait until one is ready, receive, hand to the core, send.

pub mod admin;
mod bell;
pub mod bind;
pub mod connection;
pub mod http;
mod readiness;
pub mod server;
mod share;
pub mod udp;
