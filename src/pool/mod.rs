//! The swarm pool: all swarms and their peers, in memory that is reserved once.

pub(crate) mod age;
pub(crate) mod chain;
pub(crate) mod columns;
pub(crate) mod endpoint;
pub(crate) mod evict;
pub(crate) mod family;
pub(crate) mod forget;
pub(crate) mod index;
pub(crate) mod invariants;
pub(crate) mod line;
pub(crate) mod lines;
pub(crate) mod meta_word;
pub(crate) mod prefetch;
pub(crate) mod role;
pub(crate) mod select;
pub(crate) mod selection_start;
pub(crate) mod swarms;
pub(crate) mod sweep;
pub(crate) mod tree;
