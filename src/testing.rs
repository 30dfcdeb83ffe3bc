//! Fixtures for the tests of several modules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::shared::Shared;
use crate::store::Store;
use crate::tracker::{HashKey, Policy, Seeds, Settings, Tracker};

/// Temporary directory that is removed at the end of the test.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nakodo-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Return a command that runs this program again. For a foreign architecture it uses the emulator that
/// `boards/toolchain` names.
pub(crate) fn this_program() -> Command {
    let program = std::env::current_exe().expect("it has a path");
    let Some(emulator) = std::env::var_os("NAKODO_TEST_EMULATOR") else { return Command::new(program) };
    let mut command = Command::new(emulator);
    command.arg(program);
    command
}

/// Return settings with little memory, an open LAN and a whitelisted WAN.
pub(crate) fn settings(whitelist_capacity: usize) -> Settings {
    Settings {
        memory_octets: 256 << 10,
        whitelist_capacity,
        peer_timeout: Duration::from_secs(45 * 60),
        lan: vec!["192.168.0.0/16".parse().expect("a prefix")],
        policy: Policy::default(),
    }
}

/// Return a tracker with fixed seeds, so that it selects the same peers in every run.
pub(crate) fn tracker(settings: Settings) -> Tracker {
    let (hash, connection_ids) = (HashKey(1, 2), HashKey(3, 4));
    Tracker::new(settings, Seeds { hash, connection_ids, random: 5 }).expect("memory")
}

/// Return the shared state of a daemon. Its whitelist has the entries from the store in `dir`.
pub(crate) fn shared(dir: &TempDir, settings: Settings) -> Shared {
    let opened = Store::open(dir.path()).expect("a store");
    let mut tracker = tracker(settings);
    for entry in opened.entries {
        tracker.whitelist().put(entry).expect("room");
    }
    Shared::new(tracker, opened.store, opened.book, opened.running)
}
