//! The durable copy of the whitelist: the changes in the database, the handling of disk failures, and the schedule of
//! the idle times and the export.

mod start;
mod tickets;

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::build::{Records, build, record_of, with_records_of};
use super::clock_file::ClockFile;
use super::data_dir::DataDir;
use super::database::{Batch, Database, Meter};
use super::digest::Digest;
use super::export;
use super::health::Noted;
use super::journal::{Change, Journal, Numbered};
use super::load::Found;
use super::lock::Lock;
use super::record::{self, State};
use super::{Outcome, SaveError, StoreError};
use crate::access::{ClockHistory, Entry, Seen};
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

/// The durable copies of the whitelist: the database, and the text of the export and the journal. A change is
/// acknowledged when it is in both.
///
/// A database that has failed once is not used again: the library would refuse every change, and might still write a
/// refused one. It is abandoned at once. [`Self::rebuild`] makes a new one from the list in memory, which is
/// authoritative. Until then every change is refused.
#[derive(Debug)]
pub(super) struct DurableCopy {
    /// The database; `None` while the disk fails.
    database: Option<Database>,
    /// The journal after the last export; `None` if it could not be started.
    journal: Option<Journal>,
    /// Whether the disk took no writes at the start: both copies are still as the last run left them.
    is_unopened: bool,
    data_dir: DataDir,
    /// `None` only if the disk took no writes at the start.
    pub(super) lock: Option<Lock>,
    /// The state, as in the database.
    state: State,
    /// Digest of the entries in the database, without records of other versions.
    digest: Digest,
    /// Records of other versions in the database. They stay unchanged.
    unreadable: Records,
    /// Records that the whitelist has no room for.
    left_out: Records,
    /// The running clock at the start of this run.
    opened_at: Running,
    /// The date of the last export.
    exported: export::Date,
    exported_octets: u64,
    clock_file: ClockFile,
    meter: Arc<Meter>,
    health: Arc<Noted>,
}

/// The list after a change: the number of records, and the digest of the entries.
struct After {
    entries: u32,
    digest: Digest,
}

impl DurableCopy {
    /// Keep entries that the whitelist has no room for.
    pub(super) fn keep(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.left_out = with_records_of(&self.data_dir, Records::new(), entries)?;
        Ok(())
    }

    /// Make every later change fail, as on a failing disk.
    #[cfg(test)]
    pub(super) fn break_log(&mut self) {
        self.database.as_mut().expect("a database").break_log();
    }

    /// Write entries of different prefixes, all or none of them.
    pub(super) fn put(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let (mut batch, mut keys) = (Batch::default(), Vec::new());
        let mut after = After { entries: self.state.entries, digest: self.digest };
        for entry in &entries {
            let (key, value) = record_of(&self.data_dir, entry)?;
            let replaced = self.attempt(Outcome::Unchanged, |database| database.get(&key))?;
            after.entries += u32::from(replaced.is_none());
            after.digest.add(entry);
            if let Some(replaced) = replaced.and_then(|value| record::entry(&key, &value)) {
                after.digest.subtract(&replaced);
            }
            batch.insert(&*key, &*value);
            keys.push(key);
        }
        if keys.is_empty() {
            return Ok(());
        }
        let keys: Vec<&[u8]> = keys.iter().map(|key| &**key).collect();
        self.change(batch, &keys, after, Change::Put(entries))
    }

    pub(super) fn remove(&mut self, keys: &[record::Key]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        // A key counts once, even if it is listed more than once.
        let (mut removed, mut digest) = (BTreeSet::new(), self.digest);
        for key in keys {
            let there = self.attempt(Outcome::Unchanged, |database| database.get(key))?;
            if let Some(value) = there.filter(|_| removed.insert(key)) {
                batch.remove(&**key);
                record::entry(key, &value).iter().for_each(|entry| digest.subtract(entry));
            }
        }
        if removed.is_empty() {
            return Ok(());
        }
        let after = After { entries: self.state.entries.saturating_sub(removed.len() as u32), digest };
        let prefixes = removed.iter().filter_map(|key| record::prefix_of(key)).collect();
        let removed: Vec<&[u8]> = removed.into_iter().map(|key| &**key).collect();
        self.change(batch, &removed, after, Change::Remove(prefixes))
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

    /// Return the history of the wall clock at the end of the last run, at the time `running`.
    pub(super) fn clock_history(&self, running: Running) -> Option<ClockHistory> {
        self.clock_file.history(running)
    }

    /// Write the history of the wall clock, if it has changed and is needed.
    pub(super) fn save_clock_history(&mut self, history: ClockHistory, is_needed: bool) -> Result<(), StoreError> {
        if self.lock.is_none() {
            return Err(self.still_failing());
        }
        self.clock_file.save(&self.data_dir, history, is_needed)
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
        self.prepare(moved.len())?;
        self.commit(batch, State { running, ..self.state })
    }

    /// Create a new database with the whole whitelist, in the place of a failed one. If the disk took no writes at the
    /// start, open the database instead, and return its data.
    ///
    /// # Errors
    /// When the disk fails again. The data on the disk is then unchanged, and a later attempt may succeed.
    pub(super) fn rebuild(&mut self, running: Running, entries: &[Entry]) -> Result<Option<Found>, StoreError> {
        if self.is_unopened { self.open_late().map(Some) } else { self.rewrite(running, entries).map(|()| None) }
    }

    fn rewrite(&mut self, running: Running, entries: &[Entry]) -> Result<(), StoreError> {
        let directory = self.data_dir.building();
        let failed = |cause| StoreError::new("rewrite the whitelist in", &directory, cause);
        if self.meter.left_in_memory.load(Ordering::Relaxed) >= LEFT_IN_MEMORY {
            return Err(failed("the disk has failed too often; check it, and restart nakodo".to_owned()));
        }
        // The whole directory may have been removed.
        self.data_dir.create().map_err(|error| failed(error.to_string()))?;
        self.lock()?;
        let count = entries.len() + self.unreadable.len() + self.left_out.len();
        self.data_dir.check_room(count as u64 * RECORD_OCTETS).map_err(failed)?;
        // A new database that fails may have to stay in memory: try the disk with less first.
        self.data_dir.try_to_write().map_err(|error| failed(error.to_string()))?;
        let beside = self.unreadable.iter().chain(&self.left_out);
        let beside = beside.map(|(key, value)| (key.clone(), value.clone())).collect();
        let records = with_records_of(&self.data_dir, beside, entries)?;
        // More changes than the failed database can have on the disk.
        let changes = self.state.changes + 2;
        let running = self.state.running.max(running.millis());
        let state = State { running, entries: records.len() as u32, changes };
        let mut digest = Digest::default();
        records.iter().filter_map(|(key, value)| record::entry(key, value)).for_each(|entry| digest.add(&entry));
        let (database, failed) = build(&self.data_dir, records.into_iter(), &state, &self.meter)?;
        if let Some(failed) = failed {
            self.data_dir.discard(&failed);
        }
        (self.database, self.state, self.digest) = (Some(database), state, digest);
        // The journal may have a change that was refused.
        self.renew_text(Running::from_millis(running))?;
        self.health.works_again();
        Ok(())
    }

    /// Make a change of the records with these keys durable in both copies, with the list after it.
    fn change(&mut self, batch: Batch, keys: &[&[u8]], after: After, change: Change) -> Result<(), StoreError> {
        let After { entries, digest } = after;
        let number = self.state.changes + 1;
        let state = State { entries, changes: number, ..self.state };
        let unreadable = self.unreadable.keys().filter(|key| !keys.contains(&&***key)).count() as u32;
        self.prepare(keys.len())?;
        let journaled = match &mut self.journal {
            Some(journal) => {
                let entries = u32::saturating_sub(entries, unreadable);
                journal.append(&Numbered { number, entries, digest: Some(digest), change })
            }
            None => Err(StoreError::new("write", self.data_dir.journal(), "it could not be started")),
        };
        let octets = self.attempt(Outcome::Unknown, |_| journaled)?;
        self.meter.written.fetch_add(octets, Ordering::Relaxed);
        self.commit(batch, state)?;
        self.digest = digest;
        for &key in keys {
            self.unreadable.remove(key);
            self.left_out.remove(key);
        }
        if self.journal.as_ref().is_some_and(|journal| journal.is_long(self.exported_octets)) {
            // A failure is in `status`; the next change tries again.
            let _ = self.export(Running::from_millis(self.state.running));
        }
        Ok(())
    }

    /// Check that a write of `records` records can succeed.
    fn prepare(&mut self, records: usize) -> Result<(), StoreError> {
        let room = self.data_dir.check_room(records as u64 * RECORD_OCTETS);
        room.map_err(|cause| StoreError::new("write in", self.data_dir.path(), cause))?;
        self.attempt(Outcome::Unchanged, Database::check_place)
    }

    /// Write a new export, and start a new journal after it. Without an export, changes are refused only if the journal
    /// cannot be started either.
    fn renew_text(&mut self, running: Running) -> Result<(), StoreError> {
        if self.state.changes == 0 || self.export(running).is_err() {
            self.journal = None;
            self.journal = Some(Journal::begin(&self.data_dir)?);
        }
        Ok(())
    }

    /// Make a batch and the state durable in the database.
    fn commit(&mut self, batch: Batch, state: State) -> Result<(), StoreError> {
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
                Err(error.with_outcome(outcome))
            }
        }
    }

    fn still_failing(&self) -> StoreError {
        let cause = format!("the disk failed earlier: {}", self.health.now().failing.unwrap_or_default());
        StoreError::new("write in", self.data_dir.path(), cause)
    }

    /// Return whether to write the running clock: in the first hour of a run after 10, 20 and 40 minutes, then every
    /// hour. So time also passes on a device that runs only for a film now and then. Without
    /// entries, nothing depends on it.
    fn running_is_due(&self, running: Running) -> bool {
        let saved = Running::from_millis(self.state.running);
        let since = running.since(saved);
        self.state.entries > 0 && !since.is_zero() && since >= saved.since(self.opened_at).min(RUNNING_AT_LEAST)
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
        let date = export::Date { running, changes: self.state.changes, digest: Some(self.digest) };
        let Some(database) = &self.database else { return Err(self.still_failing()) };
        let count = self.state.entries.saturating_sub(self.unreadable.len() as u32);
        // A record that cannot be read ends the export, and the old file stays: a complete old list is better than half
        // of a new one.
        let mut entries = database.records().filter_map(|record| match record {
            Ok((key, value)) => record::entry(&key, &value).map(Ok),
            Err(error) => Some(Err(error)),
        });
        let octets = data_dir.replace(&path, &mut |file| {
            let mut to = BufWriter::new(file);
            let octets = export::write(&mut to, date, count, entries.by_ref())?;
            to.flush()?;
            Ok(octets)
        });
        let octets: Result<u64, StoreError> = octets.map_err(|cause: io::Error| StoreError::new("write", &path, cause));
        self.health.export(octets.as_ref().err());
        self.exported_octets = octets?;
        self.exported = date;
        // The journal's changes are in the export now.
        self.journal = Some(Journal::begin(&self.data_dir)?);
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

fn both(export: Result<(), StoreError>, idle_times: Result<(), StoreError>) -> Result<(), SaveError> {
    match (export.err(), idle_times.err()) {
        (None, None) => Ok(()),
        (export, idle_times) => Err(SaveError { export, idle_times }),
    }
}
