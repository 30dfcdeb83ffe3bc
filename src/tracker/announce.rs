//! An announce: admit the client, store it as a peer, and select other peers for the reply.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Caller, Refusal, RefusedFor, Tracker};
use crate::clock::Running;
use crate::horizon::{External, Horizon};
use crate::pool::{
    Ahead, Asker, Family, LineIndex, Place, Pool, Role, Stored, Tick, Upserted, V4, V6, address_of, endpoint, octets_of,
};
use crate::wire::{Announce, AnnounceReply, Event, SwarmCounts, Transport, udp};

/// Maximum number of peers in the reply to a client that announces too early.
const EARLY_PEERS: usize = 8;

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

/// An announce that was admitted.
#[derive(Clone, Copy, Debug)]
struct Admitted<'a> {
    caller: &'a Caller,
    announce: &'a Announce,
    role: Role,
    transport: Transport,
    tick: Tick,
}

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
        let caller = self.caller(from.into());
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
        let admitted =
            Admitted { caller, announce, role: Role::of(announce), transport, tick: self.pool.advance_to(now) };
        let stored = self.may_announce(now, caller, announce).map(|()| self.store(&admitted));
        self.counters.announce(transport, caller.horizon, announce, stored.map(|kept| kept.outcome));
        let kept = match stored {
            Ok(kept) => kept,
            Err(refusal) => return Err(self.refuse(now, caller, refusal)),
        };
        if kept.outcome == Outcome::Added {
            self.sources.add(caller.address);
        }
        let counted = self.select(&admitted, &kept);
        let mut counts = counted.unwrap_or_else(|| self.counts(admitted.tick, kept.swarms));
        if kept.outcome == Outcome::NotStored {
            count(&mut counts, admitted.role);
        }
        Ok(AnnounceReply {
            interval_seconds: self.interval_seconds(),
            min_interval_seconds: self.pace.min_interval_seconds,
            counts,
            peers4: self.peers4[..self.peers4_selected].as_flattened(),
            peers6: self.peers6[..self.peers6_selected].as_flattened(),
            external_ip: caller.address,
        })
    }

    /// Prefetch the swarms and the peers of the next announces, at most [`super::LOOK_AHEAD`]. This affects only the
    /// speed.
    pub fn look_ahead(&mut self, announces: &[Ahead]) {
        let Self { pool, networks, .. } = self;
        pool.prefetch(announces, |address| networks.horizon(address));
    }

    /// Note a refusal, and return it.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse(&mut self, now: Running, caller: &Caller, refusal: Refusal) -> Refusal {
        self.refused.note(caller.address, RefusedFor::Request(refusal), now);
        refusal
    }

    fn may_announce(&mut self, now: Running, caller: &Caller, announce: &Announce) -> Result<(), Refusal> {
        self.admission(now, caller, true)?;
        if !self.torrents.serve(&announce.info_hash) {
            return Err(Refusal::TorrentNotServed);
        }
        // Rule 4: no peer can be reached at port 0. But a client that stops is not stored, so it may announce port 0.
        if announce.port == 0 && announce.event != Event::Stopped { Err(Refusal::PortZero) } else { Ok(()) }
    }

    /// Store the announcing peer, or remove it.
    fn store(&mut self, admitted: &Admitted<'_>) -> Kept {
        let port = admitted.announce.port;
        match admitted.caller.address {
            IpAddr::V4(v4) => self.store_in::<V4>(admitted, endpoint(&v4.octets(), port)),
            IpAddr::V6(v6) => self.store_in::<V6>(admitted, endpoint(&v6.octets(), port)),
        }
    }

    fn store_in<F: Family>(&mut self, admitted: &Admitted<'_>, endpoint: F::Endpoint) -> Kept {
        let Admitted { caller, announce, role, tick, .. } = *admitted;
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
            upserted = self.store_where_full::<F>(admitted, endpoint);
            // The eviction may have removed the last peers of the swarm on the other side, and freed its line.
            other = self.pool.find(&announce.info_hash, caller.other_horizon());
        }
        let Upserted { stored, swarm: own, place } = upserted;
        Kept { outcome: self.outcome(announce, stored, own), swarms: [own, other], place }
    }

    /// Evict peers, and store the client if this made room.
    #[cold]
    #[inline(never)]
    fn store_where_full<F: Family>(&mut self, admitted: &Admitted<'_>, endpoint: F::Endpoint) -> Upserted {
        let Admitted { caller, announce, role, tick, .. } = *admitted;
        let evicted = self.pool.make_room(tick, address_of(&endpoint), self.pace.stale_after_ticks);
        self.counters.evicted(evicted);
        if self.pool.is_full() && !evicted.any() {
            let swarm = self.pool.find(&announce.info_hash, caller.horizon);
            return Upserted { stored: Stored::Full, swarm, place: None };
        }
        self.pool.upsert::<F>(&announce.info_hash, caller.horizon, endpoint, role, tick)
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
            Outcome::Early => wanted.min(EARLY_PEERS),
            _ => wanted.min(usize::from(self.policy.max_peers)),
        }
    }

    /// Write the peers of the reply into the buffers. If this visited every peer of the swarm, it also counted them:
    /// return these counts, so that the caller need not count again.
    fn select(&mut self, admitted: &Admitted<'_>, kept: &Kept) -> Option<SwarmCounts> {
        self.peers4_selected = 0;
        self.peers6_selected = 0;
        let wanted = self.wanted(admitted.announce, kept.outcome);
        if wanted == 0 {
            return None;
        }
        let all = self.select_all(admitted, kept, wanted);
        if all.is_none() {
            self.select_some(admitted, kept, wanted);
        }
        all
    }

    /// Select and count all useful peers, if they are in one small swarm and the client may receive each of them.
    #[inline]
    fn select_all(&mut self, admitted: &Admitted<'_>, kept: &Kept, wanted: usize) -> Option<SwarmCounts> {
        let Admitted { caller, role, transport, tick, .. } = *admitted;
        let [Some(swarm), None] = kept.swarms else { return None };
        if !self.pool.shows_all(caller.horizon, caller.reach) {
            return None;
        }
        let complete = role != Role::Leecher;
        if caller.address.is_ipv4() {
            let (out, wanted) = (&mut self.peers4[..], wanted.min(udp::MAX_PEERS4));
            let (selected, counts) = self.pool.select_all::<V4>(swarm, kept.place, complete, tick, out, wanted)?;
            self.peers4_selected = selected;
            Some(counts)
        } else {
            let (out, wanted) = (&mut self.peers6[..], wanted.min(most_peers6(transport)));
            let (selected, counts) = self.pool.select_all::<V6>(swarm, kept.place, complete, tick, out, wanted)?;
            self.peers6_selected = selected;
            Some(counts)
        }
    }

    /// Select peers from swarms of any size, on both sides of the horizon. A UDP reply has only peers of the packet's
    /// family (rule 10).
    #[inline(never)]
    fn select_some(&mut self, admitted: &Admitted<'_>, kept: &Kept, wanted: usize) {
        let Admitted { caller, announce, transport, tick, .. } = *admitted;
        let (endpoint4, endpoint6) = match caller.address {
            IpAddr::V4(v4) => (endpoint(&v4.octets(), announce.port), V6::NO_ENDPOINT),
            IpAddr::V6(v6) => (V4::NO_ENDPOINT, endpoint(&v6.octets(), announce.port)),
        };
        if transport == Transport::Http || caller.address.is_ipv4() {
            let asker = self.asker::<V4>(admitted, kept, endpoint4);
            let wanted = wanted.min(udp::MAX_PEERS4);
            self.peers4_selected = select::<V4>(&mut self.pool, kept.swarms, &asker, tick, &mut *self.peers4, wanted);
        }
        if transport == Transport::Http || caller.address.is_ipv6() {
            let asker = self.asker::<V6>(admitted, kept, endpoint6);
            let wanted = wanted.min(most_peers6(transport));
            self.peers6_selected = select::<V6>(&mut self.pool, kept.swarms, &asker, tick, &mut *self.peers6, wanted);
        }
    }

    /// Return the client as the asker for peers of a family, in which it has this endpoint.
    fn asker<F: Family>(&self, admitted: &Admitted<'_>, kept: &Kept, endpoint: F::Endpoint) -> Asker<F> {
        let Caller { horizon, reach, reached_at, .. } = *admitted.caller;
        let External { v4, v6, host_v6 } = self.policy.external;
        let of_family = |v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>| {
            octets_of::<F>(v4.map(IpAddr::V4)).or_else(|| octets_of::<F>(v6.map(IpAddr::V6)))
        };
        Asker {
            endpoint,
            stored: kept.swarms[0].zip(kept.place).filter(|_| endpoint != F::NO_ENDPOINT),
            horizon,
            reach,
            complete: admitted.role != Role::Leecher,
            external: of_family(v4, v6),
            host: match horizon {
                Horizon::Lan => octets_of::<F>(reached_at.filter(|address| !address.is_loopback())),
                Horizon::Wan => of_family(v4, host_v6),
            },
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
    let mut selected = 0;
    for swarm in swarms.into_iter().flatten() {
        let Some(rest) = out.get_mut(selected..) else { break };
        selected += pool.select::<F>(swarm, asker, now, rest, wanted - selected);
    }
    selected
}

/// Add a client that is not stored to the counts of its reply: they include the client (rule 8).
fn count(counts: &mut SwarmCounts, asker: Role) {
    counts.seeders += u32::from(asker == Role::Seeder);
    counts.leechers += u32::from(asker != Role::Seeder);
    counts.partial_seeds += u32::from(asker == Role::PartialSeed);
}
