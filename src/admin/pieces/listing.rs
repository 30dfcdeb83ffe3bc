//! The answer with the whitelist.

use ipnet::IpNet;

use super::{PIECE_OCTETS, head};
use crate::access::{Entry, Retire, User, Whitelist, prefix};
use crate::admin::parameters::Parameters;
use crate::admin::refused::Refused;
use crate::api;
use crate::clock::Running;
use crate::shared::Shared;

/// Number of entries that one piece looks at.
const ENTRIES_A_PIECE: usize = 1024;

/// The entries to list.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// Only those of this user.
    user: Option<String>,
    /// Only those in this prefix.
    within: Option<IpNet>,
    /// Maximum number.
    limit: Option<usize>,
}

/// The progress of writing an [`api::Whitelist`].
///
/// The list may change between two pieces. An entry that stays on it for the whole time is written exactly once.
#[derive(Debug, Default)]
pub struct Listing {
    selection: Selection,
    /// The prefix of the last entry that was looked at.
    last: Option<IpNet>,
    /// The prefix of the last entry that was written.
    written: Option<IpNet>,
    count: usize,
    is_begun: bool,
    is_ended: bool,
}

impl Listing {
    /// Begin the list that the parameters of a request select.
    pub(in crate::admin) fn of(parameters: &Parameters) -> Result<Self, Refused> {
        let prefix = |text: &str| prefix::parse(text).ok();
        let selection = Selection {
            user: parameters.text("user").map(String::from),
            within: parameters.parsed("within", prefix)?,
            limit: parameters.limit()?,
        };
        Ok(Self { selection, last: parameters.parsed("after", prefix)?, ..Self::default() })
    }

    /// Write the next piece. Return `false` after the last one.
    pub(super) fn next(&mut self, shared: &Shared, piece: &mut Vec<u8>) -> serde_json::Result<bool> {
        if self.is_ended {
            return Ok(false);
        }
        if !self.is_begun {
            piece.extend(head(&api::Whitelist::default())?.bytes());
            self.is_begun = true;
        }
        let tracker = shared.tracker.borrow();
        let (whitelist, now) = (tracker.whitelisted(), shared.now());
        for _ in 0..ENTRIES_A_PIECE {
            let Some(entry) = whitelist.after(self.last.as_ref()) else {
                piece.extend_from_slice(b"]}");
                self.is_ended = true;
                break;
            };
            self.last = Some(entry.prefix);
            if !self.selection.has(entry) {
                continue;
            }
            if self.selection.limit == Some(self.count) {
                self.end_page(piece);
                break;
            }
            if self.count > 0 {
                piece.push(b',');
            }
            serde_json::to_writer(&mut *piece, &self::entry(whitelist, entry, now))?;
            (self.written, self.count) = (Some(entry.prefix), self.count + 1);
            if piece.len() >= PIECE_OCTETS {
                break;
            }
        }
        Ok(true)
    }

    /// End the answer with the place of the next page.
    fn end_page(&mut self, piece: &mut Vec<u8>) {
        let next = self.written.map(|prefix| prefix.to_string()).unwrap_or_default();
        piece.extend_from_slice(format!(r#"],"next":"{next}"}}"#).as_bytes());
        self.is_ended = true;
    }
}

/// Return the first entries of the whitelist, at most `most`.
pub fn listed(shared: &Shared, most: usize) -> Vec<api::Entry> {
    let (tracker, now) = (shared.tracker.borrow(), shared.now());
    let whitelist = tracker.whitelisted();
    let next = |last: &Entry| whitelist.after(Some(&last.prefix));
    let entries = core::iter::successors(whitelist.after(None), |last| next(last));
    entries.take(most).map(|found| entry(whitelist, found, now)).collect()
}

impl Selection {
    fn has(&self, entry: &Entry) -> bool {
        self.user.as_ref().is_none_or(|user| entry.user == user.as_str())
            && self.within.is_none_or(|within| within.contains(&entry.prefix))
    }
}

/// Return the name of a user; `None` if it is empty.
pub(in crate::admin) fn named(user: &User) -> Option<String> {
    Some(user.as_str()).filter(|user| !user.is_empty()).map(String::from)
}

/// Return an entry in the form of the API.
pub(in crate::admin) fn entry(whitelist: &Whitelist, entry: &Entry, now: Running) -> api::Entry {
    api::Entry {
        prefix: entry.prefix,
        user: named(&entry.user),
        ticket: entry.ticket.map(|number| number.to_string()),
        idle_seconds: whitelist.idle(entry, now).as_secs(),
        retire_after_seconds: whitelist.retirement(entry).map(|span| span.as_secs()),
        retires_by_default: entry.retire == Retire::Default,
        until_unix: entry.until.map(|until| until.0),
        has_ended: whitelist.has_ended(entry),
        added_unix: entry.added.map(|added| added.0),
    }
}
