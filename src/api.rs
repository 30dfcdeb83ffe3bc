//! The admin API: what the commands and a billing system say to the tracker, and what it answers, as JSON.
//!
//! | request | takes | answers |
//! |---|---|---|
//! | `GET /v1/status` | | [`Status`] |
//! | `GET /v1/whitelist` | | [`Whitelist`] |
//! | `POST /v1/whitelist` | [`Allow`] | [`Allowed`], once it is on disk |
//! | `DELETE /v1/whitelist` | [`Revoke`] | [`Revoked`], once it is on disk |
//!
//! One connection takes one request, of at most 8 KiB. The whitelist may be long, and so its length is not told before
//! it: it ends with the connection, and is whole when its JSON is.
//!
//! Anything but success is a [`Refusal`], with status 400 for what makes no sense, 401 for a wrong token, 404 for what
//! is not there, 500 when the disk failed, with the [`Outcome`], and 507 for a full whitelist. Requests with unknown fields are refused; answers
//! may gain fields.

use std::borrow::Cow;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::access::prefix;

/// The path of [`Status`].
pub const STATUS: &str = "/v1/status";

/// The path of everything about the whitelist.
pub const WHITELIST: &str = "/v1/whitelist";

/// How the tracker is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The tracker's version.
    pub version: String,
    /// Seconds since it was started.
    pub uptime_seconds: u64,
    /// Seconds it has been running, summed over all its runs.
    pub running_seconds: u64,
    /// The memory of the swarms.
    pub memory: Memory,
    /// The whitelist's room.
    pub whitelist: Room,
    /// The flash's wear.
    pub flash: Flash,
    /// Whether the disk takes changes of the whitelist.
    #[serde(default)]
    pub disk: Disk,
    /// What has been counted since it was started.
    pub counters: Counters,
}

/// The memory of the swarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What it is limited to.
    pub budget_octets: u64,
    /// Its lines of 64 octets.
    pub lines: u64,
    /// Those that hold something.
    pub lines_in_use: u64,
    /// The swarms in it.
    pub swarms: u64,
    /// The peers in them.
    pub peers: u64,
    /// The peers with the whole torrent.
    pub seeders: u64,
    /// The peers without it.
    pub leechers: u64,
}

/// How full a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The entries it has.
    pub entries: u64,
    /// The entries it has room for.
    pub capacity: u64,
}

/// The flash's wear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// Octets written since the tracker was started.
    pub octets_written: u64,
}

/// Whether the disk takes changes of the whitelist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Why changes are refused; `None` while they are not.
    #[serde(default)]
    pub failing: Option<String>,
    /// Why the list could not be exported as text the last time; `None` if it was.
    #[serde(default)]
    pub export_failing: Option<String>,
    /// How often the database has failed since the tracker was started.
    pub failures: u64,
    /// How often the whitelist has been written anew after that.
    pub rebuilds: u64,
}

/// Counters by name, in the order in which they are told. The first word of a name is its group: `udp_malformed` and
/// `udp_replies_dropped` are both about UDP.
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

/// Everybody who is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whitelist {
    /// The entries.
    pub entries: Vec<Entry>,
}

/// Somebody who is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Their addresses.
    #[serde(with = "prefix_text")]
    pub prefix: IpNet,
    /// Who they are, if that was said.
    #[serde(default)]
    pub user: Option<String>,
    /// For how many seconds of running time none of the addresses has announced.
    pub idle_seconds: u64,
    /// The idle seconds after which the entry is removed; `None` is never.
    #[serde(default)]
    pub retire_after_seconds: Option<u64>,
    /// When it ends by the wall clock, in seconds since 1970; `None` is never.
    #[serde(default)]
    pub until_unix: Option<u64>,
    /// When it was added, in seconds since 1970; `None` if the clock was not set then.
    #[serde(default)]
    pub added_unix: Option<u64>,
}

/// Let somebody in, or change how long they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Their addresses; a bare IPv6 address stands for its /64.
    #[serde(with = "prefix_text")]
    pub prefix: IpNet,
    /// Who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The idle seconds after which the entry is removed; `None` is what the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire_after_seconds: Option<u64>,
    /// When it ends by the wall clock, in seconds since 1970; `None` is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_unix: Option<u64>,
    /// Whether it is never removed for being idle; excludes `retire_after_seconds`.
    #[serde(default)]
    pub permanent: bool,
}

/// Somebody is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// The addresses as they were understood.
    #[serde(with = "prefix_text")]
    pub prefix: IpNet,
    /// Whether there was such an entry before.
    pub replaced: bool,
}

/// Let somebody in no longer: `{"prefix": "192.0.2.7"}` or `{"user": "mika"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revoke {
    /// The entry with exactly this prefix.
    Prefix(#[serde(with = "prefix_text")] IpNet),
    /// All entries of this user.
    User(String),
}

/// Somebody is let in no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// How many entries were removed.
    pub removed: u64,
}

/// Why a request was not granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason, in a sentence.
    pub error: String,
    /// What has become of a change of the whitelist that the disk did not take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// What has become of a change that the disk did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing was changed, and a restart does not change that.
    Unchanged,
    /// Some of the entries are removed for good, as the error says; the others are not, and a restart does not change that.
    Partial,
    /// It is not in effect, but a restart may bring it into effect while [`Disk::failing`] says why.
    Unknown,
}

/// Prefixes as text, since that is what they are in JSON.
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
        let json = serde_json::to_string(&allow).expect("it can be told");
        assert_eq!(json, r#"{"prefix":"2001:db8::/64","permanent":false}"#);
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
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
        let json = serde_json::to_string(&status).expect("it can be told");
        assert!(json.contains(r#""counters":{"udp_b":2,"udp_a":18446744073709551615,"http_c":0}"#), "{json}");
        assert_eq!(serde_json::from_str::<Status>(&json).expect("it reads back"), status);
        let newer = json.replacen('{', r#"{"moon_phase":3,"#, 1);
        assert_eq!(serde_json::from_str::<Status>(&newer).expect("a newer tracker's is read too"), status);
    }

    #[test]
    fn an_entry_says_never_as_null() {
        let entry = Entry {
            prefix: net("192.0.2.7"),
            user: None,
            idle_seconds: 5,
            retire_after_seconds: None,
            until_unix: Some(7),
            added_unix: None,
        };
        let json = r#"{"prefix":"192.0.2.7/32","user":null,"idle_seconds":5,"retire_after_seconds":null,"until_unix":7,"added_unix":null}"#;
        assert_eq!(serde_json::to_string(&entry).ok().as_deref(), Some(json));
        assert_eq!(serde_json::from_str(json).ok(), Some(entry));
    }
}
