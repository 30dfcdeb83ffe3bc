//! The one table of keys: what each is called, what it takes, what it means, and whether it can change while running.

use super::units::{days, kib, mib, minutes, seconds};
use super::value::Kind;
use super::{Config, Policy};

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Its name, after the name of its section and a dot unless it is at the top.
    pub(super) name: &'static str,
    /// What it takes, and where that is kept.
    pub(super) kind: Kind,
    /// Whether a new value takes effect only when the tracker is started again.
    pub(super) at_start_only: bool,
    /// What it means, as the sample says it.
    pub(super) meaning: &'static [&'static str],
}

impl Key {
    /// The section that it is in; empty at the top.
    pub(super) fn section(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }

    /// Its name within its section.
    pub(super) fn leaf(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, leaf)| leaf)
    }

    /// The flag that overrides it on the command line, where there is one.
    pub(super) fn flag(&self) -> String {
        format!("--{}", self.leaf().replace('_', "-"))
    }
}

/// The key called `name`, section and all.
pub(super) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The default of the key called `name`, without TOML's quotes, if it has one.
pub(crate) fn default_of(name: &str) -> Option<String> {
    let value = key(name)?.kind.show(&Config::default())?;
    Some(value.trim_matches('"').into())
}

/// The sections, and what their keys are about.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("announce", "What announcing clients are told."),
    ("access", "Who may announce."),
    ("network", "Which networks are local, and how the world sees them."),
    ("http", "The HTTP listener's patience."),
    ("admin", "How the tracker is administered."),
    ("log", "What is logged."),
];

/// Every key, by section and in the order of the sample.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "listen",
        kind: Kind::Addresses { field: |config| &mut config.listen, most: 8 },
        at_start_only: true,
        meaning: &[
            "Addresses that HTTP and UDP listen on, as numbers; port 0 means any.",
            "An IPv6 address takes IPv6 only, and is left out on a host without IPv6.",
        ],
    },
    Key {
        name: "data_dir",
        kind: Kind::Path { field: |config| &mut config.data_dir, example: "/var/lib/nakodo" },
        at_start_only: true,
        meaning: &[
            "Where the whitelist is kept. Without it: /var/lib/nakodo where that exists and is writable, else",
            "nakodo-data. Relative paths begin at the directory in which nakodo is started.",
        ],
    },
    Key {
        name: "memory",
        kind: Kind::Octets { field: |config| &mut config.memory_octets, from: kib(256), to: mib(1024) },
        at_start_only: true,
        meaning: &["All swarms and peers live in this much memory. It is taken once, at start, and never exceeded."],
    },
    Key {
        name: "announce.interval",
        kind: Kind::Duration { field: |config| &mut config.announce.interval, from: seconds(1), to: days(1) },
        at_start_only: false,
        meaning: &["When a client should announce again; each reply varies it by up to 10 %."],
    },
    Key {
        name: "announce.min_interval",
        kind: Kind::Duration { field: |config| &mut config.announce.min_interval, from: seconds(1), to: days(1) },
        at_start_only: false,
        meaning: &["When it may at the earliest; at most the interval."],
    },
    Key {
        name: "announce.peer_timeout",
        kind: Kind::Duration { field: |config| &mut config.announce.peer_timeout, from: seconds(1), to: days(7) },
        // Stored peers are stamped in units of it.
        at_start_only: true,
        meaning: &["When a peer that has not announced again is forgotten; at least 1.2 times the interval."],
    },
    Key {
        name: "announce.max_peers",
        kind: Kind::Count { field: |config| &mut config.announce.max_peers, from: 1, to: 200 },
        at_start_only: false,
        meaning: &["How many peers a reply has at most."],
    },
    Key {
        name: "announce.default_peers",
        kind: Kind::Count { field: |config| &mut config.announce.default_peers, from: 1, to: 200 },
        at_start_only: false,
        meaning: &["How many peers a reply has when the client does not say; at most max_peers."],
    },
    Key {
        name: "access.lan",
        kind: Kind::Policy { field: |config| &mut config.access.lan, allowed: &[Policy::Open, Policy::Whitelist] },
        at_start_only: false,
        meaning: &["Who may announce from a local network."],
    },
    Key {
        name: "access.wan",
        kind: Kind::Policy {
            field: |config| &mut config.access.wan,
            allowed: &[Policy::Whitelist, Policy::Open, Policy::Closed],
        },
        at_start_only: false,
        meaning: &["Who may announce from elsewhere."],
    },
    Key {
        name: "access.retire_after",
        kind: Kind::Duration { field: |config| &mut config.access.retire_after, from: seconds(1), to: days(3650) },
        at_start_only: false,
        meaning: &[
            "The idle time after which an entry leaves the whitelist, unless it says otherwise itself. Only time",
            "during which the tracker was running counts.",
        ],
    },
    Key {
        name: "access.capacity",
        kind: Kind::Count { field: |config| &mut config.access.capacity, from: 1, to: 65_536 },
        at_start_only: true,
        meaning: &["How many entries the whitelist has room for; when it is full, new ones are refused."],
    },
    Key {
        name: "access.save_every",
        kind: Kind::Duration { field: |config| &mut config.access.save_every, from: seconds(1), to: days(7) },
        at_start_only: false,
        meaning: &["How often idle times may be written to flash. The whitelist itself is written when it changes."],
    },
    Key {
        name: "access.retry_in",
        kind: Kind::Duration { field: |config| &mut config.access.retry_in, from: minutes(1), to: days(30) },
        at_start_only: false,
        meaning: &["When a refused client is told to try again (BEP 31)."],
    },
    Key {
        name: "network.lan",
        kind: Kind::Prefixes { field: |config| &mut config.network.lan },
        at_start_only: true,
        meaning: &["The local networks; a list here replaces this one."],
    },
    Key {
        name: "network.external_v4",
        kind: Kind::V4 { field: |config| &mut config.network.external_v4, example: "203.0.113.7" },
        at_start_only: false,
        meaning: &[
            "The addresses under which the world sees local peers. While neither these nor the interface tell,",
            "peers elsewhere are not told of local ones.",
        ],
    },
    Key {
        name: "network.external_v6",
        kind: Kind::V6 { field: |config| &mut config.network.external_v6, example: "2001:db8::7" },
        at_start_only: false,
        meaning: &[],
    },
    Key {
        name: "network.interface",
        kind: Kind::Interface { field: |config| &mut config.network.interface, example: "wan" },
        at_start_only: true,
        meaning: &[
            "The interface that faces the world: its addresses are the external ones, where they are not given.",
        ],
    },
    Key {
        name: "network.proxies",
        kind: Kind::Prefixes { field: |config| &mut config.network.proxies },
        at_start_only: false,
        meaning: &["Reverse proxies, as prefixes: what their X-Forwarded-For says is believed."],
    },
    Key {
        name: "http.connections",
        kind: Kind::Count { field: |config| &mut config.http.connections, from: 1, to: 4096 },
        at_start_only: true,
        meaning: &[
            "How many connections may be open at once. One more takes the place of the one that has been idle for",
            "longest; while none is idle, of the slowest of an address that has more than an eighth of them; or it waits.",
        ],
    },
    Key {
        name: "http.head_timeout",
        kind: Kind::Duration { field: |config| &mut config.http.head_timeout, from: seconds(1), to: minutes(5) },
        at_start_only: false,
        meaning: &["How long a request's head may take to arrive."],
    },
    Key {
        name: "http.idle_timeout",
        kind: Kind::Duration { field: |config| &mut config.http.idle_timeout, from: seconds(1), to: minutes(60) },
        at_start_only: false,
        meaning: &["How long a connection may stay open without a request."],
    },
    Key {
        name: "admin.socket",
        kind: Kind::Path { field: |config| &mut config.admin.socket, example: "/run/nakodo/nakodo.sock" },
        at_start_only: true,
        meaning: &["The Unix socket that the commands talk to. Without it: nakodo.sock in data_dir."],
    },
    Key {
        name: "admin.listen",
        kind: Kind::Address { field: |config| &mut config.admin.listen, example: "127.0.0.1:6970" },
        at_start_only: true,
        meaning: &["A TCP address for the same API. It asks for the token in token_file, as a bearer token."],
    },
    Key {
        name: "admin.token_file",
        kind: Kind::Path { field: |config| &mut config.admin.token_file, example: "/etc/nakodo/token" },
        at_start_only: true,
        meaning: &[],
    },
    Key {
        name: "log.level",
        kind: Kind::Level { field: |config| &mut config.log.level },
        at_start_only: false,
        meaning: &["The least urgent kind of line that is written."],
    },
];

const SAMPLE_HEAD: &str = "\
# The configuration of nakodo. Every key is here with its default, or after a # where it has none: this file as it is
# changes nothing. Put it at /etc/nakodo/nakodo.toml, or name it with --config, and try it with `nakodo check`.
#
# Sizes and durations carry their units: \"8 MiB\", \"90s\", \"30m\", \"30d\". SIGHUP has a running tracker read this file
# again; keys marked with * keep their old values until it is started again.
";

/// The sample configuration that we ship: every key with its meaning, its default and what is allowed.
pub fn sample() -> String {
    let defaults = Config::default();
    let mut text = String::from(SAMPLE_HEAD);
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            let about = SECTIONS.iter().find(|(name, _)| *name == section).map_or("", |(_, about)| about);
            text.push_str(&format!("\n# {about}\n[{section}]\n"));
        }
        text.push_str(&sample_of(key, &defaults));
    }
    text
}

fn sample_of(key: &Key, defaults: &Config) -> String {
    let gap = if key.meaning.is_empty() { "" } else { "\n" };
    let meaning: String = key.meaning.iter().map(|line| format!("# {line}\n")).collect();
    let setting = match key.kind.show(defaults) {
        Some(value) => format!("{} = {value}", key.leaf()),
        None => format!("# {} = {:?}", key.leaf(), key.kind.example()),
    };
    let star = if key.at_start_only { "*" } else { "" };
    let notes: Vec<String> = [key.kind.limits(), star.into()].into_iter().filter(|note| !note.is_empty()).collect();
    let notes = if notes.is_empty() { String::new() } else { format!("  # {}", notes.join(" ")) };
    format!("{gap}{meaning}{setting}{notes}\n")
}
