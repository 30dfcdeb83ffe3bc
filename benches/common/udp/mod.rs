//! Load over UDP, and its ceiling.

pub(crate) mod ceiling;
pub(crate) mod datagram;
pub(crate) mod load;
pub(crate) mod outstanding;
