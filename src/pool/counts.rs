//! The numbers of a swarm's peers, and of all that a pool holds.

use super::age::Stamp;
use super::chain;
use super::family::{Family, V4, V6};
use super::line::{Few, LineIndex, Peers, Swarm};
use super::meta_word::{Roll, Slots, Tally};
use super::role::Role;
use super::swarms::Pool;
use super::tree;
use crate::wire::SwarmCounts;

/// The use that is made of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occupancy {
    /// Lines that the budget holds.
    pub(crate) lines: usize,
    pub(crate) lines_in_use: usize,
    pub(crate) swarms: usize,
    pub(crate) seeders: usize,
    /// Partial seeds included.
    pub(crate) leechers: usize,
}

impl Pool {
    /// The use that is made of the pool.
    pub(crate) fn occupancy(&self) -> Occupancy {
        let seeders = self.peers.of(Role::Seeder);
        Occupancy {
            lines: self.lines.limit(),
            lines_in_use: self.lines.in_use(),
            swarms: self.index.swarms(),
            seeders,
            leechers: self.peers.total() - seeders,
        }
    }

    /// Peers that the sweeper has found dead so far.
    pub(crate) const fn expired(&self) -> u64 {
        self.expired
    }

    /// Count a finished download.
    pub(crate) fn count_completed(&mut self, swarm: Option<LineIndex>) {
        if let Some(swarm) = swarm.and_then(|swarm| tree::swarm_at_mut(&mut self.lines, swarm)) {
            swarm.count_completed();
        }
    }

    /// Keep the counts of a forked swarm.
    pub(super) fn recount(&mut self, swarm: LineIndex, before: Option<Role>, after: Option<Role>) {
        if let Some(Swarm { few: Few::Counted(counted), .. }) = tree::swarm_at_mut(&mut self.lines, swarm)
            && before != after
        {
            before.into_iter().for_each(|role| counted.subtract(role));
            after.into_iter().for_each(|role| counted.add(role));
        }
    }

    /// How many peers a swarm has, by role. Of a small swarm, those still alive; of a forked one, those stored, which
    /// includes for one sweep those that have just died.
    pub(crate) fn counts(&self, swarm: LineIndex, now: Stamp) -> SwarmCounts {
        let Some(own) = tree::swarm_at(&self.lines, swarm) else { return SwarmCounts::default() };
        let mut counts = match own.few {
            Few::Counted(counted) => counted.into(),
            _ => self.walk_counts(swarm, own, |roll| roll.alive(now)),
        };
        counts.completed = own.completed();
        counts
    }

    /// Count those peers of a swarm without forks that `counting` picks from each roll.
    pub(super) fn walk_counts(&self, swarm: LineIndex, own: &Swarm, counting: impl Fn(Roll) -> Slots) -> SwarmCounts {
        let mut counts = SwarmCounts::default();
        let mut add = |roll: Roll| {
            // A chain may have grown for want of lines to split it with, longer than a tally can count.
            let mut tally = Tally::default();
            tally.add(roll, counting(roll));
            counts += tally.into();
        };
        match &own.few {
            Few::Four(few) => add(few.roll()),
            Few::Six(few) => add(few.roll()),
            Few::Counted(_) => {}
        }
        chain::walk::<V4>(&self.lines, own.roots[V4::ROOT], swarm).for_each(|(_, peers)| add(peers.roll()));
        chain::walk::<V6>(&self.lines, own.roots[V6::ROOT], swarm).for_each(|(_, peers)| add(peers.roll()));
        counts
    }
}
