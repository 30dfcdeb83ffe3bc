//! What the server and all tasks of the running tracker share. They run on one thread, so a `RefCell` is borrowed for a
//! turn of the server or between two awaits, and never across one.

mod turns;

use std::cell::RefCell;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub use turns::Turns;

use crate::clock::{Running, UnixSeconds};
use crate::store::{Store, StoreError};
use crate::tracker::Tracker;

/// The tracker, and the clocks it is told.
#[derive(Debug)]
pub struct Shared {
    /// All state.
    pub tracker: RefCell<Tracker>,
    /// Where the whitelist survives a power cut.
    pub store: Store,
    /// Held while the whitelist is changed: on the disk first, then in the tracker.
    pub whitelist_changes: smol::lock::Mutex<()>,
    /// The turns of the server, to be waited for between two steps of work that takes long.
    pub turns: Turns,
    /// Held by the one that makes the steps of [`Self::forget`].
    forgetting: smol::lock::Mutex<()>,
    /// What the running clock showed when this run began.
    ran_before: Running,
    started: Instant,
}

impl Shared {
    /// Begin a run with `tracker`, after runs that took `ran_before` together.
    pub fn new(tracker: Tracker, store: Store, ran_before: Running) -> Self {
        Self {
            tracker: RefCell::new(tracker),
            store,
            whitelist_changes: smol::lock::Mutex::new(()),
            turns: Turns::default(),
            forgetting: smol::lock::Mutex::new(()),
            ran_before,
            started: Instant::now(),
        }
    }

    /// Write the whole whitelist anew where the disk has failed, and do nothing where it works. `whitelist_changes` must be
    /// held.
    ///
    /// # Errors
    /// When the disk still fails.
    pub async fn mend_disk(&self) -> Result<(), StoreError> {
        if self.store.health().failing.is_none() {
            return Ok(());
        }
        let entries = self.tracker.borrow().whitelisted().entries().cloned().collect();
        self.store.rebuild(self.now(), entries).await
    }

    /// Wait until the peers of all addresses that were retired or revoked by now are gone: a step of the walk for each
    /// turn of the server, however many wait for it.
    pub async fn forget(&self) {
        let end = self.tracker.borrow().forgetting_ends();
        let _one_at_a_time = self.forgetting.lock().await;
        while !self.tracker.borrow().has_forgotten(end) {
            self.tracker.borrow_mut().forget(self.now());
            self.turns.next().await;
        }
    }

    /// What the running clock shows.
    pub fn now(&self) -> Running {
        self.ran_before.after(self.started.elapsed())
    }

    /// Seconds since this run began.
    pub fn uptime_seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// The wall clock, if it can be right.
    pub fn wall(&self) -> Option<UnixSeconds> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        UnixSeconds(since_1970.as_secs()).if_sane()
    }
}
