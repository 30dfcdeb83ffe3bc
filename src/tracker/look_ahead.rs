//! Bringing what a batch of announces will need into the processor's cache, all at once.
//!
//! An announce to one of many swarms waits for memory many times in a row: for a line of the index, for the swarm, for
//! the lines of the chain that the asker stands in, for those that it is told of. One announce cannot do better, for
//! each tells where the next is. But a server receives them in batches: going over the batch once for each step lets the
//! memory answer many at a time.

use core::hint::black_box;
use core::net::IpAddr;

use super::Tracker;
use super::announce::{endpoint, role};
use super::index::{HashKey, SwarmHash};
use super::kind::{Family, V4, V6};
use super::line::{Line, LineIndex, Role};
use super::pool::Pool;
use super::starts::Starts;
use super::tree;
use crate::wire::{Announce, InfoHash};

/// Announces that are looked ahead at, at most.
pub const LOOK_AHEAD: usize = 32;

/// An announce that is to come: what it takes to find its swarm and its peers.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    info_hash: InfoHash,
    from: IpAddr,
    port: u16,
    /// Whether it looks for leechers only.
    complete: bool,
}

/// Lines that are followed in one chain, with the forks above it: leaves have no more, but for want of memory.
const STEPS: usize = tree::LEAF_LINES + 4;

/// A way down a swarm's tree and along the chain that it ends in.
#[derive(Clone, Copy)]
struct Way {
    /// The line to look at next, which is on its way to the cache.
    at: LineIndex,
    swarm: LineIndex,
    /// Which child of each fork to take.
    path: u64,
    /// Forks that lie behind.
    depth: u32,
    /// The last of these, if the leaf beside the one that the way ends in is needed as well.
    fork: Option<LineIndex>,
}

/// What a step finds out, for each announce.
type Batch<T> = heapless::Vec<T, LOOK_AHEAD>;

/// Three for each announce: to where the asker stands, and to those whom it will be told of, in two leaves.
type Ways = heapless::Vec<Way, { 3 * LOOK_AHEAD }>;

impl Tracker {
    /// Look up the swarms and the peers of announces that are about to be made, of the first [`LOOK_AHEAD`]. Nothing
    /// depends on it but speed.
    pub fn look_ahead(&mut self, announces: &[Ahead]) {
        let announces = announces.get(..LOOK_AHEAD).unwrap_or(announces);
        let Self { pool, networks, .. } = self;
        pool.starts.draw_for(announces.len(), &mut pool.random);
        let mut hashes = Batch::<SwarmHash>::new();
        hashes.extend(announces.iter().map(|announce| {
            let horizon = networks.horizon(announce.from);
            pool.index.hash_ahead(&announce.info_hash, horizon)
        }));
        pool.touch(hashes.iter().map(|hash| pool.index.bucket_of(*hash)));
        let mut swarms = Batch::<LineIndex>::new();
        swarms.extend(hashes.iter().map(|hash| pool.index.candidate(&pool.lines, *hash)));
        pool.touch(swarms.iter().copied());
        let mut roots = Batch::<LineIndex>::new();
        roots.extend(announces.iter().zip(&swarms).map(|(announce, swarm)| {
            match swarm.some().map(|line| &pool.lines[line]) {
                Some(Line::Swarm(own)) => own.roots[announce.root()],
                _ => LineIndex::NONE,
            }
        }));
        pool.touch(roots.iter().copied());
        let mut ways = Ways::new();
        for ((announce, swarm), root) in announces.iter().zip(&swarms).zip(&roots) {
            pool.index.remember(&announce.info_hash, *swarm);
            pool.set_out(&mut ways, announce, *swarm, *root);
        }
        pool.follow(&mut ways);
    }
}

impl Ahead {
    /// `announce`, from `from`.
    #[inline]
    pub fn new(from: IpAddr, announce: &Announce) -> Self {
        let (info_hash, port, complete) = (announce.info_hash, announce.port, role(announce) != Role::Leecher);
        Self { info_hash, from: from.to_canonical(), port, complete }
    }

    const fn root(&self) -> usize {
        if self.from.is_ipv4() { V4::ROOT } else { V6::ROOT }
    }

    /// To where it stands in a swarm with forks, and to those whom it is told of.
    fn paths(&self, key: HashKey, starts: &Starts) -> (u64, u64) {
        fn of<const N: usize>(endpoint: [u8; N], key: HashKey, starts: &Starts) -> (u64, u64) {
            (key.hash(&endpoint), starts.ahead(&endpoint))
        }
        match self.from {
            IpAddr::V4(v4) => of(endpoint::<6>(&v4.octets(), self.port), key, starts),
            IpAddr::V6(v6) => of(endpoint::<18>(&v6.octets(), self.port), key, starts),
        }
    }
}

impl Pool {
    /// Begin with the ways that an announce will go below a root, which is in the cache.
    fn set_out(&self, ways: &mut Ways, announce: &Ahead, swarm: LineIndex, root: LineIndex) {
        let Some(root_line) = root.some().map(|root| &self.lines[root]) else { return };
        let begin = |path, fork| Way { at: root, swarm, path, depth: 0, fork };
        if !matches!(root_line, Line::Fork(_)) {
            let _ = ways.push(begin(0, None));
            return;
        }
        // Whoever looks for leechers only seldom finds enough of them in one leaf.
        let (own, to_others) = announce.paths(self.key, &self.starts);
        let _ = ways.push(begin(own, None));
        let _ = ways.push(begin(to_others, announce.complete.then_some(root)));
    }

    /// Go all ways a step at a time, to their ends.
    fn follow(&self, ways: &mut Ways) {
        let mut beside = Batch::<Way>::new();
        for _ in 0..STEPS {
            ways.retain_mut(|way| {
                beside.extend(self.way_beside(way));
                way.at = self.step(way);
                !way.at.is_none()
            });
            ways.extend(beside.iter().copied());
            beside.clear();
            self.touch(ways.iter().map(|way| way.at));
        }
    }

    /// The way to the leaf beside the one that `way` has just come to, if it is needed.
    fn way_beside(&self, way: &mut Way) -> Option<Way> {
        let fork = way.fork?;
        if matches!(self.lines[way.at], Line::Fork(_)) {
            way.fork = Some(way.at);
            return None;
        }
        way.fork = None;
        let Line::Fork(fork) = &self.lines[fork] else { return None };
        let at = tree::next_child(fork, tree::child_of(way.path, way.depth - 1))?;
        Some(Way { at, ..*way })
    }

    /// The line after the one that `way` has come to.
    fn step(&self, way: &mut Way) -> LineIndex {
        let next = match &self.lines[way.at] {
            Line::Peers4(chained) => chained.next,
            Line::Peers6(chained) => chained.next,
            Line::Fork(fork) => {
                way.depth += 1;
                fork.children[tree::child_of(way.path, way.depth - 1)]
            }
            Line::Free { .. } | Line::Swarm(_) | Line::Bucket(_) => LineIndex::NONE,
        };
        if next == way.swarm { LineIndex::NONE } else { next }
    }

    /// Read one octet of each of the lines that there are. The processor does not wait for one before it asks for the next,
    /// as long as little is done between them.
    fn touch(&self, lines: impl Iterator<Item = LineIndex>) {
        for line in lines.filter_map(LineIndex::some) {
            black_box(matches!(self.lines[line], Line::Free { .. }));
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::super::{Admission, External, Policy, Seeds, Settings, Tracker, Transport};
    use super::*;
    use crate::clock::Running;
    use crate::wire::Event;

    fn tracker() -> Tracker {
        let hour = Duration::from_secs(3600);
        let policy = Policy {
            interval: hour,
            min_interval: Duration::ZERO,
            max_peers: 200,
            default_peers: 50,
            lan: Admission::Open,
            wan: Admission::Open,
            retire_after: hour,
            retry_in: hour,
            external: External::default(),
            proxies: Vec::new(),
        };
        let (memory_octets, lan) = (1 << 20, vec!["10.0.0.0/8".parse().expect("a prefix")]);
        let settings = Settings { memory_octets, whitelist_capacity: 1, peer_timeout: hour * 2, lan, policy };
        Tracker::new(settings, Seeds { hash: HashKey(1, 2), connection_ids: HashKey(3, 4), random: 5 }).expect("memory")
    }

    fn who_and_what(number: u32, swarms: u8) -> (IpAddr, Announce) {
        let from = match number % 3 {
            0 => IpAddr::from([10, 0, (number >> 8) as u8, number as u8]),
            1 => IpAddr::from([11, 0, (number >> 8) as u8, number as u8]),
            _ => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, (number >> 16) as u16, number as u16]),
        };
        let info_hash = InfoHash([(number % u32::from(swarms)) as u8; 20]);
        let (left, event) = (u64::from(number % 4), Event::Update);
        (from, Announce { info_hash, port: 6881, left, event, num_want: Some(200) })
    }

    #[test]
    fn looking_ahead_changes_nothing_but_whom_one_happens_to_be_told_of() {
        for swarms in [1, 7, 100] {
            let (mut plain, mut looking) = (tracker(), tracker());
            for first in (0..6000).step_by(40) {
                let batch: Vec<_> = (first..first + 40).map(|number| who_and_what(number % 4500, swarms)).collect();
                let ahead: Vec<Ahead> = batch.iter().map(|(from, announce)| Ahead::new(*from, announce)).collect();
                looking.look_ahead(&ahead);
                for (from, mut announce) in batch {
                    if first > 5000 {
                        announce.event = Event::Stopped;
                    }
                    let now = Running::from_seconds(1);
                    let [one, other] = [&mut plain, &mut looking].map(|tracker| {
                        let reply = tracker.announce(now, from, Transport::Udp, &announce).expect("open to all");
                        (reply.counts, reply.peers4.len(), reply.peers6.len())
                    });
                    assert_eq!(one, other);
                }
                looking.check_invariants().expect("nothing has changed");
            }
        }
    }
}
