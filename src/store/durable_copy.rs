//! The durable copy of the whitelist: the changes in the database, the handling of disk failures, and the schedule of
//! the idle times and the export.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::data_dir::DataDir;
use super::database::{Batch, Database, LoadError, Meter, Record};
use super::export;
use super::health::Noted;
use super::load::{Condition, Found, Loaded, exported, load, read_export};
use super::lock::Lock;
use super::panics::Panics;
use super::record::{self, State};
use super::{Outcome, SaveError, StoreError};
use crate::access::{Entry, Seen};
use crate::clock::Running;

/// Longest time between two writes of the running clock, and so the most of it that can be lost.
const RUNNING_AT_LEAST: Duration = Duration::from_secs(3600);

/// Average number of bytes of the export that may be written in a second of running time: at most 864,000 a day. Ten
/// entries are exported ten minutes after a change, a thousand within three hours, 65,536 within a week.
const EXPORT_OCTETS_PER_SECOND: u64 = 10;

/// Largest size in bytes of a record in the database.
const RECORD_OCTETS: u64 = 256;

/// Number of failed databases that may stay in memory until the process ends: about 200 KiB each.
const LEFT_IN_MEMORY: u32 = 8;

/// Records by key.
type Records = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// The durable copy of the whitelist.
///
/// A database that has failed once is not used again: the library would refuse every change, and might still write a
/// refused one. It is abandoned at once. [`Self::rebuild`] makes a new one from the list in memory, which is
/// authoritative. Until then every change is refused.
#[derive(Debug)]
pub(super) struct DurableCopy {
    /// The database; `None` while the disk fails.
    database: Option<Database>,
    data_dir: DataDir,
    lock: Lock,
    /// The state, as in the database.
    state: State,
    /// Records in the database that are not in the whitelist: those of other versions, and those that the whitelist has
    /// no room for.
    beside: Records,
    /// The running clock at the start of this run.
    opened_at: Running,
    /// The date of the last export.
    exported: export::Date,
    exported_octets: u64,
    meter: Arc<Meter>,
    health: Arc<Noted>,
}

impl DurableCopy {
    /// Open the database, or create one.
    pub(super) fn open(
        data_dir: &DataDir,
        lock: Lock,
        meter: Arc<Meter>,
        health: Arc<Noted>,
    ) -> Result<(Self, Found), StoreError> {
        data_dir.settle().map_err(StoreError::of("write in", data_dir.path()))?;
        let panics = Panics::counted_in(data_dir.panics());
        let (database, state, found) = if !data_dir.has_database() {
            build_from_export(data_dir, Found::default(), &meter)?
        } else if panics.allow_an_open() {
            match panics.watch(|| read(data_dir, &meter)) {
                Ok(Read::Whole(database, state, found)) => (database, state, found),
                Ok(Read::Empty) => build_from_export(data_dir, Found::default(), &meter)?,
                Ok(Read::Damaged(how, found)) => replace(data_dir, &how, found, &meter)?,
                Err(LoadError::Damaged(how)) => replace(data_dir, &how, Found::default(), &meter)?,
                Err(LoadError::Unusable(error)) => return Err(error),
            }
        } else {
            replace(
                data_dir,
                "the library panicked at the last two starts while it opened the database",
                Found::default(),
                &meter,
            )?
        };
        panics.forget().map_err(StoreError::of("write in", data_dir.path()))?;
        let (exported, exported_octets) = exported(data_dir);
        let disk = Self {
            database: Some(database),
            data_dir: data_dir.clone(),
            lock,
            state,
            beside: found.unreadable.iter().cloned().collect(),
            opened_at: Running::from_millis(state.running),
            exported,
            exported_octets,
            meter,
            health,
        };
        Ok((disk, found))
    }

    /// Keep entries that the whitelist has no room for.
    pub(super) fn keep(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.beside = with_records_of(&self.data_dir, self.beside.clone(), entries)?;
        Ok(())
    }

    /// Make every later change fail, as on a failing disk.
    #[cfg(test)]
    pub(super) fn break_log(&mut self) {
        self.database.as_mut().expect("a database").break_log();
    }

    pub(super) fn put(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let (key, value) = record_of(&self.data_dir, entry)?;
        let is_new = self.attempt(Outcome::Unchanged, |database| database.get(&key))?.is_none();
        let mut batch = Batch::default();
        batch.insert(&*key, &*value);
        let entries = self.state.entries + u32::from(is_new);
        self.commit(batch, 1, State { entries, changes: self.state.changes + 1, ..self.state })?;
        self.beside.remove(&key);
        Ok(())
    }

    pub(super) fn remove(&mut self, keys: &[record::Key]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        // A key counts once, even if it is listed more than once.
        let mut removed = BTreeSet::new();
        for key in keys {
            let is_there = self.attempt(Outcome::Unchanged, |database| database.get(key))?.is_some();
            if is_there && removed.insert(key) {
                batch.remove(&**key);
            }
        }
        if removed.is_empty() {
            return Ok(());
        }
        let entries = self.state.entries.saturating_sub(removed.len() as u32);
        self.commit(batch, removed.len(), State { entries, changes: self.state.changes + 1, ..self.state })?;
        for key in removed {
            self.beside.remove(&**key);
        }
        Ok(())
    }

    /// Abandon the database if it is no longer at its place.
    pub(super) fn check_place(&mut self) {
        if self.database.is_some() {
            // A failure is noted for the rebuild.
            let _ = self.attempt(Outcome::Unchanged, Database::check_place);
        }
    }

    /// Write the data that is due; most calls write nothing. A failure of one part does not prevent the other.
    pub(super) fn save_what_is_due(&mut self, running: Running, moved: &[Seen]) -> Result<(), SaveError> {
        let is_due = !moved.is_empty() || self.running_is_due(running);
        let exported = if self.export_is_due(running) { self.export(running) } else { Ok(()) };
        both(exported, if is_due { self.save(running, moved) } else { Ok(()) })
    }

    /// Write all data that is not on the disk yet. A failure of one part does not prevent the other.
    pub(super) fn save_all(&mut self, running: Running, moved: &[Seen]) -> Result<(), SaveError> {
        let exported = if self.is_changed() { self.export(running) } else { Ok(()) };
        both(exported, self.save(running, moved))
    }

    /// Write the last-seen times into the current records on the disk: an entry may have been replaced or removed since
    /// its last announce.
    fn save(&mut self, running: Running, moved: &[Seen]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for seen in moved {
            let key = record::key(&seen.prefix);
            let value = self.attempt(Outcome::Unchanged, |database| database.get(&key))?;
            if let Some(entry) = value.and_then(|value| record::entry(&key, &value)) {
                let last_seen = entry.last_seen.max(seen.last_seen);
                let (key, value) = record_of(&self.data_dir, &Entry { last_seen, ..entry })?;
                batch.insert(&*key, &*value);
            }
        }
        let running = self.state.running.max(running.millis());
        self.commit(batch, moved.len(), State { running, ..self.state })
    }

    /// Create a new database with the whole whitelist, in the place of a failed one.
    ///
    /// # Errors
    /// When the disk fails again. The data on the disk is then unchanged, and a later attempt may succeed.
    pub(super) fn rebuild(&mut self, running: Running, entries: &[Entry]) -> Result<(), StoreError> {
        let directory = self.data_dir.building();
        let failed = |cause| StoreError::new("rewrite the whitelist in", &directory, cause);
        if self.meter.left_in_memory.load(Ordering::Relaxed) >= LEFT_IN_MEMORY {
            return Err(failed("the disk has failed too often; check it, and restart nakodo".to_owned()));
        }
        // The whole directory may have been removed.
        self.data_dir.create().map_err(|error| failed(error.to_string()))?;
        self.lock.retake(&self.data_dir)?;
        let count = entries.len() + self.beside.len();
        self.data_dir.check_room(count as u64 * RECORD_OCTETS).map_err(failed)?;
        // A new database that fails may have to stay in memory: try the disk with less first.
        self.data_dir.try_to_write().map_err(|error| failed(error.to_string()))?;
        let records = with_records_of(&self.data_dir, self.beside.clone(), entries)?;
        // More changes than the failed database can have on the disk.
        let changes = self.state.changes + 2;
        let running = self.state.running.max(running.millis());
        let state = State { running, entries: records.len() as u32, changes };
        let (database, failed) = build(&self.data_dir, records.into_iter(), &state, &self.meter)?;
        if let Some(failed) = failed {
            self.data_dir.discard(&failed);
        }
        (self.database, self.state) = (Some(database), state);
        self.health.works_again();
        Ok(())
    }

    /// Make a batch of `records` records and the state durable.
    fn commit(&mut self, batch: Batch, records: usize, state: State) -> Result<(), StoreError> {
        let room = self.data_dir.check_room(records as u64 * RECORD_OCTETS);
        room.map_err(|cause| StoreError::new("write in", self.data_dir.path(), cause))?;
        self.attempt(Outcome::Unchanged, Database::check_place)?;
        self.attempt(Outcome::Unknown, |database| database.commit(batch, &state))?;
        self.state = state;
        Ok(())
    }

    /// Do work on the database, and abandon it if the work fails; the error then has `outcome`.
    fn attempt<T>(
        &mut self,
        outcome: Outcome,
        work: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(database) = self.database.take() else { return Err(self.still_failing()) };
        match work(&database) {
            Ok(done) => {
                self.database = Some(database);
                Ok(done)
            }
            Err(error) => {
                database.abandon();
                self.health.fails(&error);
                Err(StoreError { outcome, ..error })
            }
        }
    }

    fn still_failing(&self) -> StoreError {
        let cause = format!("the disk failed earlier: {}", self.health.now().failing.unwrap_or_default());
        StoreError::new("write in", self.data_dir.path(), cause)
    }

    /// Return whether to write the running clock: in the first hour of a run after 10, 20 and 40 minutes, then every
    /// hour. So time also passes on a device that runs only for a film now and then.
    fn running_is_due(&self, running: Running) -> bool {
        let saved = Running::from_millis(self.state.running);
        let since = running.since(saved);
        !since.is_zero() && since >= saved.since(self.opened_at).min(RUNNING_AT_LEAST)
    }

    fn is_changed(&self) -> bool {
        self.state.changes != self.exported.changes
    }

    fn export_is_due(&self, running: Running) -> bool {
        let is_lost = self.exported_octets > 0 && !self.data_dir.export().exists();
        is_lost
            || self.is_changed()
                && running.since(self.exported.running).as_secs() >= self.exported_octets / EXPORT_OCTETS_PER_SECOND
    }

    fn export(&mut self, running: Running) -> Result<(), StoreError> {
        let (path, data_dir) = (self.data_dir.export(), self.data_dir.clone());
        let date = export::Date { running, changes: self.state.changes };
        let Some(database) = &self.database else { return Err(self.still_failing()) };
        // A record that cannot be read ends the export, and the old file stays: a complete old list is better than half
        // of a new one.
        let entries = database.records().filter_map(|record| match record {
            Ok((key, value)) => record::entry(&key, &value).map(Ok),
            Err(error) => Some(Err(error)),
        });
        let octets = data_dir.replace(&path, |file| {
            let mut to = BufWriter::new(file);
            let octets = export::write(&mut to, date, entries)?;
            to.flush()?;
            Ok(octets)
        });
        let octets: Result<u64, StoreError> = octets.map_err(|cause: io::Error| StoreError::new("write", &path, cause));
        self.health.export(octets.as_ref().err());
        self.exported_octets = octets?;
        self.exported = date;
        self.meter.written.fetch_add(self.exported_octets, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for DurableCopy {
    /// Sync before the library does: it writes and syncs once more when it is closed, and panics if that fails.
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            database.close();
        }
    }
}

/// A database in use, its state, and the data that it was made from.
type Ready = (Database, State, Found);

/// The result of opening a database.
enum Read {
    /// The database is complete.
    Whole(Database, State, Found),
    /// The database is empty and was never used.
    Empty,
    /// Some data is missing: a description of the damage, and the remaining data.
    Damaged(String, Found),
}

fn read(data_dir: &DataDir, meter: &Arc<Meter>) -> Result<Read, LoadError> {
    let Loaded { database, found, condition } = load(data_dir, Arc::clone(meter))?;
    Ok(match condition {
        Condition::Whole(state) => Read::Whole(database, state, found),
        Condition::New => Read::Empty,
        Condition::Damaged(how) => Read::Damaged(how, found),
    })
}

/// Move a damaged database aside, and create a new one from `found` and the last export.
fn replace(data_dir: &DataDir, how: &str, found: Found, meter: &Arc<Meter>) -> Result<Ready, StoreError> {
    let could_be_read = found.entries.len();
    let (database, state, found) = build_from_export(data_dir, found, meter)?;
    let aside = found.moved_aside.as_deref().unwrap_or(data_dir.path());
    log::error!(
        "the database of the whitelist was damaged ({how}); it is now {}. {could_be_read} entries of it could be read, \
         others are taken from {} if it exists. Check `nakodo list`: an entry that was revoked lately may be back",
        aside.display(),
        data_dir.export().display(),
    );
    Ok((database, state, found))
}

/// Create a database from `found`, merged with the last export.
fn build_from_export(data_dir: &DataDir, mut found: Found, meter: &Arc<Meter>) -> Result<Ready, StoreError> {
    if let Some(export) = read_export(data_dir) {
        found.merge(export);
    }
    // Running time never goes back before the last-seen time of an entry, even if a person wrote the entry.
    let seen = found.entries.iter().map(|entry| entry.last_seen).max().unwrap_or_default();
    found.running = found.running.max(seen);
    let records = with_records_of(data_dir, found.unreadable.iter().cloned().collect(), &found.entries)?;
    let state = State { running: found.running.millis(), entries: records.len() as u32, changes: found.changes };
    let (database, aside) = build(data_dir, records.into_iter(), &state, meter)?;
    found.moved_aside = aside;
    Ok((database, state, found))
}

/// Build a database and put it in its place. Return it, and the new path of the old one, if any.
fn build(
    data_dir: &DataDir,
    records: impl Iterator<Item = Record>,
    state: &State,
    meter: &Arc<Meter>,
) -> Result<(Database, Option<PathBuf>), StoreError> {
    let directory = data_dir.building();
    data_dir.clear_building().map_err(StoreError::of("write in", data_dir.path()))?;
    let built = Database::build(&directory, records, state, Arc::clone(meter));
    match built {
        Ok(database) => match data_dir.replace_database() {
            Ok(aside) => Ok((database.moved_to(data_dir.database()), aside)),
            Err(error) => {
                database.abandon();
                Err(StoreError::new("move the new database to", data_dir.database(), error))
            }
        },
        Err(error) => {
            // The incomplete database may be the reason why the disk is full.
            data_dir.discard(&directory);
            Err(error)
        }
    }
}

/// Add the records of entries to other records. An entry replaces a record with its key.
fn with_records_of(data_dir: &DataDir, mut records: Records, entries: &[Entry]) -> Result<Records, StoreError> {
    for entry in entries {
        let (key, value) = record_of(data_dir, entry)?;
        records.insert(key, value);
    }
    Ok(records)
}

fn record_of(data_dir: &DataDir, entry: &Entry) -> Result<Record, StoreError> {
    let value = record::value(entry).map_err(StoreError::of("write the whitelist in", &data_dir.database()))?;
    Ok((Box::from(&*record::key(&entry.prefix)), Box::from(&*value)))
}

fn both(export: Result<(), StoreError>, idle_times: Result<(), StoreError>) -> Result<(), SaveError> {
    match (export.err(), idle_times.err()) {
        (None, None) => Ok(()),
        (export, idle_times) => Err(SaveError { export, idle_times }),
    }
}
