//! The list of torrents, and the swarms in memory.

use serde::{Deserialize, Serialize};

/// Path of [`TorrentPage`], [`AddTorrents`] and [`RemoveTorrents`].
pub const TORRENTS: &str = "/v1/torrents";

/// Path of the request that reads the list again.
pub const RELOAD_TORRENTS: &str = "/v1/torrents/reload";

/// Path of [`Swarms`]; `/` and an info-hash may follow it.
pub const SWARMS: &str = "/v1/swarms";

/// Maximum number of torrents of [`AddTorrents`] and of [`RemoveTorrents`].
pub const TORRENTS_A_REQUEST: usize = 10_000;

/// The list of torrents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TorrentPage {
    /// Effect of the list: `any`, `only` or `except`.
    pub mode: String,
    /// Path of its file.
    pub file: String,
    /// Maximum number of torrents.
    pub capacity: u64,
    /// The torrents, in the order of the file.
    pub torrents: Vec<Torrent>,
}

/// A torrent on the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Torrent {
    /// Its info-hash, in hexadecimal digits: 40, or 64 of version 2.
    pub info_hash: String,
    /// Its name; empty if it has none.
    #[serde(default)]
    pub name: String,
}

/// Add torrents to the list: all of them or none. A torrent that is on the list gets the name, unless it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddTorrents {
    /// The torrents, at most [`TORRENTS_A_REQUEST`].
    pub torrents: Vec<Torrent>,
}

/// Remove torrents from the list: those that are on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveTorrents {
    /// Their info-hashes, at most [`TORRENTS_A_REQUEST`].
    pub info_hashes: Vec<String>,
}

/// The answer to a change of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TorrentsChanged {
    /// Number of torrents that were added.
    pub added: u64,
    /// Number of torrents that got another name.
    pub renamed: u64,
    /// Number of torrents that were removed.
    pub removed: u64,
    /// Number of torrents on the list now.
    pub torrents: u64,
}

/// The swarms in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swarms {
    /// The swarms that were requested. The order is that of the memory.
    pub swarms: Vec<Swarm>,
    /// The position after which the next page begins; `None` on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A swarm. A torrent with peers on both sides of the gateway has two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swarm {
    /// Its info-hash, in 40 hexadecimal digits.
    pub info_hash: String,
    /// Side of its peers: `LAN` or `WAN`.
    pub side: String,
    /// Number of peers with the complete torrent.
    pub seeders: u64,
    /// Number of peers without it.
    pub leechers: u64,
    /// Number of completed downloads since the swarm began.
    pub completed: u64,
}
