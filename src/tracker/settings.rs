//! What the core is told at its start, and what may change while it runs.

use core::time::Duration;

use ipnet::IpNet;

use crate::hash_key::HashKey;
use crate::horizon::External;
use crate::pool::TickLength;

/// Everything that the tracker is built from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Octets for all swarms and peers, index included.
    pub memory_octets: usize,
    /// Entries that the whitelist holds.
    pub whitelist_capacity: usize,
    /// How long after its last announce a peer is dead.
    pub peer_timeout: Duration,
    /// The local networks.
    pub lan: Vec<IpNet>,
    /// What may change while it runs.
    pub policy: Policy,
}

/// What may change while the tracker runs.
#[derive(Clone, Debug)]
pub struct Policy {
    /// When the next announce is wanted; the replies add up to a tenth, so that clients do not come back in step.
    pub interval: Duration,
    /// When the next announce is unwelcome no more.
    pub min_interval: Duration,
    /// Peers in a reply, at most.
    pub max_peers: u16,
    /// Peers in a reply to a client that does not say how many it wants.
    pub default_peers: u16,
    /// Who may announce from the local networks.
    pub lan: Admission,
    /// Who may announce from elsewhere.
    pub wan: Admission,
    /// Idle running time after which a whitelist entry is retired, unless it has its own.
    pub retire_after: Duration,
    /// When a refused client is told to try again (BEP 31).
    pub retry_in: Duration,
    /// What the WAN knows the gateway by.
    pub external: External,
    /// Networks whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpNet>,
}

/// What follows from the policy's times, reckoned once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) interval_seconds: u32,
    /// What is added to the interval, at most.
    pub(super) jitter_seconds: u32,
    pub(super) min_interval_seconds: u32,
    /// A peer that comes back at a lower age than this comes back before `min_interval`.
    pub(super) early_below_ticks: u8,
    /// A peer of at least this age has missed its announce.
    pub(super) stale_after_ticks: u8,
    /// When a refused client may try again.
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

/// Who may announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Everybody.
    Open,
    /// Who is on the whitelist.
    Whitelist,
    /// Nobody.
    Closed,
}

/// Secrets and the seed of a run, from the operating system; fixed ones make a test repeatable.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// Keys the index and the trees.
    pub hash: HashKey,
    /// Keys the connection ids.
    pub connection_ids: HashKey,
    /// Seeds the choice of peers.
    pub random: u64,
}
