//! The last hour and day, the clients that were refused, and the codes of the page.

use serde::Serialize;

/// Path of [`History`].
pub const HISTORY: &str = "/v1/history";

/// Path of [`Refusals`].
pub const REFUSED: &str = "/v1/refused";

/// Path of [`PageCode`].
pub const PAGE_CODES: &str = "/v1/page-codes";

/// Announces, logins and refusals over time.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// The last hour, by minute.
    pub hour: Scale,
    /// The last day, by quarter of an hour.
    pub day: Scale,
}

/// One scale of the history.
#[derive(Clone, Debug, Serialize)]
pub struct Scale {
    /// Length of a step.
    pub step_seconds: u64,
    /// The series. All have the same number of steps.
    pub series: Vec<Series>,
}

/// The counts of one name. The first two are `announces` and `logins`; the others are counters of refusals, without those
/// that have not counted.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// Its name.
    pub name: &'static str,
    /// The count of each step, the oldest first. The last step is in progress.
    pub counts: Vec<u32>,
}

/// The clients that were refused lately.
#[derive(Clone, Debug, Serialize)]
pub struct Refusals {
    /// At most 64 clients, the latest first.
    pub refused: Vec<RefusedClient>,
}

/// A client that was refused.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedClient {
    /// Its address.
    pub address: String,
    /// The prefix with which the whitelist would admit it.
    pub prefix: String,
    /// Its side: `LAN` or `WAN`.
    pub side: &'static str,
    /// The latest reason, as the client got it.
    pub reason: &'static str,
    /// Whether an entry on the whitelist would admit it.
    pub can_be_allowed: bool,
    /// Number of refusals while it is in this list.
    pub count: u32,
    /// Number of seconds since the latest one.
    pub seconds_ago: u64,
}

/// A one-time code that opens the page.
#[derive(Clone, Debug, Serialize)]
pub struct PageCode {
    /// The code.
    pub code: String,
    /// Number of seconds for which it is valid.
    pub valid_seconds: u64,
    /// Addresses of the page with the code; empty if `admin.listen` is off or its port was in use.
    pub links: Vec<String>,
}
