//! The sockets: wait for readiness, receive, pass the data to the core, send. All protocol decisions are in the core.

pub mod admin;
pub mod bind;
pub mod connection;
mod epoll;
mod fairness;
pub mod http;
pub mod server;
pub mod udp;
mod waker;
