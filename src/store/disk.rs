//! The open database: from opening it, and mending it where it is damaged, to every write. Of the crate's files only this
//! one and `load` name the library (sled).

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::StoreError;
use super::export;
use super::folder::Folder;
use super::load::{Condition, Found, LoadError, Loaded, exported, load, read_export};
use super::panics::Panics;
use super::record::{self, State};
use crate::access::{Entry, Seen};
use crate::clock::Running;

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
/// - `snap.*` is where the replay of the log begins: see `snapshots`.
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

impl Disk {
    /// Open the database, or make a new one.
    pub(super) fn open(folder: &Folder, handed: Arc<AtomicU64>) -> Result<(Self, Found), StoreError> {
        let panics = Panics::counted_in(folder.panics());
        let loaded = if panics.allow_an_open() {
            panics.watch(|| load(folder))
        } else {
            Err(LoadError::Damaged("the library panicked at the last two starts, opening it".to_owned()))
        };
        let (disk, found) = match loaded {
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
        panics.forget().map_err(StoreError::of("write in", folder.path()))?;
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
