//! The policy of the tracker: admission, what an announce stores and which peers its reply names. [`crate::pool`] stores.
//!
//! Pure: time and random seeds are arguments, all memory is reserved in [`Tracker::new`], and no socket, file or log is
//! named here. The net layer passes in the bytes that it received ([`Tracker::answer_datagram`],
//! [`Tracker::answer_request`]) and sends the bytes that come out.

mod announce;
mod connection_id;
mod counters;
mod http;
mod nat_detector;
mod scrape;
mod settings;
mod udp;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::TryReserveError;

use ipnet::IpNet;

pub use connection_id::{ConnectionIds, LIFETIME_SECONDS as CONNECTION_ID_LIFETIME_SECONDS};
pub use counters::Counters;
pub use http::{AnnounceRequest, Answer, MAX_RESPONSE_OCTETS};
use settings::Pace;
pub use settings::{Admission, Policy, Seeds, Settings};

use crate::access::{Entry, PrefixFilter, Whitelist};
use crate::clock::{Running, UnixSeconds};
pub use crate::hash_key::HashKey;
pub use crate::horizon::{External, Horizon, LocalNetworks};
use crate::horizon::{Reach, reach};
pub use crate::pool::{Ahead, ForgetStep, LOOK_AHEAD, Milestone};
use crate::pool::{LINE_OCTETS, PEERS4_PER_LINE, PEERS6_PER_LINE, Pool, SLACK, TickLength, Walk};
pub use crate::wire::Transport;
use crate::wire::udp::MAX_PEERS4;
use nat_detector::NatDetector;

/// Octets that an entry of the whitelist takes, its places in the lookup tables included.
pub const WHITELIST_ENTRY_OCTETS: usize = crate::access::ENTRY_OCTETS;

/// Octets of peers in a reply, by family.
const PEERS4_OCTETS: usize = MAX_PEERS4 * 6;
const PEERS6_OCTETS: usize = MAX_PEERS4 * 18;

/// All state there is: the swarms, the whitelist, the counters.
#[derive(Debug)]
pub struct Tracker {
    budget_octets: usize,
    pool: Pool,
    whitelist: Whitelist,
    /// The walk that removes the peers of revoked and retired prefixes, and those prefixes since it began.
    walk: Walk,
    revoked: Box<PrefixFilter>,
    networks: LocalNetworks,
    policy: Policy,
    pace: Pace,
    nat_detector: NatDetector,
    connection_ids: ConnectionIds,
    /// Jitter of the announce interval.
    random: fastrand::Rng,
    /// What happened since the start; the shell adds what only it sees.
    pub counters: Counters,
    /// The peers of the reply at hand, as endpoints, and how many of them it has.
    peers4: Box<[[u8; 6]; MAX_PEERS4 + SLACK]>,
    peers4_told: usize,
    peers6: Box<[[u8; 18]; MAX_PEERS4 + SLACK]>,
    peers6_told: usize,
}

/// Why a client may not announce or scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its address is not on the whitelist.
    NotWhitelisted {
        /// Minutes after which it may try again (BEP 31).
        retry_in_minutes: u32,
    },
    /// Nobody may announce from outside the local networks.
    WanClosed,
    /// It announced port 0, at which nobody can reach it.
    PortZero,
}

impl Refusal {
    /// What a person reads in the client.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotWhitelisted { .. } => "this address is not on the tracker's whitelist",
            Self::WanClosed => "this tracker serves its local network only",
            Self::PortZero => "port 0 cannot be reached: let the client listen on a port",
        }
    }
}

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
struct Caller {
    /// The address, v4-mapped ones made v4 (rule 9).
    address: IpAddr,
    horizon: Horizon,
    reach: Reach,
}

impl Caller {
    const fn other_horizon(&self) -> Horizon {
        match self.horizon {
            Horizon::Lan => Horizon::Wan,
            Horizon::Wan => Horizon::Lan,
        }
    }
}

/// What a memory budget holds, and how much is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Octets that the budget is, the index of the swarms included.
    pub budget_octets: usize,
    /// Lines of 64 octets that the budget holds.
    pub lines: usize,
    /// Lines that hold something.
    pub lines_in_use: usize,
    /// Info-hashes known; one that is known on the LAN and on the WAN counts twice.
    pub swarms: usize,
    /// Peers with the whole torrent.
    pub seeders: usize,
    /// Peers without it, partial seeds included.
    pub leechers: usize,
    /// Entries of the whitelist.
    pub whitelist_entries: usize,
    /// Entries that the whitelist holds at most.
    pub whitelist_capacity: usize,
}

/// What a budget holds, told before it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Lines of 64 octets.
    pub lines: usize,
    /// Torrents, with up to four IPv4 peers each.
    pub torrents: usize,
    /// IPv4 peers, in swarms so large that their own lines do not count.
    pub peers4: usize,
    /// IPv6 peers, likewise.
    pub peers6: usize,
}

impl Capacity {
    /// The capacity of a budget of `octets`.
    pub fn of_budget(octets: usize) -> Self {
        let lines = Pool::lines_in(octets);
        // A torrent takes its own line and a fourteenth to a seventh of a line of the index.
        Self { lines, torrents: lines * 8 / 9, peers4: lines * PEERS4_PER_LINE, peers6: lines * PEERS6_PER_LINE }
    }

    /// Octets of a line.
    pub const LINE_OCTETS: usize = LINE_OCTETS;
}

impl Tracker {
    /// Take all memory that the tracker will ever use.
    ///
    /// # Errors
    /// When the system does not have that much.
    pub fn new(settings: Settings, seeds: Seeds) -> Result<Self, TryReserveError> {
        let tick_length = TickLength::of_lifetime(settings.peer_timeout);
        let mut random = fastrand::Rng::with_seed(seeds.random);
        Ok(Self {
            budget_octets: settings.memory_octets,
            pool: Pool::reserve(settings.memory_octets, tick_length, seeds.hash, random.u64(..))?,
            whitelist: Whitelist::with_capacity(settings.whitelist_capacity, settings.policy.retire_after)?,
            walk: Walk::default(),
            revoked: Box::default(),
            networks: LocalNetworks::new(&settings.lan),
            pace: Pace::new(&settings.policy, tick_length),
            policy: settings.policy,
            nat_detector: NatDetector::default(),
            connection_ids: ConnectionIds::new(seeds.connection_ids),
            random,
            counters: Counters::default(),
            peers4: Box::new([[0; 6]; MAX_PEERS4 + SLACK]),
            peers4_told: 0,
            peers6: Box::new([[0; 18]; MAX_PEERS4 + SLACK]),
            peers6_told: 0,
        })
    }

    /// Go on with another policy; what is stored stays.
    pub fn set_policy(&mut self, policy: Policy) {
        self.whitelist.set_retire_after(policy.retire_after);
        self.pace = Pace::new(&policy, self.pool.tick_length());
        self.policy = policy;
    }

    /// The gateway's external addresses have changed, or become known.
    pub fn set_external(&mut self, external: External) {
        self.policy.external = external;
    }

    /// The local networks have changed. Peers that are stored stay on the side that they were on until they announce.
    pub fn set_networks(&mut self, networks: LocalNetworks) {
        self.networks = networks;
    }

    /// The one address that all of many peers came from: a NAT in front of the tracker, it seems (rule 27).
    pub fn only_source(&self) -> Option<IpAddr> {
        self.nat_detector.only()
    }

    /// The whitelist, to read and to change. An entry that is removed there keeps its peers; see [`Tracker::revoke`].
    pub fn whitelist(&mut self) -> &mut Whitelist {
        &mut self.whitelist
    }

    /// The whitelist, to read.
    pub const fn whitelisted(&self) -> &Whitelist {
        &self.whitelist
    }

    #[cfg(test)]
    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    #[cfg(test)]
    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }

    fn who(&self, from: IpAddr) -> Caller {
        let address = from.to_canonical();
        let reach = match address {
            IpAddr::V4(v4) => reach(&v4.octets()),
            IpAddr::V6(v6) => reach(&v6.octets()),
        };
        Caller { address, horizon: self.networks.horizon(address), reach }
    }

    /// May this caller announce, or scrape? An announce keeps its whitelist entry from being retired.
    fn admission(&mut self, now: Running, caller: &Caller, announces: bool) -> Result<(), Refusal> {
        let admission = match caller.horizon {
            Horizon::Lan => self.policy.lan,
            Horizon::Wan => self.policy.wan,
        };
        let on_whitelist = |whitelist: &mut Whitelist| {
            if announces { whitelist.touch(caller.address, now) } else { whitelist.covers(caller.address) }
        };
        match admission {
            Admission::Open => Ok(()),
            Admission::Closed => Err(Refusal::WanClosed),
            Admission::Whitelist if on_whitelist(&mut self.whitelist) => Ok(()),
            Admission::Whitelist => Err(Refusal::NotWhitelisted { retry_in_minutes: self.pace.retry_in_minutes }),
        }
    }

    /// Remove some of the peers that are dead by now and return how long to wait before the next call.
    pub fn sweep(&mut self, now: Running) -> Duration {
        self.pool.sweep(now);
        self.counters.peers_expired = self.pool.expired();
        self.pool.sweep_wait()
    }

    /// Take entries that have been idle for too long, or have ended, off the whitelist, and hand them to `each`; return how
    /// many, 0 when none is due. It is a bounded step, as [`Whitelist::retire`] makes it; the peers leave with
    /// [`Tracker::forget`]. `wall` is the wall clock, if it is sane.
    pub fn retire(&mut self, now: Running, wall: Option<UnixSeconds>, mut each: impl FnMut(Entry)) -> usize {
        let Self { whitelist, walk, revoked, .. } = self;
        whitelist.retire(now, wall, |entry| {
            revoked.add(&entry.prefix);
            walk.go_round();
            each(entry);
        })
    }

    /// Take the entries of exactly these prefixes, of which there may be [`crate::access::REMOVALS_A_CALL`], off the
    /// whitelist; return how many there were. Their peers leave with [`Tracker::forget`].
    pub fn revoke(&mut self, prefixes: &[IpNet]) -> usize {
        let Self { whitelist, walk, revoked, .. } = self;
        whitelist.remove_all(prefixes, |entry| {
            revoked.add(&entry.prefix);
            walk.go_round();
        })
    }

    /// Make a bounded step of the walk that removes the peers of addresses that were retired or revoked and are not
    /// admitted any more. To be called until [`Tracker::has_forgotten`] says that all of them are gone.
    pub fn forget(&mut self, now: Running) -> ForgetStep {
        let Self { pool, walk, revoked, whitelist, policy, .. } = self;
        let on_whitelist = |horizon| {
            let admission = if horizon == Horizon::Lan { policy.lan } else { policy.wan };
            admission == Admission::Whitelist
        };
        let goes = |address| revoked.may_cover(address) && !whitelist.covers(address);
        let step = pool.forget(walk, now, on_whitelist, goes);
        if walk.has_ended() {
            revoked.clear();
        }
        self.counters.peers_revoked += step.removed as u64;
        step
    }

    /// When the walk will have removed the peers of all addresses that were retired or revoked by now.
    pub const fn forgetting_ends(&self) -> Milestone {
        self.walk.end()
    }

    /// Has the walk come as far as that?
    pub fn has_forgotten(&self, milestone: Milestone) -> bool {
        self.walk.has_reached(milestone)
    }

    /// How full everything is.
    pub fn usage(&self) -> Usage {
        let pool = self.pool.occupancy();
        Usage {
            budget_octets: self.budget_octets,
            lines: pool.lines,
            lines_in_use: pool.lines_in_use,
            swarms: pool.swarms,
            seeders: pool.seeders,
            leechers: pool.leechers,
            whitelist_entries: self.whitelist.len(),
            whitelist_capacity: self.whitelist.capacity(),
        }
    }

    /// Check every invariant of the pool, for tests: this walks all of it and allocates.
    ///
    /// # Errors
    /// Says which invariant does not hold, and where.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.pool.check_invariants()
    }
}
