//! Load over UDP, and the ceiling of it.

pub(crate) mod ceiling;
pub(crate) mod datagram;
pub(crate) mod load;
pub(crate) mod outstanding;
