//! Whether the disk takes what is written, for the log and for `status`.

use std::sync::{Mutex, PoisonError};

use super::StoreError;

/// How the disk is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why changes of the whitelist are refused; `None` while they are not.
    pub failing: Option<String>,
    /// Why the last export was not written; `None` if it was.
    pub export_failing: Option<String>,
    /// How often the database has failed in this run.
    pub failures: u64,
    /// How often it was written anew after that.
    pub rebuilds: u64,
}

/// The health that the disk's thread notes and other threads read.
#[derive(Debug, Default)]
pub(super) struct Noted(Mutex<Health>);

impl Noted {
    pub(super) fn now(&self) -> Health {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The database has failed.
    pub(super) fn fails(&self, error: &StoreError) {
        log::error!("{error}; changes of the whitelist are refused until it has been written anew");
        self.note(|health| {
            health.failing = Some(error.to_string());
            health.failures += 1;
        });
    }

    /// The database has been written anew.
    pub(super) fn works_again(&self) {
        log::warn!("the whitelist has been written anew, as it is in memory: changes are taken again");
        self.note(|health| {
            health.failing = None;
            health.rebuilds += 1;
        });
    }

    /// An export was written, or was not.
    pub(super) fn export(&self, error: Option<&StoreError>) {
        self.note(|health| health.export_failing = error.map(ToString::to_string));
    }

    fn note(&self, note: impl FnOnce(&mut Health)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
