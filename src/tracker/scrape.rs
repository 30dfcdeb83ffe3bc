//! A scrape: the counts of swarms, for both transports (BEP 15, BEP 48); and the swarms for the administration.

use super::{Caller, Refusal, Tracker};
use crate::clock::Running;
use crate::horizon::Horizon;
use crate::pool::Tick;
use crate::wire::{InfoHash, SwarmCounts};

/// A swarm, as the administration sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swarm {
    /// Its torrent.
    pub info_hash: InfoHash,
    /// Side of its peers.
    pub horizon: Horizon,
    /// Its counts.
    pub counts: SwarmCounts,
}

impl Tracker {
    /// Return the swarm in a line of the pool; `None` if the line has something else. To visit all swarms, visit the first
    /// [`Self::lines_touched`] lines.
    pub fn swarm_at(&self, line: usize, now: Running) -> Option<Swarm> {
        let (info_hash, horizon, counts) = self.pool.swarm_at(line, now)?;
        Some(Swarm { info_hash, horizon, counts })
    }

    /// Return the swarms of a torrent, that of the LAN first.
    pub fn swarms_of(&self, info_hash: &InfoHash, now: Running) -> [Option<Swarm>; 2] {
        let swarm = |horizon| self.pool.find(info_hash, horizon).and_then(|line| self.swarm_at(line.get(), now));
        [Horizon::Lan, Horizon::Wan].map(swarm)
    }

    /// Check whether a client may scrape. The rule is the same as for an announce, but a scrape does not restart the
    /// idle time of a whitelist entry.
    pub(super) fn may_scrape(&mut self, now: Running, caller: &Caller) -> Result<(), Refusal> {
        let admitted = self.admission(now, caller, false);
        if let Err(refusal) = admitted {
            self.counters.refusal(refusal);
            self.refuse(now, caller, refusal);
        }
        admitted
    }

    /// Return the counts of a swarm on both sides of the horizon; zeros for an unknown swarm.
    pub(super) fn scrape(&self, now: Tick, info_hash: &InfoHash) -> SwarmCounts {
        self.counts(now, [Horizon::Wan, Horizon::Lan].map(|horizon| self.pool.find(info_hash, horizon)))
    }
}
