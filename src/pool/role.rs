//! The role of a peer in its swarm, and the number of peers by role.

use crate::wire::{Announce, Event};

/// The share of the torrent that a peer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Leecher,
    /// It has everything that it wants, but not the whole torrent (BEP 21).
    PartialSeed,
    Seeder,
}

impl Role {
    /// Return the role that an announce claims. Rule 2: only a peer that lacks nothing is a seeder. Rule 7: `paused`
    /// marks a peer that lacks nothing that it wants.
    #[inline(always)]
    pub(crate) fn of(announce: &Announce) -> Self {
        match announce.event {
            _ if announce.left == 0 => Self::Seeder,
            Event::Paused => Self::PartialSeed,
            _ => Self::Leecher,
        }
    }
}

/// Number of peers by role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Population([usize; 3]);

impl Population {
    pub(super) fn of(self, role: Role) -> usize {
        self.0[role as usize]
    }

    pub(super) fn total(self) -> usize {
        self.0.iter().sum()
    }

    pub(super) fn change(&mut self, before: Option<Role>, after: Option<Role>) {
        if before == after {
            return;
        }
        before.into_iter().for_each(|role| self.0[role as usize] -= 1);
        after.into_iter().for_each(|role| self.0[role as usize] += 1);
    }
}
