//! What the core is told at its start, and what may change while it runs.

use core::time::Duration;

use ipnet::IpNet;

use super::horizon::External;
use super::index::HashKey;

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
