//! Removal of many entries at once. One pass closes the gaps of all of them in `order`, instead of one pass for each.

use ipnet::IpNet;

use super::{Entry, OnDisk, Place, Whitelist};
use crate::access::prefix;
use crate::clock::{Running, UnixSeconds};

/// Maximum number of entries that one call removes.
pub const REMOVALS_A_CALL: usize = 128;

/// Number of slots that one call of [`Whitelist::retire`] visits, besides the slots from which entries move.
pub(super) const RETIRE_STEPS: usize = 256;

/// List of positions in `order`, or of slots.
type Numbers = heapless::Vec<u32, REMOVALS_A_CALL>;

/// An entry that has left the list, or stopped to cover its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retired {
    /// The entry was removed: it was idle for too long, or past its end for a day.
    Removed(Entry),
    /// The entry is past its end. It stays on the list, and covers its addresses again if the clock goes back.
    Suspended(Entry),
}

impl Whitelist {
    /// Remove entries that have been idle for too long, or past their end for a day of running time, and suspend those
    /// past their end. Pass each to `each`, once for each event, and return the number of events.
    ///
    /// Call this about once a second, and repeat while it returns more than 0. End dates only count with a sane `wall`
    /// clock. One call visits at most 256 slots in sequence, and the slots from which entries move into freed ones; it
    /// removes at most [`REMOVALS_A_CALL`] entries. The next call continues there. So an entry in a list of 65,536 is
    /// removed at most five minutes late; but it covers nothing as soon as it is due.
    pub fn retire(&mut self, now: Running, wall: Option<UnixSeconds>, mut each: impl FnMut(Retired)) -> usize {
        self.clocks.advance(now, wall);
        let len = self.len();
        let first = if self.next < len { self.next } else { 0 };
        let steps = len.min(RETIRE_STEPS);
        // Wrap around at the end.
        let at = |step: usize| if first + step < len { first + step } else { first + step - len };
        let (mut due, mut suspended) = (Numbers::new(), 0);
        for slot in (0..steps).map(at) {
            self.note_if_due(slot, &mut due);
            suspended += usize::from(self.suspend_if_ended(slot, &mut each));
        }
        // The last entries of the table will move into the freed slots, one for each removal, and the next call may
        // then skip them. So check them now.
        let mut last = len;
        while last > len - due.len() {
            last -= 1;
            let is_new = (if last >= first { last - first } else { last + len - first }) >= steps;
            if is_new {
                self.note_if_due(last, &mut due);
            }
        }
        // If `due` is full, more entries may be due: the next call starts at the same slot.
        self.next = if due.is_full() { first } else { at(steps) };
        suspended + self.remove_at(due, |entry| each(Retired::Removed(entry)))
    }

    /// Remove the entries with exactly these prefixes, pass each to `each`, and return their number. At most
    /// [`REMOVALS_A_CALL`] entries are removed; further ones stay.
    pub fn remove_all(&mut self, prefixes: &[IpNet], each: impl FnMut(Entry)) -> usize {
        let positions = prefixes.iter().filter_map(|prefix| self.position(&prefix::canonical(prefix)).ok());
        let positions = positions.take(REMOVALS_A_CALL).map(|position| position as u32).collect();
        self.remove_at(positions, each)
    }

    /// Pass the entry in `slot` to `each` if it has just passed its end, and return whether it has.
    fn suspend_if_ended(&mut self, slot: usize, each: &mut impl FnMut(Retired)) -> bool {
        let entry = &self.slots[slot].entry;
        if entry.until.is_none() {
            return false;
        }
        let Ok(position) = self.position(&entry.prefix) else { return false };
        let has_ended = self.has_ended(entry);
        let is_new = has_ended && !self.order[position].is_suspended && !self.is_due(entry);
        if is_new {
            each(Retired::Suspended(entry.clone()));
        }
        let was_suspended = core::mem::replace(&mut self.order[position].is_suspended, has_ended);
        self.suspended = self.suspended + usize::from(has_ended) - usize::from(was_suspended);
        is_new
    }

    /// Add the position of the entry in `slot` to `due`, if the entry is due and `due` is not full.
    fn note_if_due(&self, slot: usize, due: &mut Numbers) {
        let entry = &self.slots[slot].entry;
        if !due.is_full()
            && self.is_due(entry)
            && let Ok(position) = self.position(&entry.prefix)
        {
            let _ = due.push(position as u32);
        }
    }

    /// Remove the entries at these positions of `order`. Duplicate positions are allowed.
    fn remove_at(&mut self, mut positions: Numbers, mut each: impl FnMut(Entry)) -> usize {
        positions.sort_unstable();
        let mut slots = Numbers::new();
        let mut end = positions.first().map_or(0, |first| *first as usize);
        for (number, &position) in positions.iter().enumerate() {
            let next = positions.get(number + 1).map_or(self.order.len(), |next| *next as usize);
            if next == position as usize {
                continue;
            }
            let place = self.order[position as usize];
            self.count_removed(place);
            let _ = slots.push(place.slot);
            let kept = position as usize + 1..next;
            let kept_len = kept.len();
            self.order.copy_within(kept, end);
            end += kept_len;
        }
        if !slots.is_empty() {
            self.order.truncate(end);
        }
        // Remove the highest slot first, so that no slot in the list moves before its own removal.
        slots.sort_unstable_by(|left, right| right.cmp(left));
        slots.iter().for_each(|slot| each(self.remove_slot(*slot as usize)));
        slots.len()
    }

    pub(super) fn count_removed(&mut self, place: Place) {
        self.suspended -= usize::from(place.is_suspended);
        self.unsaved -= usize::from(place.on_disk == OnDisk::Soon);
    }

    /// Remove a slot that `order` no longer refers to, and return its entry. The last slot moves into the gap.
    pub(super) fn remove_slot(&mut self, slot: usize) -> Entry {
        let last = self.slots.len() - 1;
        if slot != last {
            // Search before removing anything from `slots`, while every index in `order` is still valid.
            if let Ok(position) = self.position(&self.slots[last].entry.prefix) {
                self.order[position] = Place { slot: slot as u32, ..self.order[position] };
            }
        }
        let entry = self.slots.swap_remove(slot).entry;
        self.lengths_mut(&entry.prefix).remove(entry.prefix.prefix_len());
        entry
    }
}
