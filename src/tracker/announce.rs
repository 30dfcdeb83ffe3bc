//! An announce: admit the client, store it as a peer, and select other peers for the reply.

use core::net::IpAddr;

use super::{Caller, Refusal, Tracker};
use crate::clock::Running;
use crate::pool::{
    Ahead, Asker, Family, LineIndex, Place, Pool, Role, Stored, Tick, Upserted, V4, V6, address_of, endpoint,
    external_octets,
};
use crate::wire::{Announce, AnnounceReply, Event, SwarmCounts, Transport, udp};

/// Maximum number of peers in the reply to a client that announces too early.
const PEERS_FOR_THE_EARLY: usize = 8;

/// Outcome of an announce that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Added,
    Refreshed,
    /// Refreshed by an update before the minimum interval has passed.
    Early,
    /// Refreshed by `completed`, for a peer that was not a seeder: a download has finished.
    Completed,
    /// The client stopped, and is no longer stored.
    Left,
    /// The pool is full. The client is not stored, but it gets a reply.
    NotStored,
}

/// The swarms of an info-hash on both sides of the horizon, the client's side first.
type Swarms = [Option<LineIndex>; 2];

/// Outcome of an announce, and the place of the client.
#[derive(Clone, Copy, Debug)]
struct Kept {
    outcome: Outcome,
    swarms: Swarms,
    /// Place of the client in the swarm on its side.
    place: Option<Place>,
}

impl Tracker {
    /// Answer an announce from `from`. This allocates nothing: the reply borrows the tracker's own buffers.
    ///
    /// # Errors
    /// A [`Refusal`] if the client may not announce. Nothing is stored then.
    pub fn announce(
        &mut self,
        now: Running,
        from: IpAddr,
        transport: Transport,
        announce: &Announce,
    ) -> Result<AnnounceReply<'_>, Refusal> {
        let caller = self.who(from);
        self.announce_from(now, &caller, transport, announce)
    }

    /// Answer an announce of `caller`.
    pub(super) fn announce_from(
        &mut self,
        now: Running,
        caller: &Caller,
        transport: Transport,
        announce: &Announce,
    ) -> Result<AnnounceReply<'_>, Refusal> {
        let tick = self.pool.advance_to(now);
        let admitted = self.may_announce(now, caller, announce);
        let role = Role::of(announce);
        let stored = admitted.map(|()| self.store(tick, caller, announce, role));
        self.counters.announce(transport, announce, stored.map(|kept| kept.outcome));
        let kept = stored?;
        if kept.outcome == Outcome::Added {
            self.sources.add(caller.address);
        }
        let counted = self.tell(tick, caller, announce, role, transport, &kept);
        let mut counts = counted.unwrap_or_else(|| self.counts(tick, kept.swarms));
        if kept.outcome == Outcome::NotStored {
            count(&mut counts, role);
        }
        Ok(AnnounceReply {
            interval_seconds: self.interval_seconds(),
            min_interval_seconds: self.pace.min_interval_seconds,
            counts,
            peers4: self.peers4[..self.peers4_told].as_flattened(),
            peers6: self.peers6[..self.peers6_told].as_flattened(),
            external_ip: caller.address,
        })
    }

    /// Prefetch the swarms and the peers of the next announces, at most [`super::LOOK_AHEAD`]. This affects only the
    /// speed.
    pub fn look_ahead(&mut self, announces: &[Ahead]) {
        let Self { pool, networks, .. } = self;
        pool.prefetch(announces, |address| networks.horizon(address));
    }

    fn may_announce(&mut self, now: Running, caller: &Caller, announce: &Announce) -> Result<(), Refusal> {
        self.admission(now, caller, true)?;
        // Rule 4: no peer can be reached at port 0. But a client that stops is not stored, so it may announce port 0.
        if announce.port == 0 && announce.event != Event::Stopped { Err(Refusal::PortZero) } else { Ok(()) }
    }

    /// Store the announcing peer, or remove it.
    fn store(&mut self, now: Tick, caller: &Caller, announce: &Announce, role: Role) -> Kept {
        match caller.address {
            IpAddr::V4(v4) => self.store_in::<V4>(now, caller, announce, endpoint(&v4.octets(), announce.port), role),
            IpAddr::V6(v6) => self.store_in::<V6>(now, caller, announce, endpoint(&v6.octets(), announce.port), role),
        }
    }

    fn store_in<F: Family>(
        &mut self,
        tick: Tick,
        caller: &Caller,
        announce: &Announce,
        endpoint: F::Endpoint,
        role: Role,
    ) -> Kept {
        let mut other = self.pool.find(&announce.info_hash, caller.other_horizon());
        if announce.event == Event::Stopped {
            let own = self.pool.find(&announce.info_hash, caller.horizon);
            if let Some(own) = own {
                self.pool.remove::<F>(own, &endpoint, tick);
            }
            return Kept { outcome: Outcome::Left, swarms: [own, other], place: None };
        }
        self.pool.note_reach(caller.horizon, caller.reach);
        let mut upserted = self.pool.upsert::<F>(&announce.info_hash, caller.horizon, endpoint, role, tick);
        if upserted.stored == Stored::Full {
            upserted = self.store_where_full::<F>(tick, caller, announce, endpoint);
            // The eviction may have removed the last peers of the swarm on the other side, and freed its line.
            other = self.pool.find(&announce.info_hash, caller.other_horizon());
        }
        let Upserted { stored, swarm: own, place } = upserted;
        Kept { outcome: self.outcome(announce, stored, own), swarms: [own, other], place }
    }

    /// Evict peers, and store the client if this made room.
    #[cold]
    #[inline(never)]
    fn store_where_full<F: Family>(
        &mut self,
        tick: Tick,
        caller: &Caller,
        announce: &Announce,
        endpoint: F::Endpoint,
    ) -> Upserted {
        let evicted = self.pool.make_room(tick, address_of(&endpoint), self.pace.stale_after_ticks);
        self.counters.evicted(evicted);
        if self.pool.is_full() && !evicted.any() {
            let swarm = self.pool.find(&announce.info_hash, caller.horizon);
            return Upserted { stored: Stored::Full, swarm, place: None };
        }
        self.pool.upsert::<F>(&announce.info_hash, caller.horizon, endpoint, Role::of(announce), tick)
    }

    fn outcome(&mut self, announce: &Announce, stored: Stored, swarm: Option<LineIndex>) -> Outcome {
        match stored {
            Stored::Full => Outcome::NotStored,
            Stored::Added => Outcome::Added,
            // Rule 7: count a download once, and only for a peer that was stored as incomplete.
            Stored::Refreshed { before, .. }
                if announce.event == Event::Completed && announce.left == 0 && before != Role::Seeder =>
            {
                self.pool.count_completed(swarm);
                Outcome::Completed
            }
            Stored::Refreshed { age, .. } if announce.event == Event::Update && age < self.pace.early_below_ticks => {
                Outcome::Early
            }
            Stored::Refreshed { .. } => Outcome::Refreshed,
        }
    }

    /// Return the maximum number of peers in the reply (rules 3, 6 and 11).
    fn wanted(&self, announce: &Announce, outcome: Outcome) -> usize {
        let wanted = announce.num_want.map_or(usize::from(self.policy.default_peers), |wanted| wanted as usize);
        match outcome {
            Outcome::Left => 0,
            Outcome::Early => wanted.min(PEERS_FOR_THE_EARLY),
            _ => wanted.min(usize::from(self.policy.max_peers)),
        }
    }

    /// Write the peers of the reply into the buffers. If this visited every peer of the swarm, it also counted them:
    /// return these counts, so that the caller need not count again.
    fn tell(
        &mut self,
        tick: Tick,
        caller: &Caller,
        announce: &Announce,
        role: Role,
        transport: Transport,
        kept: &Kept,
    ) -> Option<SwarmCounts> {
        self.peers4_told = 0;
        self.peers6_told = 0;
        let wanted = self.wanted(announce, kept.outcome);
        if wanted == 0 {
            return None;
        }
        if let [Some(swarm), None] = kept.swarms
            && self.pool.shows_all(caller.horizon, caller.reach)
        {
            let complete = role != Role::Leecher;
            let all = match caller.address {
                IpAddr::V4(_) => {
                    let (out, wanted) = (&mut self.peers4[..], wanted.min(udp::MAX_PEERS4));
                    let all = self.pool.select_all::<V4>(swarm, kept.place, complete, tick, out, wanted);
                    all.map(|(told, counts)| (&mut self.peers4_told, told, counts))
                }
                IpAddr::V6(_) => {
                    let (out, wanted) = (&mut self.peers6[..], wanted.min(most_peers6(transport)));
                    let all = self.pool.select_all::<V6>(swarm, kept.place, complete, tick, out, wanted);
                    all.map(|(told, counts)| (&mut self.peers6_told, told, counts))
                }
            };
            if let Some((peers_told, told, counts)) = all {
                *peers_told = told;
                return Some(counts);
            }
        }
        self.choose(tick, caller, announce, transport, kept, wanted);
        None
    }

    /// Select peers from swarms of any size, on both sides of the horizon. A UDP reply has only peers of the packet's
    /// family (rule 10).
    #[inline(never)]
    fn choose(
        &mut self,
        tick: Tick,
        caller: &Caller,
        announce: &Announce,
        transport: Transport,
        kept: &Kept,
        wanted: usize,
    ) {
        let (endpoint4, endpoint6) = match caller.address {
            IpAddr::V4(v4) => (endpoint(&v4.octets(), announce.port), [0; 18]),
            IpAddr::V6(v6) => ([0; 6], endpoint(&v6.octets(), announce.port)),
        };
        let (Caller { horizon, reach, .. }, complete) = (*caller, Role::of(announce) != Role::Leecher);
        let swarms = kept.swarms;
        let stored = swarms[0].zip(kept.place);
        if transport == Transport::Http || caller.address.is_ipv4() {
            let external = external_octets::<V4>(self.policy.external);
            let stored = stored.filter(|_| caller.address.is_ipv4());
            let asker = Asker { endpoint: endpoint4, stored, horizon, reach, complete, external };
            let wanted = wanted.min(udp::MAX_PEERS4);
            self.peers4_told = select::<V4>(&mut self.pool, swarms, &asker, tick, &mut *self.peers4, wanted);
        }
        if transport == Transport::Http || caller.address.is_ipv6() {
            let external = external_octets::<V6>(self.policy.external);
            let stored = stored.filter(|_| caller.address.is_ipv6());
            let asker = Asker { endpoint: endpoint6, stored, horizon, reach, complete, external };
            let wanted = wanted.min(most_peers6(transport));
            self.peers6_told = select::<V6>(&mut self.pool, swarms, &asker, tick, &mut *self.peers6, wanted);
        }
    }

    /// Return the sum of the counts on both sides of the horizon.
    pub(super) fn counts(&self, tick: Tick, swarms: Swarms) -> SwarmCounts {
        let mut counts = SwarmCounts::default();
        swarms.into_iter().flatten().for_each(|swarm| counts += self.pool.counts(swarm, tick));
        counts
    }

    /// Return the interval plus a random part of up to a tenth, so that clients that announced together do not announce
    /// together again (rule 11).
    fn interval_seconds(&mut self) -> u32 {
        // A random fraction of the range: 32 bits after the binary point.
        let random = u64::from(self.random.u32(..));
        self.pace.interval_seconds + ((random * (u64::from(self.pace.jitter_seconds) + 1)) >> u32::BITS) as u32
    }
}

const fn most_peers6(transport: Transport) -> usize {
    match transport {
        Transport::Udp => udp::MAX_PEERS6,
        Transport::Http => udp::MAX_PEERS4,
    }
}

/// Select peers from the swarms in their order, and return their number. The client's own side comes first: for a LAN
/// client, a LAN peer is nearer than any other.
fn select<F: Family>(
    pool: &mut Pool,
    swarms: Swarms,
    asker: &Asker<F>,
    now: Tick,
    out: &mut [F::Endpoint],
    wanted: usize,
) -> usize {
    let mut told = 0;
    for swarm in swarms.into_iter().flatten() {
        let Some(rest) = out.get_mut(told..) else { break };
        told += pool.select::<F>(swarm, asker, now, rest, wanted - told);
    }
    told
}

/// Add a client that is not stored to the counts of its reply: they include the client (rule 8).
fn count(counts: &mut SwarmCounts, asker: Role) {
    counts.seeders += u32::from(asker == Role::Seeder);
    counts.leechers += u32::from(asker != Role::Seeder);
    counts.partial_seeds += u32::from(asker == Role::PartialSeed);
}
