//! The number of peers at an address, counted in bounded steps over all lines.

use core::net::IpAddr;
use core::ops::Range;

use super::endpoint::address_of;
use super::family::{Family, ItemsOf, Kind, V4, V6};
use super::line::{Line, LineIndex};
use super::swarms::Pool;
use crate::clock::Running;

impl Pool {
    /// Return the number of lines that [`Self::peers_at`] has to visit.
    pub(crate) fn lines_touched(&self) -> usize {
        self.lines.touched()
    }

    /// Return the number of live peers at `address` in `lines`, of both sides of the horizon. If peers move between two
    /// calls, one may be counted twice or not at all.
    pub(crate) fn peers_at(&self, address: IpAddr, lines: Range<usize>, now: Running) -> usize {
        match address {
            IpAddr::V4(v4) => self.peers_of::<V4>(&v4.octets(), lines, now),
            IpAddr::V6(v6) => self.peers_of::<V6>(&v6.octets(), lines, now),
        }
    }

    fn peers_of<F: Family>(&self, address: &[u8], lines: Range<usize>, now: Running) -> usize {
        let now = self.tick_length.tick(now);
        let here = |peers: ItemsOf<'_, F>| {
            peers.metas.alive(now).ascending().filter(|slot| address_of(&peers.endpoints[*slot]) == address).count()
        };
        let lines = (lines.start..lines.end.min(self.lines.touched())).map(|line| &self.lines[LineIndex::new(line)]);
        lines
            .map(|line| match line {
                Line::Swarm(swarm) => F::inline(swarm).map_or(0, here),
                line => <F as Kind>::items(line).map_or(0, |(peers, _)| here(peers)),
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::super::endpoint::endpoint;
    use super::super::{Role, TickLength};
    use super::*;
    use crate::hash_key::HashKey;
    use crate::horizon::Horizon;
    use crate::wire::InfoHash;

    #[test]
    fn the_peers_of_an_address_are_counted_in_all_swarms_until_they_are_dead() {
        let tick_length = TickLength::of_lifetime(Duration::from_secs(2700));
        let mut pool = Pool::reserve(1 << 20, tick_length, HashKey(1, 2), 3).expect("the memory");
        let now = Running::from_seconds(10);
        let tick = pool.advance_to(now);
        for (swarm, horizon) in (0..40).zip([Horizon::Lan, Horizon::Wan].into_iter().cycle()) {
            for port in 1..=swarm {
                let mine = endpoint::<6>(&[192, 0, 2, 1], port);
                let other = endpoint::<6>(&[192, 0, 2, 2], port);
                let six = endpoint::<18>(&[0x20; 16], port);
                let info_hash = InfoHash([swarm as u8; 20]);
                pool.upsert::<V4>(&info_hash, horizon, mine, Role::Leecher, tick);
                pool.upsert::<V4>(&info_hash, horizon, other, Role::Seeder, tick);
                pool.upsert::<V6>(&info_hash, horizon, six, Role::Seeder, tick);
            }
        }
        let expected = (0..40).sum::<usize>();
        let count = |address: [u8; 4], now| {
            let steps = (0..pool.lines_touched()).step_by(7);
            steps.map(|line| pool.peers_at(IpAddr::from(address), line..line + 7, now)).sum::<usize>()
        };
        assert_eq!(count([192, 0, 2, 1], now), expected);
        assert_eq!(count([192, 0, 2, 2], now), expected);
        assert_eq!(count([192, 0, 2, 3], now), 0);
        assert_eq!(pool.peers_at(IpAddr::from([0x20; 16]), 0..usize::MAX, now), expected);
        assert_eq!(count([192, 0, 2, 1], Running::from_seconds(3_000)), 0, "dead");
    }
}
