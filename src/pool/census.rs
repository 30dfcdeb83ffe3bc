//! The numbers of the peers of a pool by family, side and role.

use super::family::Family;
use super::role::{Population, Role};
use crate::horizon::Horizon;

/// Number of peers by family, side and role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// The sum of the parts.
    all: Population,
    /// By [`Family::ROOT`] and side.
    parts: [[Population; 2]; 2],
}

impl Census {
    pub(super) fn all(&self) -> Population {
        self.all
    }

    pub(super) fn part<F: Family>(&self, horizon: Horizon) -> Population {
        self.parts[F::ROOT][horizon as usize]
    }

    /// Count a change of a peer's role. `None` is the role of a peer that is not stored.
    #[inline]
    pub(super) fn change<F: Family>(&mut self, horizon: Horizon, before: Option<Role>, after: Option<Role>) {
        if before != after {
            self.all.change(before, after);
            self.parts[F::ROOT][horizon as usize].change(before, after);
        }
    }
}
