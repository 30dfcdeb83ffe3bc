//! An announce: who is it, may they, store them, tell them of others.

use core::net::IpAddr;
use core::time::Duration;

use heapless::VecView;

use super::counters::Transport;
use super::horizon::{Horizon, reach};
use super::line::{Family, LineIndex, Role, Stamp, V4, V6};
use super::pool::{Pool, Stored};
use super::select::{Asker, external_octets};
use super::{Caller, Refusal, Tracker};
use crate::clock::Running;
use crate::wire::{Announce, AnnounceReply, Event, SwarmCounts, udp};

/// Peers that a client gets which comes back before its time.
const PEERS_FOR_THE_EARLY: usize = 8;

/// What came of an announce that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Added,
    Refreshed,
    /// Refreshed, before the time that it was asked to wait.
    Early,
    /// Refreshed, and a leecher before, so that a download has finished.
    Completed,
    /// It said that it stopped, and is not stored any more.
    Left,
    /// There was no room: it is answered all the same.
    NotStored,
}

/// The swarm on either side of the horizon: the asker's own first.
type Swarms = [Option<LineIndex>; 2];

impl Tracker {
    /// Answer an announce from `from`. Nothing is allocated; the reply borrows the tracker's own buffers.
    ///
    /// # Errors
    /// [`Refusal`] says why the client may not announce; nothing has been stored then.
    pub fn announce(
        &mut self,
        now: Running,
        from: IpAddr,
        transport: Transport,
        announce: &Announce,
    ) -> Result<AnnounceReply<'_>, Refusal> {
        self.announce_from(now, self.who(from), transport, announce)
    }

    /// Answer an announce of `caller`.
    pub(super) fn announce_from(
        &mut self,
        now: Running,
        caller: Caller,
        transport: Transport,
        announce: &Announce,
    ) -> Result<AnnounceReply<'_>, Refusal> {
        let admitted = self.may_announce(now, caller, announce);
        let stored = admitted.map(|()| self.store(now, caller, announce));
        self.counters.announce(transport, announce, stored.map(|(outcome, _)| outcome));
        let (outcome, swarms) = stored?;
        let wanted = self.wanted(announce, outcome);
        self.tell(now, caller, announce, transport, swarms, wanted);
        let mut counts = self.counts(now, swarms);
        if outcome == Outcome::NotStored {
            count(&mut counts, role(announce));
        }
        Ok(AnnounceReply {
            interval_seconds: self.interval_seconds(),
            min_interval_seconds: self.policy.min_interval.as_secs() as u32,
            counts,
            peers4: &self.peers4,
            peers6: &self.peers6,
            external_ip: caller.address,
        })
    }

    fn may_announce(&mut self, now: Running, caller: Caller, announce: &Announce) -> Result<(), Refusal> {
        self.admission(now, caller, true)?;
        // Rule 4: nobody can be reached at port 0, but whoever stored nothing may say so and leave.
        if announce.port == 0 && announce.event != Event::Stopped { Err(Refusal::PortZero) } else { Ok(()) }
    }

    /// Store the announcing peer, or remove it.
    fn store(&mut self, now: Running, caller: Caller, announce: &Announce) -> (Outcome, Swarms) {
        self.keep_up(now);
        match caller.address {
            IpAddr::V4(v4) => self.store_in::<6, V4>(now, caller, announce, endpoint(&v4.octets(), announce.port)),
            IpAddr::V6(v6) => self.store_in::<18, V6>(now, caller, announce, endpoint(&v6.octets(), announce.port)),
        }
    }

    fn store_in<const N: usize, F: Family<N>>(
        &mut self,
        now: Running,
        caller: Caller,
        announce: &Announce,
        endpoint: [u8; N],
    ) -> (Outcome, Swarms) {
        let stamp = self.pool.quanta.stamp(now);
        let other = self.pool.find_swarm(&announce.info_hash, caller.other_horizon());
        if announce.event == Event::Stopped {
            let own = self.pool.find_swarm(&announce.info_hash, caller.horizon);
            if let Some(own) = own {
                self.pool.remove::<N, F>(own, &endpoint, stamp);
            }
            return (Outcome::Left, [own, other]);
        }
        let role = role(announce);
        let mut stored = upsert::<N, F>(&mut self.pool, caller.horizon, announce, endpoint, role, stamp);
        if stored.0 == Stored::Full {
            let stale_after = self.pool.quanta.rounded_up(self.policy.interval.mul_f32(1.1));
            let (address, _) = endpoint.split_at(N - 2);
            let evicted = self.pool.make_room(stamp, address, stale_after);
            self.counters.evicted(evicted);
            if self.pool.lines.available() > 0 || evicted.any() {
                stored = upsert::<N, F>(&mut self.pool, caller.horizon, announce, endpoint, role, stamp);
            }
            // Making room may have taken the other swarm's last peers, and its line.
            let other = self.pool.find_swarm(&announce.info_hash, caller.other_horizon());
            return (self.outcome(announce, stored), [stored.1, other]);
        }
        (self.outcome(announce, stored), [stored.1, other])
    }

    fn outcome(&mut self, announce: &Announce, (stored, swarm): (Stored, Option<LineIndex>)) -> Outcome {
        match stored {
            Stored::Full => Outcome::NotStored,
            Stored::Added => Outcome::Added,
            // Rule 7: once, and only for a peer that was known to lack something.
            Stored::Refreshed { before, .. }
                if announce.event == Event::Completed && announce.left == 0 && before != Role::Seeder =>
            {
                self.pool.count_completed(swarm);
                Outcome::Completed
            }
            Stored::Refreshed { age, .. }
                if announce.event == Event::Update
                    && self.pool.quanta.surely_younger(age, self.policy.min_interval) =>
            {
                Outcome::Early
            }
            Stored::Refreshed { .. } => Outcome::Refreshed,
        }
    }

    /// How many peers the client gets, at most (rules 3, 6 and 11).
    fn wanted(&self, announce: &Announce, outcome: Outcome) -> usize {
        let wanted = announce.num_want.map_or(usize::from(self.policy.default_peers), |wanted| wanted as usize);
        match outcome {
            Outcome::Left => 0,
            Outcome::Early => wanted.min(PEERS_FOR_THE_EARLY),
            _ => wanted.min(usize::from(self.policy.max_peers)),
        }
    }

    /// Fill the reply's peers. Over UDP only those of the packet's family have a place (rule 10).
    fn tell(
        &mut self,
        now: Running,
        caller: Caller,
        announce: &Announce,
        transport: Transport,
        swarms: Swarms,
        wanted: usize,
    ) {
        self.peers4.clear();
        self.peers6.clear();
        let complete = role(announce) != Role::Leecher;
        let external = self.policy.external;
        let stamp = self.pool.quanta.stamp(now);
        let (endpoint4, endpoint6, reach) = match caller.address {
            IpAddr::V4(v4) => (Some(endpoint(&v4.octets(), announce.port)), None, reach(&v4.octets())),
            IpAddr::V6(v6) => (None, Some(endpoint(&v6.octets(), announce.port)), reach(&v6.octets())),
        };
        let horizon = caller.horizon;
        if transport == Transport::Http || endpoint4.is_some() {
            let external = external_octets::<6>(external);
            let asker = Asker { endpoint: endpoint4, horizon, reach, complete, external };
            select::<6, V4>(&mut self.pool, swarms, &asker, stamp, wanted, &mut self.peers4);
        }
        if transport == Transport::Http || endpoint6.is_some() {
            let external = external_octets::<18>(external);
            let asker = Asker { endpoint: endpoint6, horizon, reach, complete, external };
            let wanted = if transport == Transport::Udp { wanted.min(udp::MAX_PEERS6) } else { wanted };
            select::<18, V6>(&mut self.pool, swarms, &asker, stamp, wanted, &mut self.peers6);
        }
    }

    pub(super) fn counts(&self, now: Running, swarms: Swarms) -> SwarmCounts {
        let stamp = self.pool.quanta.stamp(now);
        let mut sum = SwarmCounts::default();
        for counts in swarms.into_iter().flatten().map(|swarm| self.pool.counts(swarm, stamp)) {
            sum.seeders += counts.seeders;
            sum.leechers += counts.leechers;
            sum.partial_seeds += counts.partial_seeds;
            sum.completed = sum.completed.saturating_add(counts.completed);
        }
        sum
    }

    /// The interval with up to a tenth added, so that clients that came together do not come back together (rule 11).
    fn interval_seconds(&mut self) -> u32 {
        let interval = self.policy.interval.as_secs() as u32;
        interval + self.pool.random.u32(..=interval / 10)
    }
}

fn upsert<const N: usize, F: Family<N>>(
    pool: &mut Pool,
    horizon: Horizon,
    announce: &Announce,
    endpoint: [u8; N],
    role: Role,
    now: Stamp,
) -> (Stored, Option<LineIndex>) {
    match pool.find_or_add_swarm(&announce.info_hash, horizon, now) {
        Some(swarm) => (pool.upsert::<N, F>(swarm, endpoint, role, now), Some(swarm)),
        None => (Stored::Full, None),
    }
}

/// The asker's own side first: a LAN peer that has the data is nearer than any other.
fn select<const N: usize, F: Family<N>>(
    pool: &mut Pool,
    swarms: Swarms,
    asker: &Asker<N>,
    now: Stamp,
    wanted: usize,
    out: &mut VecView<u8>,
) {
    for swarm in swarms.into_iter().flatten() {
        let still_wanted = wanted - out.len() / N;
        if still_wanted > 0 {
            pool.select::<N, F>(swarm, asker, now, still_wanted, out);
        }
    }
}

/// Rule 2: only a peer that lacks nothing is a seeder; rule 7: `paused` marks one that lacks nothing it wants.
fn role(announce: &Announce) -> Role {
    match announce.event {
        _ if announce.left == 0 => Role::Seeder,
        Event::Paused => Role::PartialSeed,
        _ => Role::Leecher,
    }
}

/// Rule 8: the counts include the asker, and one that is not stored has not been counted with the others.
fn count(counts: &mut SwarmCounts, asker: Role) {
    counts.seeders += u32::from(asker == Role::Seeder);
    counts.leechers += u32::from(asker != Role::Seeder);
    counts.partial_seeds += u32::from(asker == Role::PartialSeed);
}

/// An address and a port as they stand in a reply (BEP 23, BEP 7).
fn endpoint<const N: usize>(address: &[u8], port: u16) -> [u8; N] {
    let mut endpoint = [0; N];
    if let Some((octets, of_port)) = endpoint.split_last_chunk_mut::<2>() {
        octets.copy_from_slice(address);
        *of_port = port.to_be_bytes();
    }
    endpoint
}

/// Seconds in a duration as the wire has them.
pub(super) fn minutes_rounded_up(duration: Duration) -> u32 {
    duration.as_secs().div_ceil(60) as u32
}
