//! The roll of a line: what is known of up to eight peers besides their endpoints, in one word, so that who is alive and
//! who is a seeder is answered for all of them at once, and without a branch for any.

use super::age::{LIFETIME_QUANTA, Stamp};
use super::role::Role;
use crate::wire::SwarmCounts;

/// Peers on a roll.
pub(super) const ROLL_PEERS: usize = 8;

/// One in each octet.
const EACH: u64 = 0x0101_0101_0101_0101;
/// The top bit of each octet.
const TOP: u64 = EACH << 7;

/// What is known of a peer besides its endpoint, in one octet: when it was last heard (6 bits) and its role (2 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta(u8);

impl Meta {
    /// Where there is no peer: a fourth role, which nobody has.
    pub(super) const VACANT: Self = Self(3);

    pub(super) const fn new(role: Role, seen: Stamp) -> Self {
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
    pub(super) const fn seen(self) -> Stamp {
        Stamp::of_quantum((self.0 >> 2) as u64)
    }
}

/// The [`Meta`] of each peer of a line, the first in the lowest octet; [`Meta::VACANT`] where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roll(u64);

/// Some of the peers of a line: the top bit of the octet of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots(u64);

impl Roll {
    /// Nobody.
    pub(super) const EMPTY: Self = Self(Meta::VACANT.octet() as u64 * EACH);

    #[inline]
    pub(super) fn new<const N: usize>(metas: [Meta; N]) -> Self {
        const { assert!(N <= ROLL_PEERS) };
        let mut octets = [Meta::VACANT.octet(); ROLL_PEERS];
        for (octet, meta) in octets.iter_mut().zip(metas) {
            *octet = meta.octet();
        }
        Self(u64::from_le_bytes(octets))
    }

    /// Those with this role.
    #[inline]
    pub(super) const fn with_role(self, role: Role) -> Slots {
        let (low, high) = (self.0 << 7, self.0 << 6);
        Slots(match role {
            Role::Leecher => !low & !high & TOP,
            Role::PartialSeed => low & !high & TOP,
            Role::Seeder => !low & high & TOP,
        })
    }

    /// All that there are.
    #[inline]
    pub(super) const fn everybody(self) -> Slots {
        Slots(!(self.0 << 7 & self.0 << 6) & TOP)
    }

    /// Those that have announced within their timeout.
    #[inline]
    pub(super) const fn alive(self, now: Stamp) -> Slots {
        // Octet by octet: with its top bit set, none borrows from the next.
        let seen = (self.0 >> 2) & (EACH * 0x3f);
        let age = (TOP + EACH * now.get() as u64 - seen) & (EACH * 0x3f);
        let fresh = TOP + EACH * (LIFETIME_QUANTA as u64 - 1) - age;
        Slots(self.everybody().0 & fresh)
    }
}

/// Peers of up to [`Tally::ROLLS`] rolls, counted by role: of each slot by itself, until the end.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    all: u64,
    seeders: u64,
    partial_seeds: u64,
}

impl Tally {
    /// More would run over from one octet into the next.
    pub(super) const ROLLS: usize = 31;

    /// Count those in `slots`, which are on `roll`: nobody among them has the fourth role, so that one bit tells either.
    #[inline]
    pub(super) const fn add(&mut self, roll: Roll, slots: Slots) {
        const { assert!(Role::PartialSeed as u8 == 1 && Role::Seeder as u8 == 2) };
        self.all += slots.0 >> 7;
        self.seeders += (roll.0 << 6 & slots.0) >> 7;
        self.partial_seeds += (roll.0 << 7 & slots.0) >> 7;
    }
}

impl From<Tally> for SwarmCounts {
    #[inline]
    fn from(tally: Tally) -> Self {
        let [all, seeders, partial_seeds] =
            [tally.all, tally.seeders, tally.partial_seeds].map(|sums| (sums.wrapping_mul(EACH) >> 56) as u32);
        Self { seeders, leechers: all - seeders, partial_seeds, completed: 0 }
    }
}

impl Slots {
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

    /// These, but not those.
    #[inline]
    pub(super) const fn but(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The one slot.
    #[inline]
    pub(super) const fn only(slot: usize) -> Self {
        Self(0x80 << (slot % ROLL_PEERS * 8))
    }

    /// Those below `slot`, and the others.
    #[inline]
    pub(super) const fn split_at(self, slot: usize) -> (Self, Self) {
        let below = Self(self.0 & (Self::only(slot).0 - 1));
        (below, self.but(below))
    }

    /// The slots, lowest first.
    #[inline]
    pub(super) fn ascending(mut self) -> impl Iterator<Item = usize> {
        core::iter::from_fn(move || {
            let slot = (!self.is_empty()).then(|| self.0.trailing_zeros() as usize / 8)?;
            self.0 &= self.0 - 1;
            Some(slot)
        })
    }

    /// The slots, highest first.
    #[inline]
    pub(super) fn descending(mut self) -> impl Iterator<Item = usize> {
        core::iter::from_fn(move || {
            let slot = self.0.checked_ilog2()? as usize / 8;
            self = self.but(Self::only(slot));
            Some(slot)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 3] = [Role::Leecher, Role::PartialSeed, Role::Seeder];

    #[test]
    fn the_roll_says_of_each_peer_what_its_meta_says() {
        let mut random = fastrand::Rng::with_seed(9);
        for _ in 0..20_000 {
            let peers = random.usize(..=ROLL_PEERS);
            let metas: [Meta; ROLL_PEERS] = core::array::from_fn(|slot| {
                let meta = Meta::new(ROLES[random.usize(..3)], Stamp::of_quantum(random.u64(..64)));
                if slot < peers { meta } else { Meta::VACANT }
            });
            let (roll, now) = (Roll::new(metas), Stamp::of_quantum(random.u64(..64)));
            let slots = |wanted: &dyn Fn(Meta) -> bool| -> Vec<usize> {
                (0..peers).filter(|slot| wanted(metas[*slot])).collect()
            };
            let listed = |slots: Slots| -> Vec<usize> { slots.ascending().collect() };
            assert_eq!(listed(roll.everybody()), (0..peers).collect::<Vec<_>>());
            assert_eq!(listed(roll.alive(now)), slots(&|meta| meta.seen().age(now) < LIFETIME_QUANTA));
            for role in ROLES {
                assert_eq!(listed(roll.with_role(role)), slots(&|meta| meta.role() == role), "{role:?}");
                assert_eq!(roll.with_role(role).count(), slots(&|meta| meta.role() == role).len());
            }
        }
        assert!(Roll::EMPTY.everybody().is_empty());
        assert_eq!(Roll::new([Meta::VACANT; 3]), Roll::EMPTY);
    }

    #[test]
    fn a_tally_counts_each_role_of_as_many_rolls_as_it_may_take() {
        for role in ROLES {
            let roll = Roll::new([Meta::new(role, Stamp::of_quantum(1)); ROLL_PEERS]);
            let mut tally = Tally::default();
            (0..Tally::ROLLS).for_each(|_| tally.add(roll, roll.everybody()));
            tally.add(Roll::EMPTY, Roll::EMPTY.everybody());
            let (counts, all) = (SwarmCounts::from(tally), (Tally::ROLLS * ROLL_PEERS) as u32);
            assert_eq!(counts.seeders, if role == Role::Seeder { all } else { 0 });
            assert_eq!(counts.leechers, all - counts.seeders);
            assert_eq!(counts.partial_seeds, if role == Role::PartialSeed { all } else { 0 });
        }
    }

    #[test]
    fn slots_are_told_apart() {
        let some = [1, 4, 7].map(Slots::only).into_iter().fold(Slots(0), |all, one| Slots(all.0 | one.0));
        assert_eq!(some.count(), 3);
        assert_eq!(some.ascending().collect::<Vec<_>>(), [1, 4, 7]);
        assert_eq!(some.descending().collect::<Vec<_>>(), [7, 4, 1]);
        assert_eq!(some.but(Slots::only(4)).ascending().collect::<Vec<_>>(), [1, 7]);
        assert_eq!(some.and(Slots::only(4)), Slots::only(4));
        for at in 0..ROLL_PEERS {
            let (below, rest) = some.split_at(at);
            assert_eq!(
                below.ascending().collect::<Vec<_>>(),
                [1, 4, 7].into_iter().filter(|s| *s < at).collect::<Vec<_>>()
            );
            assert_eq!(below.count() + rest.count(), 3);
        }
    }
}
