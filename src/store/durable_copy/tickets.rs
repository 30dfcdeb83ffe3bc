//! The entries that tickets brought, and the keys and revocations of tickets.

use super::super::build::record_of;
use super::super::database::Batch;
use super::super::journal::Change;
use super::super::{Outcome, StoreError, record, ticket_file};
use super::{After, DurableCopy};
use crate::access::Unsaved;
use crate::ticket::Book;

impl DurableCopy {
    /// Remove entries, and put others, with as few writes as possible. After an error or a power cut some of the changes
    /// may have been made.
    pub(in crate::store) fn save_brought(&mut self, unsaved: &Unsaved) -> Result<(), StoreError> {
        let departed: Vec<record::Key> = unsaved.departed.iter().map(record::key).collect();
        if !departed.is_empty() {
            self.remove(&departed)?;
        }
        if unsaved.entries.is_empty() {
            return Ok(());
        }
        let (mut batch, mut changes, mut keys) = (Batch::default(), Vec::new(), Vec::new());
        let (mut entries, mut digest) = (self.state.entries, self.digest);
        for entry in &unsaved.entries {
            let (key, value) = record_of(&self.data_dir, entry)?;
            let replaced = self.attempt(Outcome::Unchanged, |database| database.get(&key))?;
            entries += u32::from(replaced.is_none());
            digest.add(entry);
            if let Some(replaced) = replaced.and_then(|value| record::entry(&key, &value)) {
                digest.subtract(&replaced);
            }
            changes.push((After { entries, digest }, Change::Put(entry.clone())));
            batch.insert(&*key, &*value);
            keys.push(key);
        }
        let keys: Vec<&[u8]> = keys.iter().map(|key| &**key).collect();
        self.change(batch, &keys, changes)
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
}
