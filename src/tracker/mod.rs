//! Everything decided.
mod chain;
mod check;
mod evict;
pub mod horizon;
mod index;
mod line;
mod lines;
mod pool;
mod quanta;
mod select;
mod sweep;
mod tree;
