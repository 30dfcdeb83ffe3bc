//! The selection of peers for a reply: consecutive peers of a swarm, line by line, without the asker itself. Every peer
//! that the asker may receive has the same chance (rule 32): a chain starts at a random peer, and a tree of chains where
//! the selection before it ended ([`forks`]).
//!
//! A selection ends after [`LINES_LOOKED_AT`] lines, or with the chain in which it reaches that number. This bounds the
//! cost when a seeder, which needs leechers only, asks in a swarm of a hundred thousand seeders.

mod forks;

use core::net::IpAddr;

use super::age::Tick;
use super::chain::{self, Place};
use super::endpoint::address_of;
use super::family::{Family, ItemsOf, V4};
use super::line::{Inline, Line, LineIndex, Swarm};
use super::lines::Lines;
use super::meta_word::{MetaWord, RoleCounts, SlotMask, WORD_PEERS};
use super::role::Role;
use super::swarms::Pool;
use super::tree;
use crate::horizon::{Horizon, Reach, reach};
use crate::wire::SwarmCounts;

/// Number of lines after which a selection ends.
const LINES_LOOKED_AT: usize = 64;

/// Number of lines of one chain that a selection can choose from. A chain is longer only if lines for a split were
/// missing; then the selection sees a part of it.
const LINES_OF_A_CHAIN: usize = 16;

const _: () = assert!(LINES_OF_A_CHAIN <= RoleCounts::WORDS, "a chain is counted in one RoleCounts");

/// The peer that asks for a selection: the properties that decide which peers it may receive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<F: Family> {
    /// Its endpoint. Zeros, the endpoint of no peer, if it is not of the selected family.
    pub(crate) endpoint: F::Endpoint,
    /// Its swarm and its place there, if it was just stored.
    pub(crate) stored: Option<(LineIndex, Place)>,
    pub(crate) horizon: Horizon,
    /// The reach of its own address. On the LAN, a peer on this host is returned only to askers on this host.
    pub(crate) reach: Reach,
    /// Whether it downloads nothing more, so that only leechers are useful to it.
    pub(crate) complete: bool,
    /// The address that replaces a private address of a LAN peer in a reply to a WAN asker.
    pub(crate) external: Option<[u8; 16]>,
    /// The address that replaces the loopback address of a peer on this host, for askers elsewhere.
    pub(crate) host: Option<[u8; 16]>,
}

/// Number of endpoints that a selection may write beyond the wanted number: it first copies a whole line, and then
/// removes the peers that do not belong in the reply.
pub(crate) const SLACK: usize = WORD_PEERS;

/// Half the number of peers in a full line.
const HALF: usize = WORD_PEERS / 2;

/// The peers of one line.
#[derive(Clone, Copy)]
struct Row<'a, F: Family> {
    line: LineIndex,
    endpoints: &'a [F::Endpoint],
    meta_word: MetaWord,
}

impl<'a, F: Family> Row<'a, F> {
    #[inline]
    fn of(line: LineIndex, peers: ItemsOf<'a, F>) -> Self {
        Self { line, endpoints: peers.endpoints, meta_word: peers.metas }
    }

    /// Return the `alive` peers that are useful to an asker at `own_place`, without the asker itself (rule 8).
    #[inline]
    fn wanted(&self, alive: SlotMask, complete: bool, own_place: Option<Place>) -> SlotMask {
        let useful = if complete { alive.and(self.meta_word.with_role(Role::Leecher)) } else { alive };
        match own_place {
            Some(own) if own.line == self.line => useful.without(SlotMask::only(own.slot)),
            _ => useful,
        }
    }

    /// Write the endpoints of `slots` to the start of `out`, which has room for [`WORD_PEERS`], and return their
    /// number.
    #[inline]
    fn copy(&self, slots: SlotMask, out: &mut [F::Endpoint]) -> Option<usize> {
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

/// The peers of a chain, with the slots of those that an asker may receive.
struct Rows<'a, F: Family> {
    rows: heapless::Vec<(Row<'a, F>, SlotMask), LINES_OF_A_CHAIN>,
    /// Number of peers in all of these slots.
    eligible: usize,
}

/// The peers on one side of the horizon that an asker may receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// All of them, under the stored endpoints.
    All,
    /// Those with public addresses. The others are behind a carrier's NAT, or in a provider's own network.
    Public,
    /// Those that the asker can reach, under the addresses by which it reaches them.
    Reachable,
}

/// One selection in progress.
struct Selection<'a, F: Family> {
    asker: &'a Asker<F>,
    /// The place of the asker in the swarm of the selection.
    own_place: Option<Place>,
    shows: Shows,
    now: Tick,
    lines_left: usize,
    /// The output, [`SLACK`] longer than `wanted`.
    out: &'a mut [F::Endpoint],
    wanted: usize,
    taken: usize,
}

impl<F: Family> Selection<'_, F> {
    /// Return the slots of the peers in a line that the asker may receive.
    #[inline]
    fn eligible(&self, row: &Row<'_, F>) -> SlotMask {
        let slots = row.wanted(row.meta_word.alive(self.now), self.asker.complete, self.own_place);
        let is_shown = |slot: &usize| match self.shows {
            Shows::All => true,
            Shows::Public => reach_of(&row.endpoints[*slot]) == Reach::Public,
            Shows::Reachable => {
                let endpoint = self.asker.endpoint_of_lan_peer(row.endpoints[*slot]);
                endpoint.is_some_and(|endpoint| endpoint != self.asker.endpoint)
            }
        };
        if self.shows == Shows::All {
            return slots;
        }
        slots.ascending().filter(|slot| !is_shown(slot)).fold(slots, |shown, slot| shown.without(SlotMask::only(slot)))
    }

    /// Write the peers in these eligible slots of a line to the output, as far as they are wanted. Return the number of
    /// slots up to the last one that was used.
    #[inline]
    fn take(&mut self, row: &Row<'_, F>, slots: SlotMask) -> usize {
        if self.shows == Shows::Reachable {
            return self.take_lan_peers(row, slots);
        }
        let (count, wanted) = (slots.count(), self.wanted - self.taken);
        if count > wanted {
            for slot in slots.ascending().take(wanted) {
                self.out[self.taken] = row.endpoints[slot];
                self.taken += 1;
            }
        } else if let Some(taken) = self.out.get_mut(self.taken..).and_then(|out| row.copy(slots, out)) {
            self.taken += taken;
        }
        count.min(wanted)
    }

    /// Return the rows of a chain, and of the peers in the swarm's own line if it holds peers of this family.
    fn rows<'a>(&self, lines: &'a Lines, head: LineIndex, swarm: LineIndex) -> Rows<'a, F> {
        let own = tree::swarm_at(lines, swarm).and_then(F::inline).map(|inline| Row::of(swarm, inline));
        let chained = chain::walk::<F>(lines, head, swarm).map(|(line, peers)| Row::of(line, peers));
        let mut rows = Rows { rows: heapless::Vec::new(), eligible: 0 };
        for row in own.into_iter().chain(chained).take(LINES_OF_A_CHAIN) {
            let slots = self.eligible(&row);
            rows.eligible += slots.count();
            // This never fails: the number of rows is limited.
            let _ = rows.rows.push((row, slots));
        }
        rows
    }

    /// Take the eligible peers from `rank` on.
    fn take_from_rank(&mut self, rows: &Rows<'_, F>, rank: usize) {
        let mut before = rank;
        for (row, slots) in &rows.rows {
            let count = slots.count();
            if before >= count {
                before -= count;
                continue;
            }
            if self.taken >= self.wanted {
                return;
            }
            let from = if before == 0 { *slots } else { slots.split_at_rank(before).1 };
            before = 0;
            self.take(row, from);
        }
    }

    /// Take the eligible peers before `rank`.
    fn take_up_to_rank(&mut self, rows: &Rows<'_, F>, rank: usize) {
        let mut left = rank;
        for (row, slots) in &rows.rows {
            if left == 0 || self.taken >= self.wanted {
                return;
            }
            let count = slots.count();
            self.take(row, if left >= count { *slots } else { slots.split_at_rank(left).0 });
            left = left.saturating_sub(count);
        }
    }

    fn take_lan_peers(&mut self, row: &Row<'_, F>, slots: SlotMask) -> usize {
        let mut used = 0;
        for slot in slots.ascending() {
            if self.taken == self.wanted {
                break;
            }
            used += 1;
            if let Some(endpoint) = self.asker.endpoint_of_lan_peer(row.endpoints[slot])
                && endpoint != self.asker.endpoint
                // Two LAN peers with the same port share one endpoint outside: write it once.
                && (endpoint == row.endpoints[slot] || !self.out[..self.taken].contains(&endpoint))
            {
                self.out[self.taken] = endpoint;
                self.taken += 1;
            }
        }
        used
    }
}

impl<F: Family> Asker<F> {
    /// Return the endpoint under which this asker may receive a LAN peer, or `None` if it may not receive that peer.
    fn endpoint_of_lan_peer(&self, mut endpoint: F::Endpoint) -> Option<F::Endpoint> {
        let replacement = match (reach_of(&endpoint), self.horizon) {
            (Reach::Host, _) if self.reach == Reach::Host => return Some(endpoint),
            (Reach::Host, _) => self.host.as_ref()?,
            (Reach::Private, Horizon::Wan) => self.external.as_ref()?,
            (Reach::Private, Horizon::Lan) | (Reach::Public, _) => return Some(endpoint),
        };
        let (address, _) = endpoint.as_mut().split_last_chunk_mut::<2>()?;
        address.copy_from_slice(replacement.get(..address.len())?);
        Some(endpoint)
    }
}

fn reach_of(endpoint: &impl AsRef<[u8]>) -> Reach {
    reach(address_of(endpoint))
}

/// Return the bytes of `address`, if it is of this family.
pub(crate) fn octets_of<F: Family>(address: Option<IpAddr>) -> Option<[u8; 16]> {
    let mut octets = [0; 16];
    match address? {
        IpAddr::V4(v4) if F::ROOT == V4::ROOT => octets[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) if F::ROOT != V4::ROOT => octets = v6.octets(),
        _ => return None,
    }
    Some(octets)
}

impl Pool {
    /// Write the endpoints of up to `wanted` peers of `swarm` to the start of `out`, and return their number. `out` is
    /// [`SLACK`] longer than `wanted`.
    pub(crate) fn select<F: Family>(
        &mut self,
        swarm: LineIndex,
        asker: &Asker<F>,
        now: Tick,
        out: &mut [F::Endpoint],
        wanted: usize,
    ) -> usize {
        let Some(own) = tree::swarm_at(&self.lines, swarm) else { return 0 };
        let root = own.roots[F::ROOT];
        let cursor = match &own.inline {
            Inline::Forked(forked) if matches!(self.lines.get(root), Some(Line::Fork(_))) => {
                Some(*forked.cursor(F::ROOT, asker.complete))
            }
            _ => None,
        };
        let mut selection = Selection {
            asker,
            own_place: self.own_place::<F>(swarm, asker),
            shows: self.shows(own.horizon, asker.horizon, asker.reach),
            now,
            lines_left: LINES_LOOKED_AT,
            wanted: wanted.min(out.len().saturating_sub(SLACK)),
            out,
            taken: 0,
        };
        let Some(cursor) = cursor else {
            select_in_chain::<F>(&self.lines, swarm, root, &mut self.random, &mut selection);
            return selection.taken;
        };
        let next = forks::select_in_forks::<F>(&self.lines, swarm, cursor, &mut self.random, &mut selection);
        let taken = selection.taken;
        if let Some(Swarm { inline: Inline::Forked(forked), .. }) = tree::swarm_at_mut(&mut self.lines, swarm) {
            *forked.cursor_mut(F::ROOT, asker.complete) = next;
        }
        taken
    }

    /// Return the place of the asker in `swarm`. It is known if the asker was just stored there. Otherwise look it up:
    /// after a change of the local networks, the asker may still be stored on the other side of the horizon.
    fn own_place<F: Family>(&self, swarm: LineIndex, asker: &Asker<F>) -> Option<Place> {
        match asker.stored {
            Some((stored, place)) if stored == swarm => Some(place),
            _ if asker.endpoint == F::NO_ENDPOINT => None,
            _ => self.place_of::<F>(swarm, &asker.endpoint),
        }
    }

    /// Return whether an asker may receive every peer on its own side of the horizon, under the stored endpoints.
    #[inline]
    pub(crate) fn shows_all(&self, horizon: Horizon, reach: Reach) -> bool {
        self.shows(horizon, horizon, reach) == Shows::All
    }

    /// Return which peers on the side `peers_of` may appear in a reply to this asker. Fast path: most pools hold no
    /// peer that needs filtering.
    fn shows(&self, peers_of: Horizon, asker: Horizon, reach: Reach) -> Shows {
        match (peers_of, asker) {
            (Horizon::Wan, Horizon::Wan) if self.private_beyond_lan && reach == Reach::Public => Shows::Public,
            (Horizon::Wan, _) => Shows::All,
            (Horizon::Lan, Horizon::Lan) if reach == Reach::Host || !self.host_on_lan => Shows::All,
            (Horizon::Lan, _) => Shows::Reachable,
        }
    }

    /// Select all peers of a swarm and count them in the same pass: a fast path that suits most swarms. The caller
    /// checks first that the asker may receive all peers ([`Pool::shows_all`]). The asker is at `own_place`; a
    /// `complete` asker gets leechers only. `out` is as for [`Pool::select`].
    ///
    /// Return `None` if the swarm has a fork, peers of the other family, more than [`LINES_OF_A_CHAIN`] lines, or more
    /// useful peers than `wanted`.
    pub(crate) fn select_all<F: Family>(
        &self,
        swarm: LineIndex,
        own_place: Option<Place>,
        complete: bool,
        now: Tick,
        out: &mut [F::Endpoint],
        wanted: usize,
    ) -> Option<(usize, SwarmCounts)> {
        let own = tree::swarm_at(&self.lines, swarm)?;
        if !F::is_only_family(own) {
            return None;
        }
        let mut row = Row::<F>::of(swarm, F::inline(own)?);
        let mut next = own.roots[F::ROOT];
        let (mut taken, mut role_counts) = (0, RoleCounts::default());
        for _ in 0..LINES_OF_A_CHAIN {
            let alive = row.meta_word.alive(now);
            role_counts.add(row.meta_word, alive);
            taken += row.copy(row.wanted(alive, complete, own_place), out.get_mut(taken..)?)?;
            // Too many peers: the general selection starts again and chooses among them.
            if taken > wanted {
                return None;
            }
            let Some(line) = (if next == swarm { None } else { self.lines.get(next) }) else {
                return Some((taken, SwarmCounts { completed: own.completed(), ..role_counts.into() }));
            };
            let (peers, after) = F::items(line)?;
            row = Row::of(next, peers);
            next = after;
        }
        None
    }
}

/// Select from a chain and from the peers in the swarm's own line, if it holds peers of this family.
///
/// The eligible peers are a circle, in the order of their lines and slots. Start at a random one of them: then each has
/// the same chance, whatever number is wanted (rule 32).
fn select_in_chain<F: Family>(
    lines: &Lines,
    swarm: LineIndex,
    head: LineIndex,
    random: &mut fastrand::Rng,
    selection: &mut Selection<'_, F>,
) {
    let rows = selection.rows(lines, head, swarm);
    // If all are wanted, skip the random choice.
    let rank = if rows.eligible <= selection.wanted { 0 } else { random.usize(..rows.eligible) };
    selection.take_from_rank(&rows, rank);
    selection.take_up_to_rank(&rows, rank);
}

#[cfg(test)]
mod tests;
