//! Sockets, and nothing else: wait until one is ready, receive, hand to the core, send.

pub mod admin;
pub mod bind;
pub mod connection;
mod epoll;
mod fairness;
pub mod http;
pub mod server;
pub mod udp;
mod waker;
