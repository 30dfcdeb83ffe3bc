//! The data beside the list: the entries that tickets brought, the keys and revocations of tickets, and the list of
//! torrents.

use std::path::Path;

use super::super::{
    Edited, Outcome, SavedSession, StoreError, TorrentEdits, TorrentFileError, record, session_file, ticket_file,
    torrent_file,
};
use super::DurableCopy;
use crate::access::Unsaved;
use crate::ticket::Book;
use crate::torrents::TorrentList;

impl DurableCopy {
    /// Remove entries, and put others, with as few writes as possible. After an error or a power cut some of the changes
    /// may have been made.
    pub(in crate::store) fn save_brought(&mut self, unsaved: &Unsaved) -> Result<(), StoreError> {
        let departed: Vec<record::Key> = unsaved.departed.iter().map(record::key).collect();
        if !departed.is_empty() {
            self.remove(&departed)?;
        }
        self.put(unsaved.entries.clone())
    }

    /// Read the keys and revocations of tickets, and restore a damaged file from the other.
    pub(in crate::store) fn read_tickets(&self) -> Result<Book, StoreError> {
        let (book, damage) = ticket_file::read(&self.data_dir)?;
        if let Some(damage) = damage {
            self.health.recovered(&damage);
            if let Err(error) = ticket_file::write(&self.data_dir, &book) {
                log::error!("{error}; the damaged file stays");
            }
        }
        Ok(book)
    }

    /// Write the keys and revocations of tickets.
    pub(in crate::store) fn save_tickets(&mut self, book: &Book) -> Result<(), StoreError> {
        // Another tracker may use the directory if it is not locked.
        if self.lock.is_none() {
            return Err(self.still_failing());
        }
        ticket_file::write(&self.data_dir, book).map_err(|error| error.with_outcome(Outcome::Unknown))
    }

    /// Read the sessions of the page.
    pub(in crate::store) fn read_sessions(&self) -> Vec<SavedSession> {
        session_file::read(&self.data_dir)
    }

    /// Write the sessions of the page.
    pub(in crate::store) fn save_sessions(&self, sessions: &[SavedSession]) -> Result<(), StoreError> {
        session_file::write(&self.data_dir, sessions)
    }

    /// Edit the list of torrents.
    pub(in crate::store) fn edit_torrents(
        &self,
        path: &Path,
        capacity: usize,
        edits: &TorrentEdits,
    ) -> Result<(Edited, TorrentList), TorrentFileError> {
        torrent_file::edit(&self.data_dir, path, capacity, edits)
    }
}
