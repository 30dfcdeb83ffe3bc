//! Table of all keys: the name, type and description of each, and whether a change of it needs a restart.

use core::time::Duration;

use super::Config;
use super::units::{days, kib, mib, minutes, seconds};
use super::value::Kind;
use crate::access::Admission;
use crate::ticket::AUDIENCE_OCTETS;

/// Longest idle time after which an entry of the whitelist is retired.
pub(crate) const LONGEST_RETIRE_AFTER: Duration = days(3650);

/// Key of the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Full name: section, dot and leaf; only the leaf for a key at the top level.
    pub(super) name: &'static str,
    /// Type, limits and field of its value.
    pub(super) kind: Kind,
    /// Whether a new value takes effect only after a restart.
    pub(super) at_start_only: bool,
    /// Description, as lines of the sample.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests make the sample and the documents from it"))]
    pub(super) meaning: &'static [&'static str],
}

impl Key {
    /// Return the name of its section; empty at the top level.
    pub(super) fn section(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }

    /// Return its name within its section.
    pub(super) fn leaf(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, leaf)| leaf)
    }

    /// Return the name of the command-line flag for this key. Only some keys have one.
    pub(super) fn flag(&self) -> String {
        format!("--{}", self.leaf().replace('_', "-"))
    }
}

/// Return the key with this full name.
pub(super) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Return the default of the key with this full name, without the quotes of TOML; `None` if it has no default.
pub(crate) fn default_of(name: &str) -> Option<String> {
    let value = key(name)?.kind.show(&Config::default())?;
    Some(value.trim_matches('"').into())
}

/// Names and descriptions of the sections.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("announce", "Replies to announces."),
    ("access", "Admission of clients, and the whitelist."),
    ("tickets", "Tickets, with which clients put their own address on the whitelist."),
    ("torrents", "The torrents that are served."),
    ("network", "Local networks, and their external addresses."),
    ("http", "Limits of HTTP connections."),
    ("admin", "Control socket and admin API."),
    ("log", "Logging."),
];

/// All keys, grouped by section, in the order of the sample.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "listen",
        kind: Kind::Addresses { field: |config| &mut config.listen, most: 8 },
        at_start_only: true,
        meaning: &[
            "Numeric addresses that HTTP and UDP listen on. Port 0 means any free port.",
            "An IPv6 address accepts IPv6 only, and is skipped on a host without IPv6.",
        ],
    },
    Key {
        name: "data_dir",
        kind: Kind::Path { field: |config| &mut config.data_dir, example: "/var/lib/nakodo" },
        at_start_only: true,
        meaning: &[
            "Directory of the whitelist. Default: /var/lib/nakodo if it exists and is writable, else nakodo-data.",
            "Relative paths start at the directory in which nakodo is started.",
        ],
    },
    Key {
        name: "memory",
        kind: Kind::Octets { field: |config| &mut config.memory_octets, from: kib(256), to: mib(1024) },
        at_start_only: true,
        meaning: &["Memory for all swarms and peers. It is allocated once, at start, and never exceeded."],
    },
    Key {
        name: "announce.interval",
        kind: Kind::Duration { field: |config| &mut config.announce.interval, from: seconds(1), to: days(1) },
        at_start_only: false,
        meaning: &["Time until the next announce of a client. Each reply varies it by up to 10 %."],
    },
    Key {
        name: "announce.min_interval",
        kind: Kind::Duration { field: |config| &mut config.announce.min_interval, from: seconds(1), to: days(1) },
        at_start_only: false,
        meaning: &["Minimum time until the next announce of a client; at most the interval."],
    },
    Key {
        name: "announce.peer_timeout",
        kind: Kind::Duration { field: |config| &mut config.announce.peer_timeout, from: seconds(1), to: days(7) },
        // The ages of stored peers are counted in units that depend on this value.
        at_start_only: true,
        meaning: &["Time without an announce after which a peer is forgotten; at least 1.2 times the interval."],
    },
    Key {
        name: "announce.max_peers",
        kind: Kind::Count { field: |config| &mut config.announce.max_peers, from: 1, to: 200 },
        at_start_only: false,
        meaning: &["Maximum number of peers in a reply."],
    },
    Key {
        name: "announce.default_peers",
        kind: Kind::Count { field: |config| &mut config.announce.default_peers, from: 1, to: 200 },
        at_start_only: false,
        meaning: &["Number of peers in a reply when the client requests no number; at most max_peers."],
    },
    Key {
        name: "access.lan",
        kind: Kind::Admission {
            field: |config| &mut config.access.lan,
            allowed: &[Admission::Open, Admission::Whitelist],
        },
        at_start_only: false,
        meaning: &["Admission of clients on local networks: all of them, or only those on the whitelist."],
    },
    Key {
        name: "access.wan",
        kind: Kind::Admission {
            field: |config| &mut config.access.wan,
            allowed: &[Admission::Whitelist, Admission::Open, Admission::Closed],
        },
        at_start_only: false,
        meaning: &["Admission of all other clients; \"closed\" admits none."],
    },
    Key {
        name: "access.retire_after",
        kind: Kind::Duration {
            field: |config| &mut config.access.retire_after,
            from: seconds(1),
            to: LONGEST_RETIRE_AFTER,
        },
        at_start_only: false,
        meaning: &[
            "Idle time after which an entry leaves the whitelist, unless the entry has its own. Only time while the",
            "tracker is running counts.",
        ],
    },
    Key {
        name: "access.capacity",
        kind: Kind::Count { field: |config| &mut config.access.capacity, from: 1, to: 65_536 },
        at_start_only: true,
        meaning: &["Maximum number of entries on the whitelist. When it is full, new entries are refused."],
    },
    Key {
        name: "access.save_every",
        kind: Kind::Duration { field: |config| &mut config.access.save_every, from: seconds(1), to: days(7) },
        at_start_only: false,
        meaning: &[
            "Minimum time between two writes of idle times to flash. Changes of the whitelist are written at once.",
        ],
    },
    Key {
        name: "access.retry_in",
        kind: Kind::Duration { field: |config| &mut config.access.retry_in, from: minutes(1), to: days(30) },
        at_start_only: false,
        meaning: &["Time after which a refused client should try again (BEP 31)."],
    },
    Key {
        name: "tickets.keys",
        kind: Kind::PublicKeys { field: |config| &mut config.tickets.keys, most: 8 },
        at_start_only: false,
        meaning: &[
            "Public keys of signers whose tickets are accepted, besides those of `nakodo key`: Ed25519 in base64url, 43",
            "characters each.",
        ],
    },
    Key {
        name: "tickets.audience",
        kind: Kind::Text {
            field: |config| &mut config.tickets.audience,
            most: AUDIENCE_OCTETS,
            example: "films.example",
        },
        at_start_only: false,
        meaning: &[
            "Audience for which tickets must be signed, such as the name of a service. A signer with several services gives",
            "each its own, so that a ticket of one is not accepted by another. Default: none.",
        ],
    },
    Key {
        name: "tickets.url",
        kind: Kind::Url { field: |config| &mut config.tickets.url, example: "http://tracker.example:6969" },
        at_start_only: false,
        meaning: &[
            "Beginning of the links that `nakodo ticket` prints: the address of this tracker for the internet. Default:",
            "external_v4 or external_v6 with the port of listen, if set.",
        ],
    },
    Key {
        name: "torrents.mode",
        kind: Kind::TorrentMode { field: |config| &mut config.torrents.mode },
        at_start_only: false,
        meaning: &[
            "Torrents that are served: all of them, only those of a list, or all except those of the list. While the list",
            "is missing or cannot be read, \"only\" and \"except\" serve none.",
        ],
    },
    Key {
        name: "torrents.file",
        kind: Kind::Path { field: |config| &mut config.torrents.file, example: "/etc/nakodo/torrents" },
        at_start_only: true,
        meaning: &[
            "File with the list: an info-hash of 40 or 64 hexadecimal digits a line, and perhaps a name after it. Lines",
            "that begin with # are comments. Default: torrents in data_dir.",
        ],
    },
    Key {
        name: "torrents.capacity",
        kind: Kind::Count { field: |config| &mut config.torrents.capacity, from: 1, to: 100_000 },
        at_start_only: false,
        meaning: &["Maximum number of torrents on the list. A longer list is refused."],
    },
    Key {
        name: "network.lan",
        kind: Kind::Prefixes { field: |config| &mut config.network.lan },
        at_start_only: false,
        meaning: &[
            "Local networks. A list in your configuration replaces this default. The networks of the LAN interfaces are",
            "local too. An address on a network of the interface to the internet never is, unless a longer prefix says so.",
        ],
    },
    Key {
        name: "network.lan_interfaces",
        kind: Kind::Interfaces { field: |config| &mut config.network.lan_interfaces, example: "br-lan" },
        at_start_only: false,
        meaning: &[
            "Interfaces to the local networks. Default: each interface with a private IPv4 address (RFC 1918); if the",
            "interface to the internet is named, only those without a default route of their own.",
        ],
    },
    Key {
        name: "network.interface",
        kind: Kind::Interfaces { field: |config| &mut config.network.interface, example: "wan" },
        at_start_only: false,
        meaning: &[
            "Interface to the internet, or a list of them. Its IPv4 address is the external one, unless external_v4 is",
            "set. Its neighbours are not local.",
        ],
    },
    Key {
        name: "network.external_v4",
        kind: Kind::V4 { field: |config| &mut config.network.external_v4, example: "203.0.113.7" },
        at_start_only: false,
        meaning: &[
            "External addresses, under which peers outside reach local peers that have only a local address. Without",
            "them, and without an interface that provides the IPv4 address, replies to peers outside contain no such",
            "peers. The IPv6 address must be set here, because a gateway does not translate IPv6 by default.",
        ],
    },
    Key {
        name: "network.external_v6",
        kind: Kind::V6 { field: |config| &mut config.network.external_v6, example: "2001:db8::7" },
        at_start_only: false,
        meaning: &[],
    },
    Key {
        name: "network.proxies",
        kind: Kind::Prefixes { field: |config| &mut config.network.proxies },
        at_start_only: false,
        meaning: &[
            "Trusted reverse proxies, as prefixes. They name the client of each request in forwarded_header. UDP from",
            "these addresses is refused, because it names no client.",
        ],
    },
    Key {
        name: "network.forwarded_header",
        kind: Kind::Header { field: |config| &mut config.network.forwarded_header },
        at_start_only: false,
        meaning: &[
            "Header in which the proxies name the client: \"X-Forwarded-For\", \"X-Real-IP\", \"CF-Connecting-IP\" or",
            "\"Forwarded\" (RFC 7239). The client is the last address in it that is not that of a proxy.",
        ],
    },
    Key {
        name: "network.proxy_protocol",
        kind: Kind::Switch { field: |config| &mut config.network.proxy_protocol },
        at_start_only: false,
        meaning: &[
            "Whether each connection from a proxy starts with the address of the client, in the PROXY protocol, version",
            "1 or 2, as HAProxy sends it.",
        ],
    },
    Key {
        name: "http.connections",
        kind: Kind::Count { field: |config| &mut config.http.connections, from: 1, to: 4096 },
        at_start_only: true,
        meaning: &[
            "Maximum number of open connections. When all are open, a new one replaces the one that has been idle for",
            "longest. If none is idle, it replaces the slowest connection of an address that holds more than an eighth",
            "of them. Otherwise it waits. There are fewer if the system permits too few open files; the log says so.",
        ],
    },
    Key {
        name: "http.head_timeout",
        kind: Kind::Duration { field: |config| &mut config.http.head_timeout, from: seconds(1), to: minutes(5) },
        at_start_only: false,
        meaning: &["Time in which the head of a request must arrive."],
    },
    Key {
        name: "http.idle_timeout",
        kind: Kind::Duration { field: |config| &mut config.http.idle_timeout, from: seconds(1), to: minutes(60) },
        at_start_only: false,
        meaning: &["Time for which a connection may stay open without a request."],
    },
    Key {
        name: "admin.socket",
        kind: Kind::Path { field: |config| &mut config.admin.socket, example: "/run/nakodo/nakodo.sock" },
        at_start_only: true,
        meaning: &["Unix socket for the commands. Default: nakodo.sock in data_dir."],
    },
    Key {
        name: "admin.listen",
        kind: Kind::AddressOrOff { field: |config| &mut config.admin.listen, example: "192.168.1.4:6970" },
        at_start_only: true,
        meaning: &[
            "TCP address of the page and of the same API, or \"off\". Only local clients may connect. Programs need the token",
            "from token_file, as a bearer token; a browser needs a code of `nakodo page`. At its default it is left out if",
            "another program has the port.",
        ],
    },
    Key {
        name: "admin.token_file",
        kind: Kind::Path { field: |config| &mut config.admin.token_file, example: "/etc/nakodo/token" },
        at_start_only: true,
        meaning: &["Files with the tokens for programs: one for everything, and one that only reads."],
    },
    Key {
        name: "admin.read_token_file",
        kind: Kind::Path { field: |config| &mut config.admin.read_token_file, example: "/etc/nakodo/read-token" },
        at_start_only: true,
        meaning: &[],
    },
    Key {
        name: "admin.metrics_from",
        kind: Kind::Prefixes { field: |config| &mut config.admin.metrics_from },
        at_start_only: true,
        meaning: &["Local clients that may read /metrics without a token, as prefixes."],
    },
    Key {
        name: "admin.names",
        kind: Kind::HostNames { field: |config| &mut config.admin.names },
        at_start_only: true,
        meaning: &[
            "Names under which browsers open the page, besides addresses, localhost and the name of the host. A request",
            "with any other name is refused, because another site may have sent it.",
        ],
    },
    Key {
        name: "log.level",
        kind: Kind::Level { field: |config| &mut config.log.level },
        at_start_only: false,
        meaning: &["Least urgent level that is logged."],
    },
];
