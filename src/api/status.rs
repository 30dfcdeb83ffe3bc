//! The state of the tracker.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Path of [`Status`].
pub const STATUS: &str = "/v1/status";

/// The state of the tracker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the tracker.
    pub version: String,
    /// Number of seconds since the start.
    pub uptime_seconds: u64,
    /// Number of seconds of running time, summed over all runs.
    pub running_seconds: u64,
    /// URLs to put into a torrent, as they were at the start.
    #[serde(default)]
    pub announce_urls: Vec<AnnounceUrl>,
    /// Beginning of links to the tracker for clients outside, if it is known.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Admission on each side.
    #[serde(default)]
    pub admission: Admissions,
    /// Use of the HTTP connections.
    #[serde(default)]
    pub http_connections: Room,
    /// Memory of the swarms.
    pub memory: Memory,
    /// Use of the whitelist.
    pub whitelist: Room,
    /// Use of the list of torrents.
    #[serde(default)]
    pub torrents: TorrentUse,
    /// Wear of the flash.
    pub flash: Flash,
    /// State of the disk.
    #[serde(default)]
    pub disk: Disk,
    /// Interfaces of the host.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// Probable mistakes of the configuration, as sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Counters since the start.
    pub counters: Counters,
}

/// URL to put into a torrent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnounceUrl {
    /// The URL.
    pub url: String,
    /// Side of the clients that reach it: `LAN` or `WAN`.
    pub side: String,
}

/// Admission on each side: `open`, `whitelist` or `closed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admissions {
    /// Of local clients.
    pub lan: String,
    /// Of all other clients.
    pub wan: String,
}

/// Interface of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Side of its neighbours: `host`, `LAN`, `WAN` or `unknown`.
    pub side: String,
    /// Reason for the side, after "it".
    pub reason: String,
    /// The networks on its link.
    pub networks: Vec<String>,
}

/// Memory of the swarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Limit in bytes.
    pub budget_octets: u64,
    /// Number of lines of 64 bytes.
    pub lines: u64,
    /// Number of lines in use.
    pub lines_in_use: u64,
    /// Number of swarms.
    pub swarms: u64,
    /// Number of peers in all swarms.
    pub peers: u64,
    /// Number of peers with the complete torrent.
    pub seeders: u64,
    /// Number of peers without the complete torrent.
    pub leechers: u64,
    /// Number of peers on the LAN.
    #[serde(default)]
    pub lan_peers: u64,
}

/// Use of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Number of entries.
    pub entries: u64,
    /// Largest number of entries.
    pub capacity: u64,
}

/// Use of the list of torrents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TorrentUse {
    /// Effect of the list: `any`, `only` or `except`.
    pub mode: String,
    /// Number of torrents on the list that is in effect; 0 with `any`.
    pub entries: u64,
    /// Largest number of torrents.
    pub capacity: u64,
}

/// Wear of the flash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// Number of bytes written since the start.
    pub octets_written: u64,
}

/// State of the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Reason why changes of the whitelist are refused; `None` while they are accepted.
    #[serde(default)]
    pub failing: Option<String>,
    /// Reason why the last export of the list as text failed; `None` if it succeeded.
    #[serde(default)]
    pub export_failing: Option<String>,
    /// Report of damage that the start found, of the recovery and of the loss; `None` without damage.
    #[serde(default)]
    pub recovered: Option<String>,
    /// Number of database failures since the start.
    pub failures: u64,
    /// Number of times that the whitelist was rewritten after a failure.
    pub rebuilds: u64,
}

/// Counters by name, in display order. The first word of a name is its group: `udp_malformed` and `udp_replies_dropped`
/// both belong to UDP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(pub Vec<(Cow<'static, str>, u64)>);

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, count)| (name.as_ref(), count)))
    }
}

impl<'de> Deserialize<'de> for Counters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CountersVisitor)
    }
}

struct CountersVisitor;

impl<'de> de::Visitor<'de> for CountersVisitor {
    type Value = Counters;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("counters by name")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Counters, A::Error> {
        let mut counters = Vec::new();
        while let Some((name, count)) = map.next_entry::<String, u64>()? {
            counters.push((Cow::Owned(name), count));
        }
        Ok(Counters(counters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_keep_their_order_and_answers_may_gain_fields() {
        let counters = Counters(vec![("udp_b".into(), 2), ("udp_a".into(), u64::MAX), ("http_c".into(), 0)]);
        let status = Status { counters, ..Status::default() };
        let json = serde_json::to_string(&status).expect("it can be written");
        assert!(json.contains(r#""counters":{"udp_b":2,"udp_a":18446744073709551615,"http_c":0}"#), "{json}");
        assert_eq!(serde_json::from_str::<Status>(&json).expect("it reads back"), status);
        let newer = json.replacen('{', r#"{"moon_phase":3,"#, 1);
        assert_eq!(serde_json::from_str::<Status>(&newer).expect("a newer tracker's is read too"), status);
    }
}
