//! Which peers an asker is told of: whole lines at a time from a random place on, never the asker itself.
//!
//! What is looked at is bounded ([`LINES_LOOKED_AT`]), so that a seeder in a swarm of a hundred thousand seeders costs
//! no more than that.

use heapless::{Vec, VecView};

use super::chain;
use super::horizon::{External, Horizon, Reach, reach};
use super::line::{FORK_CHILDREN, Family, Line, LineIndex, Peer, Role, Stamp};
use super::lines::Lines;
use super::pool::{Pool, is_alive};
use super::tree;

/// Lines that one selection looks at, at most.
const LINES_LOOKED_AT: usize = 64;

/// Lines of one chain that a selection chooses among; one that grew longer for want of lines to split it with is only
/// seen in part.
const LINES_OF_A_CHAIN: usize = 32;

/// Who asks, as far as it matters to what may be handed out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<const N: usize> {
    /// Its endpoint, where it is of the family that is selected.
    pub(super) endpoint: Option<[u8; N]>,
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
    wanted: usize,
    lines_left: usize,
    out: &'a mut VecView<u8>,
}

impl<const N: usize> Selection<'_, N> {
    fn is_done(&self) -> bool {
        self.wanted == 0 || self.lines_left == 0
    }

    /// Hand out the peers of one line, from a random one on if not all of them are wanted.
    fn take_line(&mut self, peers: &[Peer<N>], random: &mut fastrand::Rng) {
        let start = if self.wanted < peers.len() { random.usize(..peers.len()) } else { 0 };
        let (before, from_start) = peers.split_at(start);
        for peer in from_start.iter().chain(before) {
            if self.wanted == 0 {
                return;
            }
            if let Some(endpoint) = self.endpoint_for_asker(peer)
                && self.out.extend_from_slice(&endpoint).is_ok()
            {
                self.wanted -= 1;
            }
        }
    }

    /// The endpoint under which the asker may be told of `peer`, if it may at all.
    fn endpoint_for_asker(&self, peer: &Peer<N>) -> Option<[u8; N]> {
        if !is_alive(peer, self.now) || (self.asker.complete && peer.role() != Role::Leecher) {
            return None;
        }
        let mut endpoint = peer.endpoint;
        if self.peers_of == Horizon::Lan {
            let (address, _) = endpoint.split_last_chunk_mut::<2>()?;
            let reach = reach(address);
            match self.asker.horizon {
                Horizon::Lan if reach == Reach::Host && self.asker.reach != Reach::Host => return None,
                Horizon::Wan if reach != Reach::Public => {
                    address.copy_from_slice(self.asker.external.as_ref()?.get(..address.len())?);
                }
                _ => {}
            }
        } else if self.asker.horizon == Horizon::Wan && self.asker.reach == Reach::Public {
            // Behind the carrier's NAT, or in the provider's own network: whoever is outside cannot reach it.
            let (address, _) = endpoint.split_last_chunk::<2>()?;
            if reach(address) != Reach::Public {
                return None;
            }
        }
        // Rule 8: nor a peer with the asker's own address and port, under whatever name.
        (self.asker.endpoint != Some(peer.endpoint) && self.asker.endpoint != Some(endpoint)).then_some(endpoint)
    }
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
    /// Append up to `wanted` peers of `swarm` to `out`, as endpoints.
    pub(super) fn select<const N: usize, F: Family<N>>(
        &mut self,
        swarm: LineIndex,
        asker: &Asker<N>,
        now: Stamp,
        wanted: usize,
        out: &mut VecView<u8>,
    ) {
        let Some(own) = tree::swarm_at(&self.lines, swarm) else { return };
        let root = own.roots[F::ROOT];
        let mut selection = Selection { asker, peers_of: own.horizon, now, wanted, lines_left: LINES_LOOKED_AT, out };
        if !root.is_none() && matches!(self.lines[root], Line::Fork(_)) {
            select_in_fork::<N, F>(&self.lines, swarm, root, &mut self.random, &mut selection);
        } else {
            select_in_chain::<N, F>(&self.lines, swarm, root, &mut self.random, &mut selection);
        }
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
    let mut all: Vec<&[Peer<N>], LINES_OF_A_CHAIN> = Vec::new();
    let chained = chain::walk::<F>(lines, head, swarm).map(|(_, peers)| peers);
    for peers in core::iter::once(own).filter(|own| !own.is_empty()).chain(chained) {
        if all.push(peers).is_err() {
            break;
        }
    }
    if all.is_empty() {
        return;
    }
    let (before, from_start) = all.split_at(random.usize(..all.len()));
    for peers in from_start.iter().chain(before) {
        if selection.is_done() {
            return;
        }
        selection.lines_left -= 1;
        selection.take_line(peers, random);
    }
}
