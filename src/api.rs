//! The admin API: the JSON requests of the commands and of a billing system, and the tracker's answers.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/status` | | [`Status`] |
//! | `GET /v1/whitelist` | | [`Whitelist`] |
//! | `GET /v1/explain/ADDRESS` | | [`Explanation`] |
//! | `POST /v1/whitelist` | [`Allow`] | [`Allowed`], once it is on disk |
//! | `DELETE /v1/whitelist` | [`Revoke`] | [`Revoked`], once it is on disk |
//! | `GET /v1/tickets` | | [`Tickets`] |
//! | `POST /v1/tickets` | [`SignTicket`] | [`TicketContent`] |
//! | `POST /v1/tickets/inspect` | [`InspectTicket`] | [`TicketContent`] |
//! | `GET /v1/keys` | | [`Keys`] |
//! | `POST /v1/keys` | [`NewKey`] | [`Key`], once it is on disk |
//! | `DELETE /v1/keys` | [`RemoveKey`] | [`Key`], once it is removed from the disk |
//!
//! One connection takes one request, of at most 8 KiB. The answer with the whitelist may be long and has no length in
//! its head: the end of the connection is its end, and it is complete if its JSON is complete.
//!
//! Every failure is a [`Refusal`]. Its status is 400 for an invalid request, 401 for a wrong token, 404 for an unknown
//! path or entry, 500 for a disk failure (with the [`Outcome`]), and 507 for a full whitelist. Requests with unknown
//! fields are refused; later versions may add fields to answers.

mod tickets;

use std::borrow::Cow;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::access::prefix;
pub use tickets::{
    INSPECT, InspectTicket, KEYS, Key, Keys, NewKey, RemoveKey, SignTicket, TICKETS, TicketContent, TicketUse, Tickets,
};

/// Path of [`Status`].
pub const STATUS: &str = "/v1/status";

/// Path of all requests about the whitelist.
pub const WHITELIST: &str = "/v1/whitelist";

/// Start of the path of [`Explanation`]; the address follows.
pub const EXPLAIN: &str = "/v1/explain/";

/// The state of the tracker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the tracker.
    pub version: String,
    /// Number of seconds since the start.
    pub uptime_seconds: u64,
    /// Number of seconds of running time, summed over all runs.
    pub running_seconds: u64,
    /// Memory of the swarms.
    pub memory: Memory,
    /// Use of the whitelist.
    pub whitelist: Room,
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
}

/// Use of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Number of entries.
    pub entries: u64,
    /// Largest number of entries.
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

/// The whitelist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whitelist {
    /// All entries.
    pub entries: Vec<Entry>,
}

/// An entry of the whitelist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Addresses that may announce.
    #[serde(with = "prefix_text")]
    pub prefix: IpNet,
    /// Name of the user, if the entry has one.
    #[serde(default)]
    pub user: Option<String>,
    /// Number of seconds of running time since the last announce from one of the addresses.
    pub idle_seconds: u64,
    /// Number of idle seconds after which the entry is removed; `None` is never.
    #[serde(default)]
    pub retire_after_seconds: Option<u64>,
    /// End of the entry by the wall clock, in seconds since 1970; `None` is never.
    #[serde(default)]
    pub until_unix: Option<u64>,
    /// Whether the clock is past `until_unix`: the entry admits no one, and is removed after a day.
    #[serde(default)]
    pub has_ended: bool,
    /// Time of the addition, in seconds since 1970; `None` if the clock was not set then.
    #[serde(default)]
    pub added_unix: Option<u64>,
}

/// Add an entry to the whitelist, or replace the entry with the same prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Addresses that may announce; a bare IPv6 address means its /64.
    #[serde(with = "prefix_text")]
    pub prefix: IpNet,
    /// Name of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Number of idle seconds after which the entry is removed; `None` is the configured time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire_after_seconds: Option<u64>,
    /// End of the entry by the wall clock, in seconds since 1970; `None` is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_unix: Option<u64>,
    /// Whether the entry is never removed for being idle; excludes `retire_after_seconds`.
    #[serde(default)]
    pub permanent: bool,
}

/// The answer to [`Allow`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Prefix of the entry, in canonical form.
    #[serde(with = "prefix_text")]
    pub prefix: IpNet,
    /// Whether the entry replaced another.
    pub replaced: bool,
}

/// Remove entries from the whitelist: `{"prefix": "192.0.2.7"}`, `{"user": "mika"}` or `{"ticket": "mika.gz400"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revoke {
    /// The entry with exactly this prefix.
    Prefix(#[serde(with = "prefix_text")] IpNet),
    /// All entries of this user, and the tickets of the user that were signed until now.
    User(String),
    /// A ticket, by its text or as `USER.NUMBER`, and the entries that it brought.
    Ticket(String),
}

/// The answer to [`Revoke`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Number of removed entries.
    pub removed: u64,
    /// Whether tickets are refused from now on.
    #[serde(default)]
    pub tickets_revoked: bool,
    /// Removed prefixes that are admitted nevertheless, at most [`STILL_ADMITTED`] of them.
    #[serde(default)]
    pub still_admitted: Vec<StillAdmitted>,
}

/// Maximum length of [`Revoked::still_admitted`].
pub const STILL_ADMITTED: usize = 32;

/// A removed prefix that is admitted nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillAdmitted {
    /// The prefix.
    #[serde(with = "prefix_text")]
    pub prefix: IpNet,
    /// Reason: another entry of the whitelist, or the rule of its side.
    pub by: String,
}

/// The admission of an address, and everything that decides it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The address.
    pub address: String,
    /// Its side: `LAN` or `WAN`.
    pub side: String,
    /// Reason for the side, in a sentence.
    pub side_reason: String,
    /// Whether its announces are admitted.
    pub admitted: bool,
    /// Reason for that, in a sentence.
    pub reason: String,
    /// The entry of the whitelist that covers it.
    #[serde(default)]
    pub entry: Option<Entry>,
    /// Number of its peers in all swarms.
    pub peers: u64,
    /// Whether it is a trusted proxy: the address of another client decides for its requests.
    #[serde(default)]
    pub is_proxy: bool,
}

/// The answer to a request that was not granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason, in a sentence.
    pub error: String,
    /// Outcome of a change that the disk did not accept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// The outcome of a change that the disk did not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The change was not made, and a restart will not bring it into effect.
    Unchanged,
    /// Some of the entries are removed for good, as the error says. The others are still there, and stay after a
    /// restart.
    Partial,
    /// The change is not in effect, but a restart may bring it into effect as long as [`Disk::failing`] has a reason.
    Unknown,
}

/// Conversion of prefixes to and from text, their form in JSON.
mod prefix_text {
    use super::{Cow, Deserialize as _, Deserializer, IpNet, Serializer, de, prefix};

    pub(super) fn serialize<S: Serializer>(prefix: &IpNet, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(prefix)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpNet, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        prefix::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        prefix::parse(text).expect(text)
    }

    #[test]
    fn an_allow_needs_only_a_prefix() {
        let allow: Allow = serde_json::from_str(r#"{"prefix":"2001:db8::7"}"#).expect("a prefix is enough");
        let expected = Allow {
            prefix: net("2001:db8::/64"),
            user: None,
            retire_after_seconds: None,
            until_unix: None,
            permanent: false,
        };
        assert_eq!(allow, expected);
        let json = serde_json::to_string(&allow).expect("it can be written");
        assert_eq!(json, r#"{"prefix":"2001:db8::/64","permanent":false}"#);
    }

    #[test]
    fn an_invalid_request_is_refused_with_a_reason() {
        for (json, error) in [
            (r#"{"prefix":"192.0.2.7","usr":"mika"}"#, "unknown field `usr`"),
            (r#"{"prefix":"192.0.2.7/33"}"#, "a prefix length of 33 is too long; this address has 32 bits"),
            (r#"{"user":"mika"}"#, "missing field `prefix`"),
            (r#"{"prefix":7}"#, "invalid type: integer `7`"),
            (r#"{"prefix":"192.0.2.7","retire_after_seconds":-1}"#, "invalid value: integer `-1`"),
        ] {
            let told = serde_json::from_str::<Allow>(json).expect_err(json).to_string();
            assert!(told.contains(error), "{json}: {told}");
        }
    }

    #[test]
    fn a_revoke_is_by_prefix_or_by_user() {
        for (json, revoke) in [
            (r#"{"prefix":"192.0.2.7/32"}"#, Some(Revoke::Prefix(net("192.0.2.7")))),
            (r#"{"user":"mika"}"#, Some(Revoke::User("mika".into()))),
            (r#"{"user":"mika","prefix":"192.0.2.7"}"#, None),
            (r#"{"everybody":true}"#, None),
            ("{}", None),
        ] {
            assert_eq!(serde_json::from_str(json).ok(), revoke, "{json}");
            if let Some(revoke) = revoke {
                assert_eq!(serde_json::to_string(&revoke).ok().as_deref(), Some(json));
            }
        }
    }

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

    #[test]
    fn an_entry_has_null_for_never() {
        let entry = Entry {
            prefix: net("192.0.2.7"),
            user: None,
            idle_seconds: 5,
            retire_after_seconds: None,
            until_unix: Some(7),
            has_ended: true,
            added_unix: None,
        };
        let json = r#"{"prefix":"192.0.2.7/32","user":null,"idle_seconds":5,"retire_after_seconds":null,"until_unix":7,"has_ended":true,"added_unix":null}"#;
        assert_eq!(serde_json::to_string(&entry).ok().as_deref(), Some(json));
        assert_eq!(serde_json::from_str(json).ok(), Some(entry));
    }
}
