//! One database of the library (sled, version 0.34.7), from its creation to its end. In the production code, only this
//! file uses the library.
//!
//! Durability, according to the library's sources:
//! - `db` is the log, which has all the data. A flush writes to it but does not make it durable: it calls
//!   `sync_file_range`, which covers neither the file's size nor the disk's cache. So `log` is a second handle, which
//!   is synced after each flush.
//! - `blobs/` takes pages of more than a quarter of a segment (16,364 bytes), and is never synced. Our pages never get
//!   that large: a leaf has at most 17 entries of under 100 bytes, an index 257 keys of under 20.
//! - `snap.*` is the starting point for the replay of the log: see `snapshots`.
//! - `conf` has the segment size. The library never syncs it, so a new database's is synced here. If it is empty, the
//!   library rewrites it.
//!
//! The library remembers the first write error, and refuses every later write until the database is opened again. It
//! keeps unwritten data in memory, and may write it when it is closed.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use nix::errno::Errno;

use super::StoreError;
use super::data_dir::DataDir;
use super::no_links::{self, Identity};
use super::record::{self, State};
use super::snapshots;

/// Size of the page cache in bytes. The list is read only once, at the start, so a cache has little use.
const CACHE_OCTETS: u64 = 64 * 1024;

/// Size in bytes of the unit in which the database file grows and is reused. It cannot change while databases exist.
const SEGMENT_OCTETS: usize = 64 * 1024;

/// Number of records that are written in one step when a database is built, to limit the memory for it.
const BUILD_RECORDS: usize = 256;

/// Changes that are made together or not at all.
pub(super) type Batch = sled::Batch;

/// The key and the value of a record, in the form on the disk.
pub(super) type Record = (Box<[u8]>, Box<[u8]>);

/// Resources used by all databases of a process.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Number of bytes written.
    pub(super) written: AtomicU64,
    /// Number of databases that were left in memory because it was not safe to close them: see [`Database::abandon`].
    pub(super) left_in_memory: AtomicU32,
}

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    db: sled::Db,
    config: sled::Config,
    log: File,
    directory: PathBuf,
    meter: Arc<Meter>,
    /// The file of the log, while `log` keeps it open.
    identity: Identity,
}

/// An open database, and the damage that was found meanwhile.
pub(super) struct OpenedDatabase {
    pub(super) database: Database,
    /// Description of the loss, if the log has lost its end.
    pub(super) loss: Option<String>,
    /// Whether a damaged snapshot was removed. The library makes a new one from the log.
    pub(super) has_lost_snapshot: bool,
}

/// The reason why a database does not open.
#[derive(Debug)]
pub(super) enum LoadError {
    /// It is damaged.
    Damaged(String),
    /// Another error, which moving the database aside would not fix.
    Unusable(StoreError),
}

impl Database {
    /// Open the database in `directory`, or create one.
    pub(super) fn open(directory: &Path, meter: Arc<Meter>) -> Result<OpenedDatabase, LoadError> {
        let refused = |error: io::Error| load_error(directory, sled::Error::Io(error));
        if let Some(link) = link_in(directory) {
            return Err(LoadError::Damaged(format!("{} is a symbolic link", link.display())));
        }
        sync_if_present(&directory.join("db")).map_err(refused)?;
        let lost_snapshot = snapshots::settle(directory).map_err(refused)?;
        let octets = fs::metadata(directory.join("db")).map_or(0, |metadata| metadata.len());
        let config = sled::Config::new()
            .path(directory)
            .mode(sled::Mode::LowSpace)
            .cache_capacity(CACHE_OCTETS)
            .segment_size(SEGMENT_OCTETS)
            .flush_every_ms(None);
        let db = config.open().map_err(|error| load_error(directory, error))?;
        let log = File::options().read(true).write(true).open(directory.join("db")).map_err(refused)?;
        let loss = match lost_snapshot {
            Some(lost) if snapshots::newest(directory).map_err(refused)? < Some(lost) => {
                Some("its log ends before its damaged snapshot".to_owned())
            }
            _ if octets > 0 && db.is_empty() => Some(format!("none of its {octets} bytes can be read")),
            _ => None,
        };
        let identity = Identity::of(&log).map_err(refused)?;
        let database = Self { db, config, log, directory: directory.to_owned(), meter, identity };
        Ok(OpenedDatabase { database, loss, has_lost_snapshot: lost_snapshot.is_some() })
    }

    /// Create a database in `directory` with `records` and `state`, and make it durable. The state is written last.
    pub(super) fn build(
        directory: &Path,
        records: impl Iterator<Item = Record>,
        state: &State,
        meter: Arc<Meter>,
    ) -> Result<Self, StoreError> {
        let opened = Self::open(directory, meter).map_err(|error| match error {
            LoadError::Damaged(how) => StoreError::new("create a database in", directory, how),
            LoadError::Unusable(error) => error,
        })?;
        let database = opened.database;
        match database.fill(records, state).and_then(|()| sync_files(directory).map_err(database.failed())) {
            Ok(()) => Ok(database),
            Err(error) => {
                database.abandon();
                Err(error)
            }
        }
    }

    fn fill(&self, mut records: impl Iterator<Item = Record>, state: &State) -> Result<(), StoreError> {
        loop {
            let (mut batch, mut count) = (Batch::default(), 0);
            for (key, value) in records.by_ref().take(BUILD_RECORDS) {
                batch.insert(&*key, &*value);
                count += 1;
            }
            if count < BUILD_RECORDS {
                return self.commit(batch, state);
            }
            self.db.apply_batch(batch).map_err(self.failed())?;
        }
    }

    /// Report errors with the path that the database has been moved to.
    pub(super) fn moved_to(self, directory: PathBuf) -> Self {
        Self { directory, ..self }
    }

    /// Make a batch and the state durable. After an error the disk may have both, or neither.
    pub(super) fn commit(&self, mut batch: Batch, state: &State) -> Result<(), StoreError> {
        batch.insert(&record::STATE_KEY, &*record::state_value(state).map_err(self.failed())?);
        self.db.apply_batch(batch).map_err(self.failed())?;
        let octets = self.db.flush().map_err(self.failed())?;
        self.meter.written.fetch_add(octets as u64, Ordering::Relaxed);
        self.log.sync_all().map_err(self.failed())
    }

    /// Check that the log is still at its place: a removed file still takes writes, and loses them.
    ///
    /// # Errors
    /// When it was removed or replaced.
    pub(super) fn check_place(&self) -> Result<(), StoreError> {
        let path = self.directory.join("db");
        if self.identity.is_at(&path) { Ok(()) } else { Err(StoreError::removed(&path)) }
    }

    /// Return the value of a key, if present.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Box<[u8]>>, StoreError> {
        Ok(self.db.get(key).map_err(self.failed())?.map(|value| Box::from(&*value)))
    }

    /// Return all records, up to the first that cannot be read.
    pub(super) fn records(&self) -> impl Iterator<Item = io::Result<Record>> {
        self.db.iter().map(|record| match record {
            Ok((key, value)) => Ok((Box::from(&*key), Box::from(&*value))),
            Err(error) => Err(io::Error::other(error)),
        })
    }

    /// Close a database that has failed, without another write.
    ///
    /// If the library knows of the failure, it closes the database without a write. Otherwise it would write its
    /// unwritten data, sync, and panic if that fails: in that case, leave the database in memory.
    pub(super) fn abandon(self) {
        if self.config.global_error().is_ok() {
            self.meter.left_in_memory.fetch_add(1, Ordering::Relaxed);
            core::mem::forget(self.db);
        }
    }

    /// Close a working database. Its data is durable already, but the library syncs once more, and panics if that
    /// fails.
    pub(super) fn close(self) {
        if self.log.sync_all().is_err() {
            self.abandon();
        }
    }

    /// Make every later sync fail, with a file that cannot be synced.
    #[cfg(test)]
    pub(super) fn break_log(&mut self) {
        self.log = File::open("/dev/null").expect("every system has it");
    }

    fn failed<E: fmt::Display>(&self) -> impl FnOnce(E) -> StoreError + use<E> {
        let directory = self.directory.clone();
        move |cause| StoreError::new("write the whitelist in", directory, cause)
    }
}

/// Return a link in the place of the database or of one of its files. The library would follow it.
fn link_in(directory: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten().map(|file| file.path());
    core::iter::once(directory.to_owned()).chain(files).find(|path| no_links::is_link(path))
}

/// Make the log durable before the library reads it: the snapshot that the library derives from it will be durable too.
fn sync_if_present(log: &Path) -> io::Result<()> {
    match File::open(log) {
        Ok(file) => file.sync_all(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Make all files of a new database and their names durable.
fn sync_files(directory: &Path) -> io::Result<()> {
    for file in fs::read_dir(directory)? {
        File::open(file?.path())?.sync_all()?;
    }
    DataDir::sync(directory)
}

/// Distinguish damage, which a new database cures, from errors that would hit a new database too.
pub(super) fn load_error(path: &Path, error: sled::Error) -> LoadError {
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

    /// Put a record into the database that this version would not write, and count it in the state.
    pub(in crate::store) fn write_raw(directory: &Path, key: &[u8], value: &[u8]) {
        let config = sled::Config::new().path(directory).segment_size(SEGMENT_OCTETS).flush_every_ms(None);
        let db = (0..200).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
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

    #[test]
    fn an_error_that_a_new_database_would_not_cure_is_not_damage() {
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
