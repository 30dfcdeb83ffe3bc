//! The policy of the tracker: admit clients, store their announces, and select the peers of replies. [`crate::pool`] is
//! the storage.
//!
//! The module is pure: time and random seeds are arguments, all memory is reserved in [`Tracker::new`], and the code
//! uses no socket, file or log. The net layer passes in the bytes that it received ([`Tracker::answer_datagram`],
//! [`Tracker::answer_request`]) and sends the bytes of the reply.

mod announce;
mod connection_id;
mod counters;
mod http;
mod login;
mod refused;
mod removal;
mod scrape;
mod settings;
mod suspects;
mod tickets;
mod udp;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::TryReserveError;

pub use connection_id::ConnectionIds;
pub use counters::Counters;
use http::Hidden;
pub use http::{AnnounceRequest, Answer, MAX_RESPONSE_OCTETS};
use settings::Pace;
pub use settings::{Policy, Seeds, Settings};

pub use crate::access::Admission;

use crate::access::{PrefixFilter, Whitelist};
use crate::clock::Running;
pub use crate::hash_key::HashKey;
pub use crate::horizon::{External, Horizon, Networks};
use crate::horizon::{Reach, reach};
pub use crate::pool::{Ahead, ForgetStep, LOOK_AHEAD, Milestone, Part};
use crate::pool::{PEERS4_PER_LINE, PEERS6_PER_LINE, Pool, SLACK, TickLength, Walk};
use crate::torrents::TorrentRules;
use crate::wire::udp::MAX_PEERS4;
use refused::RefusedClients;
pub use refused::{RefusedClient, RefusedFor};
pub use scrape::Swarm;
use suspects::Sources;
pub use suspects::Suspect;
use tickets::Tickets;
pub use tickets::{Login, TicketRefusal, TicketRules};

/// Size in bytes of a whitelist entry, with its places in the lookup tables.
pub const WHITELIST_ENTRY_OCTETS: usize = crate::access::ENTRY_OCTETS;

/// Maximum size in bytes of the peers in a reply, by family.
const PEERS4_OCTETS: usize = MAX_PEERS4 * 6;
const PEERS6_OCTETS: usize = MAX_PEERS4 * 18;

/// All state of the tracker: the swarms, the whitelist, the counters.
#[derive(Debug)]
pub struct Tracker {
    budget_octets: usize,
    pool: Pool,
    whitelist: Whitelist,
    /// Walk that removes the peers of revoked and retired prefixes.
    walk: Walk,
    /// Prefixes that were revoked or retired since the walk began.
    revoked: Box<PrefixFilter>,
    networks: Networks,
    policy: Policy,
    pace: Pace,
    sources: Sources,
    refused: RefusedClients,
    connection_ids: ConnectionIds,
    tickets: Tickets,
    torrents: TorrentRules,
    /// Source of the jitter of the announce interval.
    random: fastrand::Rng,
    /// Numbers of events since the start. The shell counts its own events here too.
    pub counters: Counters,
    /// Buffer for the endpoints of the peers in the current reply, and the number of these peers, for each family.
    peers4: Box<[[u8; 6]; MAX_PEERS4 + SLACK]>,
    peers4_selected: usize,
    peers6: Box<[[u8; 18]; MAX_PEERS4 + SLACK]>,
    peers6_selected: usize,
}

/// Reason to refuse an announce or a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The address of the client is not on the whitelist.
    NotWhitelisted {
        /// Number of minutes after which the client should try again (BEP 31).
        retry_in_minutes: u32,
    },
    /// Clients outside the local networks may not announce.
    WanClosed,
    /// The tracker does not serve this torrent.
    TorrentNotServed,
    /// The client announced port 0, at which no peer can reach it.
    PortZero,
    /// The datagram came from a proxy. UDP names no client behind it.
    UdpFromProxy,
}

impl Refusal {
    /// Return the text that the user reads in the client.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotWhitelisted { .. } => "this address is not on the tracker's whitelist",
            Self::WanClosed => "this tracker serves its local network only",
            Self::TorrentNotServed => "this tracker does not serve this torrent",
            Self::PortZero => "port 0 cannot be reached: let the client listen on a port",
            Self::UdpFromProxy => "UDP through a proxy hides the client: announce over HTTP",
        }
    }
}

/// Sender of a request, as the socket reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The interface of a link-local IPv6 address (its scope id), or 0.
    pub link: u32,
    /// The address of this host at which the request arrived, if it is known.
    pub reached_at: Option<IpAddr>,
}

impl Sender {
    /// Create the sender at `socket`, whose request arrived at the address `reached_at` of this host.
    #[inline]
    pub fn new(socket: SocketAddr, reached_at: Option<IpAddr>) -> Self {
        let link = if let SocketAddr::V6(v6) = socket { v6.scope_id() } else { 0 };
        Self { address: socket.ip(), port: socket.port(), link, reached_at }
    }
}

impl From<SocketAddr> for Sender {
    #[inline]
    fn from(socket: SocketAddr) -> Self {
        Self::new(socket, None)
    }
}

impl From<IpAddr> for Sender {
    #[inline]
    fn from(address: IpAddr) -> Self {
        Self { address, port: 0, link: 0, reached_at: None }
    }
}

/// The client that sent a request.
#[derive(Clone, Copy, Debug)]
struct Caller {
    /// Its address. A v4-mapped address was converted to IPv4 (rule 9).
    address: IpAddr,
    horizon: Horizon,
    reach: Reach,
    /// The address of this host at which it reached the tracker, if it is known.
    reached_at: Option<IpAddr>,
}

impl Caller {
    const fn other_horizon(&self) -> Horizon {
        match self.horizon {
            Horizon::Lan => Horizon::Wan,
            Horizon::Wan => Horizon::Lan,
        }
    }
}

/// Sizes of the memory budget and the whitelist, and how much of them is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Size of the budget in bytes, with the index of the swarms.
    pub budget_octets: usize,
    /// Number of lines of 64 bytes in the budget.
    pub lines: usize,
    /// Number of lines in use.
    pub lines_in_use: usize,
    /// Number of swarms. An info-hash with a swarm on the LAN and a swarm on the WAN counts twice.
    pub swarms: usize,
    /// Number of peers with the whole torrent.
    pub seeders: usize,
    /// Number of all other peers, partial seeds included.
    pub leechers: usize,
    /// Number of swarms on the LAN; the others are on the WAN.
    pub lan_swarms: usize,
    /// The peers by family and side.
    pub parts: [Part; 4],
    /// Number of entries in the whitelist.
    pub whitelist_entries: usize,
    /// Maximum number of entries in the whitelist.
    pub whitelist_capacity: usize,
}

/// Capacity of a budget, calculated before its memory is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Number of lines of 64 bytes.
    pub lines: usize,
    /// Number of torrents, if each has up to four IPv4 peers.
    pub torrents: usize,
    /// Number of IPv4 peers, if the swarms are so large that the lines of the swarms themselves are negligible.
    pub peers4: usize,
    /// Number of IPv6 peers in such large swarms.
    pub peers6: usize,
}

impl Capacity {
    /// Calculate the capacity of a budget of `octets` bytes.
    pub fn of_budget(octets: usize) -> Self {
        let lines = Pool::lines_in(octets);
        // A torrent needs its own line, and between 1/14 and 1/7 of a line of the index.
        Self { lines, torrents: lines * 8 / 9, peers4: lines * PEERS4_PER_LINE, peers6: lines * PEERS6_PER_LINE }
    }
}

impl Tracker {
    /// Create a tracker, and reserve all memory that it will ever use.
    ///
    /// # Errors
    /// If the system does not provide the memory.
    pub fn new(settings: Settings, seeds: Seeds) -> Result<Self, TryReserveError> {
        let tick_length = TickLength::of_lifetime(settings.peer_timeout);
        let mut random = fastrand::Rng::with_seed(seeds.random);
        Ok(Self {
            budget_octets: settings.memory_octets,
            pool: Pool::reserve(settings.memory_octets, tick_length, seeds.hash, random.u64(..))?,
            whitelist: Whitelist::with_capacity(settings.whitelist_capacity, settings.policy.retire_after)?,
            walk: Walk::default(),
            revoked: Box::default(),
            networks: Networks::local(&settings.lan),
            pace: Pace::new(&settings.policy, tick_length),
            policy: settings.policy,
            sources: Sources::default(),
            refused: RefusedClients::default(),
            connection_ids: ConnectionIds::new(seeds.connection_ids),
            tickets: Tickets::new(HashKey(random.u64(..), random.u64(..))),
            torrents: TorrentRules::default(),
            random,
            counters: Counters::default(),
            peers4: Box::new([[0; 6]; MAX_PEERS4 + SLACK]),
            peers4_selected: 0,
            peers6: Box::new([[0; 18]; MAX_PEERS4 + SLACK]),
            peers6_selected: 0,
        })
    }

    /// Replace the secret key of the connection ids. All ids issued before become invalid.
    pub const fn renew_connection_ids(&mut self, key: HashKey) {
        self.connection_ids = ConnectionIds::new(key);
    }

    /// Replace the policy. All stored peers and whitelist entries stay.
    pub fn set_policy(&mut self, policy: Policy) {
        self.whitelist.set_retire_after(policy.retire_after);
        self.pace = Pace::new(&policy, self.pool.tick_length());
        self.policy = policy;
    }

    /// Replace the external addresses of the gateway, which have changed or become known.
    pub fn set_external(&mut self, external: External) {
        self.policy.external = external;
    }

    /// Replace the networks with known sides. A stored peer stays on its old side until it is dead; its next announce stores it on
    /// the new side.
    pub fn set_networks(&mut self, networks: Networks) {
        self.networks = networks;
    }

    /// Return the sources of requests that seem to hide their clients.
    pub fn suspects(&self) -> impl Iterator<Item = Suspect> {
        let nat = self.sources.nat().map(|address| {
            let is_local = self.networks.horizon(address) == Horizon::Lan;
            Suspect::Nat { address, bypasses_whitelist: is_local && self.policy.lan == Admission::Open }
        });
        // A reload may have added the proxy to the configuration since.
        let forgotten = self.sources.forgotten_proxy.filter(|address| !self.is_proxy(*address));
        let proxy = forgotten.map(|address| Suspect::ForgottenProxy { address });
        nat.into_iter().chain(proxy)
    }

    /// Return the clients that were refused lately, in no order.
    pub fn refused(&self) -> impl Iterator<Item = &RefusedClient> {
        self.refused.iter()
    }

    /// Return the whitelist, to read and to change it. If an entry is removed there, its peers stay: to remove them as
    /// well, call [`Tracker::revoke`].
    pub fn whitelist(&mut self) -> &mut Whitelist {
        &mut self.whitelist
    }

    /// Return the whitelist, to read it.
    pub const fn whitelisted(&self) -> &Whitelist {
        &self.whitelist
    }

    #[cfg(test)]
    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Return the policy in effect.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    #[inline]
    fn caller(&self, sender: Sender) -> Caller {
        let address = sender.address.to_canonical();
        let reach = match address {
            IpAddr::V4(v4) => reach(&v4.octets()),
            IpAddr::V6(v6) => reach(&v6.octets()),
        };
        let horizon = self.networks.horizon_on_link(address, sender.link);
        Caller { address, horizon, reach, reached_at: sender.reached_at }
    }

    /// Check whether a client may announce or scrape. An announce restarts the idle time of its whitelist entry, which
    /// keeps the entry from being retired.
    #[inline(always)]
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

    /// Return the side of an address, and the rule of admission there.
    pub fn admission_at(&self, address: IpAddr) -> (Horizon, Admission) {
        let horizon = self.networks.horizon(address.to_canonical());
        (horizon, if horizon == Horizon::Lan { self.policy.lan } else { self.policy.wan })
    }

    /// Return the number of lines that [`Self::peers_at`] has to visit.
    pub fn lines_touched(&self) -> usize {
        self.pool.lines_touched()
    }

    /// Return the number of live peers at `address` in these lines of the pool: a bounded step of a count.
    pub fn peers_at(&self, address: IpAddr, lines: core::ops::Range<usize>, now: Running) -> usize {
        self.pool.peers_at(address.to_canonical(), lines, now)
    }

    /// Remove some of the dead peers, and return the time to wait before the next call.
    pub fn sweep(&mut self, now: Running) -> Duration {
        self.pool.sweep(now);
        self.counters.peers_expired = self.pool.expired();
        self.pool.sweep_wait()
    }

    /// Return the sizes of the memory budget and the whitelist, and how much of them is in use.
    pub fn usage(&self) -> Usage {
        let pool = self.pool.occupancy();
        Usage {
            budget_octets: self.budget_octets,
            lines: pool.lines,
            lines_in_use: pool.lines_in_use,
            swarms: pool.swarms,
            seeders: pool.seeders,
            leechers: pool.leechers,
            lan_swarms: pool.lan_swarms,
            parts: pool.parts,
            whitelist_entries: self.whitelist.len(),
            whitelist_capacity: self.whitelist.capacity(),
        }
    }

    /// Check every invariant of the pool. This is for tests: it visits the whole pool, and allocates.
    ///
    /// # Errors
    /// A text that names the broken invariant and its place.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.pool.check_invariants()
    }
}

#[cfg(test)]
mod tests;
