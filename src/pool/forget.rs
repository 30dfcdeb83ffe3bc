//! Forgetting: a walk over all swarms that removes the peers at addresses that were removed from the whitelist, and all
//! peers of torrents that are no longer served.
//!
//! All removals share one walk, which is made in bounded steps. Peers may move to other lines between two steps, so the
//! walk follows an order that those moves keep:
//!
//! - It visits swarms in the order of their lines. A swarm keeps its line as long as it exists.
//! - In a swarm it visits the peers in the swarm's own line first, then the trees. Peers only move from the line to the
//!   trees.
//! - In a tree it visits leaf by leaf, in the order of the peers' hashes. Splits and merges keep a peer's hash.
//! - It visits a whole leaf in one step, from the head on. A removal fills the gap with a peer of the head.
//!
//! So no peer moves from the unvisited part to the visited part. Peers that join during the walk were admitted. If an
//! entry is removed from the whitelist during a walk, the walk continues until it returns to its place at that time.

use core::net::IpAddr;

use super::age::Tick;
use super::family::{Family, V4, V6};
use super::line::{Line, LineIndex};
use super::swarms::Pool;
use super::tree;
use crate::clock::Running;
use crate::horizon::Horizon;
use crate::wire::InfoHash;

/// Maximum number of lines that a step visits, plus those of one leaf. Most are not in the cache, and hold up to eight
/// peers to check.
const LINES_A_STEP: usize = if cfg!(test) { 4 } else { 512 };

/// Maximum number of lines that a step passes over. They are adjacent in memory; peers in them are visited from their
/// swarm.
const PASSED_A_STEP: usize = if cfg!(test) { 16 } else { 4096 };

/// Maximum number of peers that a step removes, plus those of one leaf.
const REMOVALS_A_STEP: usize = if cfg!(test) { 2 } else { 128 };

/// The progress of the walk: the number of complete rounds, and the next line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Milestone {
    round: u64,
    line: usize,
}

/// The part of a swarm to visit next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// The peers in its own line.
    #[default]
    Own,
    /// The leaf of its IPv4 tree for this hash.
    Leaf4(u64),
    /// The leaf of its IPv6 tree for this hash.
    Leaf6(u64),
}

/// The peers of a swarm that a step removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// None of them.
    None,
    /// Those at certain addresses.
    AtAddresses,
    /// All of them.
    All,
}

/// The work of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForgetStep {
    /// Number of lines that it visited: swarms and lines of peers.
    pub visited: usize,
    /// Number of lines that it passed over.
    pub passed: usize,
    /// Number of peers that it removed.
    pub removed: usize,
}

/// The state of the walk.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    next: Milestone,
    /// The part to visit next, of the swarm in the next line.
    part: Part,
    end: Milestone,
}

impl Walk {
    /// Extend the walk to one full round from its current place.
    pub(crate) fn go_round(&mut self) {
        let is_within_a_swarm = self.part != Part::Own;
        self.end = Milestone { round: self.next.round + 1, line: self.next.line + usize::from(is_within_a_swarm) };
    }

    /// Return the milestone at which the walk ends. A further removal extends the walk.
    pub(crate) const fn end(&self) -> Milestone {
        self.end
    }

    /// Return whether the walk has reached `milestone`.
    pub(crate) fn has_reached(&self, milestone: Milestone) -> bool {
        self.next >= milestone
    }

    /// Return whether the walk has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_reached(self.end)
    }

    /// Continue with the next part of the swarm, or with the next line.
    fn go_on(&mut self, part: Option<Part>) {
        self.part = part.unwrap_or_default();
        self.next.line += usize::from(part.is_none());
    }
}

impl Pool {
    /// Make a step of the walk, if it has not ended. Of each swarm, by its info-hash and its side, the peers that
    /// `leaving` selects are removed: none, all, or those at the addresses that `goes` selects.
    pub(crate) fn forget(
        &mut self,
        walk: &mut Walk,
        now: Running,
        leaving: impl Fn(&InfoHash, Horizon) -> Leaving,
        goes: impl Fn(IpAddr) -> bool,
    ) -> ForgetStep {
        let now = self.tick_length.tick(now);
        let mut step = ForgetStep::default();
        let peers_before = self.peers.all().total();
        while !walk.has_ended()
            && step.visited < LINES_A_STEP
            && step.passed < PASSED_A_STEP
            && step.removed < REMOVALS_A_STEP
        {
            if walk.next.line >= self.lines.touched() {
                walk.next = Milestone { round: walk.next.round + 1, line: 0 };
                continue;
            }
            let line = LineIndex::new(walk.next.line);
            let leaving = match &self.lines[line] {
                Line::Swarm(swarm) => leaving(&swarm.info_hash, swarm.horizon),
                _ => Leaving::None,
            };
            if leaving == Leaving::None {
                walk.go_on(None);
                step.passed += 1;
                continue;
            }
            let goes = |address: &[u8], _| leaving == Leaving::All || goes(ip_address(address));
            let (visited, next) = self.forget_part(line, walk.part, now, goes);
            walk.go_on(next);
            step.visited += visited;
            step.removed = peers_before - self.peers.all().total();
        }
        step
    }

    /// Remove the peers of a part of a swarm that `goes` selects. Return the number of lines visited, and the next
    /// part.
    fn forget_part(
        &mut self,
        swarm: LineIndex,
        part: Part,
        now: Tick,
        goes: impl Fn(&[u8], Tick) -> bool,
    ) -> (usize, Option<Part>) {
        let has = |pool: &Self, root: usize| {
            tree::swarm_at(&pool.lines, swarm).is_some_and(|swarm| !swarm.roots[root].is_none())
        };
        let (visited, next) = match part {
            Part::Own => {
                self.remove_peers_of(swarm, swarm, now, goes);
                (1, Some(Part::Leaf4(0)))
            }
            Part::Leaf4(hash) => {
                let (visited, next) = self.forget_leaf::<V4>(swarm, hash, now, goes);
                (visited, Some(next.map_or(Part::Leaf6(0), Part::Leaf4)))
            }
            Part::Leaf6(hash) => {
                let (visited, next) = self.forget_leaf::<V6>(swarm, hash, now, goes);
                (visited, next.map(Part::Leaf6))
            }
        };
        let next = match next {
            Some(Part::Leaf4(0)) if !has(self, V4::ROOT) => Some(Part::Leaf6(0)),
            next => next,
        };
        (visited, next.filter(|next| *next != Part::Leaf6(0) || has(self, V6::ROOT)))
    }

    /// Remove the peers of the leaf of one hash that `goes` selects. Return the number of lines visited, and the first
    /// hash after the leaf.
    fn forget_leaf<F: Family>(
        &mut self,
        swarm: LineIndex,
        hash: u64,
        now: Tick,
        goes: impl Fn(&[u8], Tick) -> bool,
    ) -> (usize, Option<u64>) {
        let (leaf, hashes) = tree::leaf_of_hash::<F>(&self.lines, swarm, hash);
        let (mut at, mut visited) = (leaf.head, 1);
        while at != swarm
            && let Some(line) = at.some()
            && let Some((_, next)) = F::items(&self.lines[line])
        {
            self.remove_peers_of(swarm, line, now, &goes);
            (at, visited) = (next, visited + 1);
        }
        (visited, hashes.end().checked_add(1))
    }
}

/// Return the IP address for the address bytes of an endpoint.
fn ip_address(octets: &[u8]) -> IpAddr {
    match *octets {
        [a, b, c, d] => IpAddr::from([a, b, c, d]),
        _ => IpAddr::from(<[u8; 16]>::try_from(octets).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
