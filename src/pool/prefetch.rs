//! Prefetch: load the lines that a batch of announces will read into the processor's cache.
//!
//! In a pool of many swarms, an announce waits for memory many times in a row: for a line of the index, for the swarm,
//! for the lines of the asker's own chain, for the lines of the selected peers. A single announce has to wait, because
//! each line contains the index of the next one. But a server receives announces in batches. The prefetch goes over the
//! whole batch once per step, and only requests the next line of each announce ([`super::lines::Lines::ask_for`]). So
//! the memory loads many lines at the same time.

use core::net::IpAddr;

use super::endpoint::endpoint;
use super::family::{Family, Kind, V4, V6};
use super::index::SwarmHash;
use super::line::{Fork, Inline, Line, LineIndex, Swarm};
use super::role::Role;
use super::swarms::Pool;
use super::tree;
use crate::hash_key::HashKey;
use crate::horizon::Horizon;
use crate::wire::{Announce, InfoHash};

/// Maximum number of announces in one prefetch.
pub const LOOK_AHEAD: usize = 32;

/// A future announce: the data that locates its swarm and its peers.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    info_hash: InfoHash,
    from: IpAddr,
    port: u16,
    /// Whether the peer needs leechers only.
    complete: bool,
}

/// Number of steps of a descent: one for each level of forks, and one for the leaf. Only swarms of millions of peers have
/// more levels.
const FORK_STEPS: usize = 5;

/// Typical number of peers in a reply, by which a selection moves the cursor of a swarm with forks.
const PEERS_A_SELECTION: usize = 40;

/// A descent through the forks of a swarm to a leaf.
#[derive(Clone, Copy)]
struct Descent<'a> {
    /// The line to read next, already requested from memory.
    at: &'a Line,
    swarm: LineIndex,
    /// The path, which selects the child to follow at each fork.
    path: u64,
    /// Number of forks passed.
    depth: u32,
    /// The last fork passed.
    fork: Option<&'a Fork>,
    /// Number of lines to prefetch from the leaf on.
    lines: usize,
    /// Continue with the next leaf if this one has fewer lines?
    goes_on: bool,
}

/// A walk along a chain.
#[derive(Clone, Copy)]
struct Walk<'a> {
    /// The line to read next, already requested from memory.
    at: &'a Line,
    /// Number of lines to prefetch, with this one.
    lines: usize,
    /// The index that the last line of the chain stores as its next line.
    end: LineIndex,
    /// The chain after this one: the next child of a fork after this child.
    next: Option<(&'a Fork, usize)>,
}

/// Maximum number of lines of a walk: a selection may start at a late line of a leaf.
const LINES_OF_A_WALK: usize = 24;

/// The result of a step for each announce.
type Batch<T> = heapless::Vec<T, LOOK_AHEAD>;

/// At most two descents for each announce: to the asker's own leaf, and to the leaf where its selection starts.
type Descents<'a> = heapless::Vec<Descent<'a>, { 2 * LOOK_AHEAD }>;

/// At most two walks for each announce: from the leaves of both descents.
type Walks<'a> = heapless::Vec<Walk<'a>, { 2 * LOOK_AHEAD }>;

impl Pool {
    /// Prefetch the swarms and the peers for the first [`LOOK_AHEAD`] of the coming announces. This affects only the
    /// speed of the announces and the random choice of peers.
    pub(crate) fn prefetch(&mut self, announces: &[Ahead], horizon: impl Fn(IpAddr) -> Horizon) {
        let announces = announces.get(..LOOK_AHEAD).unwrap_or(announces);
        let mut hashes = Batch::<SwarmHash>::new();
        hashes.extend(announces.iter().map(|announce| {
            let hash = self.index.hash_ahead(&announce.info_hash, horizon(announce.from));
            self.lines.ask_for(self.index.bucket_of(hash));
            hash
        }));
        let mut swarms = Batch::<(LineIndex, Option<&Line>)>::new();
        swarms.extend(announces.iter().zip(&hashes).map(|(announce, hash)| {
            let swarm = self.index.candidate(&self.lines, *hash);
            self.index.remember(&announce.info_hash, swarm);
            (swarm, self.lines.ask_for(swarm))
        }));
        let mut roots = Batch::<Option<&Line>>::new();
        roots.extend(announces.iter().zip(&swarms).map(|(announce, (_, line))| match line {
            Some(Line::Swarm(own)) => self.lines.ask_for(own.roots[announce.root()]),
            _ => None,
        }));
        let (mut descents, mut walks) = (Descents::new(), Walks::new());
        for (position, ((announce, (swarm, _)), root)) in announces.iter().zip(&swarms).zip(&roots).enumerate() {
            let Some(root) = root else { continue };
            self.set_out(announce, &swarms[..position], *swarm, root, &mut descents, &mut walks);
        }
        self.descend(&mut descents, &mut walks);
        self.walk(&mut walks);
    }
}

impl Ahead {
    /// Return the [`Ahead`] of an announce that comes from the address `from`.
    #[inline]
    pub fn new(from: IpAddr, announce: &Announce) -> Self {
        let (info_hash, port, complete) = (announce.info_hash, announce.port, Role::of(announce) != Role::Leecher);
        Self { info_hash, from: from.to_canonical(), port, complete }
    }

    const fn root(&self) -> usize {
        if self.from.is_ipv4() { V4::ROOT } else { V6::ROOT }
    }

    /// Return the number of peers in a line of the asker's family.
    const fn line_capacity(&self) -> usize {
        if self.from.is_ipv4() { V4::CAPACITY } else { V6::CAPACITY }
    }

    /// Return the hash of the asker's own endpoint.
    fn own_hash(&self, key: HashKey) -> u64 {
        match self.from {
            IpAddr::V4(v4) => key.hash(&endpoint::<6>(&v4.octets(), self.port)),
            IpAddr::V6(v6) => key.hash(&endpoint::<18>(&v6.octets(), self.port)),
        }
    }
}

impl Pool {
    /// Add the descents or the walk of an announce below the root `at`, which was already requested from memory.
    /// `earlier` are the swarms of the announces before it.
    fn set_out<'a>(
        &'a self,
        announce: &Ahead,
        earlier: &[(LineIndex, Option<&Line>)],
        swarm: LineIndex,
        at: &'a Line,
        descents: &mut Descents<'a>,
        walks: &mut Walks<'a>,
    ) {
        if !matches!(at, Line::Fork(_)) {
            let _ = walks.push(Walk { at, lines: tree::LEAF_LINES, end: swarm, next: None });
            return;
        }
        let Some(Swarm { inline: Inline::Forked(forked), .. }) = tree::swarm_at(&self.lines, swarm) else { return };
        let path = announce.own_hash(self.key);
        let own = Descent { at, swarm, path, depth: 0, fork: None, lines: tree::LEAF_LINES, goes_on: false };
        let _ = descents.push(own);
        // The selections of earlier announces of this batch move the cursor.
        let earlier = earlier.iter().filter(|(other, _)| *other == swarm).count();
        let moved = forked.counted.share_of(PEERS_A_SELECTION).wrapping_mul(earlier as u64);
        let cursor = forked.cursor(announce.root(), announce.complete);
        let lines = cursor.lines() + PEERS_A_SELECTION.div_ceil(announce.line_capacity());
        let _ = descents.push(Descent { path: cursor.hash().wrapping_add(moved), lines, goes_on: earlier == 0, ..own });
    }

    /// Follow all descents to the heads of chains, one level per step.
    fn descend<'a>(&'a self, descents: &mut Descents<'a>, walks: &mut Walks<'a>) {
        for _ in 0..FORK_STEPS {
            each_goes_on(descents, |descent| {
                if let Line::Fork(fork) = descent.at {
                    let at = self.lines.ask_for(fork.children[tree::child_of(descent.path, descent.depth)])?;
                    return Some(Descent { at, depth: descent.depth + 1, fork: Some(fork), ..descent });
                }
                let child = tree::child_of(descent.path, descent.depth.saturating_sub(1));
                let next = descent.fork.filter(|_| descent.goes_on).map(|fork| (fork, child));
                let _ = walks.push(Walk { at: descent.at, lines: descent.lines, end: descent.swarm, next });
                None
            });
        }
    }

    /// Follow all walks, one line per step.
    fn walk<'a>(&'a self, walks: &mut Walks<'a>) {
        for _ in 1..LINES_OF_A_WALK {
            each_goes_on(walks, |Walk { at, lines, end, next }| {
                let following = match at {
                    Line::Peers4(chained) => chained.next,
                    Line::Peers6(chained) => chained.next,
                    Line::Free { .. } | Line::Swarm(_) | Line::Bucket(_) | Line::Fork(_) => return None,
                };
                let lines = lines.checked_sub(1).filter(|lines| *lines > 0)?;
                if following != end {
                    return self.lines.ask_for(following).map(|at| Walk { at, lines, end, next });
                }
                let (fork, child) = next?;
                self.lines.ask_for(tree::next_child(fork, child)?).map(|at| Walk { at, lines, end, next: None })
            });
        }
    }
}

/// Make one step of each descent or walk, and drop those that end.
#[inline]
fn each_goes_on<T: Copy, const N: usize>(ways: &mut heapless::Vec<T, N>, mut step: impl FnMut(T) -> Option<T>) {
    let mut going = 0;
    for way in 0..ways.len() {
        if let Some(next) = step(ways[way]) {
            ways[going] = next;
            going += 1;
        }
    }
    ways.truncate(going);
}
