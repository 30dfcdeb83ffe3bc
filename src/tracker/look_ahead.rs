//! Bringing what a batch of announces will need into the processor's cache, all at once.
//!
//! An announce to one of many swarms waits for memory three times in a row: for a line of the index, for the swarm, for
//! its peers. One announce cannot do better, for each tells where the next is. But a server receives them in batches:
//! going over the batch once for each of the three lets the memory answer many at a time.

use core::hint::black_box;
use core::net::IpAddr;

use super::Tracker;
use super::index::SwarmHash;
use super::line::{Line, LineIndex};
use super::pool::Pool;
use crate::wire::InfoHash;

/// Announces that are looked ahead at, at most.
pub const LOOK_AHEAD: usize = 32;

/// Lines of a bucket of the index that are looked into: more than two are rare.
const LINES_OF_A_BUCKET: usize = 2;

/// An announce that is to come: only what it takes to find its swarm.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Who will ask.
    pub from: IpAddr,
}

impl Tracker {
    /// Look up the swarms of announces that are about to be made. Nothing depends on it but speed.
    pub fn look_ahead(&mut self, announces: &[Ahead]) {
        let mut hashes = heapless::Vec::<SwarmHash, LOOK_AHEAD>::new();
        for announce in announces.iter().take(LOOK_AHEAD) {
            let horizon = self.networks.horizon(announce.from.to_canonical());
            let _ = hashes.push(self.pool.index.hash_ahead(&announce.info_hash, horizon));
        }
        self.pool.look_ahead(&hashes);
    }
}

impl Pool {
    fn look_ahead(&self, hashes: &[SwarmHash]) {
        let mut buckets = heapless::Vec::<LineIndex, LOOK_AHEAD>::new();
        buckets.extend(hashes.iter().map(|hash| self.index.bucket_of(*hash)).take(LOOK_AHEAD));
        let mut lines: heapless::Vec<_, LOOK_AHEAD> = buckets.iter().map(|_| LineIndex::NONE).collect();
        for _ in 0..LINES_OF_A_BUCKET {
            self.touch(&buckets);
            for ((line, bucket), hash) in lines.iter_mut().zip(&mut buckets).zip(hashes) {
                let (candidate, next) = self.index.candidate(&self.lines, *bucket, *hash);
                (*line, *bucket) = (line.some().unwrap_or(candidate), next);
            }
        }
        self.touch(&lines);
        for line in &mut lines {
            *line = match line.some().map(|line| &self.lines[line]) {
                Some(Line::Swarm(swarm)) => swarm.roots[0].some().unwrap_or(swarm.roots[1]),
                _ => LineIndex::NONE,
            };
        }
        self.touch(&lines);
    }

    /// Read one octet of each line; the processor does not wait for one before it asks for the next.
    fn touch(&self, lines: &[LineIndex]) {
        for line in lines.iter().filter_map(|line| line.some()) {
            black_box(matches!(self.lines[line], Line::Free { .. }));
        }
    }
}
