//! The whitelist, and the users of its entries.

use std::borrow::Cow;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::access::prefix;

/// Path of [`Whitelist`], [`Allow`] and [`Revoke`].
pub const WHITELIST: &str = "/v1/whitelist";

/// Path of [`Import`].
pub const IMPORT: &str = "/v1/whitelist/import";

/// Path of [`Users`].
pub const USERS: &str = "/v1/users";

/// Start of the path of [`Explanation`]; the address follows.
pub const EXPLAIN: &str = "/v1/explain/";

/// The whitelist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whitelist {
    /// The entries that were requested, in the order of their prefixes.
    pub entries: Vec<Entry>,
    /// The prefix after which the next page begins; `None` on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
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
    /// Number of the ticket that brought the entry; `None` if a command added it.
    #[serde(default)]
    pub ticket: Option<String>,
    /// Number of seconds of running time since the last announce from one of the addresses.
    pub idle_seconds: u64,
    /// Number of idle seconds after which the entry is removed; `None` is never.
    #[serde(default)]
    pub retire_after_seconds: Option<u64>,
    /// Whether that is the configured time.
    #[serde(default)]
    pub retires_by_default: bool,
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

/// Add many entries to the whitelist, or replace those with the same prefixes: all of them or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The entries, at most [`IMPORT_ENTRIES`].
    pub entries: Vec<Allow>,
    /// Whether entries of other users with the same prefixes are replaced. Otherwise such a conflict refuses the request.
    #[serde(default)]
    pub replace: bool,
}

/// Maximum number of entries of an [`Import`].
pub const IMPORT_ENTRIES: usize = 10_000;

/// The answer to [`Import`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Number of entries that were added.
    pub added: u64,
    /// Number of entries that replaced others with the same prefixes.
    pub changed: u64,
    /// Number of entries that were on the list exactly so. Their idle times go on.
    pub unchanged: u64,
    /// Entries that were replaced, at most [`NAMED_ENTRIES`] of them.
    #[serde(default)]
    pub replaced: Vec<Known>,
}

/// Maximum length of lists of entries that an answer names as examples.
pub const NAMED_ENTRIES: usize = 32;

/// An entry that was on the list before a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its prefix.
    #[serde(with = "prefix_text")]
    pub prefix: IpNet,
    /// Its user.
    #[serde(default)]
    pub user: Option<String>,
}

/// The answer to [`Allow`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Prefix of the entry, in canonical form.
    #[serde(with = "prefix_text")]
    pub prefix: IpNet,
    /// Whether the entry replaced another.
    pub replaced: bool,
    /// The user of the entry that was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_before: Option<String>,
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
    /// Removed prefixes that are admitted nevertheless, at most [`NAMED_ENTRIES`] of them.
    #[serde(default)]
    pub still_admitted: Vec<StillAdmitted>,
}

/// A removed prefix that is admitted nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillAdmitted {
    /// The prefix.
    #[serde(with = "prefix_text")]
    pub prefix: IpNet,
    /// Reason: another entry of the whitelist, or the rule of its side.
    pub by: String,
}

/// The users of the whitelist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// The users that were requested, in the order of their names.
    pub users: Vec<UserSummary>,
    /// The user after which the next page begins; `None` on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The entries of a user in sum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSummary {
    /// Name of the user.
    pub user: String,
    /// Number of entries.
    pub entries: u64,
    /// Number of those that tickets brought.
    pub entries_by_ticket: u64,
    /// Number of seconds of running time since the last announce from one of the entries.
    pub idle_seconds: u64,
    /// The latest end of the entries, in seconds since 1970; `None` if one has no end.
    #[serde(default)]
    pub until_unix: Option<u64>,
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
    fn an_entry_has_null_for_never() {
        let entry = Entry {
            prefix: net("192.0.2.7"),
            user: None,
            ticket: None,
            idle_seconds: 5,
            retire_after_seconds: None,
            retires_by_default: false,
            until_unix: Some(7),
            has_ended: true,
            added_unix: None,
        };
        let json = r#"{"prefix":"192.0.2.7/32","user":null,"ticket":null,"idle_seconds":5,"retire_after_seconds":null,"retires_by_default":false,"until_unix":7,"has_ended":true,"added_unix":null}"#;
        assert_eq!(serde_json::to_string(&entry).ok().as_deref(), Some(json));
        assert_eq!(serde_json::from_str(json).ok(), Some(entry));
    }
}
