//! The tree of a swarm's peers of one family: a single chain, or, once that is long, forks with chains as leaves.
//!
//! A leaf of [`LEAF_LINES`] full lines is split in two when one more peer comes. A fork selects a child by 4 bits of
//! the keyed hash of the peer's endpoint. Neighbouring children of a fork may share one chain. The first split of a
//! leaf needs a new line for the fork; the next three only give separate chains to children that shared one. The last
//! line of every chain refers to the swarm, so that the sweeper, which visits lines in no particular order, finds the
//! swarm of a line in a few steps.

use core::ops::RangeInclusive;

use super::chain::{self, Place};
use super::endpoint::slot_of;
use super::family::Family;
use super::impossible::impossible;
use super::line::{FORK_CHILDREN, Fork, Line, LineIndex, Peer, Swarm};
use super::lines::Lines;
use crate::hash_key::HashKey;

/// Number of lines at which a leaf is split. Leaves of 6 to 12 lines waste half a line in nine, and a search reads
/// about six lines.
pub(super) const LEAF_LINES: usize = 12;

/// Number of hash bits that a fork uses.
const FORK_BITS: u32 = FORK_CHILDREN.trailing_zeros();

/// Number of forks above a leaf at which the bits of the hash are used up and the chain just grows. 16 levels of 16
/// children never fill.
const MAX_DEPTH: u32 = u64::BITS / FORK_BITS;

/// The parent of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Above {
    Swarm,
    Fork { line: LineIndex, child: usize },
}

/// A leaf of the tree: the only chain that can hold a certain endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    pub(super) above: Above,
    /// The head of its chain, or `NONE`.
    pub(super) head: LineIndex,
    depth: u32,
}

/// The result of a search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    pub(super) leaf: Leaf,
    pub(super) place: Option<Place>,
    /// Number of lines read: all lines of the leaf, if the endpoint was not found.
    lines: usize,
}

pub(super) fn swarm_at(lines: &Lines, line: LineIndex) -> Option<&Swarm> {
    if let Line::Swarm(swarm) = &lines[line] { Some(swarm) } else { None }
}

pub(super) fn swarm_at_mut(lines: &mut Lines, line: LineIndex) -> Option<&mut Swarm> {
    if let Line::Swarm(swarm) = &mut lines[line] { Some(swarm) } else { None }
}

pub(super) fn root<F: Family>(lines: &Lines, swarm: LineIndex) -> LineIndex {
    swarm_at(lines, swarm).map_or(LineIndex::NONE, |swarm| swarm.roots[F::ROOT])
}

fn fork_at(lines: &Lines, line: LineIndex) -> Option<&Fork> {
    if let Line::Fork(fork) = lines.get(line)? { Some(fork) } else { None }
}

const NO_FORK: &str = "a line below which leaves hang and that is no fork";

/// Return the fork at `line`, which must be a fork.
fn fork_at_mut(lines: &mut Lines, line: LineIndex) -> Option<&mut Fork> {
    if let Line::Fork(fork) = &mut lines[line] { Some(fork) } else { impossible(NO_FORK) }
}

/// Return the child of a fork at `depth` for endpoints with this hash. The top bits come first, so that the hashes of
/// aligned neighbours share a prefix.
pub(super) const fn child_of(hash: u64, depth: u32) -> usize {
    hash.rotate_left(FORK_BITS * (depth + 1)) as usize % FORK_CHILDREN
}

/// Return the children of `fork` from `start` on, continuing with the first child after the last. Return each chain
/// once: neighbours may share a chain, and the last ones may share the chain of `start`.
pub(super) fn children_from(fork: &Fork, start: usize) -> impl Iterator<Item = LineIndex> {
    let first = fork.children[start];
    let mut previous = LineIndex::NONE;
    (0..FORK_CHILDREN).filter_map(move |step| {
        let child = fork.children[(start + step) % FORK_CHILDREN];
        let is_new = !child.is_none() && child != previous && (step == 0 || child != first);
        previous = if is_new { child } else { previous };
        is_new.then_some(child)
    })
}

/// Return the first child of `fork` after `start` that is a different line.
pub(super) fn next_child(fork: &Fork, start: usize) -> Option<LineIndex> {
    children_from(fork, start).find(|child| *child != fork.children[start])
}

/// Return the leaf for `endpoint`. Compute the hash only if the tree has a fork.
#[inline]
pub(super) fn leaf<F: Family>(lines: &Lines, key: HashKey, swarm: LineIndex, endpoint: &F::Endpoint) -> Leaf {
    let leaf = Leaf { above: Above::Swarm, head: root::<F>(lines, swarm), depth: 0 };
    if fork_at(lines, leaf.head).is_some() { leaf_below(lines, leaf, key.hash(endpoint.as_ref())) } else { leaf }
}

#[inline(never)]
fn leaf_below(lines: &Lines, mut leaf: Leaf, hash: u64) -> Leaf {
    while let Some(fork) = fork_at(lines, leaf.head) {
        let child = child_of(hash, leaf.depth);
        leaf.above = Above::Fork { line: leaf.head, child };
        leaf.head = fork.children[child];
        leaf.depth += 1;
    }
    leaf
}

/// Return the leaf for endpoints with this hash, and the hashes that belong to the leaf. Leaves are in the order of
/// their hashes, and every hash belongs to a leaf. Neighbouring children without peers count as one empty leaf.
pub(super) fn leaf_of_hash<F: Family>(lines: &Lines, swarm: LineIndex, hash: u64) -> (Leaf, RangeInclusive<u64>) {
    let root = Leaf { above: Above::Swarm, head: root::<F>(lines, swarm), depth: 0 };
    let leaf = leaf_below(lines, root, hash);
    let Above::Fork { line, child } = leaf.above else { return (leaf, 0..=u64::MAX) };
    let is_leaf = |other: &&LineIndex| **other == leaf.head;
    let (before, after) = fork_at(lines, line).map_or((0, 1), |fork| {
        let (lower, upper) = fork.children.split_at(child);
        (lower.iter().rev().take_while(is_leaf).count(), upper.iter().take_while(is_leaf).count())
    });
    // The bits above those of the leaf's own fork are the bits of the hash.
    let shift = u64::BITS - FORK_BITS * leaf.depth;
    let above = hash.checked_shr(shift + FORK_BITS).unwrap_or(0) << FORK_BITS;
    let first_hash_of = |child: usize| (above | child as u64) << shift;
    (leaf, first_hash_of(child - before)..=first_hash_of(child + after - 1) | ((1 << shift) - 1))
}

/// Search for `endpoint` in the tree.
#[inline]
pub(super) fn find<F: Family>(lines: &Lines, key: HashKey, swarm: LineIndex, endpoint: &F::Endpoint) -> Search {
    let leaf = leaf::<F>(lines, key, swarm, endpoint);
    let mut seen = 0;
    for (line, peers) in chain::walk::<F>(lines, leaf.head, swarm) {
        seen += 1;
        if let Some(slot) = slot_of(peers.endpoints, endpoint) {
            return Search { leaf, place: Some(Place { line, slot }), lines: seen };
        }
    }
    Search { leaf, place: None, lines: seen }
}

/// Return whether one more peer would make the leaf longer than [`LEAF_LINES`].
fn overflows<F: Family>(lines: &Lines, search: &Search) -> bool {
    let full = |head| F::items(&lines[head]).is_some_and(|(peers, _)| peers.len() == F::CAPACITY);
    search.lines >= LEAF_LINES && search.leaf.depth < MAX_DEPTH && search.leaf.head.some().is_some_and(full)
}

/// Return whether one more peer would give the swarm's tree of this family its first fork.
pub(super) fn wants_first_fork<F: Family>(lines: &Lines, search: &Search) -> bool {
    search.leaf.above == Above::Swarm && overflows::<F>(lines, search)
}

/// Add a peer that `search` did not find, and return its place. If the leaf is full and `may_split`, split it first.
/// Return `None` if all lines are in use; then the peer was not added.
pub(super) fn insert<F: Family>(
    lines: &mut Lines,
    key: HashKey,
    swarm: LineIndex,
    search: Search,
    peer: Peer<F::Endpoint>,
    may_split: bool,
) -> Option<Place> {
    let mut leaf = search.leaf;
    if may_split && overflows::<F>(lines, &search) && split::<F>(lines, key, swarm, leaf).is_some() {
        leaf = self::leaf::<F>(lines, key, swarm, &peer.endpoint);
    }
    let head = chain::push::<F>(lines, leaf.head, swarm, peer)?;
    hang::<F>(lines, swarm, leaf, head);
    let (peers, _) = F::items(&lines[head]).or_else(|| impossible("a chain of another kind"))?;
    Some(Place { line: head, slot: peers.len() - 1 })
}

/// Remove the peer at `place` of `leaf`.
pub(super) fn remove<F: Family>(lines: &mut Lines, swarm: LineIndex, leaf: Leaf, place: Place) {
    let head = chain::swap_remove::<F>(lines, leaf.head, swarm, place);
    hang::<F>(lines, swarm, leaf, head);
}

/// Replace the head of `leaf` by `head` in the swarm or the fork above it.
fn hang<F: Family>(lines: &mut Lines, swarm: LineIndex, leaf: Leaf, head: LineIndex) {
    if leaf.head == head {
        return;
    }
    match leaf.above {
        Above::Swarm => {
            if let Some(swarm) = swarm_at_mut(lines, swarm) {
                swarm.roots[F::ROOT] = head;
            }
        }
        Above::Fork { line, child } => {
            let Some(fork) = fork_at_mut(lines, line) else { return };
            if leaf.head.is_none() {
                fork.children[child] = head;
            } else {
                fork.children.iter_mut().filter(|child| **child == leaf.head).for_each(|child| *child = head);
            }
        }
    }
}

/// Number of lines that a split may need while it runs: a fork, and a head for each half before the first line of the
/// old chain is empty.
const LINES_FOR_A_SPLIT: usize = 3;

/// Split the chain of `leaf` in two, under a new fork if needed. Return `None` if too few lines are free.
fn split<F: Family>(lines: &mut Lines, key: HashKey, swarm: LineIndex, leaf: Leaf) -> Option<()> {
    if lines.available() < LINES_FOR_A_SPLIT {
        return None;
    }
    let (fork_line, shared) = match leaf.above {
        Above::Fork { line, .. } => {
            let fork = fork_at(lines, line).or_else(|| impossible(NO_FORK))?;
            let shared = fork.children.iter().filter(|child| **child == leaf.head).count();
            if shared > 1 { (line, shared) } else { (grow_fork::<F>(lines, swarm, leaf, line)?, FORK_CHILDREN) }
        }
        Above::Swarm => (grow_fork::<F>(lines, swarm, leaf, swarm)?, FORK_CHILDREN),
    };
    let fork = fork_at_mut(lines, fork_line)?;
    let first = fork.children.iter().position(|child| *child == leaf.head);
    let first = first.or_else(|| impossible("a fork that does not lead to its leaf"))?;
    let upper = first + shared / 2;
    fork.children[first..first + shared].fill(LineIndex::NONE);
    let depth = depth_of(lines, fork_line);
    let (mut whole, mut halves) = (leaf.head, [LineIndex::NONE; 2]);
    while let Some((peer, rest)) = chain::pop::<F>(lines, whole, swarm) {
        whole = rest;
        let half = usize::from(child_of(key.hash(peer.endpoint.as_ref()), depth) >= upper);
        let head = chain::push::<F>(lines, halves[half], swarm, peer);
        if let Some(head) = head.or_else(|| impossible("no line for a split that was checked to fit")) {
            halves[half] = head;
        }
    }
    let fork = fork_at_mut(lines, fork_line)?;
    fork.children[first..upper].fill(halves[0]);
    fork.children[upper..first + shared].fill(halves[1]);
    Some(())
}

/// Put a new fork between `leaf` and its `parent`, and return the line of the fork. All children of the fork are the
/// chain of the leaf.
fn grow_fork<F: Family>(lines: &mut Lines, swarm: LineIndex, leaf: Leaf, parent: LineIndex) -> Option<LineIndex> {
    let fork = lines.take(Line::Fork(Fork { children: [leaf.head; FORK_CHILDREN], parent }))?;
    hang::<F>(lines, swarm, leaf, fork);
    Some(fork)
}

/// Return the number of forks above this one.
fn depth_of(lines: &Lines, fork: LineIndex) -> u32 {
    let mut depth = 0;
    let mut at = fork;
    while let Line::Fork(fork) = &lines[at] {
        at = fork.parent;
        depth += 1;
    }
    depth - 1
}

/// Maximum number of lines that neighbouring leaves have together when they are merged. It is half of [`LEAF_LINES`],
/// so that a swarm of almost constant size does not alternate between splits and merges.
const MERGED_LINES: usize = LEAF_LINES / 2;

/// Merge small neighbouring leaves of a fork, and replace the fork by a chain if only one small leaf is left. The cost
/// is bounded: each of four rounds reads a little more than [`MERGED_LINES`] lines of each of 16 children at most.
pub(super) fn merge<F: Family>(lines: &mut Lines, swarm: LineIndex, fork_line: LineIndex) {
    let mut width = 2;
    while width <= FORK_CHILDREN {
        for first in (0..FORK_CHILDREN).step_by(width) {
            merge_group::<F>(lines, swarm, fork_line, first, width);
        }
        width *= 2;
    }
    let Some(Fork { children, parent }) = fork_at(lines, fork_line).or_else(|| impossible(NO_FORK)) else { return };
    let (head, parent) = (children[0], *parent);
    let one = children.iter().all(|child| *child == head) && fork_at(lines, head).is_none();
    if !one || chain::walk::<F>(lines, head, swarm).count() > MERGED_LINES {
        return;
    }
    if parent == swarm {
        if let Some(swarm) = swarm_at_mut(lines, swarm) {
            swarm.roots[F::ROOT] = head;
        }
    } else if let Some(above) = fork_at_mut(lines, parent) {
        above.children.iter_mut().filter(|child| **child == fork_line).for_each(|child| *child = head);
    }
    lines.give_back(fork_line);
}

/// Merge the children `first..first + width` into one chain, if they are leaves and short enough together.
fn merge_group<F: Family>(lines: &mut Lines, swarm: LineIndex, fork_line: LineIndex, first: usize, width: usize) {
    let Some(fork) = fork_at(lines, fork_line).or_else(|| impossible(NO_FORK)) else { return };
    let group: heapless::Vec<LineIndex, FORK_CHILDREN> = fork.children[first..first + width].iter().copied().collect();
    let mut heads: heapless::Vec<LineIndex, FORK_CHILDREN> = group.clone();
    heads.sort_unstable_by_key(|head| head.get());
    let mut distinct = 0;
    let mut total_lines = 0;
    let mut previous = None;
    for &head in heads.iter().filter(|head| previous.replace(**head) != Some(**head)) {
        if fork_at(lines, head).is_some() {
            return;
        }
        distinct += 1;
        total_lines += chain::walk::<F>(lines, head, swarm).take(MERGED_LINES + 1).count();
    }
    if distinct < 2 || total_lines > MERGED_LINES || lines.available() == 0 {
        return;
    }
    let mut merged = LineIndex::NONE;
    let mut previous = None;
    for &head in heads.iter().filter(|head| previous.replace(**head) != Some(**head)) {
        let mut rest = head;
        if merged.is_none() {
            core::mem::swap(&mut merged, &mut rest);
        }
        while let Some((peer, left)) = chain::pop::<F>(lines, rest, swarm) {
            rest = left;
            let head = chain::push::<F>(lines, merged, swarm, peer);
            if let Some(head) = head.or_else(|| impossible("no line for a merge that was checked to fit")) {
                merged = head;
            }
        }
    }
    if let Some(fork) = fork_at_mut(lines, fork_line) {
        fork.children[first..first + width].fill(merged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_child_is_a_different_line_also_after_the_last_child() {
        let [one, two, none] = [LineIndex::new(1), LineIndex::new(2), LineIndex::NONE];
        let mut children = [none; FORK_CHILDREN];
        children[4..8].fill(one);
        let mut fork = Fork { children, parent: one };
        assert_eq!(next_child(&fork, 4), None, "the fork leads to one chain only");
        fork.children[2] = two;
        for start in 4..8 {
            assert_eq!(next_child(&fork, start), Some(two));
        }
        assert_eq!([0, 2, 3, 8].map(|start| next_child(&fork, start)), [Some(two), Some(one), Some(one), Some(two)]);
    }
}
