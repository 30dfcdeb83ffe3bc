//! Changes that the disk did not accept.

use super::refused::{Because, Refused};
use crate::api::Outcome;
use crate::shared::Shared;
use crate::store::{self, StoreError};

/// A change that the disk did not accept.
pub(super) struct NotTaken {
    outcome: Outcome,
    error: StoreError,
}

impl NotTaken {
    /// Give up a change. The rewrite of the whole list makes sure that the change stays refused.
    pub(super) async fn give_up(shared: &Shared, error: StoreError) -> Self {
        let is_mended = shared.mend_disk().await.is_ok();
        let outcome = match error.outcome() {
            store::Outcome::Unknown if !is_mended => Outcome::Unknown,
            store::Outcome::Unknown | store::Outcome::Unchanged => Outcome::Unchanged,
        };
        Self { outcome, error }
    }

    /// Return the refusal, after `removed` of the requested entries were removed in earlier batches.
    pub(super) fn after(self, removed: usize) -> Refused {
        let Self { outcome, error } = self;
        let outcome = if removed > 0 && outcome == Outcome::Unchanged { Outcome::Partial } else { outcome };
        let done = if removed > 0 { format!("{removed} entries were removed; ") } else { String::new() };
        log::error!("a change of the whitelist was refused: {done}{error}");
        let reason = match outcome {
            Outcome::Unchanged => format!("nothing was changed, because the disk failed: {error}"),
            Outcome::Partial => format!("{done}the others were not removed, because the disk failed: {error}"),
            Outcome::Unknown => format!(
                "{done}the disk failed: {error}. The change is not in effect, but part of it may be on the disk: it is \
                 unknown whether a restart brings it into effect. nakodo keeps trying to write the list without it; \
                 `nakodo status` shows `failing` until that succeeds, and from then on the change stays refused"
            ),
        };
        Refused::new(Because::DiskFailed(outcome), reason)
    }
}

/// Make sure that the disk accepts changes. The caller must hold the lock of changes.
pub(super) async fn ready_disk(shared: &Shared) -> Result<(), NotTaken> {
    shared.mend_disk().await.map_err(|error| NotTaken { outcome: Outcome::Unchanged, error })
}
