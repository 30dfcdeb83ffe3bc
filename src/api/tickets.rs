//! Tickets and their keys.

use serde::{Deserialize, Serialize};

/// Path of [`SignTicket`] and [`Tickets`].
pub const TICKETS: &str = "/v1/tickets";

/// Path of [`InspectTicket`].
pub const INSPECT: &str = "/v1/tickets/inspect";

/// Path of [`Keys`], [`NewKey`] and [`RemoveKey`].
pub const KEYS: &str = "/v1/keys";

/// Sign a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignTicket {
    /// Name of the user: letters, digits, `-` and `_`.
    pub user: String,
    /// Number of days for which it is valid; `None` is 365.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Number of addresses that it admits at once; `None` is 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<u8>,
}

/// Explain a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InspectTicket {
    /// The ticket.
    pub ticket: String,
}

/// The answer to [`SignTicket`] and [`InspectTicket`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketContent {
    /// The ticket.
    pub ticket: String,
    /// Reason why the tracker refuses it, in a sentence; `None` if it is accepted.
    #[serde(default)]
    pub refused: Option<String>,
    /// Its user; empty, as the rest, if the ticket cannot be read.
    pub user: String,
    /// Its number.
    pub number: String,
    /// The name of its key.
    pub key: String,
    /// Time of its signature, in seconds since 1970.
    pub signed_unix: u64,
    /// Its end, in seconds since 1970.
    pub until_unix: u64,
    /// Number of addresses that it admits at once.
    pub addresses: u8,
}

/// The tickets that were verified lately, 256 at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tickets {
    /// The tickets, in no order.
    pub tickets: Vec<TicketUse>,
}

/// The use of a ticket since it was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketUse {
    /// Its user.
    pub user: String,
    /// Its number.
    pub number: String,
    /// Number of addresses that were replaced by others.
    pub replaced: u32,
    /// Number of requests that were refused because of too many addresses.
    pub over_limit: u32,
}

/// The keys of tickets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// All keys, the oldest first.
    pub keys: Vec<Key>,
}

/// A key of tickets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its name: the first characters of the public key.
    pub key: String,
    /// The public key.
    pub public: String,
    /// `own`, `added` or `configured`.
    pub origin: String,
    /// Whether new tickets are signed with it.
    pub signs: bool,
}

/// Make a key of the tracker's own, or add the public key of another signer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// The public key; `None` makes an own one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
}

/// Remove a key. Its tickets are refused from then on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveKey {
    /// Its name.
    pub key: String,
}
