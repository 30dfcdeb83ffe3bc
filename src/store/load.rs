//! Reading a database, whatever its condition: what can be read of it and of the last export, and whether that is all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use nix::errno::Errno;

use super::StoreError;
use super::export::{self, Export};
use super::folder::Folder;
use super::record::{self, State};
use super::snapshots;
use crate::access::Entry;
use crate::clock::Running;

/// The page cache, in octets. The list is read once, at start, so that there is hardly anything to cache.
const CACHE_OCTETS: u64 = 64 * 1024;

/// The unit in which the database file grows and is reused, in octets. It cannot change while databases exist.
const SEGMENT_OCTETS: usize = 64 * 1024;

/// What was found when opening.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) running: Running,
    pub(super) unreadable: u32,
    pub(super) moved_aside: Option<PathBuf>,
    pub(super) changes: u64,
}

impl Found {
    /// Add what an export says to what could be read of a database.
    ///
    /// Who is on the list the younger of the two says; when that is the database, of which some is missing, both. An
    /// entry of which only the export knows is as idle as it was then: it has not been seen to be idle since.
    pub(super) fn merge(&mut self, export: Export) {
        let running = self.running.max(export.date.running);
        let since = running.since(export.date.running);
        let mut there: BTreeMap<IpNet, Entry> = self.entries.drain(..).map(|entry| (entry.prefix, entry)).collect();
        // A list that a person wrote may name a prefix twice; the later line counts.
        let mut merged: BTreeMap<IpNet, Entry> = BTreeMap::new();
        for entry in export.entries {
            let last_seen = there.get(&entry.prefix).map_or(entry.last_seen.after(since), |there| there.last_seen);
            merged.insert(entry.prefix, Entry { last_seen, ..entry });
        }
        if export.date.changes < self.changes {
            merged.append(&mut there);
            // It is no longer what either says, and so is exported anew.
            self.changes += 1;
        } else {
            self.changes = export.date.changes;
        }
        self.entries = merged.into_values().collect();
        self.running = running;
    }
}

/// A database that was opened, whether whole or not.
pub(super) struct Loaded {
    pub(super) db: sled::Db,
    pub(super) found: Found,
    pub(super) condition: Condition,
}

/// In which condition a database is.
pub(super) enum Condition {
    /// It was never finished, and nothing is in it.
    New,
    /// All of it is there.
    Whole(State),
    /// Some is missing.
    Damaged(String),
}

/// Why a database does not open.
pub(super) enum LoadError {
    /// It is damaged.
    Damaged(String),
    /// Something else is wrong, which moving it aside would not help.
    Unusable(StoreError),
}

/// Open the database and read all of it.
pub(super) fn load(folder: &Folder) -> Result<Loaded, LoadError> {
    let path = folder.database();
    let refused = |error: io::Error| load_error(&path, sled::Error::Io(error));
    sync_if_present(&path.join("db")).map_err(refused)?;
    let lost_snapshot = snapshots::settle(&path).map_err(refused)?;
    let octets = fs::metadata(path.join("db")).map_or(0, |metadata| metadata.len());
    let config = sled::Config::new()
        .path(&path)
        .mode(sled::Mode::LowSpace)
        .cache_capacity(CACHE_OCTETS)
        .segment_size(SEGMENT_OCTETS)
        .flush_every_ms(None);
    let db = config.open().map_err(|error| load_error(&path, error))?;
    let (found, mut condition) = read_records(&db);
    if matches!(condition, Condition::New) && octets > 0 {
        condition = Condition::Damaged(format!("nothing can be read of its {octets} octets"));
    }
    if let Some(lost) = lost_snapshot
        && snapshots::newest(&path).map_err(refused)? < Some(lost)
    {
        condition = Condition::Damaged("its log ends before its damaged snapshot".to_owned());
    }
    let exported = exported(folder).0;
    if matches!(condition, Condition::Whole(state) if state.changes < exported.changes) && found.unreadable == 0 {
        condition = Condition::Damaged(format!("it is older than {}", folder.export().display()));
    }
    Ok(Loaded { db, found, condition })
}

/// Make durable what the library is about to read: its snapshot of that will be.
fn sync_if_present(log: &Path) -> io::Result<()> {
    match File::open(log) {
        Ok(file) => file.sync_all(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Read every record: so every page has been seen to be good when this returns.
fn read_records(db: &sled::Db) -> (Found, Condition) {
    let mut found = Found::default();
    let mut state = None;
    let mut damage = None;
    for record in db.iter() {
        match record {
            Ok((key, value)) if key.as_ref() == record::STATE_KEY => {
                state = Some(record::state(&value));
                found.unreadable += u32::from(state == Some(None));
            }
            Ok((key, value)) => match record::entry(&key, &value) {
                Some(entry) => found.entries.push(entry),
                None => found.unreadable += 1,
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
    let there = found.entries.len() as u32 + found.unreadable;
    match state {
        None if there == 0 => Condition::New,
        None => Condition::Damaged(format!("it has {there} entries and does not say how many it should have")),
        Some(Some(state)) if state.entries == there => {
            Condition::Whole(State { running: state.running.max(seen.millis()), ..state })
        }
        Some(Some(state)) => Condition::Damaged(format!("it has {there} entries and should have {}", state.entries)),
        // A later version wrote it; the state itself is among the unreadable records.
        Some(None) => Condition::Whole(State { running: seen.millis(), entries: there - 1, changes: 0 }),
    }
}

/// Tell damage, of which a new database is the cure, from what no database would survive.
fn load_error(path: &Path, error: sled::Error) -> LoadError {
    use io::ErrorKind::{OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull, WouldBlock};
    match error {
        sled::Error::Io(error)
            if matches!(
                error.kind(),
                OutOfMemory | PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull | WouldBlock
            ) || matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE))
                || error.to_string().starts_with("could not acquire lock") =>
        {
            LoadError::Unusable(StoreError::new("open the database in", path, error))
        }
        error => LoadError::Damaged(error.to_string()),
    }
}

/// The last export, if there is one; the log says what became of it.
pub(super) fn read_export(folder: &Folder) -> Option<Export> {
    let path = folder.export();
    let file = match File::open(&path) {
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

/// When the list was last exported, and in how many octets; never in none.
pub(super) fn exported(folder: &Folder) -> (export::Date, u64) {
    let Ok(file) = File::open(folder.export()) else { return Default::default() };
    let octets = file.metadata().map_or(0, |metadata| metadata.len());
    (export::read_date(BufReader::new(file)).unwrap_or_default(), octets)
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// Put a record that this version would not write in the database, and say that it is there.
    pub(in crate::store) fn write_raw(database: &Path, key: &[u8], value: &[u8]) {
        let config = sled::Config::new().path(database).segment_size(SEGMENT_OCTETS).flush_every_ms(None);
        let db = (0..200).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            config.open().ok()
        });
        let db = db.expect("a database");
        db.insert(key, value).expect("written");
        let state = db.get(record::STATE_KEY).expect("read").and_then(|state| record::state(&state));
        if let Some(state) = state {
            let state = State { entries: state.entries + 1, ..state };
            db.insert(record::STATE_KEY, &*record::state_value(&state).expect("room")).expect("written");
        }
        db.flush().expect("written");
    }

    fn entry(text: &str, last_seen: u64) -> Entry {
        Entry {
            prefix: crate::access::prefix::parse(text).expect(text),
            user: crate::access::User::new(),
            retire: crate::access::Retire::Default,
            until: None,
            added: None,
            last_seen: Running::from_seconds(last_seen),
        }
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
    fn of_an_export_and_what_is_left_of_a_database_the_younger_says_who_is_on_the_list() {
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

    #[test]
    fn what_a_new_database_would_not_cure_is_not_taken_for_damage() {
        let path = Path::new("/data");
        let io = |error: io::Error| load_error(path, sled::Error::Io(error));
        for errno in [Errno::ENOSPC, Errno::EROFS, Errno::EACCES, Errno::EPERM, Errno::EMFILE, Errno::ENOMEM] {
            assert!(matches!(io(errno.into()), LoadError::Unusable(_)), "{errno}");
        }
        for errno in [Errno::EIO, Errno::EISDIR, Errno::ENOTDIR, Errno::EINVAL] {
            assert!(matches!(io(errno.into()), LoadError::Damaged(_)), "{errno}");
        }
        assert!(matches!(io(io::ErrorKind::UnexpectedEof.into()), LoadError::Damaged(_)));
    }
}
