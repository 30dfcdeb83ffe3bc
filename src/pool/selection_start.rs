//! The leaf at which a selection starts in a swarm with forks: random, but predictable for the prefetch.

/// Maximum number of selections for one announce: of each family, on each side of the horizon.
const SELECTIONS_AN_ANNOUNCE: usize = 4;

/// The random starting leaf for each asker: one seed per selection, or one for a whole batch, so that the prefetch can
/// predict it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SelectionStart {
    drawn: u64,
    /// Number of selections that may still use this seed.
    selections_left: usize,
}

impl SelectionStart {
    /// Draw one seed for all selections of the next `announces` announces. [`Self::ahead`] returns the paths for this
    /// seed.
    pub(super) fn draw_for(&mut self, announces: usize, random: &mut fastrand::Rng) {
        *self = Self { drawn: random.u64(..), selections_left: announces * SELECTIONS_AN_ANNOUNCE };
    }

    /// Return the path from the root to the starting leaf for this asker.
    pub(super) fn ahead(&self, endpoint: &[u8]) -> u64 {
        endpoint.chunks(size_of::<u64>()).fold(self.drawn, |state, chunk| {
            let mut octets = [0; size_of::<u64>()];
            octets[..chunk.len()].copy_from_slice(chunk);
            mix(state ^ u64::from_le_bytes(octets))
        })
    }

    /// Return the path for a selection that is made now.
    pub(super) fn next(&mut self, endpoint: &[u8], random: &mut fastrand::Rng) -> u64 {
        if self.selections_left == 0 {
            self.drawn = random.u64(..);
        } else {
            self.selections_left -= 1;
        }
        self.ahead(endpoint)
    }
}

/// Mix the bits of `state` as wyhash does: combine both halves of its product with an odd number.
const fn mix(state: u64) -> u64 {
    let product = state as u128 * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::super::line::FORK_CHILDREN;
    use super::super::prefetch::LOOK_AHEAD;
    use super::super::tree::child_of;
    use super::*;

    #[test]
    fn the_paths_of_a_whole_batch_are_predicted() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut selection_start = SelectionStart::default();
        for batch in 0..50 {
            selection_start.draw_for(LOOK_AHEAD, &mut random);
            let endpoint = |asker: usize| [10, batch, 0, asker as u8, 1, 2];
            let ahead: Vec<u64> = (0..LOOK_AHEAD).map(|asker| selection_start.ahead(&endpoint(asker))).collect();
            for _ in 0..SELECTIONS_AN_ANNOUNCE {
                let made = (0..LOOK_AHEAD).map(|asker| selection_start.next(&endpoint(asker), &mut random));
                assert_eq!(made.collect::<Vec<_>>(), ahead);
            }
            assert_ne!(selection_start.next(&endpoint(0), &mut random), ahead[0], "the seed is used up");
        }
    }

    #[test]
    fn all_children_of_a_fork_are_equally_likely_for_one_asker_and_for_many() {
        let mut random = fastrand::Rng::with_seed(4);
        let mut selection_start = SelectionStart::default();
        const DRAWS: usize = 16_000;
        let is_even = |chosen: &[usize; FORK_CHILDREN]| {
            let expected = DRAWS / FORK_CHILDREN;
            chosen.iter().all(|times| times.abs_diff(expected) < expected / 6)
        };
        for depth in 0..4 {
            let (mut one, mut many, mut six) = ([0; FORK_CHILDREN], [0; FORK_CHILDREN], [0; FORK_CHILDREN]);
            for _ in 0..DRAWS {
                one[child_of(selection_start.next(&[192, 0, 2, 1, 0x1a, 0xe1], &mut random), depth)] += 1;
            }
            selection_start.draw_for(LOOK_AHEAD, &mut random);
            for [high, low] in (0..DRAWS as u16).map(u16::to_be_bytes) {
                many[child_of(selection_start.ahead(&[192, 0, high, low, 0x1a, 0xe1]), depth)] += 1;
                let mut endpoint = [0x20; 18];
                endpoint[14..16].copy_from_slice(&[high, low]);
                six[child_of(selection_start.ahead(&endpoint), depth)] += 1;
            }
            assert!(is_even(&one) && is_even(&many) && is_even(&six), "{depth}: {one:?} {many:?} {six:?}");
        }
    }
}
