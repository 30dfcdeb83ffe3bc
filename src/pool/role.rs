//! The role of a peer in its swarm.

use crate::wire::{Announce, Event};

/// The share of the torrent that a peer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Leecher,
    /// It has everything that it wants, which is not the whole torrent (BEP 21).
    PartialSeed,
    Seeder,
}

impl Role {
    /// The role that an announce claims. Rule 2: only a peer that lacks nothing is a seeder; rule 7: `paused` marks one
    /// that lacks nothing it wants.
    #[inline(always)]
    pub(crate) fn of(announce: &Announce) -> Self {
        match announce.event {
            _ if announce.left == 0 => Self::Seeder,
            Event::Paused => Self::PartialSeed,
            _ => Self::Leecher,
        }
    }
}
