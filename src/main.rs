//! The tracker's binary.
#![forbid(unsafe_code)]
fn main() {}
