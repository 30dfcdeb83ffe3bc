//! Load over HTTP, and its ceiling.

pub(crate) mod ceiling;
pub(crate) mod exchange;
pub(crate) mod load;
