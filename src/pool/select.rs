//! The selection of peers for a reply: whole lines at a time, from a random place on, without the asker itself.
//!
//! A selection visits at most [`LINES_LOOKED_AT`] lines, which bounds the cost of a seeder in a swarm of a hundred thousand
//! seeders.

use super::age::Tick;
use super::chain::{self, Place};
use super::endpoint::address_of;
use super::family::{Family, ItemsOf, V4};
use super::line::{Line, LineIndex};
use super::lines::Lines;
use super::meta_word::{MetaWord, RoleCounts, SlotMask, WORD_PEERS};
use super::role::Role;
use super::swarms::Pool;
use super::tree;
use crate::horizon::{External, Horizon, Reach, reach};
use crate::wire::SwarmCounts;

/// Lines that one selection looks at, at most.
const LINES_LOOKED_AT: usize = 64;

/// Lines of one chain that a selection chooses among; one that grew longer for want of lines to split it with is only
/// seen in part.
const LINES_OF_A_CHAIN: usize = 16;

const _: () = assert!(LINES_OF_A_CHAIN <= RoleCounts::WORDS, "a chain is counted in one RoleCounts");

/// Who asks, as far as it matters to what may be handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<F: Family> {
    /// Its endpoint; zeros, which is nobody's, where it is not of the family that is selected.
    pub(crate) endpoint: F::Endpoint,
    /// Where it has just been stored: its swarm, and its place there.
    pub(crate) stored: Option<(LineIndex, Place)>,
    pub(crate) horizon: Horizon,
    /// How far its own address reaches: a peer on this host is only told to those on this host.
    pub(crate) reach: Reach,
    /// It downloads nothing more, so that only those who do are of use to it.
    pub(crate) complete: bool,
    /// The address that stands for LAN peers when a WAN asker is told of them.
    pub(crate) external: Option<[u8; 16]>,
}

/// Endpoints that a selection may write beyond those that are wanted: it copies whole lines, and then takes out who does
/// not belong there.
pub(crate) const SLACK: usize = WORD_PEERS;

/// Half of the peers of a full line.
const HALF: usize = WORD_PEERS / 2;

/// The peers of one line.
#[derive(Clone, Copy)]
struct Row<'a, F: Family> {
    line: LineIndex,
    endpoints: &'a [F::Endpoint],
    meta_word: MetaWord,
}

impl<'a, F: Family> Row<'a, F> {
    const EMPTY: Self = Self { line: LineIndex::NONE, endpoints: &[], meta_word: MetaWord::EMPTY };

    #[inline]
    fn of(line: LineIndex, peers: ItemsOf<'a, F>) -> Self {
        Self { line, endpoints: peers.endpoints, meta_word: peers.metas }
    }

    /// Which of the `alive` are of use to an asker, and others than itself (rule 8), which stands at `own_place`.
    #[inline]
    fn wanted(&self, alive: SlotMask, complete: bool, own_place: Option<Place>) -> SlotMask {
        let useful = if complete { alive.and(self.meta_word.with_role(Role::Leecher)) } else { alive };
        match own_place {
            Some(own) if own.line == self.line => useful.without(SlotMask::only(own.slot)),
            _ => useful,
        }
    }

    /// Write the endpoints of `slots` to the start of `out`, which has room for [`WORD_PEERS`], and return how many they
    /// are.
    #[inline]
    fn copy(&self, slots: SlotMask, out: &mut [F::Endpoint]) -> Option<usize> {
        let places = out.first_chunk_mut::<WORD_PEERS>()?;
        let mut length = self.endpoints.len();
        // Most lines have a half at least, and a length that is known makes a short copy: from either end, so that the two
        // halves overlap where the line is not full.
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

/// What an asker may be told of the peers on one side of the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Each of them, as it is stored.
    All,
    /// Those with public addresses: the others are behind a carrier's NAT, or in a provider's own network.
    Public,
    /// Those whom it can reach, under the address by which it reaches them.
    Reachable,
}

/// One selection under way.
struct Selection<'a, F: Family> {
    asker: &'a Asker<F>,
    /// Where the asker stands in the swarm that is looked at.
    own_place: Option<Place>,
    shows: Shows,
    now: Tick,
    lines_left: usize,
    /// [`SLACK`] longer than what is `wanted`.
    out: &'a mut [F::Endpoint],
    wanted: usize,
    taken: usize,
}

impl<F: Family> Selection<'_, F> {
    const fn is_done(&self) -> bool {
        self.taken >= self.wanted || self.lines_left == 0
    }

    /// Hand out the peers of one line, from a random one on if not all of them are wanted.
    fn take(&mut self, row: &Row<'_, F>, random: &mut fastrand::Rng) {
        let slots = row.wanted(row.meta_word.alive(self.now), self.asker.complete, self.own_place);
        match self.shows {
            Shows::All => {}
            Shows::Public => {
                let public = slots.ascending().filter(|slot| reach_of(&row.endpoints[*slot]) == Reach::Public);
                return self.take_slots(row, public);
            }
            Shows::Reachable => return self.take_lan_peers(row, slots),
        }
        if slots.count() > self.wanted - self.taken {
            let (before, from_start) = slots.split_at(random.usize(..WORD_PEERS));
            return self.take_slots(row, from_start.ascending().chain(before.ascending()));
        }
        if let Some(taken) = self.out.get_mut(self.taken..).and_then(|out| row.copy(slots, out)) {
            self.taken += taken;
        }
    }

    fn take_slots(&mut self, row: &Row<'_, F>, slots: impl Iterator<Item = usize>) {
        for slot in slots.take(self.wanted - self.taken) {
            self.out[self.taken] = row.endpoints[slot];
            self.taken += 1;
        }
    }

    fn take_lan_peers(&mut self, row: &Row<'_, F>, slots: SlotMask) {
        for slot in slots.ascending() {
            if self.taken == self.wanted {
                return;
            }
            if let Some(endpoint) = self.asker.endpoint_of_lan_peer(row.endpoints[slot])
                && endpoint != self.asker.endpoint
                // Two LAN peers that chose one port have one name outside.
                && (endpoint == row.endpoints[slot] || !self.out[..self.taken].contains(&endpoint))
            {
                self.out[self.taken] = endpoint;
                self.taken += 1;
            }
        }
    }
}

impl<F: Family> Asker<F> {
    /// The endpoint under which this asker may be told of a LAN peer, if it may at all.
    fn endpoint_of_lan_peer(&self, mut endpoint: F::Endpoint) -> Option<F::Endpoint> {
        let reach = reach_of(&endpoint);
        match self.horizon {
            Horizon::Lan if reach == Reach::Host && self.reach != Reach::Host => return None,
            Horizon::Wan if reach != Reach::Public => {
                let (address, _) = endpoint.as_mut().split_last_chunk_mut::<2>()?;
                address.copy_from_slice(self.external.as_ref()?.get(..address.len())?);
            }
            _ => {}
        }
        Some(endpoint)
    }
}

fn reach_of(endpoint: &impl AsRef<[u8]>) -> Reach {
    reach(address_of(endpoint))
}

/// The bytes of the gateway's external address of one family.
pub(crate) fn external_octets<F: Family>(external: External) -> Option<[u8; 16]> {
    let mut octets = [0; 16];
    if F::ROOT == V4::ROOT {
        octets[..4].copy_from_slice(&external.v4?.octets());
    } else {
        octets = external.v6?.octets();
    }
    Some(octets)
}

impl Pool {
    /// Write the endpoints of up to `wanted` peers of `swarm` to the start of `out`, which is [`SLACK`] longer than that,
    /// and return how many there were.
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
        let path = self.selection_start.next(asker.endpoint.as_ref(), &mut self.random);
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
        if matches!(self.lines.get(root), Some(Line::Fork(_))) {
            select_in_fork::<F>(&self.lines, swarm, (root, 0), path, &mut self.random, &mut selection);
        } else {
            select_in_chain::<F>(&self.lines, swarm, root, &mut self.random, &mut selection);
        }
        selection.taken
    }

    /// Where the asker stands in `swarm`: known, if it was just stored there; but it may stand on the other side of the
    /// horizon too, if the local networks have changed since.
    fn own_place<F: Family>(&self, swarm: LineIndex, asker: &Asker<F>) -> Option<Place> {
        match asker.stored {
            Some((stored, place)) if stored == swarm => Some(place),
            _ if asker.endpoint == F::NO_ENDPOINT => None,
            _ => self.place_of::<F>(swarm, &asker.endpoint),
        }
    }

    /// May an asker be told of every peer on its own side, under the address that is stored?
    #[inline]
    pub(crate) fn shows_all(&self, horizon: Horizon, reach: Reach) -> bool {
        self.shows(horizon, horizon, reach) == Shows::All
    }

    /// The peers on the side `peers_of` that a reply to `asker` may name. Fast path: most pools hold no peer that needs
    /// filtering.
    fn shows(&self, peers_of: Horizon, asker: Horizon, reach: Reach) -> Shows {
        match (peers_of, asker) {
            (Horizon::Wan, Horizon::Wan) if self.private_beyond_lan && reach == Reach::Public => Shows::Public,
            (Horizon::Wan, _) => Shows::All,
            (Horizon::Lan, Horizon::Lan) if reach == Reach::Host || !self.host_on_lan => Shows::All,
            (Horizon::Lan, _) => Shows::Reachable,
        }
    }

    /// Select from a swarm that shows all its peers, who are of one family and fit what is wanted, and count them in
    /// passing: most swarms, and so worth a way of their own. The asker stands at `own_place`, and looks for leechers
    /// only if it is `complete`. `out` is as for [`Pool::select`]. `None` where the swarm is another.
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
            // Rather begin anew than choose among them here.
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

/// Select below a fork, from the child that `path` names on.
fn select_in_fork<F: Family>(
    lines: &Lines,
    swarm: LineIndex,
    (fork, depth): (LineIndex, u32),
    path: u64,
    random: &mut fastrand::Rng,
    selection: &mut Selection<'_, F>,
) {
    let Line::Fork(fork) = &lines[fork] else { return };
    for child in tree::children_from(fork, tree::child_of(path, depth)) {
        if matches!(lines[child], Line::Fork(_)) {
            select_in_fork::<F>(lines, swarm, (child, depth + 1), path, random, selection);
        } else {
            select_in_chain::<F>(lines, swarm, child, random, selection);
        }
        if selection.is_done() {
            return;
        }
    }
}

/// Select from a chain, and from the swarm's own line if the chain is all that it has besides, from a random line on.
fn select_in_chain<F: Family>(
    lines: &Lines,
    swarm: LineIndex,
    head: LineIndex,
    random: &mut fastrand::Rng,
    selection: &mut Selection<'_, F>,
) {
    let own = tree::swarm_at(lines, swarm).and_then(F::inline).map(|inline| Row::of(swarm, inline));
    let chained = chain::walk::<F>(lines, head, swarm).map(|(line, peers)| Row::of(line, peers));
    let mut all = [Row::EMPTY; LINES_OF_A_CHAIN];
    let (mut count, mut peers) = (0, 0);
    for (place, row) in all.iter_mut().zip(own.into_iter().chain(chained)) {
        peers += row.endpoints.len();
        *place = row;
        count += 1;
    }
    // Where all are told, there is nothing to choose.
    if peers <= selection.wanted - selection.taken {
        for row in &all[..count] {
            selection.take(row, random);
        }
        selection.lines_left = selection.lines_left.saturating_sub(count);
        return;
    }
    let (before, from_start) = all[..count].split_at(random.usize(..count));
    for row in from_start.iter().chain(before) {
        if selection.is_done() {
            return;
        }
        selection.lines_left -= 1;
        selection.take(row, random);
    }
}
