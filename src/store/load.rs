//! Reading of a database in any condition: its readable data, that of the last export, and whether any is missing.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

use super::data_dir::DataDir;
use super::database::{Database, LoadError, Meter, Record};
use super::export::{self, Export};
use super::no_links;
use super::record::{self, State};
use crate::access::Entry;
use crate::clock::Running;

/// The data found at the start.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) running: Running,
    /// Records that this version cannot read, to be kept unchanged.
    pub(super) unreadable: Vec<Record>,
    /// Whether the state is unreadable too. It is not kept, because this version writes its own.
    pub(super) unreadable_state: bool,
    pub(super) moved_aside: Option<PathBuf>,
    pub(super) changes: u64,
}

impl Found {
    /// Merge an export into the readable data of a database.
    ///
    /// The newer of the two decides which entries exist. If that is the database, the entries of both are kept, because
    /// the database is incomplete. An entry that only the export has keeps the idle time that it had at the export:
    /// nothing is known of the time since then.
    pub(super) fn merge(&mut self, export: Export) {
        let running = self.running.max(export.date.running);
        let since = running.since(export.date.running);
        let mut there: BTreeMap<IpNet, Entry> = self.entries.drain(..).map(|entry| (entry.prefix, entry)).collect();
        // A list from a person may have a prefix twice; the later line counts.
        let mut merged: BTreeMap<IpNet, Entry> = BTreeMap::new();
        for entry in export.entries {
            let last_seen = there.get(&entry.prefix).map_or(entry.last_seen.after(since), |there| there.last_seen);
            merged.insert(entry.prefix, Entry { last_seen, ..entry });
        }
        if export.date.changes < self.changes {
            merged.append(&mut there);
            // The list now differs from both, so it counts as a change and is exported again.
            self.changes += 1;
        } else {
            self.changes = export.date.changes;
        }
        self.entries = merged.into_values().collect();
        self.running = running;
    }

    /// Return the number of records found.
    fn count(&self) -> u32 {
        (self.entries.len() + self.unreadable.len()) as u32
    }
}

/// An open database, complete or not.
pub(super) struct Loaded {
    pub(super) database: Database,
    pub(super) found: Found,
    pub(super) condition: Condition,
}

/// The condition of a database.
pub(super) enum Condition {
    /// The database is empty and was never finished.
    New,
    /// The database is complete.
    Whole(State),
    /// Some data is missing, with a description.
    Damaged(String),
}

/// Open the database and read all of it.
pub(super) fn load(data_dir: &DataDir, meter: Arc<Meter>) -> Result<Loaded, LoadError> {
    let (database, shorter) = Database::open(&data_dir.database(), meter)?;
    let (found, mut condition) = read_records(&database);
    let exported = exported(data_dir).0;
    if let Some(how) = shorter {
        condition = Condition::Damaged(how);
    } else if matches!(condition, Condition::Whole(state) if state.changes < exported.changes)
        && found.unreadable.is_empty()
        && !found.unreadable_state
    {
        condition = Condition::Damaged(format!("it is older than {}", data_dir.export().display()));
    }
    Ok(Loaded { database, found, condition })
}

/// Read every record, and so check every page.
fn read_records(database: &Database) -> (Found, Condition) {
    let mut found = Found::default();
    let mut state = None;
    let mut damage = None;
    for record in database.records() {
        match record {
            Ok((key, value)) if *key == record::STATE_KEY => {
                state = Some(record::state(&value));
                found.unreadable_state = state == Some(None);
            }
            Ok((key, value)) => match record::entry(&key, &value) {
                Some(entry) => found.entries.push(entry),
                None => found.unreadable.push((key, value)),
            },
            Err(error) => {
                damage = Some(error.to_string());
                break;
            }
        }
    }
    let seen = found.entries.iter().map(|entry| entry.last_seen).max().unwrap_or_default();
    let condition = damage.map_or_else(|| condition(&found, state, seen), Condition::Damaged);
    let said = state.flatten().unwrap_or_default();
    found.running = Running::from_millis(said.running).max(seen);
    found.changes = said.changes.max(u64::from(!found.entries.is_empty()));
    (found, condition)
}

fn condition(found: &Found, state: Option<Option<State>>, seen: Running) -> Condition {
    let there = found.count();
    match state {
        None if there == 0 => Condition::New,
        None => Condition::Damaged(format!("it has {there} entries and does not say how many it should have")),
        Some(Some(state)) if state.entries == there => {
            Condition::Whole(State { running: state.running.max(seen.millis()), ..state })
        }
        Some(Some(state)) => Condition::Damaged(format!("it has {there} entries and should have {}", state.entries)),
        // A later version wrote it.
        Some(None) => Condition::Whole(State { running: seen.millis(), entries: there, changes: 0 }),
    }
}

/// Return the last export, if any; the log reports the result.
pub(super) fn read_export(data_dir: &DataDir) -> Option<Export> {
    let path = data_dir.export();
    let file = match no_links::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            log::error!("cannot read {}: {error}; the whitelist is not restored from it", path.display());
            return None;
        }
    };
    match export::read(BufReader::new(file)) {
        Ok(export) => {
            let (read, unreadable) = (export.entries.len(), export.unreadable);
            log::warn!(
                "the whitelist is restored from {}: {read} entries, {unreadable} lines could not be read",
                path.display()
            );
            Some(export)
        }
        Err(error) => {
            log::error!("cannot read {}: {error}; the whitelist is not restored from it", path.display());
            None
        }
    }
}

/// Return the date of the last export and its size in bytes; both zero without an export.
pub(super) fn exported(data_dir: &DataDir) -> (export::Date, u64) {
    let Ok(file) = no_links::open(&data_dir.export()) else { return Default::default() };
    let octets = file.metadata().map_or(0, |metadata| metadata.len());
    (export::read_date(BufReader::new(file)).unwrap_or_default(), octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str, last_seen: u64) -> Entry {
        let prefix = crate::access::prefix::parse(text).expect(text);
        Entry { last_seen: Running::from_seconds(last_seen), ..Entry::new(prefix) }
    }

    fn merged(changes: u64, exported: u64) -> Found {
        let entries = vec![entry("192.0.2.1", 950), entry("192.0.2.2", 10)];
        let mut found = Found { entries, running: Running::from_seconds(1000), changes, ..Found::default() };
        let date = export::Date { running: Running::from_seconds(100), changes: exported };
        found.merge(Export { date, entries: vec![entry("192.0.2.2", 60), entry("192.0.2.3", 70)], unreadable: 0 });
        assert_eq!(found.running, Running::from_seconds(1000));
        found
    }

    #[test]
    fn the_newer_of_export_and_database_decides_the_entries() {
        let younger_export = merged(5, 5);
        assert_eq!(younger_export.entries, [entry("192.0.2.2", 10), entry("192.0.2.3", 970)]);
        assert_eq!(younger_export.changes, 5);
        let younger_database = merged(6, 5);
        assert_eq!(
            younger_database.entries,
            [entry("192.0.2.1", 950), entry("192.0.2.2", 10), entry("192.0.2.3", 970)]
        );
        assert_eq!(younger_database.changes, 7);
    }
}
