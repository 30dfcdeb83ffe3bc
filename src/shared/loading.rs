//! Loading of entries from the disk into the tracker's whitelist.

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
pub(super) fn load(tracker: &mut Tracker, store: &Store, mut entries: Vec<Entry>) -> Result<(), StoreError> {
    let (stored, room) = (entries.len(), tracker.whitelisted().capacity());
    let left_out = entries.split_off(stored.min(room));
    if !left_out.is_empty() {
        error!(
            "the whitelist on disk has {stored} entries, `access.capacity` is {room}: {} are left out; raise it and restart",
            left_out.len()
        );
        store.keep(&left_out)?;
    }
    entries.sort_unstable_by_key(|entry| entry.prefix);
    let is_gone = |prefix: &IpNet| entries.binary_search_by_key(prefix, |entry| entry.prefix).is_err();
    let gone: Vec<IpNet> = tracker.whitelisted().entries().map(|entry| entry.prefix).filter(is_gone).collect();
    for some in gone.chunks(REMOVALS_A_CALL) {
        tracker.revoke(some);
    }
    for mut entry in entries {
        let (prefix, saved) = (entry.prefix, entry.last_seen);
        let there = tracker.whitelisted().get(&prefix).map_or(saved, |there| there.last_seen);
        entry.last_seen = saved.max(there);
        // This cannot fail: the entries fit, and each prefix occurs once.
        let _ = tracker.whitelist().put(entry);
        if there > saved {
            tracker.whitelist().not_saved(&[Seen { prefix, last_seen: there }]);
        }
    }
    Ok(())
}
