//! Configuration: one TOML file in which every key has a default, and a few command-line flags that override it.
//!
//! The structs here define the configuration and its defaults. The table in `keys` defines each key once: its type, its
//! limits and its description. The parser, its error messages and the shipped sample all use that table.

mod constraints;
mod error;
mod keys;
mod paths;
mod reader;
mod source;
pub mod units;
mod value;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use log::LevelFilter;

pub use error::Error;
pub(crate) use error::quote;
pub(crate) use keys::{LONGEST_RETIRE_AFTER, default_of};
pub use paths::{Paths, is_daemons, is_writable};
#[cfg(test)]
pub(crate) use source::SYSTEM_FILE;
pub use source::Source;
pub(crate) use source::retire_after;
use units::{days, mib, minutes, seconds};

use crate::access::Admission;
use crate::http::ForwardingHeader;
use crate::ticket::PublicKey;
use crate::torrents::TorrentMode;

/// Port that most trackers use.
pub const DEFAULT_PORT: u16 = 6969;

/// The whole configuration. The sample, `nakodo.toml`, describes each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Addresses that HTTP and UDP listen on; port 0 means any free port.
    pub listen: Vec<SocketAddr>,
    /// Data directory of the whitelist; if `None`, [`Config::paths`] chooses one.
    pub data_dir: Option<PathBuf>,
    /// Memory for all swarms and peers, in bytes.
    pub memory_octets: u64,
    /// Settings of announce replies.
    pub announce: Announce,
    /// Admission of clients, and the whitelist.
    pub access: Access,
    /// Tickets of clients.
    pub tickets: Tickets,
    /// The torrents that are served.
    pub torrents: Torrents,
    /// Local networks, and their external addresses.
    pub network: Network,
    /// Limits of HTTP connections.
    pub http: Http,
    /// Control socket and admin API.
    pub admin: Admin,
    /// Logging.
    pub log: Log,
}

/// Settings of announce replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// Time until the next announce of a client.
    pub interval: Duration,
    /// Minimum time until the next announce of a client.
    pub min_interval: Duration,
    /// Time without an announce after which a peer is forgotten.
    pub peer_timeout: Duration,
    /// Maximum number of peers in a reply.
    pub max_peers: u32,
    /// Number of peers in a reply when the client requests no number.
    pub default_peers: u32,
}

/// Admission of clients, and the whitelist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Admission of clients on local networks; never [`Admission::Closed`].
    pub lan: Admission,
    /// Admission of all other clients.
    pub wan: Admission,
    /// Idle running time after which an entry leaves the whitelist, unless the entry has its own.
    pub retire_after: Duration,
    /// Maximum number of entries on the whitelist.
    pub capacity: u32,
    /// Minimum time between two writes of idle times to flash.
    pub save_every: Duration,
    /// Time after which a refused client should try again (BEP 31).
    pub retry_in: Duration,
}

/// Tickets of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tickets {
    /// Public keys of signers, besides those in the data directory.
    pub keys: Vec<PublicKey>,
    /// Audience for which tickets must be signed; `None` is the empty one.
    pub audience: Option<String>,
    /// Beginning of the links to this tracker, without a slash at the end.
    pub url: Option<String>,
}

/// The torrents that are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torrents {
    /// Effect of the list.
    pub mode: TorrentMode,
    /// File with the list; if `None`, [`Config::paths`] chooses one.
    pub file: Option<PathBuf>,
    /// Maximum number of torrents on the list.
    pub capacity: u32,
}

/// Local networks, and their external addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Local networks.
    pub lan: Vec<IpNet>,
    /// Interfaces to the local networks; if empty, all that have a private IPv4 address.
    pub lan_interfaces: Vec<String>,
    /// Interfaces to the internet. They provide the external address that is not set.
    pub interface: Vec<String>,
    /// External IPv4 address of the LAN.
    pub external_v4: Option<Ipv4Addr>,
    /// External IPv6 address of LAN peers that have only a local one.
    pub external_v6: Option<Ipv6Addr>,
    /// Reverse proxies that are trusted to name their client.
    pub proxies: Vec<IpNet>,
    /// Header in which they name it.
    pub forwarded_header: ForwardingHeader,
    /// Whether connections from them start with a PROXY protocol header.
    pub proxy_protocol: bool,
}

/// Limits of HTTP connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Maximum number of open connections.
    pub connections: u32,
    /// Time in which the head of a request must arrive.
    pub head_timeout: Duration,
    /// Time for which a connection may stay open without a request.
    pub idle_timeout: Duration,
}

/// Control socket and admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Unix socket for the commands; if `None`, [`Config::paths`] chooses one.
    pub socket: Option<PathBuf>,
    /// TCP address of the page and of the same API; `None` if it is off.
    pub listen: Option<SocketAddr>,
    /// File with the token for everything.
    pub token_file: Option<PathBuf>,
    /// File with the token that only reads.
    pub read_token_file: Option<PathBuf>,
    /// Clients that may read the metrics without a token.
    pub metrics_from: Vec<IpNet>,
    /// Further names of this host for browsers.
    pub names: Vec<String>,
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Least urgent level that is logged.
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
                lan: Admission::Open,
                wan: Admission::Whitelist,
                retire_after: days(30),
                capacity: 1024,
                save_every: minutes(60),
                retry_in: minutes(30),
            },
            tickets: Tickets::default(),
            torrents: Torrents { mode: TorrentMode::Any, file: None, capacity: 10_000 },
            network: Network {
                lan: LOCAL_NETWORKS.to_vec(),
                lan_interfaces: Vec::new(),
                interface: Vec::new(),
                external_v4: None,
                external_v6: None,
                proxies: Vec::new(),
                forwarded_header: ForwardingHeader::XForwardedFor,
                proxy_protocol: false,
            },
            http: Http { connections: 128, head_timeout: seconds(10), idle_timeout: seconds(60) },
            admin: Admin {
                socket: None,
                listen: Some(DEFAULT_ADMIN_ADDRESS),
                token_file: None,
                read_token_file: None,
                metrics_from: Vec::new(),
                names: Vec::new(),
            },
            log: Log { level: LevelFilter::Info },
        }
    }
}

/// Address of the page, unless the configuration has another.
pub const DEFAULT_ADMIN_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6970);

/// Networks with addresses that are only valid locally.
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
    /// Parse a configuration from the `text` of `file`. Keys that it does not set keep their defaults.
    #[cfg(test)]
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let mut reading = reader::Reading::new(file);
        reading.text(text)?;
        reading.finish()
    }

    /// Return the keys that differ between this configuration, the running one, and `new`, and that need a restart. All
    /// other changes can be applied at once.
    pub fn changed_at_start_only(&self, new: &Self) -> Vec<&'static str> {
        let stuck = keys::KEYS.iter().filter(|key| key.at_start_only);
        stuck.filter(|key| key.kind.show(self) != key.kind.show(new)).map(|key| key.name).collect()
    }

    /// Return the beginning of links to this tracker for clients outside, if it is known.
    pub fn public_url(&self) -> Option<String> {
        let port = self.listen.first().map_or(DEFAULT_PORT, SocketAddr::port);
        let (v4, v6) = (self.network.external_v4, self.network.external_v6);
        let external = v4.map(IpAddr::from).or_else(|| v6.map(IpAddr::from));
        self.tickets.url.clone().or_else(|| Some(format!("http://{}", SocketAddr::new(external?, port))))
    }

    /// Describe valid settings that are probably mistakes, each in a sentence.
    pub fn warnings(&self) -> Vec<String> {
        constraints::warnings(self)
    }

    /// Return all keys with their current values, one per line.
    pub fn resolved(&self) -> String {
        let line = |key: &keys::Key| Some(format!("{} = {}\n", key.name, key.kind.show(self)?));
        keys::KEYS.iter().filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests;
