//! The configuration: one TOML file in which every key has a default, and a few flags on top of it.
//!
//! The structs here say what a configuration is and what it is by default; `keys` says, once for each key, what may be
//! set and what it means, and from that come the reading of a file, its error messages and the sample that we ship.

mod constraints;
mod error;
mod keys;
mod paths;
mod reader;
mod source;
pub mod units;
mod value;

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use log::LevelFilter;

pub use error::Error;
pub(crate) use error::quote;
pub(crate) use keys::default_of;
pub use keys::sample;
pub use paths::{Paths, is_daemons, is_writable};
pub(crate) use source::retire_after;
pub use source::{Loaded, SYSTEM_FILE, Source};
use units::{days, mib, minutes, seconds};

/// The port that clients know for trackers.
pub const DEFAULT_PORT: u16 = 6969;

/// All that can be configured. What each key means is in the sample, `nakodo.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Addresses that HTTP and UDP listen on; port 0 means any.
    pub listen: Vec<SocketAddr>,
    /// Where the whitelist is kept; [`Config::paths`] chooses when there is none.
    pub data_dir: Option<PathBuf>,
    /// The budget for all swarms and peers, in octets.
    pub memory_octets: u64,
    /// What announcing clients are told.
    pub announce: Announce,
    /// Who may announce.
    pub access: Access,
    /// Which networks are local, and how the world sees them.
    pub network: Network,
    /// The HTTP listener's patience.
    pub http: Http,
    /// How the tracker is administered.
    pub admin: Admin,
    /// What is logged.
    pub log: Log,
}

/// What announcing clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// When a client should announce again.
    pub interval: Duration,
    /// When it may at the earliest.
    pub min_interval: Duration,
    /// When a peer that has not announced again is forgotten.
    pub peer_timeout: Duration,
    /// How many peers a reply has at most.
    pub max_peers: u32,
    /// How many it has when the client does not say.
    pub default_peers: u32,
}

/// Who may announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who may from a local network; never [`Policy::Closed`].
    pub lan: Policy,
    /// Who may from elsewhere.
    pub wan: Policy,
    /// The idle running time after which an entry leaves the whitelist, unless it says otherwise itself.
    pub retire_after: Duration,
    /// How many entries the whitelist has room for.
    pub capacity: u32,
    /// How often idle times may be written to flash.
    pub save_every: Duration,
    /// When a refused client is told to try again (BEP 31).
    pub retry_in: Duration,
}

/// Who of a network may announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Everybody.
    Open,
    /// Who is on the whitelist.
    Whitelist,
    /// Nobody.
    Closed,
}

impl Policy {
    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Open => "open",
            Policy::Whitelist => "whitelist",
            Policy::Closed => "closed",
        }
    }
}

/// Which networks are local, and how the world sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The local networks.
    pub lan: Vec<IpNet>,
    /// The IPv4 address under which the world sees the LAN.
    pub external_v4: Option<Ipv4Addr>,
    /// The IPv6 address under which the world sees a LAN peer that has only a local one.
    pub external_v6: Option<Ipv6Addr>,
    /// The interface whose addresses are the external ones, where they are not given.
    pub interface: Option<String>,
    /// The reverse proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpNet>,
}

/// The HTTP listener's patience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// How many connections may be open at once.
    pub connections: u32,
    /// How long a request's head may take to arrive.
    pub head_timeout: Duration,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Duration,
}

/// How the tracker is administered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The Unix socket that the commands talk to; [`Config::paths`] chooses when there is none.
    pub socket: Option<PathBuf>,
    /// A TCP address for the same API, which then takes a bearer token.
    pub listen: Option<SocketAddr>,
    /// The file that holds that token.
    pub token_file: Option<PathBuf>,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least urgent kind of line that is.
    pub level: LevelFilter,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT)),
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT)),
            ],
            data_dir: None,
            memory_octets: mib(8),
            announce: Announce {
                interval: minutes(30),
                min_interval: minutes(5),
                peer_timeout: minutes(45),
                max_peers: 200,
                default_peers: 50,
            },
            access: Access {
                lan: Policy::Open,
                wan: Policy::Whitelist,
                retire_after: days(30),
                capacity: 1024,
                save_every: minutes(10),
                retry_in: minutes(30),
            },
            network: Network {
                lan: LOCAL_NETWORKS.to_vec(),
                external_v4: None,
                external_v6: None,
                interface: None,
                proxies: Vec::new(),
            },
            http: Http { connections: 128, head_timeout: seconds(10), idle_timeout: seconds(60) },
            admin: Admin { socket: None, listen: None, token_file: None },
            log: Log { level: LevelFilter::Info },
        }
    }
}

/// The networks whose addresses mean nothing outside.
const LOCAL_NETWORKS: [IpNet; 8] = [
    v4(127, 0, 8),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    v4(10, 0, 8),     // RFC 1918
    v4(172, 16, 12),  // RFC 1918
    v4(192, 168, 16), // RFC 1918
    v4(169, 254, 16), // link-local, RFC 3927
    v6(0xfc00, 7),    // unique local, RFC 4193
    v6(0xfe80, 10),   // link-local, RFC 4291
];

const fn v4(a: u8, b: u8, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), length))
}

const fn v6(a: u16, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, 0, 0, 0, 0, 0, 0, 0), length))
}

impl Config {
    /// Read a configuration from the `text` of `file`; keys that it does not set keep their defaults.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let mut reading = reader::Reading::new(file);
        reading.text(text)?;
        reading.finish()
    }

    /// The keys in which `new` differs from this one, the running one, that take effect only at the next start. All
    /// others may be taken over at once.
    pub fn changed_at_start_only(&self, new: &Self) -> Vec<&'static str> {
        let stuck = keys::KEYS.iter().filter(|key| key.at_start_only);
        stuck.filter(|key| key.kind.show(self) != key.kind.show(new)).map(|key| key.name).collect()
    }

    /// Every key and its value as it is, one a line.
    pub fn resolved(&self) -> String {
        let line = |key: &keys::Key| Some(format!("{} = {}\n", key.name, key.kind.show(self)?));
        keys::KEYS.iter().filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests;
