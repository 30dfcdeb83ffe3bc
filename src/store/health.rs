//! State of the disk, for the log and for `status`.

use std::sync::{Mutex, PoisonError};

use super::StoreError;

/// The state of the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Reason why changes of the whitelist are refused; `None` while they are accepted.
    pub failing: Option<String>,
    /// Reason why the last export was not written; `None` if it was.
    pub export_failing: Option<String>,
    /// Report of damage that the start found, of the recovery and of the loss; `None` without damage.
    pub recovered: Option<String>,
    /// Number of database failures in this run.
    pub failures: u64,
    /// Number of rewrites of the database after a failure.
    pub rebuilds: u64,
}

/// The state that the disk's thread records and other threads read.
#[derive(Debug, Default)]
pub(super) struct Noted(Mutex<Health>);

impl Noted {
    pub(super) fn now(&self) -> Health {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Record and log a failure of the database.
    pub(super) fn fails(&self, error: &StoreError) {
        log::error!("{error}; changes of the whitelist are refused until it has been rewritten");
        self.note(|health| {
            health.failing = Some(error.to_string());
            health.failures += 1;
        });
    }

    /// Record and log a start on a disk that takes no writes.
    pub(super) fn starts_without_a_disk(&self, error: &StoreError, entries: usize, damage: Option<String>) {
        let damage = damage.map(|how| format!(" (damaged: {how}; entries may be missing)")).unwrap_or_default();
        let started = format!("started with the {entries} entries of the text copy of the whitelist{damage}");
        log::error!("{error}; {started}; changes are refused until the disk takes writes");
        self.note(|health| {
            health.failing = Some(format!("{error}; {started}"));
            health.failures += 1;
        });
    }

    /// Record and log that the database was opened later than at the start.
    pub(super) fn opens_late(&self, entries: usize) {
        log::warn!("the disk takes writes: the whitelist with {entries} entries is open; changes are accepted");
        self.note(|health| health.failing = None);
    }

    /// Record and log a rewrite of the database.
    pub(super) fn works_again(&self) {
        log::warn!("the whitelist has been rewritten from memory; changes are accepted again");
        self.note(|health| {
            health.failing = None;
            health.rebuilds += 1;
        });
    }

    /// Record and log a recovery at the start.
    pub(super) fn recovered(&self, report: &str) {
        log::error!("{report}");
        self.note(|health| match &mut health.recovered {
            Some(earlier) => earlier.extend(["; ", report]),
            None => health.recovered = Some(report.to_owned()),
        });
    }

    /// Record the result of an export.
    pub(super) fn export(&self, error: Option<&StoreError>) {
        self.note(|health| health.export_failing = error.map(ToString::to_string));
    }

    fn note(&self, note: impl FnOnce(&mut Health)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
