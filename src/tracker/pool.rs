//! The swarm pool: the lines, the index over them, and what is done to one swarm at a time.
//!
//! Invariants, checked by [`Pool::check_invariants`]:
//! - every line in use belongs to the index or to exactly one swarm, and every swarm stands in the index;
//! - a swarm whose roots are no forks is counted by walking it; one with a fork keeps its counts in its own line and has
//!   no peers there;
//! - a chain's lines are full but its head, its last line names the swarm, and an endpoint stands in the leaf that its
//!   hash tells, once;
//! - `peers` counts the peers stored by role, dead ones that the sweeper has not come to included.

use std::collections::TryReserveError;

use super::chain;
use super::horizon::Horizon;
use super::index::{HashKey, Index};
use super::line::{Counted, Family, Few, LINE_OCTETS, Line, LineIndex, Meta, Peer, Role, Stamp, Swarm, V4, V6};
use super::lines::Lines;
use super::quanta::{LIFETIME_QUANTA, Moment, Quanta};
use super::tree::{self, Search};
use crate::clock::Running;
use crate::wire::{InfoHash, SwarmCounts};

/// All swarms and their peers.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) lines: Lines,
    pub(super) index: Index,
    pub(super) key: HashKey,
    pub(super) quanta: Quanta,
    pub(super) moment: Moment,
    pub(super) peers: Population,
    /// Swarms on the LAN's side: while there are none, nobody needs to look for them.
    pub(super) lan_swarms: usize,
    pub(super) sweep: super::sweep::Position,
    /// Whether any peer outside the local networks ever had an address that not everybody there can reach. Hardly ever,
    /// and until then nobody needs to look.
    pub(super) private_beyond_lan: bool,
    /// Peers that the sweeper has found dead so far.
    pub(super) expired: u64,
    /// Newcomers to let go by before the next try to make room: see [`super::evict`].
    pub(super) barren: u32,
    pub(super) random: fastrand::Rng,
}

/// Peers by role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Population([usize; 3]);

impl Population {
    pub(super) fn of(self, role: Role) -> usize {
        self.0[role as usize]
    }

    pub(super) fn total(self) -> usize {
        self.0.iter().sum()
    }

    pub(super) fn change(&mut self, before: Option<Role>, after: Option<Role>) {
        before.into_iter().for_each(|role| self.0[role as usize] -= 1);
        after.into_iter().for_each(|role| self.0[role as usize] += 1);
    }
}

/// What became of a peer that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// It is new.
    Added,
    /// It was here, as what, and heard from how many quanta ago.
    Refreshed { before: Role, age: u8 },
    /// There is no line for it.
    Full,
}

/// Peers counted by role, in one register: all of them, seeders and partial seeds in 21 bits each. Two million do not fit
/// in the few lines of a swarm without forks.
#[derive(Clone, Copy, Default)]
pub(super) struct RoleSums(u64);

impl RoleSums {
    /// What a leecher, a partial seed and a seeder add; there is no fourth role.
    const OF_ROLE: [u64; 4] = [1, 1 | 1 << 42, 1 | 1 << 21, 1 | 1 << 21];

    #[inline]
    pub(super) fn add(&mut self, peer: Meta, counts: bool) {
        self.0 += if counts { Self::OF_ROLE[peer.role_bits()] } else { 0 };
    }
}

impl From<RoleSums> for SwarmCounts {
    fn from(sums: RoleSums) -> Self {
        let [all, seeders, partial_seeds] = [0, 1, 2].map(|field| (sums.0 >> (21 * field)) as u32 & 0x1f_ffff);
        Self { seeders, leechers: all - seeders, partial_seeds, completed: 0 }
    }
}

/// Lines that must be free for a swarm's first fork: those of a split, and one for each peer that leaves the swarm's own
/// line.
const LINES_FOR_A_FIRST_FORK: usize = 8;

impl Pool {
    /// Lines that a budget of `octets` holds, the directory of the index taken off.
    pub(super) fn lines_in(octets: usize) -> usize {
        let mut lines = (octets / LINE_OCTETS).min(LineIndex::LIMIT);
        while lines > 0 && lines * LINE_OCTETS + Index::directory_len(lines) * Index::ENTRY_OCTETS > octets {
            lines -= lines.div_ceil(1024);
        }
        lines
    }

    pub(super) fn reserve(octets: usize, quanta: Quanta, key: HashKey, seed: u64) -> Result<Self, TryReserveError> {
        let lines = Self::lines_in(octets);
        Ok(Self {
            lines: Lines::reserve(lines)?,
            index: Index::reserve(lines, key)?,
            key,
            quanta,
            moment: Moment::of(quanta, Running::default()),
            peers: Population::default(),
            lan_swarms: 0,
            sweep: super::sweep::Position::default(),
            private_beyond_lan: false,
            expired: 0,
            barren: 0,
            random: fastrand::Rng::with_seed(seed),
        })
    }

    pub(super) fn find_swarm(&self, info_hash: &InfoHash, horizon: Horizon) -> Option<LineIndex> {
        if horizon == Horizon::Lan && self.lan_swarms == 0 {
            return None;
        }
        self.index.find(&self.lines, self.index.hash(info_hash, horizon), info_hash, horizon)
    }

    /// The swarm's line, made if need be; `None` when there is no line for it.
    pub(super) fn find_or_add_swarm(
        &mut self,
        info_hash: &InfoHash,
        horizon: Horizon,
        now: Stamp,
    ) -> Option<LineIndex> {
        let hash = self.index.hash(info_hash, horizon);
        if let Some(swarm) = self.index.find(&self.lines, hash, info_hash, horizon) {
            return Some(swarm);
        }
        let swarm = self.lines.take(Line::Swarm(Swarm::new(*info_hash, horizon, now)))?;
        if self.index.insert(&mut self.lines, hash, swarm).is_none() {
            self.lines.give_back(swarm);
            return None;
        }
        self.lan_swarms += usize::from(horizon == Horizon::Lan);
        Some(swarm)
    }

    /// Give the line of a swarm without peers back.
    pub(super) fn remove_swarm(&mut self, swarm: LineIndex) {
        let Some(&Swarm { info_hash, horizon, .. }) = tree::swarm_at(&self.lines, swarm) else { return };
        let hash = self.index.hash(&info_hash, horizon);
        self.index.remove(&mut self.lines, hash, swarm);
        self.lines.give_back(swarm);
        self.lan_swarms -= usize::from(horizon == Horizon::Lan);
    }

    /// Store a peer, or refresh it if its endpoint is known.
    pub(super) fn upsert<const N: usize, F: Family<N>>(
        &mut self,
        swarm: LineIndex,
        endpoint: [u8; N],
        role: Role,
        now: Stamp,
    ) -> Stored {
        let new = Peer::new(endpoint, role, now);
        if let Some(peer) = self.few_peer::<N, F>(swarm, &endpoint) {
            let before = core::mem::replace(peer, new);
            self.peers.change(Some(before.role()), Some(role));
            return Stored::Refreshed { before: before.role(), age: before.seen().age(now) };
        }
        let search = tree::find::<N, F>(&self.lines, self.key, swarm, &endpoint);
        if let Some(place) = search.place
            && let Some(peer) = F::items_mut(&mut self.lines[place.line]).and_then(|peers| peers.get_mut(place.slot))
        {
            let before = core::mem::replace(peer, new);
            self.peers.change(Some(before.role()), Some(role));
            self.recount(swarm, Some(before.role()), Some(role));
            return Stored::Refreshed { before: before.role(), age: before.seen().age(now) };
        }
        match self.insert::<N, F>(swarm, search, new) {
            Some(()) => Stored::Added,
            None => Stored::Full,
        }
    }

    /// Count a finished download.
    pub(super) fn count_completed(&mut self, swarm: Option<LineIndex>) {
        if let Some(swarm) = swarm.and_then(|swarm| tree::swarm_at_mut(&mut self.lines, swarm)) {
            swarm.count_completed();
        }
    }

    fn few_peer<const N: usize, F: Family<N>>(&mut self, swarm: LineIndex, endpoint: &[u8; N]) -> Option<&mut Peer<N>> {
        let swarm = tree::swarm_at_mut(&mut self.lines, swarm)?;
        F::few_mut(swarm)?.iter_mut().find(|peer| peer.endpoint == *endpoint)
    }

    fn insert<const N: usize, F: Family<N>>(&mut self, swarm: LineIndex, search: Search, peer: Peer<N>) -> Option<()> {
        let few = F::few_mut(tree::swarm_at_mut(&mut self.lines, swarm)?);
        if few.is_none_or(|few| few.push(peer).is_err()) {
            self.insert_in_tree::<N, F>(swarm, search, peer)?;
            self.recount(swarm, None, Some(peer.role()));
        }
        self.peers.change(None, Some(peer.role()));
        Some(())
    }

    /// Insert into the tree; where that gives the swarm its first fork, the peers of its own line go into the tree too,
    /// and counts take their place. Where lines for that are short, the chain just grows.
    fn insert_in_tree<const N: usize, F: Family<N>>(
        &mut self,
        swarm: LineIndex,
        mut search: Search,
        peer: Peer<N>,
    ) -> Option<()> {
        let mut may_split = matches!(tree::swarm_at(&self.lines, swarm)?.few, Few::Counted(_));
        if !may_split
            && tree::wants_first_fork::<N, F>(&self.lines, &search)
            && self.lines.available() >= LINES_FOR_A_FIRST_FORK
        {
            self.leave_own_line(swarm)?;
            search = tree::find::<N, F>(&self.lines, self.key, swarm, &peer.endpoint);
            may_split = true;
        }
        tree::insert::<N, F>(&mut self.lines, self.key, swarm, search, peer, may_split)
    }

    /// Move the peers in the swarm's own line into its trees, and put the counts there.
    fn leave_own_line(&mut self, swarm: LineIndex) -> Option<()> {
        let counts = self.walk_counts(swarm, tree::swarm_at(&self.lines, swarm)?, |_| true);
        let counted = Counted::from(counts);
        match core::mem::replace(&mut tree::swarm_at_mut(&mut self.lines, swarm)?.few, Few::Counted(counted)) {
            Few::Four(peers) => self.move_into_tree::<6, V4>(swarm, &peers),
            Few::Six(peers) => self.move_into_tree::<18, V6>(swarm, &peers),
            Few::Counted(_) => Some(()),
        }
    }

    fn move_into_tree<const N: usize, F: Family<N>>(&mut self, swarm: LineIndex, peers: &[Peer<N>]) -> Option<()> {
        peers.iter().try_for_each(|peer| {
            let search = tree::find::<N, F>(&self.lines, self.key, swarm, &peer.endpoint);
            tree::insert::<N, F>(&mut self.lines, self.key, swarm, search, *peer, true)
        })
    }

    /// Keep the counts of a forked swarm.
    pub(super) fn recount(&mut self, swarm: LineIndex, before: Option<Role>, after: Option<Role>) {
        if let Some(Swarm { few: Few::Counted(counted), .. }) = tree::swarm_at_mut(&mut self.lines, swarm)
            && before != after
        {
            before.into_iter().for_each(|role| counted.subtract(role));
            after.into_iter().for_each(|role| counted.add(role));
        }
    }

    /// Remove a peer; false when it was not there.
    pub(super) fn remove<const N: usize, F: Family<N>>(
        &mut self,
        swarm: LineIndex,
        endpoint: &[u8; N],
        now: Stamp,
    ) -> bool {
        let role = self.remove_from_own_line::<N, F>(swarm, endpoint).or_else(|| {
            let search = tree::find::<N, F>(&self.lines, self.key, swarm, endpoint);
            self.remove_found::<N, F>(swarm, search)
        });
        if role.is_some() {
            self.peers.change(role, None);
            self.note_if_emptied(swarm, now);
        }
        role.is_some()
    }

    fn remove_from_own_line<const N: usize, F: Family<N>>(
        &mut self,
        swarm: LineIndex,
        endpoint: &[u8; N],
    ) -> Option<Role> {
        let few = tree::swarm_at_mut(&mut self.lines, swarm).and_then(F::few_mut)?;
        let slot = few.iter().position(|peer| peer.endpoint == *endpoint)?;
        Some(few.swap_remove(slot).role())
    }

    fn remove_found<const N: usize, F: Family<N>>(&mut self, swarm: LineIndex, search: Search) -> Option<Role> {
        let place = search.place?;
        let role = F::items(&self.lines[place.line])?.0.get(place.slot)?.role();
        tree::remove::<N, F>(&mut self.lines, swarm, search.leaf, place);
        self.recount(swarm, Some(role), None);
        Some(role)
    }

    /// Start the time that an empty swarm is kept for the sake of its count of completed downloads.
    fn note_if_emptied(&mut self, swarm: LineIndex, now: Stamp) {
        if let Some(swarm) = tree::swarm_at_mut(&mut self.lines, swarm)
            && swarm.is_empty()
        {
            swarm.emptied = now;
        }
    }

    /// How many peers a swarm has, by role. Of a small swarm, those still alive; of a forked one, those stored, which
    /// includes for one sweep those that have just died.
    pub(super) fn counts(&self, swarm: LineIndex, now: Stamp) -> SwarmCounts {
        let Some(own) = tree::swarm_at(&self.lines, swarm) else { return SwarmCounts::default() };
        let mut counts = match own.few {
            Few::Counted(counted) => counted.into(),
            _ => self.walk_counts(swarm, own, |peer| is_alive(peer, now)),
        };
        counts.completed = own.completed();
        counts
    }

    /// Count those peers of a swarm without forks whose `(stamp, role)` octet `counts`.
    #[inline]
    fn walk_counts(&self, swarm: LineIndex, own: &Swarm, counts: impl Fn(Meta) -> bool) -> SwarmCounts {
        let mut sums = RoleSums::default();
        let mut add = |meta: Meta| sums.add(meta, counts(meta));
        match &own.few {
            Few::Four(few) => few.iter().for_each(|peer| add(peer.meta)),
            Few::Six(few) => few.iter().for_each(|peer| add(peer.meta)),
            Few::Counted(_) => {}
        }
        for (_, peers) in chain::walk::<V4>(&self.lines, own.roots[V4::ROOT], swarm) {
            peers.iter().for_each(|peer| add(peer.meta));
        }
        for (_, peers) in chain::walk::<V6>(&self.lines, own.roots[V6::ROOT], swarm) {
            peers.iter().for_each(|peer| add(peer.meta));
        }
        sums.into()
    }
}

/// Has this peer announced within its timeout?
pub(super) const fn is_alive(peer: Meta, now: Stamp) -> bool {
    peer.seen().age(now) < LIFETIME_QUANTA
}

#[cfg(test)]
mod tests;
