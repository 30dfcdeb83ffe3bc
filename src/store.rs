//! Storage of the whitelist that survives a power cut.
//!
//! The table in memory is authoritative during a run; this is its durable copy. A change is durable when its future is
//! ready. All work runs on one thread of the blocking pool at a time, never on the tracker's thread.
//!
//! Content of the data directory:
//!
//! | name | content |
//! |---|---|
//! | `whitelist/` | the database |
//! | `whitelist.export` | the list as text; seldom written |
//! | `whitelist.journal` | the changes after the export as text: with it, the second copy of the list |
//! | `whitelist.clock` | the history of the wall clock, while an ended entry waits for its removal |
//! | `tickets`, `tickets.copy` | the keys and revocations of tickets, twice; secret |
//! | `page-sessions` | the sessions of the page; secret |
//! | `torrents` | the list of torrents, unless `torrents.file` is another file |
//! | `whitelist.broken-…` | the last three databases or text files that could not be read completely |
//! | `whitelist.building/`, `whitelist.finished/` | for a moment, a database that replaces another |
//! | `whitelist.probe` | for a moment, a page that tests the disk before a new database is written |
//! | `lock` | locked by the tracker that uses the directory |
//! | `opening-panics` | number of consecutive starts that ended in a panic of the database library |

mod build;
mod checked_line;
mod checking;
mod clock_file;
mod conf;
mod data_dir;
mod database;
mod digest;
mod durable_copy;
mod error;
mod export;
mod health;
mod journal;
mod list;
mod load;
mod lock;
mod no_links;
mod opening;
mod panics;
mod record;
mod session_file;
mod snapshots;
mod text_copy;
mod ticket_file;
mod torrent_file;
mod trouble;

use core::pin::Pin;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use ipnet::IpNet;
use rustix::process::setpriority_process;
use smol::lock::Mutex;

use crate::access::{ClockHistory, Entry, Seen, Unsaved};
use crate::clock::Running;
use crate::ticket::Book;
use crate::torrents::TorrentList;
pub use checking::{Checked, check_database, check_text, remove_copy};
use data_dir::DataDir;
use database::Meter;
use durable_copy::DurableCopy;
pub use error::{OpenError, Outcome, SaveError, StoreError};
pub use health::Health;
use health::Noted;
use lock::{Lock, LockError};
pub use session_file::SavedSession;
pub use torrent_file::{Edited, TorrentEdit, TorrentEdits, TorrentFileError, TorrentLines, read_torrents};
use trouble::is_of_the_disk;

/// A future on the tracker's thread.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// nice(2) value of the threads that write. They get about a tenth of the tracker's time when both need the core, so a
/// flood of requests delays a change but cannot keep it from the disk for good.
const NICENESS: i32 = 10;

/// The durable copy of the whitelist.
///
/// Run its futures to their end: a future that is dropped half-way may or may not have changed the data on the disk.
#[derive(Clone, Debug)]
pub struct Store {
    disk: Arc<Mutex<DurableCopy>>,
    meter: Arc<Meter>,
    health: Arc<Noted>,
}

/// An open store and the data that it had.
#[derive(Debug)]
pub struct Opened {
    /// The store, for later changes.
    pub store: Store,
    /// The entries, in no order; possibly more than the whitelist has room for.
    pub entries: Vec<Entry>,
    /// The running clock at the last save.
    pub running: Running,
    /// The history of the wall clock, if an ended entry waits for its removal.
    pub clock_history: Option<ClockHistory>,
    /// The keys and revocations of tickets.
    pub book: Book,
    /// The sessions of the page.
    pub sessions: Vec<SavedSession>,
    /// New path of a database that was moved aside because it could not be read, or only in part.
    #[cfg(test)]
    pub(crate) moved_aside: Option<PathBuf>,
    /// Number of records of an unknown version, which stay on the disk unchanged.
    pub unreadable_records: u32,
}

impl Store {
    /// Open the store in `data_dir`, and create both if missing. It blocks, so call it before the tracker runs.
    ///
    /// On a disk that takes no writes, it has the list of the text copy, and [`Health::failing`] the reason. Changes are
    /// refused until [`Self::rebuild`] succeeds.
    ///
    /// A damaged copy is restored from the other one and moved aside; [`Health::recovered`] and the log report it. The
    /// database is also restored if its library panicked at the last start. Without a database, the text files are read.
    pub fn open(data_dir: &Path) -> Result<Opened, OpenError> {
        let path = data_dir;
        let data_dir = DataDir::new(path);
        match data_dir.create() {
            Err(error) if !is_of_the_disk(&error) => return Err(OpenError::NoDirectory(path.to_owned(), error)),
            _ => {}
        }
        data_dir.check_owner().map_err(|why| OpenError::NotOurs(path.to_owned(), why))?;
        let (lock, locked) = match Lock::take(&data_dir) {
            Ok(lock) => (Some(lock), Ok(())),
            Err(LockError::InUse) => return Err(OpenError::InUse(path.to_owned())),
            Err(LockError::Failed(error)) => (None, Err(error)),
        };
        let (meter, health) = (Arc::<Meter>::default(), Arc::<Noted>::default());
        let opened = locked.and_then(|()| DurableCopy::open(&data_dir, Arc::clone(&meter), Arc::clone(&health)));
        let (mut disk, found) = match opened {
            Err(error) if data_dir.trouble().is_none() => return Err(OpenError::Unusable(error)),
            Err(error) => DurableCopy::begin_unopened(&data_dir, Arc::clone(&meter), Arc::clone(&health), &error),
            Ok(opened) => opened,
        };
        disk.lock = lock;
        let book = disk.read_tickets().map_err(OpenError::Unusable)?;
        Ok(Opened {
            book,
            sessions: disk.read_sessions(),
            running: found.running,
            clock_history: disk.clock_history(found.running),
            store: Self { disk: Arc::new(Mutex::new(disk)), meter, health },
            unreadable_records: found.unreadable.len() as u32 + u32::from(found.unreadable_state),
            entries: found.entries,
            #[cfg(test)]
            moved_aside: found.moved_aside,
        })
    }

    /// Keep entries on the disk that the whitelist in memory has no room for, also through a [`Self::rebuild`]. Call it
    /// after opening. It blocks while a change is written.
    ///
    /// # Errors
    /// When an entry cannot be written as a record.
    pub fn keep(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.disk.lock_blocking().keep(entries)
    }

    /// Write entries of different prefixes, in place of those with the same prefixes: all or none of them. They are
    /// durable when this returns.
    ///
    /// # Errors
    /// When the disk fails. [`StoreError::outcome`] has the possible effect on the disk. Every later change is refused
    /// until [`Self::rebuild`] has succeeded.
    pub async fn put(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        self.work(Box::new(move |disk| disk.put(entries))).await
    }

    /// Remove and write entries of tickets, with as few writes as possible.
    ///
    /// # Errors
    /// As with [`Self::put`]; some of the entries may be on the disk.
    pub async fn save_brought(&self, unsaved: Unsaved) -> Result<(), StoreError> {
        self.work(Box::new(move |disk| disk.save_brought(&unsaved))).await
    }

    /// Remove the entries with exactly these prefixes, all or none of them. The removal is durable when this returns.
    ///
    /// # Errors
    /// As with [`Self::put`].
    pub async fn remove(&self, prefixes: &[IpNet]) -> Result<(), StoreError> {
        let keys: Vec<record::Key> = prefixes.iter().map(record::key).collect();
        self.work(Box::new(move |disk| disk.remove(&keys))).await
    }

    /// Write all entries of the whitelist into a new database, after the old one has failed. The disk then has
    /// `entries`, and no refused change.
    ///
    /// If the disk took no writes at the start, open the database instead, and return its entries: they replace those of
    /// the text copy.
    ///
    /// # Errors
    /// When the disk fails again; a later attempt may succeed.
    pub async fn rebuild(&self, running: Running, entries: Vec<Entry>) -> Result<Option<Vec<Entry>>, StoreError> {
        self.work(Box::new(move |disk| Ok(disk.rebuild(running, &entries)?.map(|found| found.entries)))).await
    }

    /// Check that the database is still at its place. If it was removed, changes are refused until [`Self::rebuild`] has
    /// made it anew. Call it now and then.
    pub async fn check_place(&self) {
        self.work(Box::new(DurableCopy::check_place)).await;
    }

    /// Return the state of the disk. While it fails, changes are refused.
    pub fn health(&self) -> Health {
        self.health.now()
    }

    /// Save the data that changes often, if due: the last-seen times of entries, the running clock, and, after a
    /// change, the export. Call it every ten minutes or so; most calls write nothing.
    ///
    /// An entry in `moved` that is no longer on the disk stays removed.
    ///
    /// # Errors
    /// When a part was not written. The error names each such part; the others were written.
    pub async fn save(&self, running: Running, moved: Vec<Seen>) -> Result<(), SaveError> {
        self.work(Box::new(move |disk| disk.save_what_is_due(running, &moved))).await
    }

    /// Write the keys and revocations of tickets.
    ///
    /// # Errors
    /// When the disk fails; the change may be on it nevertheless.
    pub async fn save_tickets(&self, book: Book) -> Result<(), StoreError> {
        self.work(Box::new(move |disk| disk.save_tickets(&book))).await
    }

    /// Write the sessions of the page. They are durable when this returns.
    ///
    /// # Errors
    /// When the disk fails; the sessions end with this run then.
    pub async fn save_sessions(&self, sessions: Vec<SavedSession>) -> Result<(), StoreError> {
        self.work(Box::new(move |disk| disk.save_sessions(&sessions))).await
    }

    /// Read the list of torrents at `path`, of at most `capacity` torrents.
    ///
    /// # Errors
    /// When the file cannot be read, or has a line that is wrong.
    pub async fn read_torrents(&self, path: PathBuf, capacity: usize) -> Result<TorrentList, TorrentFileError> {
        self.work(Box::new(move |_| read_torrents(&path, capacity))).await
    }

    /// Edit the list of torrents at `path`, and create it if it is missing: all edits, durable when this returns, or none
    /// of them.
    ///
    /// # Errors
    /// As with [`Self::read_torrents`], or when the file cannot be written.
    pub async fn edit_torrents(
        &self,
        path: PathBuf,
        capacity: usize,
        edits: TorrentEdits,
    ) -> Result<(Edited, TorrentList), TorrentFileError> {
        self.work(Box::new(move |disk| disk.edit_torrents(&path, capacity, &edits))).await
    }

    /// Save the history of the wall clock if it has changed. Remove it from the disk, sooner or later, if no entry
    /// needs it.
    ///
    /// # Errors
    /// When the disk fails. The next call tries again.
    pub async fn save_clock_history(&self, history: ClockHistory, is_needed: bool) -> Result<(), StoreError> {
        self.work(Box::new(move |disk| disk.save_clock_history(history, is_needed))).await
    }

    /// Save everything that is not on the disk yet, at shutdown.
    ///
    /// # Errors
    /// As with [`Self::save`].
    pub async fn close(&self, running: Running, moved: Vec<Seen>) -> Result<(), SaveError> {
        self.work(Box::new(move |disk| disk.save_all(running, &moved))).await
    }

    /// Return the number of bytes that this process has written to the disk since its start, for `status`.
    ///
    /// This is the kernel's count (`write_bytes` of `/proc/self/io`, minus cancelled writes). It has whole pages of all
    /// files that are not in RAM, but neither the file system's own journal nor the overhead of the flash translation.
    /// Some kernels lack that count, and some file systems (jffs2) bypass it. So the result is at least the store's own
    /// count.
    pub fn flash_octets_written(&self) -> u64 {
        let own = self.meter.written.load(Ordering::Relaxed);
        fs::read_to_string("/proc/self/io")
            .ok()
            .and_then(|io| written_by_kernel(&io))
            .map_or(own, |octets| octets.max(own))
    }

    /// Return the number of bytes that the store itself has written.
    #[cfg(test)]
    pub(crate) fn octets_written(&self) -> u64 {
        self.meter.written.load(Ordering::Relaxed)
    }

    /// Make every later change fail, as on a failing disk.
    #[cfg(test)]
    pub(crate) fn break_disk(&self) {
        self.disk.lock_blocking().break_log();
    }

    /// Do work that takes long, off the tracker's thread. It waits for the disk's work before it.
    pub async fn off_thread<T: Send + 'static>(&self, work: Box<dyn FnOnce() -> T + Send>) -> T {
        self.work(Box::new(move |_| work())).await
    }

    /// Do one piece of work at a time, off the tracker's thread.
    ///
    /// The work and the future are boxed, so that the binary has their code once for each type of result, and not for
    /// each kind of work and each caller.
    fn work<T: Send + 'static>(&self, work: Box<dyn FnOnce(&mut DurableCopy) -> T + Send>) -> Boxed<'_, T> {
        let result = Arc::new(std::sync::Mutex::new(None));
        let to = Arc::clone(&result);
        let run = self.run(Box::new(move |disk| {
            let done = work(disk);
            *to.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        }));
        Box::pin(async move {
            run.await;
            let done = result.lock().unwrap_or_else(PoisonError::into_inner).take();
            match done {
                Some(done) => done,
                // This cannot happen: a panic of the work goes on in the caller of `run`, or has ended the process.
                None => core::future::pending().await,
            }
        })
    }

    /// Run work on the thread pool. The lock moves into the work, so that even if the caller is dropped meanwhile, only
    /// one thread works on the database.
    fn run(&self, work: Box<dyn FnOnce(&mut DurableCopy) + Send>) -> Boxed<'_, ()> {
        Box::pin(async move {
            let mut disk = self.disk.lock_arc().await;
            smol::unblock(move || {
                yield_to_the_tracker();
                work(&mut disk);
            })
            .await;
        })
    }
}

/// Give this thread, and those that it starts, a lower priority than the tracker's. On one core, a change of the
/// whitelist would otherwise delay answers by a whole time slice.
fn yield_to_the_tracker() {
    // In Linux, 0 means the calling thread, not its process. Best effort: the store works without it.
    let _ = setpriority_process(None, NICENESS);
}

fn written_by_kernel(io: &str) -> Option<u64> {
    let field = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    Some(field("write_bytes:")?.saturating_sub(field("cancelled_write_bytes:").unwrap_or(0)))
}

#[cfg(test)]
mod tests;
