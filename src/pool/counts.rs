//! The numbers of the peers of one swarm, and of everything that a pool holds.

use super::age::Tick;
use super::chain;
use super::family::{Family, V4, V6};
use super::line::{Forked, Inline, LineIndex, Swarm};
use super::meta_word::{MetaWord, RoleCounts, SlotMask};
use super::role::Role;
use super::swarms::Pool;
use super::tree;
use crate::clock::Running;
use crate::horizon::Horizon;
use crate::wire::{InfoHash, SwarmCounts};

/// The occupancy of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occupancy {
    /// Number of lines in the budget.
    pub(crate) lines: usize,
    pub(crate) lines_in_use: usize,
    pub(crate) swarms: usize,
    pub(crate) seeders: usize,
    /// Number of leechers, including partial seeds.
    pub(crate) leechers: usize,
    /// Number of swarms on the LAN.
    pub(crate) lan_swarms: usize,
    /// The peers by family and side.
    pub(crate) parts: [Part; 4],
}

/// Number of the peers of one family on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whether the peers have IPv6 addresses.
    pub is_ipv6: bool,
    /// Their side.
    pub horizon: Horizon,
    /// Number of those with the whole torrent.
    pub seeders: usize,
    /// Number of all others.
    pub leechers: usize,
}

impl Pool {
    /// Return the occupancy of the pool.
    pub(crate) fn occupancy(&self) -> Occupancy {
        let all = self.peers.all();
        let seeders = all.of(Role::Seeder);
        let lan_swarms = self.lan_swarms;
        Occupancy {
            lines: self.lines.limit(),
            lines_in_use: self.lines.in_use(),
            swarms: self.index.swarms(),
            seeders,
            leechers: all.total() - seeders,
            lan_swarms,
            parts: [
                self.part::<V4>(Horizon::Lan),
                self.part::<V4>(Horizon::Wan),
                self.part::<V6>(Horizon::Lan),
                self.part::<V6>(Horizon::Wan),
            ],
        }
    }

    fn part<F: Family>(&self, horizon: Horizon) -> Part {
        let part = self.peers.part::<F>(horizon);
        let seeders = part.of(Role::Seeder);
        Part { is_ipv6: F::ROOT == V6::ROOT, horizon, seeders, leechers: part.total() - seeders }
    }

    /// Return the number of dead peers that the sweeper has removed so far.
    pub(crate) const fn expired(&self) -> u64 {
        self.expired
    }

    /// Count a finished download.
    pub(crate) fn count_completed(&mut self, swarm: Option<LineIndex>) {
        if let Some(swarm) = swarm.and_then(|swarm| tree::swarm_at_mut(&mut self.lines, swarm)) {
            swarm.count_completed();
        }
    }

    /// Update the counts of a forked swarm when the role of a peer changes. `None` is the role of a peer that is not
    /// stored.
    pub(super) fn recount(&mut self, swarm: LineIndex, before: Option<Role>, after: Option<Role>) {
        if before != after
            && let Some(Swarm { inline: Inline::Forked(Forked { counted, .. }), .. }) =
                tree::swarm_at_mut(&mut self.lines, swarm)
        {
            before.into_iter().for_each(|role| counted.subtract(role));
            after.into_iter().for_each(|role| counted.add(role));
        }
    }

    /// Return the number of peers of a swarm, by role. A swarm without forks counts only its living peers. A swarm with
    /// a fork counts its stored peers, which until the next sweep include peers that have just died.
    pub(crate) fn counts(&self, swarm: LineIndex, now: Tick) -> SwarmCounts {
        let Some(own) = tree::swarm_at(&self.lines, swarm) else { return SwarmCounts::default() };
        let mut counts = match &own.inline {
            Inline::Forked(forked) => forked.counted.into(),
            _ => self.walk_counts(swarm, own, |meta_word| meta_word.alive(now)),
        };
        counts.completed = own.completed();
        counts
    }

    /// Return the info-hash, the side and the counts of the swarm in a line; `None` if the line has something else.
    pub(crate) fn swarm_at(&self, line: usize, now: Running) -> Option<(InfoHash, Horizon, SwarmCounts)> {
        let line = LineIndex::new(Some(line).filter(|line| *line < self.lines.touched())?);
        let swarm = tree::swarm_at(&self.lines, line)?;
        Some((swarm.info_hash, swarm.horizon, self.counts(line, self.tick_length.tick(now))))
    }

    /// Count the peers of a swarm without forks: those that `counting` selects from each word.
    pub(super) fn walk_counts(
        &self,
        swarm: LineIndex,
        own: &Swarm,
        counting: impl Fn(MetaWord) -> SlotMask,
    ) -> SwarmCounts {
        let mut counts = SwarmCounts::default();
        let mut add = |meta_word: MetaWord| {
            // If lines for a split were missing, a chain may be longer than one `RoleCounts` can count.
            let mut role_counts = RoleCounts::default();
            role_counts.add(meta_word, counting(meta_word));
            counts += role_counts.into();
        };
        match &own.inline {
            Inline::Peers4(inline) => add(inline.read().metas),
            Inline::Peers6(inline) => add(inline.read().metas),
            Inline::Forked(_) => {}
        }
        chain::walk::<V4>(&self.lines, own.roots[V4::ROOT], swarm).for_each(|(_, peers)| add(peers.metas));
        chain::walk::<V6>(&self.lines, own.roots[V6::ROOT], swarm).for_each(|(_, peers)| add(peers.metas));
        counts
    }
}
