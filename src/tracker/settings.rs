//! Settings of the core: those fixed at start, and the policy, which may change later.

use core::time::Duration;

use ipnet::IpNet;

use crate::access::Admission;
use crate::hash_key::HashKey;
use crate::horizon::External;
use crate::http::ForwardingHeader;
use crate::pool::TickLength;

/// Settings with which a tracker starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Memory for all swarms, peers and their index, in bytes.
    pub memory_octets: usize,
    /// Maximum number of entries in the whitelist.
    pub whitelist_capacity: usize,
    /// Time after its last announce at which a peer is dead.
    pub peer_timeout: Duration,
    /// The local networks.
    pub lan: Vec<IpNet>,
    /// The settings that may change while the tracker runs.
    pub policy: Policy,
}

impl Default for Settings {
    /// The defaults of the configuration. Only clients on the whitelist are admitted, because no network is local.
    fn default() -> Self {
        Self {
            memory_octets: 8 << 20,
            whitelist_capacity: 1024,
            peer_timeout: Duration::from_secs(45 * 60),
            lan: Vec::new(),
            policy: Policy::default(),
        }
    }
}

/// Settings that may change while the tracker runs.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Time until the next announce. Replies add up to a tenth, so that clients do not announce in step.
    pub interval: Duration,
    /// Minimum time until the next announce. The reply to an earlier update has few peers.
    pub min_interval: Duration,
    /// Maximum number of peers in a reply.
    pub max_peers: u16,
    /// Number of peers in a reply to a client that requests no number.
    pub default_peers: u16,
    /// Admission of clients in the local networks.
    pub lan: Admission,
    /// Admission of all other clients.
    pub wan: Admission,
    /// Idle time after which a whitelist entry is retired, in running time. An entry may have a value of its own.
    pub retire_after: Duration,
    /// Time after which a client that is not on the whitelist should try again (BEP 31).
    pub retry_in: Duration,
    /// External addresses of the gateway.
    pub external: External,
    /// Networks of trusted proxies: requests from there name their client in a header.
    pub proxies: Vec<IpNet>,
    /// The header in which these proxies name the client.
    pub forwarded_header: ForwardingHeader,
    /// Whether each connection from these proxies starts with a header of the PROXY protocol.
    pub proxy_protocol: bool,
}

impl Default for Policy {
    /// The defaults of the configuration.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30 * 60),
            min_interval: Duration::from_secs(5 * 60),
            max_peers: 200,
            default_peers: 50,
            lan: Admission::Open,
            wan: Admission::Whitelist,
            retire_after: Duration::from_secs(30 * 86_400),
            retry_in: Duration::from_secs(30 * 60),
            external: External::default(),
            proxies: Vec::new(),
            forwarded_header: ForwardingHeader::XForwardedFor,
            proxy_protocol: false,
        }
    }
}

/// Times of the policy, converted once to the units that requests need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) interval_seconds: u32,
    /// Maximum time that a reply adds to the interval.
    pub(super) jitter_seconds: u32,
    pub(super) min_interval_seconds: u32,
    /// A peer that announces again below this age announces before the minimum interval has passed.
    pub(super) early_below_ticks: u8,
    /// A peer of at least this age has missed an announce.
    pub(super) stale_after_ticks: u8,
    /// Time after which a client that is not on the whitelist should try again.
    pub(super) retry_in_minutes: u32,
}

impl Pace {
    pub(super) fn new(policy: &Policy, tick_length: TickLength) -> Self {
        let interval_seconds = policy.interval.as_secs() as u32;
        let jitter_seconds = interval_seconds / 10;
        Self {
            interval_seconds,
            jitter_seconds,
            min_interval_seconds: policy.min_interval.as_secs() as u32,
            early_below_ticks: tick_length.rounded_down(policy.min_interval),
            stale_after_ticks: tick_length
                .rounded_up(policy.interval + Duration::from_secs(u64::from(jitter_seconds)))
                .saturating_add(1),
            retry_in_minutes: policy.retry_in.as_secs().div_ceil(60).max(1) as u32,
        }
    }
}

/// Secret keys and random seed of a run. They come from the operating system, or are fixed to make a test repeatable.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// Key of the index and the trees.
    pub hash: HashKey,
    /// Key of the connection ids.
    pub connection_ids: HashKey,
    /// Seed of the random choices, such as the selection of peers.
    pub random: u64,
}
