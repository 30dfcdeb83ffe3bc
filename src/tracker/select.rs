//! Which peers an asker is told of: whole lines at a time from a random place on, never the asker itself.
//!
//! What is looked at is bounded ([`LINES_LOOKED_AT`]), so that a seeder in a swarm of a hundred thousand seeders costs
//! no more than that.

use super::chain;
use super::horizon::{External, Horizon, Reach, reach};
use super::line::{FORK_CHILDREN, Family, Line, LineIndex, Peer, Role, Stamp};
use super::lines::Lines;
use super::pool::{Pool, RoleSums, is_alive};
use super::tree;
use crate::wire::SwarmCounts;

/// Lines that one selection looks at, at most.
const LINES_LOOKED_AT: usize = 64;

/// Lines of one chain that a selection chooses among; one that grew longer for want of lines to split it with is only
/// seen in part.
const LINES_OF_A_CHAIN: usize = 16;

/// Who asks, as far as it matters to what may be handed out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<const N: usize> {
    /// Its endpoint; zeros, which is nobody's, where it is not of the family that is selected.
    pub(super) endpoint: [u8; N],
    pub(super) horizon: Horizon,
    /// How far its own address reaches: a peer on this host is only told to those on this host.
    pub(super) reach: Reach,
    /// It downloads nothing more, so that only those who do are of use to it.
    pub(super) complete: bool,
    /// The address that stands for LAN peers when a WAN asker is told of them.
    pub(super) external: Option<[u8; 16]>,
}

/// One selection under way.
struct Selection<'a, const N: usize> {
    asker: &'a Asker<N>,
    peers_of: Horizon,
    now: Stamp,
    lines_left: usize,
    /// What [`Pool::hides_private`] says.
    hides_private: bool,
    out: &'a mut [[u8; N]],
    taken: usize,
}

impl<const N: usize> Selection<'_, N> {
    fn is_done(&self) -> bool {
        self.taken == self.out.len() || self.lines_left == 0
    }

    /// Hand out the peers of one line, from a random one on if not all of them are wanted.
    #[inline]
    fn take_line(&mut self, peers: &[Peer<N>], random: &mut fastrand::Rng) {
        if self.out.len() - self.taken < peers.len() {
            let (before, from_start) = peers.split_at(random.usize(..peers.len()));
            self.take(from_start);
            self.take(before);
        } else {
            self.take(peers);
        }
    }

    #[inline]
    fn take(&mut self, peers: &[Peer<N>]) {
        match self.peers_of {
            Horizon::Lan => self.take_lan_peers(peers),
            Horizon::Wan if self.hides_private => {
                self.take_as_stored(peers, |endpoint| reach_of(endpoint) == Reach::Public);
            }
            Horizon::Wan => self.take_as_stored(peers, |_| true),
        }
    }

    /// The hot loop of the whole tracker: all it needs is in local variables, and nothing but the end of the peers is
    /// a branch that depends on them.
    #[inline]
    fn take_as_stored(&mut self, peers: &[Peer<N>], is_reachable: impl Fn(&[u8; N]) -> bool) {
        let (asker, now, mut taken) = (*self.asker, self.now, self.taken);
        for peer in peers {
            let Some(place) = self.out.get_mut(taken) else { break };
            *place = peer.endpoint;
            taken += usize::from(asker.wants(peer, now) & is_reachable(&peer.endpoint));
        }
        self.taken = taken;
    }

    fn take_lan_peers(&mut self, peers: &[Peer<N>]) {
        for peer in peers.iter().filter(|peer| self.asker.wants(peer, self.now)) {
            if self.taken == self.out.len() {
                return;
            }
            if let Some(endpoint) = self.asker.endpoint_of_lan_peer(peer)
                && endpoint != self.asker.endpoint
                // Two LAN peers that chose one port have one name outside.
                && (endpoint == peer.endpoint || !self.out[..self.taken].contains(&endpoint))
            {
                self.out[self.taken] = endpoint;
                self.taken += 1;
            }
        }
    }
}

impl<const N: usize> Asker<N> {
    /// Is this peer alive, of use, and another than the asker (rule 8)?
    #[inline]
    fn wants(&self, peer: &Peer<N>, now: Stamp) -> bool {
        // Without short cuts: which of these fails is anybody's guess, the processor's too.
        is_alive(peer.meta, now) & (!self.complete | (peer.role() == Role::Leecher)) & (peer.endpoint != self.endpoint)
    }

    /// The endpoint under which this asker may be told of a LAN peer, if it may at all.
    fn endpoint_of_lan_peer(&self, peer: &Peer<N>) -> Option<[u8; N]> {
        let mut endpoint = peer.endpoint;
        let reach = reach_of(&endpoint);
        match self.horizon {
            Horizon::Lan if reach == Reach::Host && self.reach != Reach::Host => return None,
            Horizon::Wan if reach != Reach::Public => {
                let (address, _) = endpoint.split_last_chunk_mut::<2>()?;
                address.copy_from_slice(self.external.as_ref()?.get(..address.len())?);
            }
            _ => {}
        }
        Some(endpoint)
    }
}

fn reach_of<const N: usize>(endpoint: &[u8; N]) -> Reach {
    endpoint.split_last_chunk::<2>().map_or(Reach::Host, |(address, _)| reach(address))
}

/// The octets of the gateway's external address of the family whose endpoints have `N` octets.
pub(super) fn external_octets<const N: usize>(external: External) -> Option<[u8; 16]> {
    let mut octets = [0; 16];
    if N == 6 {
        octets[..4].copy_from_slice(&external.v4?.octets());
    } else {
        octets = external.v6?.octets();
    }
    Some(octets)
}

impl Pool {
    /// Fill `out` with the endpoints of peers of `swarm`, and return how many there were.
    pub(super) fn select<const N: usize, F: Family<N>>(
        &mut self,
        swarm: LineIndex,
        asker: &Asker<N>,
        now: Stamp,
        out: &mut [[u8; N]],
    ) -> usize {
        let Some(own) = tree::swarm_at(&self.lines, swarm) else { return 0 };
        let root = own.roots[F::ROOT];
        let mut selection = Selection {
            asker,
            peers_of: own.horizon,
            now,
            lines_left: LINES_LOOKED_AT,
            hides_private: self.hides_private(asker),
            out,
            taken: 0,
        };
        if !root.is_none() && matches!(self.lines[root], Line::Fork(_)) {
            select_in_fork::<N, F>(&self.lines, swarm, root, &mut self.random, &mut selection);
        } else {
            select_in_chain::<N, F>(&self.lines, swarm, root, &mut self.random, &mut selection);
        }
        selection.taken
    }
}

impl Pool {
    /// Are there peers behind a carrier's NAT, or in a provider's own network, where this asker cannot reach them?
    fn hides_private<const N: usize>(&self, asker: &Asker<N>) -> bool {
        self.private_beyond_lan && asker.horizon == Horizon::Wan && asker.reach == Reach::Public
    }

    /// Select from a swarm all of whose peers are of one family and fit `out`, and count them in passing: most swarms,
    /// and so worth a way of their own. `None` where the swarm is another.
    pub(super) fn select_all<const N: usize, F: Family<N>>(
        &self,
        swarm: LineIndex,
        asker: &Asker<N>,
        now: Stamp,
        out: &mut [[u8; N]],
    ) -> Option<(usize, SwarmCounts)> {
        let own = tree::swarm_at(&self.lines, swarm)?;
        if own.horizon == Horizon::Lan || self.hides_private(asker) || !F::is_only_family(own) {
            return None;
        }
        let (mut told, mut sums) = (0, RoleSums::default());
        let chained = chain::walk::<F>(&self.lines, own.roots[F::ROOT], swarm).map(|(_, peers)| peers);
        for peers in core::iter::once(F::few(own)).chain(chained) {
            // Rather begin anew than look at each peer whether there is still room.
            let places = out.get_mut(told..told + peers.len())?;
            let mut taken = 0;
            for peer in peers {
                places[taken] = peer.endpoint;
                taken += usize::from(asker.wants(peer, now));
                sums.add(peer.meta, is_alive(peer.meta, now));
            }
            told += taken;
        }
        Some((told, SwarmCounts { completed: own.completed(), ..sums.into() }))
    }
}

/// Select below a fork, from a random child on.
fn select_in_fork<const N: usize, F: Family<N>>(
    lines: &Lines,
    swarm: LineIndex,
    fork: LineIndex,
    random: &mut fastrand::Rng,
    selection: &mut Selection<'_, N>,
) {
    let Line::Fork(fork) = &lines[fork] else { return };
    let start = random.usize(..FORK_CHILDREN);
    let first = fork.children[start];
    let mut previous = LineIndex::NONE;
    for step in 0..FORK_CHILDREN {
        let child = fork.children[(start + step) % FORK_CHILDREN];
        // Neighbouring children may be one chain, and the last of them the one that was begun with.
        if child.is_none() || child == previous || (step > 0 && child == first) {
            continue;
        }
        previous = child;
        if matches!(lines[child], Line::Fork(_)) {
            select_in_fork::<N, F>(lines, swarm, child, random, selection);
        } else {
            select_in_chain::<N, F>(lines, swarm, child, random, selection);
        }
        if selection.is_done() {
            return;
        }
    }
}

/// Select from a chain, and from the swarm's own line if the chain is all that it has besides, from a random line on.
fn select_in_chain<const N: usize, F: Family<N>>(
    lines: &Lines,
    swarm: LineIndex,
    head: LineIndex,
    random: &mut fastrand::Rng,
    selection: &mut Selection<'_, N>,
) {
    let own = tree::swarm_at(lines, swarm).map_or(&[][..], F::few);
    let chained = chain::walk::<F>(lines, head, swarm);
    let peers_below = own.len() + chained.map(|(_, peers)| peers.len()).sum::<usize>();
    // Where all are told, there is nothing to choose.
    if peers_below <= selection.out.len() - selection.taken {
        selection.take_line(own, random);
        for (_, peers) in chain::walk::<F>(lines, head, swarm) {
            selection.take_line(peers, random);
            selection.lines_left = selection.lines_left.saturating_sub(1);
        }
        return;
    }
    let mut all: [&[Peer<N>]; LINES_OF_A_CHAIN] = [&[]; LINES_OF_A_CHAIN];
    all[0] = own;
    let mut count = usize::from(!own.is_empty());
    for (place, (_, peers)) in all[count..].iter_mut().zip(chain::walk::<F>(lines, head, swarm)) {
        *place = peers;
        count += 1;
    }
    let (before, from_start) = all[..count].split_at(random.usize(..count));
    for peers in from_start.iter().chain(before) {
        if selection.is_done() {
            return;
        }
        selection.lines_left -= 1;
        selection.take_line(peers, random);
    }
}
