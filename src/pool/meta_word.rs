//! The metas of up to eight peers of a line in one 64-bit word. One operation finds the living peers or the seeders
//! among all of them, without a branch per peer.

use super::age::{LIFETIME_TICKS, Tick};
use super::role::Role;
use crate::wire::SwarmCounts;

/// Number of peers in a word.
pub(super) const WORD_PEERS: usize = 8;

/// The number one in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;
/// The top bit of each byte.
const TOP: u64 = EACH << 7;

/// The properties of a peer besides its endpoint, in one byte: the tick of its last announce (6 bits) and its role (2
/// bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta(u8);

impl Meta {
    /// The meta of a vacant slot: a fourth role, which no peer has.
    pub(super) const VACANT: Self = Self(3);

    pub(super) const fn new(role: Role, seen: Tick) -> Self {
        Self((seen.get() << 2) | role as u8)
    }

    #[inline]
    pub(super) const fn octet(self) -> u8 {
        self.0
    }

    #[inline]
    pub(super) const fn role(self) -> Role {
        const ROLES: [Role; 4] = [Role::Leecher, Role::PartialSeed, Role::Seeder, Role::Seeder];
        ROLES[self.0 as usize % ROLES.len()]
    }

    #[inline]
    pub(super) const fn seen(self) -> Tick {
        Tick::of_count((self.0 >> 2) as u64)
    }
}

/// The default is a vacant slot.
impl Default for Meta {
    fn default() -> Self {
        Self::VACANT
    }
}

/// The [`Meta`] of each slot of a line, the first in the lowest byte: [`Meta::VACANT`] if the slot holds no peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetaWord(u64);

/// A set of slots of a line: the top bit of the byte of each slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotMask(u64);

impl MetaWord {
    /// A word without peers.
    #[cfg(test)]
    pub(super) const EMPTY: Self = Self(Meta::VACANT.octet() as u64 * EACH);

    #[inline]
    pub(super) fn new<const N: usize>(metas: [Meta; N]) -> Self {
        const { assert!(N <= WORD_PEERS) };
        let mut octets = [Meta::VACANT.octet(); WORD_PEERS];
        for (octet, meta) in octets.iter_mut().zip(metas) {
            *octet = meta.octet();
        }
        Self(u64::from_le_bytes(octets))
    }

    /// Return the meta of one slot.
    #[inline]
    pub(super) const fn get(self, slot: usize) -> Meta {
        Meta((self.0 >> (slot % WORD_PEERS * 8)) as u8)
    }

    /// Return the peers with this role.
    #[inline]
    pub(super) const fn with_role(self, role: Role) -> SlotMask {
        let (low, high) = (self.0 << 7, self.0 << 6);
        SlotMask(match role {
            Role::Leecher => !low & !high & TOP,
            Role::PartialSeed => low & !high & TOP,
            Role::Seeder => !low & high & TOP,
        })
    }

    /// Return all peers.
    #[inline]
    pub(super) const fn occupied(self) -> SlotMask {
        SlotMask(!(self.0 << 7 & self.0 << 6) & TOP)
    }

    /// Return the peers that have announced within their timeout.
    #[inline]
    pub(super) const fn alive(self, now: Tick) -> SlotMask {
        // Subtract byte by byte: the top bit of each byte is set first, so that no byte borrows from the next.
        let seen = (self.0 >> 2) & (EACH * 0x3f);
        let age = (TOP + EACH * now.get() as u64 - seen) & (EACH * 0x3f);
        let fresh = TOP + EACH * (LIFETIME_TICKS as u64 - 1) - age;
        SlotMask(self.occupied().0 & fresh)
    }
}

/// Counts by role of the peers of up to [`RoleCounts::WORDS`] words. Each slot is counted in a byte of its own, and the
/// bytes are added at the end.
#[derive(Clone, Copy, Default)]
pub(crate) struct RoleCounts {
    all: u64,
    seeders: u64,
    partial_seeds: u64,
}

impl RoleCounts {
    /// Maximum number of words: the sum of the eight bytes has to fit into one byte.
    pub(super) const WORDS: usize = 31;

    /// Count the peers of `meta_word` in `slots`. None of them has the fourth role, so one bit identifies each role.
    #[inline]
    pub(super) const fn add(&mut self, meta_word: MetaWord, slots: SlotMask) {
        const { assert!(Role::PartialSeed as u8 == 1 && Role::Seeder as u8 == 2) };
        self.all += slots.0 >> 7;
        self.seeders += (meta_word.0 << 6 & slots.0) >> 7;
        self.partial_seeds += (meta_word.0 << 7 & slots.0) >> 7;
    }
}

impl From<RoleCounts> for SwarmCounts {
    #[inline]
    fn from(role_counts: RoleCounts) -> Self {
        let [all, seeders, partial_seeds] = [role_counts.all, role_counts.seeders, role_counts.partial_seeds]
            .map(|sums| (sums.wrapping_mul(EACH) >> 56) as u32);
        Self { seeders, leechers: all - seeders, partial_seeds, completed: 0 }
    }
}

impl SlotMask {
    #[inline]
    pub(super) const fn count(self) -> usize {
        ((self.0 >> 7).wrapping_mul(EACH) >> 56) as usize
    }

    #[inline]
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Return the slots that are not in `other`.
    #[inline]
    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Return the mask of one slot.
    #[inline]
    pub(super) const fn only(slot: usize) -> Self {
        Self(0x80 << (slot % WORD_PEERS * 8))
    }

    /// Return the `rank` lowest slots, and the others.
    #[inline]
    pub(super) fn split_at_rank(self, rank: usize) -> (Self, Self) {
        let lowest = self.ascending().take(rank).fold(Self(0), |slots, slot| Self(slots.0 | Self::only(slot).0));
        (lowest, self.without(lowest))
    }

    /// Return the slots, lowest first.
    #[inline]
    pub(super) fn ascending(mut self) -> impl Iterator<Item = usize> {
        core::iter::from_fn(move || {
            let slot = (!self.is_empty()).then(|| self.0.trailing_zeros() as usize / 8)?;
            self.0 &= self.0 - 1;
            Some(slot)
        })
    }

    /// Return the slots, highest first.
    #[inline]
    pub(super) fn descending(mut self) -> impl Iterator<Item = usize> {
        core::iter::from_fn(move || {
            let slot = self.0.checked_ilog2()? as usize / 8;
            self = self.without(Self::only(slot));
            Some(slot)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 3] = [Role::Leecher, Role::PartialSeed, Role::Seeder];

    #[test]
    fn a_word_agrees_with_the_metas_of_its_peers() {
        let mut random = fastrand::Rng::with_seed(9);
        for _ in 0..20_000 {
            let peers = random.usize(..=WORD_PEERS);
            let metas: [Meta; WORD_PEERS] = core::array::from_fn(|slot| {
                let meta = Meta::new(ROLES[random.usize(..3)], Tick::of_count(random.u64(..64)));
                if slot < peers { meta } else { Meta::VACANT }
            });
            let (meta_word, now) = (MetaWord::new(metas), Tick::of_count(random.u64(..64)));
            let slots = |wanted: &dyn Fn(Meta) -> bool| -> Vec<usize> {
                (0..peers).filter(|slot| wanted(metas[*slot])).collect()
            };
            let listed = |slots: SlotMask| -> Vec<usize> { slots.ascending().collect() };
            assert_eq!(listed(meta_word.occupied()), (0..peers).collect::<Vec<_>>());
            assert_eq!(listed(meta_word.alive(now)), slots(&|meta| meta.seen().age(now) < LIFETIME_TICKS));
            for role in ROLES {
                assert_eq!(listed(meta_word.with_role(role)), slots(&|meta| meta.role() == role), "{role:?}");
                assert_eq!(meta_word.with_role(role).count(), slots(&|meta| meta.role() == role).len());
            }
        }
        assert!(MetaWord::EMPTY.occupied().is_empty());
        assert_eq!(MetaWord::new([Meta::VACANT; 3]), MetaWord::EMPTY);
    }

    #[test]
    fn each_role_is_counted_in_up_to_the_maximum_number_of_words() {
        for role in ROLES {
            let meta_word = MetaWord::new([Meta::new(role, Tick::of_count(1)); WORD_PEERS]);
            let mut role_counts = RoleCounts::default();
            (0..RoleCounts::WORDS).for_each(|_| role_counts.add(meta_word, meta_word.occupied()));
            role_counts.add(MetaWord::EMPTY, MetaWord::EMPTY.occupied());
            let (counts, all) = (SwarmCounts::from(role_counts), (RoleCounts::WORDS * WORD_PEERS) as u32);
            assert_eq!(counts.seeders, if role == Role::Seeder { all } else { 0 });
            assert_eq!(counts.leechers, all - counts.seeders);
            assert_eq!(counts.partial_seeds, if role == Role::PartialSeed { all } else { 0 });
        }
    }

    #[test]
    fn slots_of_a_mask_are_separated() {
        let some = [1, 4, 7].map(SlotMask::only).into_iter().fold(SlotMask(0), |all, one| SlotMask(all.0 | one.0));
        assert_eq!(some.count(), 3);
        assert_eq!(some.ascending().collect::<Vec<_>>(), [1, 4, 7]);
        assert_eq!(some.descending().collect::<Vec<_>>(), [7, 4, 1]);
        assert_eq!(some.without(SlotMask::only(4)).ascending().collect::<Vec<_>>(), [1, 7]);
        assert_eq!(some.and(SlotMask::only(4)), SlotMask::only(4));
        for rank in 0..=4 {
            let (lowest, others) = some.split_at_rank(rank);
            assert_eq!(lowest.ascending().chain(others.ascending()).collect::<Vec<_>>(), [1, 4, 7]);
            assert_eq!(lowest.count(), rank.min(3));
        }
    }
}
