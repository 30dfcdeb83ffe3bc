//! Removal of entries from the whitelist and of torrents from service, and then of their peers from the pool.

use ipnet::IpNet;

use super::{Admission, ForgetStep, Horizon, Milestone, Tracker};
use crate::access::Retired;
use crate::clock::{Running, UnixSeconds};
use crate::pool::Leaving;
use crate::torrents::TorrentRules;

impl Tracker {
    /// Remove entries from the whitelist that have been idle for too long or past their end for a day, suspend those past
    /// their end, pass each to `each`, and return their number: 0 if there is none.
    ///
    /// One call is a bounded step: see [`retire`](crate::access::Whitelist::retire) of the whitelist. [`Tracker::forget`]
    /// removes the peers of the entries. `wall` is the wall clock, or `None` if it is not sane.
    pub fn retire(&mut self, now: Running, wall: Option<UnixSeconds>, mut each: impl FnMut(Retired)) -> usize {
        let Self { whitelist, walk, revoked, .. } = self;
        whitelist.retire(now, wall, |retired| {
            let (Retired::Removed(entry) | Retired::Suspended(entry)) = &retired;
            revoked.add(&entry.prefix);
            walk.go_round();
            each(retired);
        })
    }

    /// Remove the entries with exactly these prefixes from the whitelist, and return their number. One call removes at
    /// most [`crate::access::REMOVALS_A_CALL`] entries. [`Tracker::forget`] removes their peers.
    pub fn revoke(&mut self, prefixes: &[IpNet]) -> usize {
        let Self { whitelist, walk, revoked, .. } = self;
        whitelist.remove_all(prefixes, |entry| {
            revoked.add(&entry.prefix);
            walk.go_round();
        })
    }

    /// Replace the rule by which torrents are served. [`Tracker::forget`] removes the peers of those that no longer are.
    pub fn set_torrents(&mut self, torrents: TorrentRules) {
        self.torrents = torrents;
        self.walk.go_round();
    }

    /// Return the rule by which torrents are served.
    pub const fn torrents(&self) -> &TorrentRules {
        &self.torrents
    }

    /// Make a bounded step of the walk that removes the peers of retired or revoked addresses which are no longer
    /// admitted, and those of torrents that are no longer served. Call it until [`Tracker::has_forgotten`] returns true.
    pub fn forget(&mut self, now: Running) -> ForgetStep {
        let Self { pool, walk, revoked, whitelist, policy, torrents, .. } = self;
        let leaving = |info_hash: &_, horizon| {
            let admission = if horizon == Horizon::Lan { policy.lan } else { policy.wan };
            match admission {
                _ if !torrents.serve(info_hash) => Leaving::All,
                Admission::Whitelist => Leaving::AtAddresses,
                Admission::Open | Admission::Closed => Leaving::None,
            }
        };
        let goes = |address| revoked.may_cover(address) && !whitelist.covers(address);
        let step = pool.forget(walk, now, leaving, goes);
        if walk.has_ended() {
            revoked.clear();
        }
        self.counters.peers_revoked += step.removed as u64;
        step
    }

    /// Return the point at which the walk will have removed the peers of all addresses that are retired or revoked now.
    pub const fn forgetting_ends(&self) -> Milestone {
        self.walk.end()
    }

    /// Return whether the walk has reached `milestone`.
    pub fn has_forgotten(&self, milestone: Milestone) -> bool {
        self.walk.has_reached(milestone)
    }
}
