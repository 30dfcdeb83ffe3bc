//! The 64-byte line: the unit of all swarm memory.
//!
//! A line is one cache line and holds one of the variants of [`Line`]. Any line can become any variant, so that the
//! budget is never split between torrents and peers, or between IPv4 and IPv6. All content of a line is bytes. This
//! keeps its alignment at 1, and its size at the value that the assertions below require.

use super::age::Tick;
use super::columns::{Columns, Item};
use super::cursor::Cursor;
use super::meta_word::{Meta, WORD_PEERS};
use super::role::Role;
use crate::horizon::Horizon;
use crate::wire::{InfoHash, SwarmCounts};

/// Number of IPv4 peers in a line: 8 × 7 bytes, a length, and the next line of the chain.
pub(crate) const PEERS4_PER_LINE: usize = 8;
/// Number of IPv6 peers in a line: 3 × 19 bytes.
pub(crate) const PEERS6_PER_LINE: usize = 3;
/// Number of IPv4 peers in a swarm's own line, so that most swarms of the real world need no other line.
pub(super) const PEERS4_PER_SWARM: usize = 4;
/// Number of children of a fork.
pub(super) const FORK_CHILDREN: usize = 16;
/// Number of swarms in a line of the index.
pub(super) const SWARMS_PER_BUCKET: usize = 14;

/// The index of a line: 24 bits, so 16.7 million lines or 1 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineIndex([u8; 3]);

impl LineIndex {
    /// No line: the end of a list that does not end at its swarm, or a child that does not exist.
    pub(super) const NONE: Self = Self([0xff; 3]);
    /// Number of lines that an index can address, without `NONE`.
    pub(super) const LIMIT: usize = 0xff_ffff;

    pub(super) const fn new(index: usize) -> Self {
        let [a, b, c, _] = (index as u32).to_le_bytes();
        Self([a, b, c])
    }

    pub(crate) const fn get(self) -> usize {
        let [a, b, c] = self.0;
        u32::from_le_bytes([a, b, c, 0]) as usize
    }

    pub(super) fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Return the index, or `None` if it is `NONE`.
    pub(super) fn some(self) -> Option<Self> {
        (!self.is_none()).then_some(self)
    }
}

/// One peer: its endpoint (address and port as on the wire; 6 or 18 bytes) and its meta. The endpoint is its identity.
/// The client's peer id is not, because any client could copy it.
pub(crate) type Peer<E> = Item<E, Meta>;

impl<E> Peer<E> {
    pub(super) const fn new(endpoint: E, role: Role, seen: Tick) -> Self {
        Self { endpoint, meta: Meta::new(role, seen) }
    }

    pub(super) const fn role(&self) -> Role {
        self.meta.role()
    }

    pub(super) const fn seen(&self) -> Tick {
        self.meta.seen()
    }
}

/// A line of a chain: items, and the next line of the chain. Every line of a chain except its head is full.
#[derive(Clone, Debug)]
pub(crate) struct Chained<E, M, const N: usize> {
    pub(super) items: Columns<E, M, N>,
    pub(super) next: LineIndex,
}

/// A swarm, and its first peers if it has few.
#[derive(Clone, Debug)]
pub(crate) struct Swarm {
    pub(super) info_hash: InfoHash,
    pub(super) horizon: Horizon,
    /// The time at which its last peer left; only used while the swarm is empty.
    pub(super) emptied: Tick,
    completed: [u8; 4],
    /// The IPv4 and the IPv6 root (see [`Family::ROOT`](super::family::Family::ROOT)): `NONE`, the head of a chain, or
    /// a fork.
    pub(super) roots: [LineIndex; 2],
    pub(super) inline: Inline,
}

impl Swarm {
    pub(super) fn new(info_hash: InfoHash, horizon: Horizon, now: Tick) -> Self {
        let inline = Inline::Peers4(Columns::new());
        Self { info_hash, horizon, emptied: now, completed: [0; 4], roots: [LineIndex::NONE; 2], inline }
    }

    pub(super) fn completed(&self) -> u32 {
        u32::from_le_bytes(self.completed)
    }

    /// Return whether the swarm has no peers, and no line that could hold any.
    pub(super) fn is_empty(&self) -> bool {
        let inline_is_empty = match &self.inline {
            Inline::Peers4(inline) => inline.is_empty(),
            Inline::Peers6(inline) => inline.is_empty(),
            Inline::Forked(_) => false,
        };
        inline_is_empty && self.roots.iter().all(|root| root.is_none())
    }

    pub(super) fn count_completed(&mut self) {
        self.completed = self.completed().saturating_add(1).to_le_bytes();
    }
}

/// The rest of a swarm's line: its first peers or, once one of its roots is a fork, the counts of all its peers (a
/// swarm without a fork is counted by a walk) and the cursors of its selections.
#[derive(Clone, Debug)]
pub(crate) enum Inline {
    Peers4(Columns<[u8; 6], Meta, PEERS4_PER_SWARM>),
    Peers6(Columns<[u8; 18], Meta, 1>),
    Forked(Forked),
}

/// The counts and the cursors of a swarm with a fork.
#[derive(Clone, Debug)]
pub(crate) struct Forked {
    pub(super) counted: Counted,
    cursors: [[Cursor; 2]; 2],
}

impl Forked {
    pub(super) fn new(counted: Counted) -> Self {
        Self { counted, cursors: Default::default() }
    }

    /// Return the cursor of the selections of one family (an index like [`Swarm::roots`]), for complete askers or for
    /// all others.
    pub(super) fn cursor(&self, root: usize, complete: bool) -> &Cursor {
        &self.cursors[root][usize::from(complete)]
    }

    pub(super) fn cursor_mut(&mut self, root: usize, complete: bool) -> &mut Cursor {
        &mut self.cursors[root][usize::from(complete)]
    }
}

/// Number of peers of a forked swarm, by role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted([[u8; 4]; 3]);

impl Counted {
    pub(super) fn get(&self, role: Role) -> u32 {
        u32::from_le_bytes(self.0[role as usize])
    }

    pub(super) fn set(&mut self, role: Role, count: u32) {
        self.0[role as usize] = count.to_le_bytes();
    }

    /// Return the share of all hashes that about this number of peers has.
    pub(super) fn share_of(&self, peers: usize) -> u64 {
        let all = [Role::Leecher, Role::PartialSeed, Role::Seeder].map(|role| u64::from(self.get(role)));
        (u64::MAX / all.iter().sum::<u64>().max(1)).saturating_mul(peers as u64)
    }

    pub(super) fn add(&mut self, role: Role) {
        self.set(role, self.get(role).saturating_add(1));
    }

    pub(super) fn subtract(&mut self, role: Role) {
        self.set(role, self.get(role).saturating_sub(1));
    }
}

impl From<SwarmCounts> for Counted {
    fn from(counts: SwarmCounts) -> Self {
        let mut counted = Self::default();
        counted.set(Role::Seeder, counts.seeders);
        counted.set(Role::PartialSeed, counts.partial_seeds);
        counted.set(Role::Leecher, counts.leechers - counts.partial_seeds);
        counted
    }
}

impl From<Counted> for SwarmCounts {
    fn from(counted: Counted) -> Self {
        let partial_seeds = counted.get(Role::PartialSeed);
        let leechers = counted.get(Role::Leecher).saturating_add(partial_seeds);
        Self { seeders: counted.get(Role::Seeder), leechers, partial_seeds, completed: 0 }
    }
}

/// A swarm in the index: its line, and 8 bits of its hash as a tag, so that a lookup seldom reads the line of another
/// swarm. A vacant slot has a tag like any other.
pub(crate) type Indexed = Item<LineIndex, u8>;

/// A fork, which distributes the peers of a large swarm by 4 bits of a keyed hash of their endpoints. Neighbouring
/// children may share a chain: a power of two of them, aligned. So a chain is split in two long before it needs a fork
/// of its own.
#[derive(Clone, Debug)]
pub(crate) struct Fork {
    pub(super) children: [LineIndex; FORK_CHILDREN],
    /// The fork above, or the swarm.
    pub(super) parent: LineIndex,
}

/// One cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) enum Line {
    Free { next: LineIndex },
    Swarm(Swarm),
    Peers4(Chained<[u8; 6], Meta, PEERS4_PER_LINE>),
    Peers6(Chained<[u8; 18], Meta, PEERS6_PER_LINE>),
    Fork(Fork),
    Bucket(Chained<LineIndex, u8, SWARMS_PER_BUCKET>),
}

/// Size of a line in bytes.
pub(crate) const LINE_OCTETS: usize = 64;
const _: () = assert!(size_of::<Line>() == LINE_OCTETS, "a line is one cache line");
const _: () = assert!(align_of::<Line>() == LINE_OCTETS, "a line never straddles two cache lines");
const _: () = assert!(
    size_of::<Peer<[u8; 6]>>() == 7 && size_of::<Peer<[u8; 18]>>() == 19,
    "a peer is its endpoint and one octet"
);
const _: () = assert!(PEERS4_PER_LINE <= WORD_PEERS && PEERS6_PER_LINE <= WORD_PEERS, "a line's peers are one word");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_24_bits() {
        for index in [0, 1, 0xff, 0x100, 0xffff, 0x1_0000, 0xff_fffe] {
            assert_eq!(LineIndex::new(index).get(), index);
            assert!(!LineIndex::new(index).is_none());
        }
        assert_eq!(LineIndex::NONE.get(), LineIndex::LIMIT);
    }

    #[test]
    fn a_peer_keeps_its_role_and_its_tick() {
        for role in [Role::Leecher, Role::PartialSeed, Role::Seeder] {
            assert_ne!(Meta::new(role, Tick::of_count(0)), Meta::VACANT);
            for count in 0..200 {
                let peer = Peer::new([1, 2, 3, 4, 5, 6], role, Tick::of_count(count));
                assert_eq!((peer.role(), peer.seen()), (role, Tick::of_count(count)));
                assert_eq!(peer.seen().age(Tick::of_count(count + 63)), 63);
            }
        }
    }
}
