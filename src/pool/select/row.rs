//! The peers of one line, in the form in which a selection reads them.

use super::super::chain::Place;
use super::super::family::{Family, ItemsOf};
use super::super::line::LineIndex;
use super::super::meta_word::{MetaWord, SlotMask, WORD_PEERS};
use super::super::role::Role;

/// Half the number of peers in a full line.
const HALF: usize = WORD_PEERS / 2;

/// The peers of one line.
#[derive(Clone, Copy)]
pub(super) struct Row<'a, F: Family> {
    line: LineIndex,
    pub(super) endpoints: &'a [F::Endpoint],
    pub(super) meta_word: MetaWord,
}

impl<'a, F: Family> Row<'a, F> {
    #[inline]
    pub(super) fn of(line: LineIndex, peers: ItemsOf<'a, F>) -> Self {
        Self { line, endpoints: peers.endpoints, meta_word: peers.metas }
    }

    /// Return the `alive` peers that are useful to an asker at `own_place`, without the asker itself (rule 8).
    #[inline]
    pub(super) fn wanted(&self, alive: SlotMask, complete: bool, own_place: Option<Place>) -> SlotMask {
        let useful = if complete { alive.and(self.meta_word.with_role(Role::Leecher)) } else { alive };
        match own_place {
            Some(own) if own.line == self.line => useful.without(SlotMask::only(own.slot)),
            _ => useful,
        }
    }

    /// Write the endpoints of `slots` to the start of `out`, which has room for [`WORD_PEERS`], and return their
    /// number.
    #[inline]
    pub(super) fn copy(&self, slots: SlotMask, out: &mut [F::Endpoint]) -> Option<usize> {
        let places = out.first_chunk_mut::<WORD_PEERS>()?;
        let mut length = self.endpoints.len();
        // Most lines are at least half full. Copy one half from each end: a copy of constant length is short code, and
        // the two halves overlap where the line is not full.
        match (self.endpoints.first_chunk::<HALF>(), self.endpoints.last_chunk::<HALF>()) {
            (Some(first), Some(last)) => {
                *places.first_chunk_mut()? = *first;
                *places.get_mut(length - HALF..)?.first_chunk_mut()? = *last;
            }
            _ => places.get_mut(..length)?.copy_from_slice(self.endpoints),
        }
        for hole in self.meta_word.occupied().without(slots).descending() {
            length -= 1;
            *places.get_mut(hole)? = *places.get(length)?;
        }
        Some(length)
    }
}
