//! The times of the last announces that are to be written to disk.

use core::ops::Range;
use core::time::Duration;

use ipnet::IpNet;

use super::{Slot, Whitelist};
use crate::clock::Running;

/// Time of the last announce for an entry, to be written to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Prefix of the entry.
    pub prefix: IpNet,
    /// Time of its last announce, on the running clock.
    pub last_seen: Running,
}

/// Least change of an entry's last announce that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Any change.
    AtAll,
    /// A change that is worth a write to the flash: a 32nd of the idle time after which the entry is retired, but at
    /// least an hour and at most a day. A power cut can lose that much.
    WorthAWrite,
}

pub(super) fn least_worth_a_write(idle_time: Option<Duration>) -> Duration {
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    idle_time.map_or(day, |idle_time| (idle_time / 32).clamp(hour, day))
}

impl Whitelist {
    /// Return the entries in these `slots` whose `last_seen` is newer than on disk, by enough for `moved`, and mark each
    /// returned entry as saved.
    ///
    /// If saving them fails, [`Self::not_saved`] undoes the mark. Idle entries are never returned, because the disk is
    /// up to date for them. All slots are `0..len()`. A removal moves the last entry to another slot, so a caller that
    /// continues after a removal may miss that entry.
    pub fn take_moved(&mut self, moved: Moved, slots: Range<usize>) -> impl Iterator<Item = Seen> + '_ {
        let retire_after = self.retire_after;
        let has_moved = move |slot: &&mut Slot| {
            let least = match moved {
                Moved::AtAll => Duration::ZERO,
                Moved::WorthAWrite => least_worth_a_write(slot.entry.retire.idle_time(retire_after)),
            };
            slot.entry.last_seen.since(slot.saved_last_seen) > least
        };
        let end = slots.end.min(self.len());
        let slots = self.slots.get_mut(slots.start..end).unwrap_or_default();
        slots.iter_mut().filter(has_moved).map(|slot| {
            slot.saved_last_seen = slot.entry.last_seen;
            Seen { prefix: slot.entry.prefix, last_seen: slot.entry.last_seen }
        })
    }

    /// Mark these entries as not saved, so that the next [`Self::take_moved`] returns them again.
    pub fn not_saved(&mut self, moved: &[Seen]) {
        for seen in moved {
            if let Ok(position) = self.position(&seen.prefix) {
                let slot = self.order[position].slot as usize;
                self.slots[slot].saved_last_seen = Running::default();
            }
        }
    }
}
