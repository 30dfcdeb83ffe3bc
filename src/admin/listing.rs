//! The whitelist as JSON, one piece at a time.

use ipnet::IpNet;

use crate::access::{Entry, Whitelist};
use crate::api;
use crate::clock::Running;
use crate::shared::Shared;

/// Minimum size of a piece in bytes: the entry that reaches it ends the piece.
const PIECE_OCTETS: usize = 4096;

/// The progress of writing an [`api::Whitelist`].
///
/// The list may change between two pieces. An entry that stays on it for the whole time is written exactly once.
#[derive(Debug, Default)]
pub struct Listing {
    /// The prefix of the last entry that was written.
    last: Option<IpNet>,
    ended: bool,
}

impl Listing {
    /// Write the next piece of the JSON into `piece`, in place of its content. Return `false` after the last piece.
    ///
    /// # Errors
    /// When an entry cannot be written as JSON. No entry is known to cause that.
    pub fn next(&mut self, shared: &Shared, piece: &mut Vec<u8>) -> serde_json::Result<bool> {
        piece.clear();
        if self.ended {
            return Ok(false);
        }
        let tracker = shared.tracker.borrow();
        let (whitelist, now) = (tracker.whitelisted(), shared.now());
        if self.last.is_none() {
            piece.extend_from_slice(br#"{"entries":["#);
        }
        while piece.len() < PIECE_OCTETS {
            let Some(entry) = whitelist.after(self.last.as_ref()) else {
                piece.extend_from_slice(b"]}");
                self.ended = true;
                break;
            };
            if self.last.is_some() {
                piece.push(b',');
            }
            serde_json::to_writer(&mut *piece, &self::entry(whitelist, entry, now))?;
            self.last = Some(entry.prefix);
        }
        Ok(true)
    }
}

/// Return an entry in the form of the API.
pub(super) fn entry(whitelist: &Whitelist, entry: &Entry, now: Running) -> api::Entry {
    api::Entry {
        prefix: entry.prefix,
        user: Some(entry.user.as_str()).filter(|user| !user.is_empty()).map(String::from),
        idle_seconds: whitelist.idle(entry, now).as_secs(),
        retire_after_seconds: whitelist.retirement(entry).map(|span| span.as_secs()),
        until_unix: entry.until.map(|until| until.0),
        has_ended: whitelist.has_ended(entry),
        added_unix: entry.added.map(|added| added.0),
    }
}
