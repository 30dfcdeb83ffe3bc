//! Loading of entries from the disk into the tracker's whitelist.

use std::collections::BTreeMap;

use ipnet::IpNet;
use log::error;

use crate::access::{Entry, REMOVALS_A_CALL, Seen};
use crate::store::{Store, StoreError};
use crate::tracker::Tracker;

/// Replace the whitelist by the `entries` of the disk. The disk keeps entries that the whitelist has no room for. An
/// entry that the whitelist has already keeps the time of its last announce.
///
/// # Errors
/// When the disk cannot keep entries.
pub(super) async fn load(
    tracker: &core::cell::RefCell<Tracker>,
    store: &Store,
    mut entries: Vec<Entry>,
) -> Result<(), StoreError> {
    let (stored, room) = (entries.len(), tracker.borrow().whitelisted().capacity());
    let left_out = entries.split_off(stored.min(room));
    if !left_out.is_empty() {
        error!(
            "the whitelist on disk has {stored} entries, `access.capacity` is {room}: {} are left out; raise it and restart",
            left_out.len()
        );
        store.keep(left_out).await?;
    }
    let mut tracker = tracker.borrow_mut();
    let earlier: BTreeMap<IpNet, Entry> =
        tracker.whitelisted().entries().map(|entry| (entry.prefix, entry.clone())).collect();
    let mut gone = earlier.clone();
    entries.iter().for_each(|entry| drop(gone.remove(&entry.prefix)));
    let gone: Vec<IpNet> = gone.into_keys().collect();
    for some in gone.chunks(REMOVALS_A_CALL) {
        tracker.revoke(some);
    }
    for entry in entries {
        let newer = earlier.get(&entry.prefix).map(|there| there.last_seen).filter(|seen| *seen > entry.last_seen);
        let (prefix, last_seen) = (entry.prefix, newer.unwrap_or(entry.last_seen));
        // This cannot fail: the entries fit, and each prefix occurs once.
        let _ = tracker.whitelist().put(Entry { last_seen, ..entry });
        if newer.is_some() {
            tracker.whitelist().not_saved(&[Seen { prefix, last_seen }]);
        }
    }
    Ok(())
}
