//! An entry of the whitelist.

use core::time::Duration;

use ipnet::IpNet;

use crate::access::ticket_number::TicketNumber;
use crate::access::user::User;
use crate::clock::{Running, UnixSeconds};

/// Idle time after which an entry is retired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retire {
    /// The configured default (`retire_after`), including later changes of it.
    #[default]
    Default,
    /// This many seconds of running time.
    After(u32),
    /// The entry is never retired for being idle.
    Never,
}

impl Retire {
    /// Return the idle time; `None` for never.
    pub(super) fn idle_time(self, default: Duration) -> Option<Duration> {
        match self {
            Self::Default => Some(default),
            Self::After(seconds) => Some(Duration::from_secs(u64::from(seconds))),
            Self::Never => None,
        }
    }
}

/// Entry of the whitelist: a prefix that may announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Addresses of the entry.
    pub prefix: IpNet,
    /// Customer that the entry belongs to; empty for none.
    pub user: User,
    /// Idle time after which the entry is retired.
    pub retire: Retire,
    /// End date, which applies to busy entries as well; `None` for no end.
    pub until: Option<UnixSeconds>,
    /// Time when the entry was added; `None` if the clock was not sane then.
    pub added: Option<UnixSeconds>,
    /// Time of the last announce from the prefix, or of the addition of the entry.
    pub last_seen: Running,
    /// Number of the ticket that brought the entry; `None` if a command added it.
    pub ticket: Option<TicketNumber>,
}

impl Entry {
    /// Create an entry without a user or an end, retired by the default, and idle since the clock's start.
    pub const fn new(prefix: IpNet) -> Self {
        Self {
            prefix,
            user: User::new(),
            retire: Retire::Default,
            until: None,
            added: None,
            last_seen: Running::from_millis(0),
            ticket: None,
        }
    }
}
