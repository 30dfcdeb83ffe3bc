//! Load over HTTP, and the ceiling of it.

pub(crate) mod ceiling;
pub(crate) mod exchange;
pub(crate) mod load;
