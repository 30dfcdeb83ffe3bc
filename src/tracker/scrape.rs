//! A scrape: the counts of swarms, for both transports (BEP 15, BEP 48).

use super::{Caller, Refusal, Tracker};
use crate::clock::Running;
use crate::horizon::Horizon;
use crate::pool::Tick;
use crate::wire::{InfoHash, SwarmCounts};

impl Tracker {
    /// Check whether a client may scrape. The rule is the same as for an announce, but a scrape does not restart the
    /// idle time of a whitelist entry.
    pub(super) fn may_scrape(&mut self, now: Running, caller: &Caller) -> Result<(), Refusal> {
        let admitted = self.admission(now, caller, false);
        if let Err(refusal) = admitted {
            self.counters.refusal(refusal);
        }
        admitted
    }

    /// Return the counts of a swarm on both sides of the horizon; zeros for an unknown swarm.
    pub(super) fn scrape(&self, now: Tick, info_hash: &InfoHash) -> SwarmCounts {
        self.counts(now, [Horizon::Wan, Horizon::Lan].map(|horizon| self.pool.find(info_hash, horizon)))
    }
}
