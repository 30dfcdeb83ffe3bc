//! The swarm pool: the lines, the index over them, and the operations on one swarm.
//!
//! Invariants, checked by [`Pool::check_invariants`]:
//! - every line in use belongs to the index or to exactly one swarm, and the index contains every swarm;
//! - a swarm without forks is counted by a walk over its peers; a swarm with a fork stores its counts in its own line,
//!   and all its peers in its trees;
//! - all lines of a chain except the head are full, and the last line refers to the swarm; an endpoint is stored once,
//!   in the leaf that its hash selects;
//! - `peers` counts the stored peers by role, including dead peers that the sweeper has not reached yet.

use std::collections::TryReserveError;

use super::age::{CurrentTick, Tick, TickLength};
use super::census::Census;
use super::chain::Place;
use super::endpoint::slot_of;
use super::family::{Family, ItemsOf, V4, V6};
use super::impossible::impossible;
use super::index::Index;
use super::line::{Forked, Inline, LINE_OCTETS, Line, LineIndex, Peer, Swarm};
use super::lines::Lines;
use super::meta_word::{Meta, MetaWord};
use super::role::Role;
use super::tree::{self, Search};
use crate::clock::Running;
use crate::hash_key::HashKey;
use crate::horizon::{Horizon, Reach};
use crate::wire::InfoHash;

/// All swarms and their peers.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) lines: Lines,
    pub(super) index: Index,
    pub(super) key: HashKey,
    pub(super) tick_length: TickLength,
    pub(super) current_tick: CurrentTick,
    pub(super) peers: Census,
    /// Number of swarms on the LAN side. If one side has no swarms, a lookup on that side ends at once.
    pub(super) lan_swarms: usize,
    pub(super) sweep: super::sweep::Position,
    /// Whether a peer outside the local networks ever had an address that is not public. This is rare, and until then
    /// replies need no filter for it.
    pub(super) private_beyond_lan: bool,
    /// Whether a peer on the local networks ever was on this host, where only clients on this host can reach it.
    pub(super) host_on_lan: bool,
    /// Number of dead peers that the sweeper has removed so far.
    pub(super) expired: u64,
    /// Number of newcomers to turn away before the next try to make room: see [`super::evict`].
    pub(super) barren: u32,
    pub(super) random: fastrand::Rng,
}

/// The result of storing a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// The peer is new.
    Added,
    /// The peer was known, with this role and this age in ticks.
    Refreshed { before: Role, age: u8 },
    /// The peer was not stored, because all lines are in use.
    Full,
}

/// The outcome of [`Pool::upsert`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upserted {
    pub(crate) stored: Stored,
    /// The swarm, or `None` if all lines are in use.
    pub(crate) swarm: Option<LineIndex>,
    /// The place of the peer, valid until the pool changes again.
    pub(crate) place: Option<Place>,
}

/// Number of lines that must be free for a swarm's first fork: those of a split, and one for each peer that moves out
/// of the swarm's own line.
const LINES_FOR_A_FIRST_FORK: usize = 8;

const NO_SWARM: &str = "a swarm that is not at its line";

impl Pool {
    /// Return the number of lines that fit into a budget of `octets` together with the directory of the index.
    pub(crate) fn lines_in(octets: usize) -> usize {
        let mut lines = (octets / LINE_OCTETS).min(LineIndex::LIMIT);
        while lines > 0 && lines * LINE_OCTETS + Index::directory_len(lines) * Index::ENTRY_OCTETS > octets {
            lines -= lines.div_ceil(1024);
        }
        lines
    }

    pub(crate) fn reserve(
        octets: usize,
        tick_length: TickLength,
        key: HashKey,
        seed: u64,
    ) -> Result<Self, TryReserveError> {
        let lines = Self::lines_in(octets);
        Ok(Self {
            lines: Lines::reserve(lines)?,
            index: Index::reserve(lines, key)?,
            key,
            tick_length,
            current_tick: CurrentTick::of(tick_length, Running::default()),
            peers: Census::default(),
            lan_swarms: 0,
            sweep: super::sweep::Position::default(),
            private_beyond_lan: false,
            host_on_lan: false,
            expired: 0,
            barren: 0,
            random: fastrand::Rng::with_seed(seed),
        })
    }

    /// Return whether all lines are in use.
    pub(crate) fn is_full(&self) -> bool {
        self.lines.available() == 0
    }

    pub(crate) const fn tick_length(&self) -> TickLength {
        self.tick_length
    }

    /// Return the line of a swarm.
    #[inline]
    pub(crate) fn find(&self, info_hash: &InfoHash, horizon: Horizon) -> Option<LineIndex> {
        let there = match horizon {
            Horizon::Lan => self.lan_swarms,
            Horizon::Wan => self.index.swarms() - self.lan_swarms,
        };
        if there == 0 {
            return None;
        }
        self.index.find(&self.lines, info_hash, horizon)
    }

    /// Return the line of a swarm. Add the swarm if it is new; return `None` if all lines are in use.
    #[inline]
    fn find_or_add_swarm(&mut self, info_hash: &InfoHash, horizon: Horizon, now: Tick) -> Option<LineIndex> {
        let found = self.index.find(&self.lines, info_hash, horizon);
        found.or_else(|| self.add_swarm(info_hash, horizon, now))
    }

    #[inline(never)]
    fn add_swarm(&mut self, info_hash: &InfoHash, horizon: Horizon, now: Tick) -> Option<LineIndex> {
        let hash = self.index.hash(info_hash, horizon);
        let swarm = self.lines.take(Line::Swarm(Swarm::new(*info_hash, horizon, now)))?;
        if self.index.insert(&mut self.lines, hash, swarm).is_none() {
            self.lines.give_back(swarm);
            return None;
        }
        self.lan_swarms += usize::from(horizon == Horizon::Lan);
        Some(swarm)
    }

    /// Remove a swarm without peers from the index, and give its line back.
    pub(super) fn remove_swarm(&mut self, swarm: LineIndex) {
        let own = tree::swarm_at(&self.lines, swarm).or_else(|| impossible(NO_SWARM));
        let Some(&Swarm { info_hash, horizon, .. }) = own else { return };
        let hash = self.index.hash(&info_hash, horizon);
        self.index.remove(&mut self.lines, hash, swarm);
        self.lines.give_back(swarm);
        self.lan_swarms -= usize::from(horizon == Horizon::Lan);
    }

    /// Record the reach of a peer's address, before the peer is stored on this side.
    #[inline]
    pub(crate) fn note_reach(&mut self, horizon: Horizon, reach: Reach) {
        self.private_beyond_lan |= horizon == Horizon::Wan && reach != Reach::Public;
        self.host_on_lan |= horizon == Horizon::Lan && reach == Reach::Host;
    }

    /// Store a peer, or refresh it if its endpoint is known. Add the swarm if it is new.
    #[inline(always)]
    pub(crate) fn upsert<F: Family>(
        &mut self,
        info_hash: &InfoHash,
        horizon: Horizon,
        endpoint: F::Endpoint,
        role: Role,
        now: Tick,
    ) -> Upserted {
        match self.find_or_add_swarm(info_hash, horizon, now) {
            Some(swarm) => {
                let (stored, place) = self.upsert_in::<F>(swarm, horizon, endpoint, role, now);
                Upserted { stored, swarm: Some(swarm), place }
            }
            None => Upserted { stored: Stored::Full, swarm: None, place: None },
        }
    }

    /// Store or refresh a peer in `swarm`, and return its place.
    #[inline]
    fn upsert_in<F: Family>(
        &mut self,
        swarm: LineIndex,
        horizon: Horizon,
        endpoint: F::Endpoint,
        role: Role,
        now: Tick,
    ) -> (Stored, Option<Place>) {
        let meta = Meta::new(role, now);
        let refreshed = |before: Meta| Stored::Refreshed { before: before.role(), age: before.seen().age(now) };
        if let Some(mut inline) = tree::swarm_at_mut(&mut self.lines, swarm).and_then(F::inline_mut)
            && let Some(slot) = slot_of(inline.endpoints(), &endpoint)
            && let Some(before) = inline.replace_meta(slot, meta)
        {
            self.peers.change::<F>(horizon, Some(before.role()), Some(role));
            return (refreshed(before), Some(Place { line: swarm, slot }));
        }
        let search = tree::find::<F>(&self.lines, self.key, swarm, &endpoint);
        if let Some(place) = search.place
            && let Some(mut peers) = F::items_mut(&mut self.lines[place.line])
            && let Some(before) = peers.replace_meta(place.slot, meta)
        {
            self.peers.change::<F>(horizon, Some(before.role()), Some(role));
            self.recount(swarm, Some(before.role()), Some(role));
            return (refreshed(before), Some(place));
        }
        match self.insert::<F>(swarm, search, Peer::new(endpoint, role, now)) {
            Some(place) => (Stored::Added, Some(place)),
            None => (Stored::Full, None),
        }
    }

    /// Return the place of an endpoint in a swarm.
    pub(super) fn place_of<F: Family>(&self, swarm: LineIndex, endpoint: &F::Endpoint) -> Option<Place> {
        let own = tree::swarm_at(&self.lines, swarm)
            .and_then(F::inline)
            .and_then(|inline| slot_of(inline.endpoints, endpoint));
        match own {
            Some(slot) => Some(Place { line: swarm, slot }),
            None => tree::find::<F>(&self.lines, self.key, swarm, endpoint).place,
        }
    }

    #[inline(never)]
    fn insert<F: Family>(&mut self, swarm: LineIndex, search: Search, peer: Peer<F::Endpoint>) -> Option<Place> {
        let own = tree::swarm_at_mut(&mut self.lines, swarm).or_else(|| impossible(NO_SWARM))?;
        let horizon = own.horizon;
        let inline = F::inline_mut(own);
        let in_own_line = inline.and_then(|mut inline| inline.push(peer));
        let place = match in_own_line {
            Some(slot) => Place { line: swarm, slot },
            None => {
                let place = self.insert_in_tree::<F>(swarm, search, peer)?;
                self.recount(swarm, None, Some(peer.role()));
                place
            }
        };
        self.peers.change::<F>(horizon, None, Some(peer.role()));
        Some(place)
    }

    /// Insert a peer into the tree. If the swarm gets its first fork, also move the peers of its own line into its
    /// trees, and store the counts in that line. If too few lines are free for a fork, the chain grows longer.
    fn insert_in_tree<F: Family>(
        &mut self,
        swarm: LineIndex,
        mut search: Search,
        peer: Peer<F::Endpoint>,
    ) -> Option<Place> {
        let mut may_split = matches!(tree::swarm_at(&self.lines, swarm)?.inline, Inline::Forked(_));
        if !may_split
            && tree::wants_first_fork::<F>(&self.lines, &search)
            && self.lines.available() >= LINES_FOR_A_FIRST_FORK
        {
            self.leave_own_line(swarm)?;
            search = tree::find::<F>(&self.lines, self.key, swarm, &peer.endpoint);
            may_split = true;
        }
        tree::insert::<F>(&mut self.lines, self.key, swarm, search, peer, may_split)
    }

    /// Move the peers of the swarm's own line into its trees, and store the counts in that line.
    fn leave_own_line(&mut self, swarm: LineIndex) -> Option<()> {
        let counts = self.walk_counts(swarm, tree::swarm_at(&self.lines, swarm)?, MetaWord::occupied);
        let forked = Inline::Forked(Forked::new(counts.into()));
        match core::mem::replace(&mut tree::swarm_at_mut(&mut self.lines, swarm)?.inline, forked) {
            Inline::Peers4(peers) => self.move_into_tree::<V4>(swarm, peers.read()),
            Inline::Peers6(peers) => self.move_into_tree::<V6>(swarm, peers.read()),
            Inline::Forked(_) => Some(()),
        }
    }

    fn move_into_tree<F: Family>(&mut self, swarm: LineIndex, peers: ItemsOf<'_, F>) -> Option<()> {
        peers.iter().try_for_each(|peer| {
            let search = tree::find::<F>(&self.lines, self.key, swarm, &peer.endpoint);
            let place = tree::insert::<F>(&mut self.lines, self.key, swarm, search, peer, true);
            place.map(|_| ()).or_else(|| impossible("no line for a first fork that was checked to fit"))
        })
    }

    /// Remove a peer. Return false if it was not stored.
    pub(crate) fn remove<F: Family>(&mut self, swarm: LineIndex, endpoint: &F::Endpoint, now: Tick) -> bool {
        let place = self.place_of::<F>(swarm, endpoint);
        place.is_some_and(|place| self.remove_at::<F>(swarm, place, now))
    }

    /// Remove the peer of `swarm` at `place`. Return false if that place is vacant.
    pub(super) fn remove_at<F: Family>(&mut self, swarm: LineIndex, place: Place, now: Tick) -> bool {
        let role = if place.line == swarm {
            let inline = tree::swarm_at_mut(&mut self.lines, swarm).and_then(F::inline_mut);
            inline.and_then(|mut inline| inline.swap_remove(place.slot)).map(|peer| peer.role())
        } else {
            self.remove_from_tree::<F>(swarm, place)
        };
        if let Some(horizon) = tree::swarm_at(&self.lines, swarm).map(|own| own.horizon)
            && role.is_some()
        {
            self.peers.change::<F>(horizon, role, None);
            self.note_if_emptied(swarm, now);
        }
        role.is_some()
    }

    fn remove_from_tree<F: Family>(&mut self, swarm: LineIndex, place: Place) -> Option<Role> {
        let (peers, _) = F::items(&self.lines[place.line])?;
        let peer = peers.get(place.slot)?;
        let leaf = tree::leaf::<F>(&self.lines, self.key, swarm, &peer.endpoint);
        tree::remove::<F>(&mut self.lines, swarm, leaf, place);
        self.recount(swarm, Some(peer.role()), None);
        Some(peer.role())
    }

    /// If the swarm is empty, record the time: an empty swarm is kept for a while for its count of completed downloads.
    fn note_if_emptied(&mut self, swarm: LineIndex, now: Tick) {
        if let Some(swarm) = tree::swarm_at_mut(&mut self.lines, swarm)
            && swarm.is_empty()
        {
            swarm.emptied = now;
        }
    }
}

#[cfg(test)]
mod tests;
