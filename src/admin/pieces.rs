//! Long answers, written in pieces: lists in JSON, and the stream of events. Their length is not known at the start.

mod events;
mod listing;
mod swarms;
mod torrents;

use std::io;

use serde::Serialize;

pub(super) use events::EventStream;
pub use listing::listed;
pub(super) use listing::{Listing, entry, named};
pub(super) use swarms::{SwarmListing, swarms_of};
pub(super) use torrents::TorrentListing;

use crate::shared::Shared;

/// Minimum size of a piece in bytes: the item that reaches it ends the piece.
const PIECE_OCTETS: usize = 4096;

/// The progress of a long answer.
#[derive(Debug)]
pub enum Pieces {
    /// Entries of the whitelist.
    Whitelist(Listing),
    /// Swarms.
    Swarms(SwarmListing),
    /// The list of torrents.
    Torrents(TorrentListing),
    /// Events as they happen.
    Events(EventStream),
}

/// Return the begin of the JSON of `empty`, an answer whose only or last field is an empty list.
fn head(empty: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(empty).map(|json| json.trim_end_matches("]}").to_owned())
}

impl Pieces {
    /// Return the media type of the answer.
    pub const fn media_type(&self) -> &'static str {
        match self {
            Self::Events(_) => "text/event-stream",
            _ => "application/json",
        }
    }

    /// Write the next piece into `piece`, in place of its content; it may be empty. Return `false` after the last piece.
    ///
    /// # Errors
    /// When the answer cannot be continued.
    pub async fn next(&mut self, shared: &Shared, piece: &mut Vec<u8>) -> io::Result<bool> {
        piece.clear();
        match self {
            Self::Whitelist(listing) => Ok(listing.next(shared, piece)?),
            Self::Swarms(listing) => Ok(listing.next(shared, piece)?),
            Self::Torrents(listing) => listing.next(shared, piece).await,
            Self::Events(stream) => stream.next(shared, piece).await,
        }
    }
}
