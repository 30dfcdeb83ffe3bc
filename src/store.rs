//! Where the whitelist survives a power cut.
//!
//! The table in memory is the truth while running; this is the durable copy. A change is durable when its future is
//! ready. All work is done on one thread of the blocking pool at a time, never on the tracker's.
//!
//! In the data directory lie:
//!
//! | name | what it is |
//! |---|---|
//! | `whitelist/` | the database |
//! | `whitelist.export` | the list as text, for when there is no database; seldom written |
//! | `whitelist.broken-…` | databases that could not be read, the last three |
//! | `whitelist.building/`, `whitelist.finished/` | for a moment, a database that is to take the place of another |
//! | `lock` | locked by the tracker that uses the directory |
//! | `opening-panics` | how many starts in a row ended in a panic of the database library |

mod data_dir;
mod database;
mod durable_copy;
mod export;
mod health;
mod load;
mod panics;
mod record;
mod snapshots;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ipnet::IpNet;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use rustix::process::setpriority_process;
use smol::lock::Mutex;

use crate::access::{Entry, Seen};
use crate::clock::Running;
use data_dir::DataDir;
use database::Meter;
use durable_copy::DurableCopy;
pub use health::Health;
use health::Noted;

/// How much less time a thread that writes gets than the tracker's, where both want the core: a tenth, so that a flood of
/// requests cannot keep a change from the disk for good.
const NICENESS: i32 = 10;

/// The durable copy of the whitelist.
///
/// Run its futures to their end: one that is dropped half-way may or may not have changed what is on the disk.
#[derive(Clone, Debug)]
pub struct Store {
    disk: Arc<Mutex<DurableCopy>>,
    meter: Arc<Meter>,
    health: Arc<Noted>,
    _lock: Arc<Flock<File>>,
}

/// An open store and what was in it.
#[derive(Debug)]
pub struct Opened {
    /// For the changes from now on.
    pub store: Store,
    /// The entries, in no order; possibly more than the whitelist has room for.
    pub entries: Vec<Entry>,
    /// What the running clock showed when it was last saved.
    pub running: Running,
    /// Where the database was moved to because it could not be read, or not all of it. What could be read of it, and
    /// what else was in the last export, is in `entries`.
    pub moved_aside: Option<PathBuf>,
    /// How many records of a version that this one does not know were left alone on the disk.
    pub unreadable_records: u32,
}

/// Why there is no store.
#[derive(Debug)]
pub enum OpenError {
    /// The data directory cannot be created.
    NoDirectory(PathBuf, io::Error),
    /// Another process has it.
    InUse(PathBuf),
    /// It cannot be written to, and that is not for damage of the database.
    Unusable(StoreError),
}

/// What could not be done, where, and why.
#[derive(Debug)]
pub struct StoreError {
    doing: &'static str,
    path: Box<Path>,
    cause: Box<str>,
    outcome: Outcome,
}

/// What was not saved of a batch. The rest was.
#[derive(Debug)]
pub struct SaveError {
    /// The list as text.
    pub export: Option<StoreError>,
    /// When entries were last seen, and the running clock.
    pub idle_times: Option<StoreError>,
}

impl SaveError {
    /// Each of the errors.
    pub fn errors(&self) -> impl Iterator<Item = &StoreError> {
        self.export.iter().chain(&self.idle_times)
    }
}

/// What a change that failed has left on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: it stays refused, whatever comes.
    Unchanged,
    /// Perhaps the change: a restart may bring it into effect, unless [`Store::rebuild`] comes before.
    Unknown,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDirectory(path, cause) => {
                let path = path.display();
                write!(
                    f,
                    "cannot create the data directory {path}: {cause}; create it and let nakodo write \
                     there, or name another with --data-dir"
                )
            }
            Self::InUse(path) => {
                write!(
                    f,
                    "another nakodo is running on {}; stop it, or name another directory with --data-dir",
                    path.display()
                )
            }
            Self::Unusable(error) => {
                write!(
                    f,
                    "{error}; the data directory must be on a writable file system, with room, and \
                     belong to nakodo's user"
                )
            }
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.doing, self.path.display(), self.cause)
    }
}

impl std::error::Error for OpenError {}
impl std::error::Error for StoreError {}

impl StoreError {
    fn new(doing: &'static str, path: impl AsRef<Path>, cause: impl fmt::Display) -> Self {
        Self { doing, path: path.as_ref().into(), cause: cause.to_string().into(), outcome: Outcome::Unchanged }
    }

    /// What the change has left on the disk.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn of<E: fmt::Display>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        move |cause| Self::new(doing, path, cause)
    }
}

impl Store {
    /// Open the store in `data_dir`, and create both where there is none. Blocks; to be called before there is a
    /// tracker.
    ///
    /// A database that is damaged is moved aside, and what can be read of it and of the last export is put in a new
    /// one; the log says so. The same is done when the database library panicked at the last two starts. Without a
    /// database the last export is read.
    pub fn open(data_dir: &Path) -> Result<Opened, OpenError> {
        create_directory(data_dir).map_err(|error| OpenError::NoDirectory(data_dir.to_owned(), error))?;
        let data_dir = DataDir::new(data_dir);
        let lock = lock(&data_dir)?;
        let (meter, health) = (Arc::<Meter>::default(), Arc::<Noted>::default());
        let opened = DurableCopy::open(&data_dir, Arc::clone(&meter), Arc::clone(&health));
        let (disk, found) = opened.map_err(OpenError::Unusable)?;
        Ok(Opened {
            running: found.running,
            store: Self { disk: Arc::new(Mutex::new(disk)), meter, health, _lock: Arc::new(lock) },
            unreadable_records: found.unreadable.len() as u32 + u32::from(found.unreadable_state),
            entries: found.entries,
            moved_aside: found.moved_aside,
        })
    }

    /// Keep on the disk, through a [`Self::rebuild`] too, entries for which the whitelist in memory has no room. To be
    /// called after opening. Blocks while a change is written.
    ///
    /// # Errors
    /// When an entry cannot be written as a record.
    pub fn keep(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.disk.lock_blocking().keep(entries)
    }

    /// Write an entry, in place of one with the same prefix; it is durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::outcome`] tells what the disk may hold then. Every change after a failure is refused until
    /// [`Self::rebuild`] has succeeded.
    pub async fn put(&self, entry: &Entry) -> Result<(), StoreError> {
        let entry = entry.clone();
        self.work(move |disk| disk.put(&entry)).await
    }

    /// Remove the entries of exactly these prefixes, all or none of them; it is durable when this returns.
    ///
    /// # Errors
    /// As with [`Self::put`].
    pub async fn remove(&self, prefixes: &[IpNet]) -> Result<(), StoreError> {
        let keys: Vec<record::Key> = prefixes.iter().map(record::key).collect();
        self.work(move |disk| disk.remove(&keys)).await
    }

    /// Write all entries of the whitelist into a new database, after the old one has failed: what is in `entries` is on
    /// the disk then, and what was refused is not.
    ///
    /// # Errors
    /// When the disk does not take it; the next try may succeed.
    pub async fn rebuild(&self, running: Running, entries: Vec<Entry>) -> Result<(), StoreError> {
        self.work(move |disk| disk.rebuild(running, &entries)).await
    }

    /// How the disk is. While it fails, changes are refused.
    pub fn health(&self) -> Health {
        self.health.now()
    }

    /// The rare batch, to be called every ten minutes or so: when entries were last seen, the running clock, and, after
    /// a change, the export. What is not due yet is not written, and mostly nothing is.
    ///
    /// An entry in `moved` that is no longer on the disk stays removed.
    ///
    /// # Errors
    /// Says what was not written; the rest was.
    pub async fn save(&self, running: Running, moved: Vec<Seen>) -> Result<(), SaveError> {
        self.work(move |disk| disk.save_what_is_due(running, &moved)).await
    }

    /// The last batch, at shutdown: as `save`, but everything is written that is not on the disk.
    ///
    /// # Errors
    /// As with [`Self::save`].
    pub async fn close(&self, running: Running, moved: Vec<Seen>) -> Result<(), SaveError> {
        self.work(move |disk| disk.save_all(running, &moved)).await
    }

    /// How many octets this process has handed to the disk since it started, for the page of statistics.
    ///
    /// It is what the kernel counts (`write_bytes` of `/proc/self/io`, less what was cancelled): whole pages of all
    /// files that are not in RAM, but neither the file system's own journal nor what the flash translation makes of it.
    /// Some kernels are built without that count, and some file systems (jffs2) go round it; therefore it is never less
    /// than what this store has written by its own count.
    pub fn flash_octets_written(&self) -> u64 {
        let own = self.meter.written.load(Ordering::Relaxed);
        fs::read_to_string("/proc/self/io")
            .ok()
            .and_then(|io| written_by_kernel(&io))
            .map_or(own, |octets| octets.max(own))
    }

    /// Let every change from now on fail, as on a disk that is breaking.
    #[cfg(test)]
    pub(crate) fn break_disk(&self) {
        self.disk.lock_blocking().break_log();
    }

    /// Do one thing at a time, off the tracker's thread. The lock goes with the work, so that even when the caller goes
    /// away in between there is only ever one thread at it.
    async fn work<T: Send + 'static>(&self, work: impl FnOnce(&mut DurableCopy) -> T + Send + 'static) -> T {
        let mut disk = self.disk.lock_arc().await;
        smol::unblock(move || {
            yield_to_the_tracker();
            work(&mut disk)
        })
        .await
    }
}

/// Let this thread, and those that it starts, have only the time that the tracker's does not want: on one core a change of
/// the whitelist would otherwise keep answers waiting for as long as a thread is let run.
fn yield_to_the_tracker() {
    // To the kernel, 0 is the thread and not the process that asks. Where it is forbidden, everything still works.
    let _ = setpriority_process(None, NICENESS);
}

fn written_by_kernel(io: &str) -> Option<u64> {
    let field = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    Some(field("write_bytes:")?.saturating_sub(field("cancelled_write_bytes:").unwrap_or(0)))
}

/// Create the data directory, and make its name durable.
fn create_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DataDir::sync(parent)
}

/// Keep other processes off the directory until this one ends, however it ends.
fn lock(data_dir: &DataDir) -> Result<Flock<File>, OpenError> {
    let unusable = |cause: io::Error| OpenError::Unusable(StoreError::new("lock", data_dir.lock(), cause));
    let file = File::options().create(true).truncate(false).write(true).open(data_dir.lock()).map_err(unusable)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => OpenError::InUse(data_dir.path().to_owned()),
        errno => unusable(errno.into()),
    })
}

#[cfg(test)]
mod tests;
