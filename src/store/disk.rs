//! The open database: the only file that names the library (sled).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use nix::errno::Errno;

use super::StoreError;
use super::export::{self, Export};
use super::folder::Folder;
use super::record::{self, State};
use crate::access::{Entry, Seen};
use crate::clock::Running;

/// The page cache, in octets. The list is read once, at start, so that there is hardly anything to cache.
const CACHE_OCTETS: u64 = 64 * 1024;

/// The unit in which the database file grows and is reused, in octets. It cannot change while databases exist.
const SEGMENT_OCTETS: usize = 64 * 1024;

/// How many records are written in one step when a list is restored, so that little memory is taken.
const RESTORE_RECORDS: usize = 256;

/// The running clock is written at least this often, so that no more of it is lost.
const RUNNING_AT_LEAST: Duration = Duration::from_secs(3600);

/// How much of the export may be written in a second of running time, on average, in octets: at most 864,000 a day.
/// Ten entries are exported ten minutes after a change, a thousand within three hours, 65,536 within a week.
const EXPORT_OCTETS_PER_SECOND: u64 = 10;

/// The open database.
///
/// What is durable and how (read from the library's sources, version 0.34.7):
/// - `db` is the log that everything is in. A flush writes to it but does not make it durable: it calls
///   `sync_file_range`, which leaves out the file's size and the disk's cache. Therefore `log` is a handle of our own,
///   which is synced after each flush.
/// - `blobs/` takes pages of more than a quarter of a segment (16,364 octets), and is never synced. Ours never get
///   there: a leaf has at most 17 entries of under 100 octets, an index 257 keys of under 20.
/// - `snap.*` is a shortcut through the log, written only while opening. It is synced before it gets its name, but its
///   first name, `snap.*.generating`, is mistaken for a whole one after a power cut, and then nothing is read at all.
///   The log says the same: all of them are removed before opening.
/// - `conf` holds the segment size; it is not synced, and written anew where it is empty.
#[derive(Debug)]
pub(super) struct Disk {
    db: sled::Db,
    log: File,
    folder: Folder,
    /// As in the database, or about to be.
    state: State,
    /// What the running clock showed when this was opened.
    opened_at: Running,
    /// When the export was written, which takes so many octets.
    exported: export::Date,
    exported_octets: u64,
    /// How many octets were written.
    handed: Arc<AtomicU64>,
}

/// What was found when opening.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) running: Running,
    pub(super) unreadable: u32,
    pub(super) moved_aside: Option<PathBuf>,
    changes: u64,
}

impl Found {
    /// Add what an export says to what could be read of a database.
    ///
    /// Who is on the list the younger of the two says; when that is the database, of which some is missing, both. An
    /// entry of which only the export knows is as idle as it was then: it has not been seen to be idle since.
    fn merge(&mut self, export: Export) {
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
struct Loaded {
    db: sled::Db,
    found: Found,
    condition: Condition,
}

/// In which condition a database is.
enum Condition {
    /// It was never finished, and nothing is in it.
    New,
    /// All of it is there.
    Whole(State),
    /// Some is missing.
    Damaged(String),
}

/// Why a database does not open.
enum LoadError {
    /// It is damaged.
    Damaged(String),
    /// Something else is wrong, which moving it aside would not help.
    Unusable(StoreError),
}

impl Disk {
    /// Open the database, or make a new one. However that ends, short of the end of the process, the marker goes.
    pub(super) fn open(folder: &Folder, handed: Arc<AtomicU64>) -> Result<(Self, Found), StoreError> {
        let worth_trying = folder.begin_open().map_err(StoreError::of("write in", folder.path()))?;
        let opened = Self::open_or_replace(folder, worth_trying, handed);
        folder.end_open().map_err(StoreError::of("write in", folder.path()))?;
        opened
    }

    fn open_or_replace(
        folder: &Folder,
        worth_trying: bool,
        handed: Arc<AtomicU64>,
    ) -> Result<(Self, Found), StoreError> {
        let (disk, found) = match load_if(worth_trying, folder) {
            Ok(Loaded { db, found, condition: Condition::Whole(state) }) => {
                (Self::new(db, folder, state, handed)?, found)
            }
            Ok(Loaded { db, condition: Condition::New, .. }) => Self::restore(db, folder, Found::default(), handed)?,
            Ok(Loaded { db, found, condition: Condition::Damaged(how) }) => {
                drop(db);
                Self::replace(folder, &how, found, handed)?
            }
            Err(LoadError::Damaged(how)) => Self::replace(folder, &how, Found::default(), handed)?,
            Err(LoadError::Unusable(error)) => return Err(error),
        };
        for directory in [&folder.database(), folder.path()] {
            Folder::sync(directory).map_err(StoreError::of("sync", directory))?;
        }
        Ok((disk, found))
    }

    fn new(db: sled::Db, folder: &Folder, state: State, handed: Arc<AtomicU64>) -> Result<Self, StoreError> {
        let path = folder.database().join("db");
        let log = File::options().read(true).write(true).open(&path).map_err(StoreError::of("open", &path))?;
        let (exported, exported_octets) = exported(folder);
        Ok(Self {
            exported,
            exported_octets,
            opened_at: Running::from_millis(state.running),
            folder: folder.clone(),
            db,
            log,
            state,
            handed,
        })
    }

    /// Move a damaged database aside and make a new one of `found` and the last export.
    fn replace(folder: &Folder, how: &str, found: Found, handed: Arc<AtomicU64>) -> Result<(Self, Found), StoreError> {
        let database = folder.database();
        let aside = folder.move_aside().map_err(StoreError::of("move aside the damaged database", &database))?;
        log::error!(
            "the database of the whitelist was damaged ({how}); it is now {}. {} entries of it could be read, others are \
             taken from {} if there is one. Look through `nakodo list`: one that was revoked lately may be back",
            aside.display(),
            found.entries.len(),
            folder.export().display(),
        );
        let loaded = load(folder).map_err(|error| match error {
            LoadError::Damaged(how) => StoreError::new("create a database in", &database, how),
            LoadError::Unusable(error) => error,
        })?;
        let found = Found { moved_aside: Some(aside), unreadable: 0, ..found };
        Self::restore(loaded.db, folder, found, handed)
    }

    /// Fill an empty database with `found` and with what else is in the last export.
    fn restore(
        db: sled::Db,
        folder: &Folder,
        mut found: Found,
        handed: Arc<AtomicU64>,
    ) -> Result<(Self, Found), StoreError> {
        if let Some(export) = read_export(folder) {
            found.merge(export);
        }
        // Running time never goes back behind what an entry says, also when a person wrote it.
        let seen = found.entries.iter().map(|entry| entry.last_seen).max().unwrap_or_default();
        found.running = found.running.max(seen);
        let mut disk = Self::new(db, folder, State::default(), handed)?;
        disk.opened_at = found.running;
        disk.write_all(&found)?;
        Ok((disk, found))
    }

    /// Write all of `found`, and only with the last of it the state, without which the database counts as unfinished.
    fn write_all(&mut self, found: &Found) -> Result<(), StoreError> {
        for entries in found.entries.chunks(RESTORE_RECORDS) {
            let mut batch = sled::Batch::default();
            for entry in entries {
                batch.insert(&*record::key(&entry.prefix), &*self.value(entry)?);
            }
            self.db.apply_batch(batch).map_err(self.failed())?;
        }
        let entries = found.entries.len() as u32;
        let state = State { running: found.running.millis(), entries, changes: found.changes };
        self.commit(sled::Batch::default(), state)
    }

    /// Sync from now on what cannot be synced.
    #[cfg(test)]
    pub(super) fn break_log(&mut self) {
        self.log = File::open("/dev/null").expect("every system has it");
    }

    pub(super) fn put(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let key = record::key(&entry.prefix);
        let is_new = !self.db.contains_key(&*key).map_err(self.failed())?;
        let mut batch = sled::Batch::default();
        batch.insert(&*key, &*self.value(entry)?);
        let entries = self.state.entries + u32::from(is_new);
        self.commit(batch, State { entries, changes: self.state.changes + 1, ..self.state })
    }

    pub(super) fn remove(&mut self, keys: &[record::Key]) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        // Each counts once, however often it is named.
        let mut removed = BTreeSet::new();
        for key in keys {
            if self.db.contains_key(&**key).map_err(self.failed())? && removed.insert(key) {
                batch.remove(&**key);
            }
        }
        if removed.is_empty() {
            return Ok(());
        }
        let entries = self.state.entries.saturating_sub(removed.len() as u32);
        self.commit(batch, State { entries, changes: self.state.changes + 1, ..self.state })
    }

    /// Write what has been waiting long enough; mostly nothing.
    pub(super) fn save_what_is_due(&mut self, running: Running, moved: &[Seen]) -> Result<(), StoreError> {
        if self.export_is_due(running) {
            self.export(running)?;
        }
        if moved.is_empty() && !self.running_is_due(running) { Ok(()) } else { self.save(running, moved) }
    }

    /// Write all that is not on the disk.
    pub(super) fn save_all(&mut self, running: Running, moved: &[Seen]) -> Result<(), StoreError> {
        if self.is_changed() {
            self.export(running)?;
        }
        self.save(running, moved)
    }

    /// Write when entries were last seen, in what else is on the disk of them now: one may have been replaced or
    /// removed since it was announced from.
    fn save(&mut self, running: Running, moved: &[Seen]) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for seen in moved {
            let key = record::key(&seen.prefix);
            let value = self.db.get(&*key).map_err(self.failed())?;
            if let Some(entry) = value.and_then(|value| record::entry(&key, &value)) {
                let last_seen = entry.last_seen.max(seen.last_seen);
                batch.insert(&*key, &*self.value(&Entry { last_seen, ..entry })?);
            }
        }
        let running = self.state.running.max(running.millis());
        self.commit(batch, State { running, ..self.state })
    }

    /// Make a batch and the state durable.
    fn commit(&mut self, mut batch: sled::Batch, state: State) -> Result<(), StoreError> {
        let value = record::state_value(&state).map_err(self.failed())?;
        batch.insert(&record::STATE_KEY, &*value);
        self.db.apply_batch(batch).map_err(self.failed())?;
        self.state = state;
        let octets = self.db.flush().map_err(self.failed())?;
        self.handed.fetch_add(octets as u64, Ordering::Relaxed);
        self.log.sync_all().map_err(self.failed())
    }

    /// In the first hour of a run the clock is written after 10, 20, 40 minutes, then each hour: a box that is only
    /// ever switched on for a film must age too.
    fn running_is_due(&self, running: Running) -> bool {
        let saved = Running::from_millis(self.state.running);
        let since = running.since(saved);
        !since.is_zero() && since >= saved.since(self.opened_at).min(RUNNING_AT_LEAST)
    }

    fn is_changed(&self) -> bool {
        self.state.changes != self.exported.changes
    }

    fn export_is_due(&self, running: Running) -> bool {
        self.is_changed()
            && running.since(self.exported.running).as_secs() >= self.exported_octets / EXPORT_OCTETS_PER_SECOND
    }

    fn export(&mut self, running: Running) -> Result<(), StoreError> {
        let path = self.folder.export();
        let date = export::Date { running, changes: self.state.changes };
        // One that cannot be read ends it, and the old export stays: half a list is worse than an old one.
        let entries = self.db.iter().filter_map(|record| match record {
            Ok((key, value)) => record::entry(&key, &value).map(Ok),
            Err(error) => Some(Err(io::Error::other(error))),
        });
        let octets = self.folder.replace(&path, |file| {
            let mut to = BufWriter::new(file);
            let octets = export::write(&mut to, date, entries)?;
            to.flush()?;
            Ok(octets)
        });
        self.exported_octets = octets.map_err(StoreError::of("write", &path))?;
        self.exported = date;
        self.handed.fetch_add(self.exported_octets, Ordering::Relaxed);
        Ok(())
    }

    fn value(&self, entry: &Entry) -> Result<record::Value, StoreError> {
        record::value(entry).map_err(self.failed())
    }

    fn failed<E: fmt::Display>(&self) -> impl FnOnce(E) -> StoreError + use<E> {
        let path = self.folder.database();
        move |cause| StoreError::new("write the whitelist in", path, cause)
    }
}

fn read_export(folder: &Folder) -> Option<Export> {
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
fn exported(folder: &Folder) -> (export::Date, u64) {
    let Ok(file) = File::open(folder.export()) else { return Default::default() };
    let octets = file.metadata().map_or(0, |metadata| metadata.len());
    (export::read_date(BufReader::new(file)).unwrap_or_default(), octets)
}

fn load_if(worth_trying: bool, folder: &Folder) -> Result<Loaded, LoadError> {
    if worth_trying {
        load(folder)
    } else {
        Err(LoadError::Damaged("the last two starts died of opening it".to_owned()))
    }
}

/// Open the database and read all of it.
fn load(folder: &Folder) -> Result<Loaded, LoadError> {
    let path = folder.database();
    remove_snapshots(&path)
        .map_err(|error| LoadError::Unusable(StoreError::new("open the database in", &path, error)))?;
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
    let exported = exported(folder).0;
    if matches!(condition, Condition::Whole(state) if state.changes < exported.changes) && found.unreadable == 0 {
        condition = Condition::Damaged(format!("it is older than {}", folder.export().display()));
    }
    Ok(Loaded { db, found, condition })
}

/// See `Disk`: shortcuts that may be broken, to what the log says anyway.
fn remove_snapshots(database: &Path) -> io::Result<()> {
    let names = match fs::read_dir(database) {
        Ok(names) => names,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(error),
    };
    for name in names {
        let name = name?;
        if name.file_name().as_encoded_bytes().starts_with(b"snap.") {
            fs::remove_file(name.path())?;
        }
    }
    Ok(())
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

#[cfg(test)]
pub(super) mod tests {
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
