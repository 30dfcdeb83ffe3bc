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

/// An announce that is to come: only what it takes to find its swarm.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Who will ask.
    pub from: IpAddr,
}

/// What the steps find out, for each of a batch.
type Batch<T> = heapless::Vec<T, LOOK_AHEAD>;

impl Tracker {
    /// Look up the swarms of announces that are about to be made, of the first [`LOOK_AHEAD`]. Nothing depends on it but
    /// speed.
    pub fn look_ahead(&mut self, announces: &[Ahead]) {
        let announces = announces.get(..LOOK_AHEAD).unwrap_or(announces);
        let Self { pool, networks, .. } = self;
        let mut hashes = Batch::<SwarmHash>::new();
        for announce in announces {
            let horizon = networks.horizon(announce.from.to_canonical());
            let hash = pool.index.hash_ahead(&announce.info_hash, horizon);
            pool.touch(pool.index.bucket_of(hash));
            let _ = hashes.push(hash);
        }
        let mut swarms = Batch::<LineIndex>::new();
        for hash in &hashes {
            let swarm = pool.index.candidate(&pool.lines, *hash);
            pool.touch(swarm);
            let _ = swarms.push(swarm);
        }
        for (announce, swarm) in announces.iter().zip(&swarms) {
            pool.index.remember(&announce.info_hash, *swarm);
            if let Some(Line::Swarm(swarm)) = swarm.some().map(|line| &pool.lines[line]) {
                swarm.roots.iter().for_each(|root| pool.touch(*root));
            }
        }
    }
}

impl Pool {
    /// Read one octet of a line, if there is one; the processor does not wait for it before it goes on to the next.
    fn touch(&self, line: LineIndex) {
        if let Some(line) = line.some() {
            black_box(matches!(self.lines[line], Line::Free { .. }));
        }
    }
}
