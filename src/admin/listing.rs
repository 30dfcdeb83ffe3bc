//! The whitelist as JSON, a piece at a time.

use ipnet::IpNet;

use crate::access::{Entry, Whitelist};
use crate::api;
use crate::clock::Running;
use crate::shared::Shared;

/// A piece ends with the entry that makes it at least this long.
const PIECE_OCTETS: usize = 4096;

/// How far an [`api::Whitelist`] has been written.
///
/// Between two pieces entries come and go: every one that stays all the while is told, once.
#[derive(Debug, Default)]
pub struct Listing {
    /// The last entry that was written.
    last: Option<IpNet>,
    ended: bool,
}

impl Listing {
    /// Put the next piece of the JSON into `piece`, in place of what it holds; `false` when there is no more.
    ///
    /// # Errors
    /// When an entry cannot be written as JSON, which none is known to be.
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
            serde_json::to_writer(&mut *piece, &told(whitelist, entry, now))?;
            self.last = Some(entry.prefix);
        }
        Ok(true)
    }
}

/// An entry as the API tells it.
fn told(whitelist: &Whitelist, entry: &Entry, now: Running) -> api::Entry {
    api::Entry {
        prefix: entry.prefix,
        user: Some(entry.user.as_str()).filter(|user| !user.is_empty()).map(String::from),
        idle_seconds: whitelist.idle(entry, now).as_secs(),
        retire_after_seconds: whitelist.retirement(entry).map(|span| span.as_secs()),
        until_unix: entry.until.map(|until| until.0),
        added_unix: entry.added.map(|added| added.0),
    }
}
