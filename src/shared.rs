//! The state that the server and all tasks of the running tracker share. They run on one thread, so a `RefCell` is
//! borrowed for a turn of the server or between two awaits, and never across an await.

mod events;
mod loading;
mod sessions;
mod tickets;
mod torrents;
mod turns;

use core::pin::Pin;
use std::cell::{Cell, RefCell};
use std::time::Instant;

pub use events::{Event, Events, Listening, Numbered};
pub use sessions::{CODE_LASTS, Entered, SESSION_LASTS, Sessions};
pub use tickets::{Origin, Tickets};
pub use torrents::{TorrentSettings, Torrents};
pub use turns::Turns;

use crate::access::{Entry, Unsaved};
use crate::clock::{Running, UnixSeconds};
use crate::history::History;
use crate::horizon::Horizon;
use crate::latency::Latency;
use crate::sides::Sides;
use crate::store::{Store, StoreError};
use crate::system_clock;
use crate::ticket::Book;
use crate::tracker::Tracker;

/// An announce URL to put into a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceUrl {
    /// The URL.
    pub url: String,
    /// The side of the clients that reach it.
    pub horizon: Horizon,
}

/// A future on the tracker's thread. Those that have several callers are boxed, so that the binary has their code once.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Maximum number of entries of tickets in one write.
const BROUGHT_A_WRITE: usize = 128;

/// The tracker, its store and its clocks.
#[derive(Debug)]
pub struct Shared {
    /// The complete state of the core.
    pub tracker: RefCell<Tracker>,
    /// The durable copy of the whitelist.
    pub store: Store,
    /// The keys and revocations of tickets.
    pub tickets: Tickets,
    /// The list of torrents.
    pub torrents: Torrents,
    /// The sides of the host's interfaces, as they were read last.
    pub sides: RefCell<Sides>,
    /// See [`Self::changing`].
    whitelist_changes: smol::lock::Mutex<()>,
    /// The latest events, for programs that watch the tracker.
    pub events: Events,
    /// Announces, logins and refusals of the last day.
    pub history: RefCell<History>,
    /// The time that requests spend in the tracker.
    pub latency: Cell<Latency>,
    /// Number of open HTTP connections, counted now and then.
    pub http_connections: Cell<u32>,
    /// Maximum number of HTTP connections.
    pub http_capacity: Cell<u32>,
    /// Beginning of links to the tracker for clients outside, if it is known.
    pub public_url: RefCell<Option<String>>,
    /// Addresses of the page, without a path; none while it has no socket.
    pub page_urls: RefCell<Vec<String>>,
    /// The announce URLs to put into a torrent.
    pub announce_urls: RefCell<Vec<AnnounceUrl>>,
    /// The visitors of the page.
    pub sessions: Sessions,
    /// Held while a long request arrives and is answered.
    pub long_request: smol::lock::Semaphore,
    /// The turns of the server. Long work waits for one between two of its steps.
    pub turns: Turns,
    /// Held by the task that makes the steps of [`Self::forget`].
    forgetting: smol::lock::Mutex<()>,
    /// The running clock at the start of this run.
    ran_before: Running,
    started: Instant,
}

impl Shared {
    /// Begin a run with `tracker` and the `book` of ticket keys, after earlier runs of `ran_before` in total.
    pub fn new(tracker: Tracker, store: Store, book: Book, ran_before: Running) -> Self {
        Self {
            tracker: RefCell::new(tracker),
            store,
            tickets: Tickets::new(book),
            torrents: Torrents::default(),
            sides: RefCell::default(),
            whitelist_changes: smol::lock::Mutex::new(()),
            events: Events::default(),
            history: RefCell::new(History::new(ran_before)),
            latency: Cell::default(),
            http_connections: Cell::default(),
            http_capacity: Cell::default(),
            public_url: RefCell::default(),
            page_urls: RefCell::default(),
            announce_urls: RefCell::default(),
            sessions: Sessions::default(),
            long_request: smol::lock::Semaphore::new(1),
            turns: Turns::default(),
            forgetting: smol::lock::Mutex::new(()),
            ran_before,
            started: Instant::now(),
        }
    }

    /// Fill the whitelist with the entries that the store had when it was opened.
    ///
    /// # Errors
    /// When the store cannot keep the entries for which the whitelist has no room.
    pub fn load(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        loading::load(&mut self.tracker.borrow_mut(), &self.store, entries)
    }

    /// Wait for the lock that is held during each change of the whitelist, the ticket keys or the list of torrents: on the
    /// disk first, then in the tracker.
    pub fn changing(&self) -> Boxed<'_, smol::lock::MutexGuard<'_, ()>> {
        Box::pin(self.whitelist_changes.lock())
    }

    /// Write the whole whitelist to a new database after a disk failure; do nothing while the disk works. If the disk
    /// took no writes at the start, read the list from the database instead. The caller must hold [`Self::changing`].
    ///
    /// # Errors
    /// When the disk still fails.
    pub fn mend_disk(&self) -> Boxed<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if self.store.health().failing.is_none() {
                return Ok(());
            }
            let entries = self.tracker.borrow().whitelisted().entries().cloned().collect();
            match self.store.rebuild(self.now(), entries).await? {
                Some(found) => self.load(found),
                None => Ok(()),
            }
        })
    }

    /// Write the entries that tickets brought by login pages since the last time. The caller must hold [`Self::changing`].
    ///
    /// # Errors
    /// When the disk fails. The next call tries again.
    pub fn save_brought(&self) -> Boxed<'_, Result<(), StoreError>> {
        Box::pin(async move {
            loop {
                let unsaved = self.tracker.borrow_mut().whitelist().take_unsaved(BROUGHT_A_WRITE);
                if unsaved == Unsaved::default() {
                    return Ok(());
                }
                if let Err(error) = self.store.save_brought(unsaved.clone()).await {
                    self.tracker.borrow_mut().whitelist().put_back(&unsaved);
                    return Err(error);
                }
                self.turns.next().await;
            }
        })
    }

    /// Wait until the tracker holds no more peers of addresses that are retired or revoked by now, or of torrents that are
    /// no longer served. All callers together
    /// make one step of the walk in each turn of the server.
    pub fn forget(&self) -> Boxed<'_, ()> {
        Box::pin(async move {
            let end = self.tracker.borrow().forgetting_ends();
            let _one_at_a_time = self.forgetting.lock().await;
            while !self.tracker.borrow().has_forgotten(end) {
                self.tracker.borrow_mut().forget(self.now());
                self.turns.next().await;
            }
        })
    }

    /// Return the time of the running clock.
    pub fn now(&self) -> Running {
        self.now_at(Instant::now())
    }

    /// Return the time of the running clock at an instant of this run.
    pub fn now_at(&self, instant: Instant) -> Running {
        self.ran_before.after(instant.saturating_duration_since(self.started))
    }

    /// Return the number of seconds since this run began.
    pub fn uptime_seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Return the time of the wall clock, if it is plausible.
    pub fn wall(&self) -> Option<UnixSeconds> {
        system_clock::wall()
    }
}

#[cfg(test)]
mod tests;
