//! The selection of peers for a reply: consecutive peers of a swarm, line by line, without the asker itself. Every peer
//! that the asker may receive has the same chance (rule 32): a chain starts at a random peer, and a tree of chains where
//! the selection before it ended ([`forks`]).
//!
//! A selection ends after [`LINES_LOOKED_AT`] lines, or with the chain in which it reaches that number. This bounds the
//! cost when a seeder, which needs leechers only, asks in a swarm of a hundred thousand seeders.

mod eligibility;
mod forks;
mod row;

use super::age::Tick;
use super::chain::{self, Place};
use super::family::Family;
use super::line::{Inline, Line, LineIndex, Swarm};
use super::lines::Lines;
use super::meta_word::{RoleCounts, SlotMask, WORD_PEERS};
use super::swarms::Pool;
use super::tree;
use crate::horizon::{Horizon, Reach};
use crate::wire::SwarmCounts;
pub(crate) use eligibility::{Asker, octets_of};
use eligibility::{Eligibility, Shows};
use row::Row;

/// Number of lines after which a selection ends.
const LINES_LOOKED_AT: usize = 64;

/// Number of lines of one chain that a selection can choose from. A chain is longer only if lines for a split were
/// missing; then the selection sees a part of it.
const LINES_OF_A_CHAIN: usize = 16;

const _: () = assert!(LINES_OF_A_CHAIN <= RoleCounts::WORDS, "a chain is counted in one RoleCounts");

/// Number of endpoints that a selection may write beyond the wanted number: it first copies a whole line, and then
/// removes the peers that do not belong in the reply.
pub(crate) const SLACK: usize = WORD_PEERS;

/// A position in a chain: a number of lines, and a number of the eligible peers after them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Position {
    lines: usize,
    peers: usize,
}

impl Position {
    const START: Self = Self { lines: 0, peers: 0 };
}

/// One selection in progress.
struct Selection<'a, F: Family> {
    eligibility: Eligibility<'a, F>,
    lines_left: usize,
    /// The output, [`SLACK`] longer than `wanted`.
    out: &'a mut [F::Endpoint],
    wanted: usize,
    taken: usize,
}

impl<F: Family> Selection<'_, F> {
    /// Take the peers in the eligible slots of the rows of a chain: those after `skip`, and only up to `before`, if
    /// given. If the selection is then complete, return the position of the next peer. `skip` becomes the number of
    /// peers that the chain was too short to skip.
    #[inline]
    fn take_rows<'r>(
        &mut self,
        rows: impl Iterator<Item = (Row<'r, F>, SlotMask)>,
        skip: &mut Position,
        before: Option<Position>,
    ) -> Option<Position> {
        let first_line = core::mem::take(&mut skip.lines);
        let mut peers_left = before.map_or(usize::MAX, |before| before.peers);
        for (number, (row, mut slots)) in rows.enumerate().skip(first_line) {
            self.lines_left = self.lines_left.saturating_sub(1);
            if before.is_some_and(|before| number >= before.lines) {
                slots = slots.split_at_rank(peers_left).0;
                peers_left -= slots.count();
            }
            let mut passed = 0;
            if skip.peers > 0 {
                passed = slots.count().min(skip.peers);
                slots = slots.split_at_rank(passed).1;
                skip.peers -= passed;
            }
            passed += self.take(&row, slots);
            if self.taken >= self.wanted {
                return Some(Position { lines: number, peers: passed });
            }
            if peers_left == 0 {
                break;
            }
        }
        None
    }

    /// Write the peers in these eligible slots of a line to the output, as far as they are wanted. Return the number of
    /// slots up to the last one that was used.
    #[inline]
    fn take(&mut self, row: &Row<'_, F>, slots: SlotMask) -> usize {
        if self.eligibility.shows == Shows::Reachable {
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

    fn take_lan_peers(&mut self, row: &Row<'_, F>, slots: SlotMask) -> usize {
        let (asker, mut used) = (self.eligibility.asker, 0);
        for slot in slots.ascending() {
            if self.taken == self.wanted {
                break;
            }
            used += 1;
            if let Some(endpoint) = asker.endpoint_of_lan_peer(row.endpoints[slot])
                && endpoint != asker.endpoint
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
        let eligibility = Eligibility {
            asker,
            own_place: self.own_place::<F>(swarm, asker),
            shows: self.shows(own.horizon, asker.horizon, asker.reach),
            now,
        };
        let mut selection = Selection {
            eligibility,
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
    let eligibility = selection.eligibility;
    let own = tree::swarm_at(lines, swarm).and_then(F::inline).map(|inline| Row::of(swarm, inline));
    let chained = chain::walk::<F>(lines, head, swarm).map(|(line, peers)| Row::of(line, peers));
    let all = own.into_iter().chain(chained).take(LINES_OF_A_CHAIN);
    let mut rows = heapless::Vec::<_, LINES_OF_A_CHAIN>::new();
    rows.extend(all.map(|row| (row, eligibility.slots(&row))));
    let eligible: usize = rows.iter().map(|(_, slots)| slots.count()).sum();
    // If all are wanted, skip the random choice.
    let rank = if eligible <= selection.wanted { 0 } else { random.usize(..eligible) };
    let start = Position { lines: 0, peers: rank };
    let (mut skip, mut nothing) = (start, Position::START);
    if selection.take_rows(rows.iter().copied(), &mut skip, None).is_none() && rank > 0 {
        selection.take_rows(rows.iter().copied(), &mut nothing, Some(start));
    }
}

#[cfg(test)]
mod tests;
