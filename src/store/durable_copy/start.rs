//! The start: both copies are opened, at once or as soon as the disk takes writes.

use std::sync::Arc;

use super::super::StoreError;
use super::super::build::Records;
use super::super::clock_file::ClockFile;
use super::super::data_dir::DataDir;
use super::super::database::Meter;
use super::super::digest::Digest;
use super::super::export;
use super::super::health::Noted;
use super::super::journal::Journal;
use super::super::load::Found;
use super::super::lock::{Lock, LockError};
use super::super::opening::{self, Ready};
use super::super::record::State;
use super::DurableCopy;
use crate::clock::Running;

impl DurableCopy {
    /// Open both copies, and restore each from the other where it is damaged.
    pub(in crate::store) fn open(
        data_dir: &DataDir,
        meter: Arc<Meter>,
        health: Arc<Noted>,
    ) -> Result<(Self, Found), StoreError> {
        let mut disk = Self::unopened(data_dir, meter, health);
        let found = disk.open_both()?;
        disk.opened_at = Running::from_millis(disk.state.running);
        Ok((disk, found))
    }

    /// Begin without the database on a disk that takes no writes, for the reason `error`. The list is that of the text
    /// files, and every change is refused until [`Self::rebuild`] has opened the database.
    pub(in crate::store) fn begin_unopened(
        data_dir: &DataDir,
        meter: Arc<Meter>,
        health: Arc<Noted>,
        error: &StoreError,
    ) -> (Self, Found) {
        let (found, damage) = opening::read_text(data_dir);
        health.starts_without_a_disk(error, found.entries.len(), damage);
        let mut disk = Self::unopened(data_dir, meter, health);
        disk.state = State { running: found.running.millis(), entries: found.count(), changes: found.changes };
        disk.opened_at = found.running;
        (disk, found)
    }

    /// Open the database that could not be opened at the start, and return its data.
    pub(super) fn open_late(&mut self) -> Result<Found, StoreError> {
        if let Some(trouble) = self.data_dir.trouble() {
            return Err(StoreError::new("write in", self.data_dir.path(), trouble));
        }
        self.lock()?;
        let found = self.open_both()?;
        self.health.opens_late(found.entries.len());
        Ok(found)
    }

    /// Make sure that the directory is locked: the file of the lock may have been removed, or not created at the start.
    pub(super) fn lock(&mut self) -> Result<(), StoreError> {
        if self.lock.as_ref().is_some_and(|lock| lock.is_in(&self.data_dir)) {
            return Ok(());
        }
        let lock = Lock::take(&self.data_dir).map_err(|error| match error {
            LockError::InUse => StoreError::new("lock", self.data_dir.path(), "another nakodo runs there"),
            LockError::Failed(error) => error,
        })?;
        self.lock = Some(lock);
        Ok(())
    }

    fn unopened(data_dir: &DataDir, meter: Arc<Meter>, health: Arc<Noted>) -> Self {
        Self {
            database: None,
            journal: None,
            is_unopened: true,
            data_dir: data_dir.clone(),
            lock: None,
            state: State::default(),
            digest: Digest::default(),
            unreadable: Records::new(),
            left_out: Records::new(),
            opened_at: Running::default(),
            exported: export::Date::default(),
            exported_octets: 0,
            clock_file: ClockFile::read(data_dir),
            meter,
            health,
        }
    }

    fn open_both(&mut self) -> Result<Found, StoreError> {
        let Ready { database, state, found, digest, summary, is_text_current } =
            opening::open(&self.data_dir, &self.meter, &self.health)?;
        let running = Running::from_millis(self.state.running.max(state.running));
        self.database = Some(database);
        self.digest = digest;
        self.state = State { running: running.millis(), ..state };
        self.unreadable = found.unreadable.iter().cloned().collect();
        (self.exported, self.exported_octets) = (summary.exported, summary.export_octets);
        match summary.journal_octets.filter(|_| is_text_current) {
            Some(octets) => self.journal = Some(Journal::continued(&self.data_dir, octets)?),
            None => self.renew_text(running)?,
        }
        self.is_unopened = false;
        Ok(found)
    }
}
