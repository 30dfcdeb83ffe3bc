//! A list of entries in memory, while the copies are opened: as records, because a database is built from records.

use ipnet::IpNet;

use super::build::Records;
use super::journal::Change;
use super::record;
use crate::access::Entry;

/// Entries by prefix.
#[derive(Debug, Default)]
pub(super) struct List(Records);

impl List {
    /// Take entries; of several with the same prefix, the last.
    pub(super) fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut list = Self::default();
        entries.into_iter().for_each(|entry| list.put(&entry));
        list
    }

    /// Add an entry, in place of one with the same prefix.
    pub(super) fn put(&mut self, entry: &Entry) {
        // This cannot fail: a value has room for the longest entry.
        if let Ok(value) = record::value(entry) {
            self.0.insert(Box::from(&*record::key(&entry.prefix)), Box::from(&*value));
        }
    }

    /// Return the entry with this prefix.
    pub(super) fn get(&self, prefix: &IpNet) -> Option<Entry> {
        let key = record::key(prefix);
        self.0.get(&*key).and_then(|value| record::entry(&key, value))
    }

    /// Make a change.
    pub(super) fn replay(&mut self, change: &Change) {
        match change {
            Change::Put(entries) => entries.iter().for_each(|entry| self.put(entry)),
            Change::Remove(prefixes) => prefixes.iter().for_each(|prefix| drop(self.0.remove(&*record::key(prefix)))),
        }
    }

    /// Return whether there are no entries.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterate over the entries, in the order of their keys.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.0.iter().filter_map(|(key, value)| record::entry(key, value))
    }
}
