//! Removing many entries at once: the places of all of them are closed up in one pass, not in one for each.

use ipnet::IpNet;

use super::{Clocks, Entry, Place, Whitelist};
use crate::access::prefix;
use crate::clock::{Running, UnixSeconds};

/// Entries that one call removes at most.
pub const REMOVALS_A_CALL: usize = 128;

/// Slots that one call of [`Whitelist::retire`] looks at, besides those whose entries move.
pub(super) const RETIRE_STEPS: usize = 256;

/// Some positions in `order`, or slots.
type Numbers = heapless::Vec<u32, REMOVALS_A_CALL>;

impl Whitelist {
    /// Remove entries that have been idle for too long, or are past their end, and hand them to `each`; return how many.
    ///
    /// To be called about once a second, and again until it returns 0. End dates count only when there is a sane `wall`
    /// clock. A call looks at no more than 256 entries in turn, and at those that move to where one was removed; it
    /// removes no more than [`REMOVALS_A_CALL`]. The next call goes on from there, so that an entry of a list of 65,536 is
    /// removed at most five minutes late; it covers nothing as soon as it is due.
    pub fn retire(&mut self, now: Running, wall: Option<UnixSeconds>, each: impl FnMut(Entry)) -> usize {
        self.clocks = Clocks { running: self.clocks.running.max(now), wall: wall.and_then(UnixSeconds::if_sane) };
        let len = self.len();
        let first = if self.next < len { self.next } else { 0 };
        let steps = len.min(RETIRE_STEPS);
        // Beyond the end it goes on at the beginning.
        let at = |step: usize| if first + step < len { first + step } else { first + step - len };
        let mut due = Numbers::new();
        for slot in (0..steps).map(at) {
            self.note_if_due(slot, &mut due);
        }
        // As many of the last entries as are removed move to where those were, perhaps past where the next call goes on.
        let mut last = len;
        while last > len - due.len() {
            last -= 1;
            let is_new = (if last >= first { last - first } else { last + len - first }) >= steps;
            if is_new {
                self.note_if_due(last, &mut due);
            }
        }
        // Where there was no room for all that are due, the next call finds the rest.
        self.next = if due.is_full() { first } else { at(steps) };
        self.remove_at(due, each)
    }

    /// Remove the entries of exactly these prefixes, at most [`REMOVALS_A_CALL`], and hand them to `each`; return how many.
    /// Prefixes beyond that many are left alone.
    pub fn remove_all(&mut self, prefixes: &[IpNet], each: impl FnMut(Entry)) -> usize {
        let positions = prefixes.iter().filter_map(|prefix| self.position(&prefix::canonical(prefix)).ok());
        let positions = positions.take(REMOVALS_A_CALL).map(|position| position as u32).collect();
        self.remove_at(positions, each)
    }

    /// Note the position of an entry that is due, if there is room.
    fn note_if_due(&self, slot: usize, due: &mut Numbers) {
        let entry = &self.slots[slot].entry;
        if !due.is_full()
            && !self.is_live(entry)
            && let Ok(position) = self.position(&entry.prefix)
        {
            let _ = due.push(position as u32);
        }
    }

    /// Remove the entries at these positions of `order`. A position may be listed twice.
    fn remove_at(&mut self, mut positions: Numbers, mut each: impl FnMut(Entry)) -> usize {
        positions.sort_unstable();
        let mut slots = Numbers::new();
        let mut end = positions.first().map_or(0, |first| *first as usize);
        for (number, &position) in positions.iter().enumerate() {
            let next = positions.get(number + 1).map_or(self.order.len(), |next| *next as usize);
            if next == position as usize {
                continue;
            }
            let _ = slots.push(self.order[position as usize].slot);
            let kept = position as usize + 1..next;
            let kept_len = kept.len();
            self.order.copy_within(kept, end);
            end += kept_len;
        }
        if !slots.is_empty() {
            self.order.truncate(end);
        }
        // From the last one on, so that no slot moves that is to be removed itself.
        slots.sort_unstable_by(|left, right| right.cmp(left));
        slots.iter().for_each(|slot| each(self.remove_slot(*slot as usize)));
        slots.len()
    }

    /// Remove a slot that no place in `order` leads to any more; the last slot moves there.
    pub(super) fn remove_slot(&mut self, slot: usize) -> Entry {
        let last = self.slots.len() - 1;
        if slot != last {
            // Searched for while `slots` still holds both, so that every index in `order` is good.
            if let Ok(position) = self.position(&self.slots[last].entry.prefix) {
                self.order[position] = Place { slot: slot as u32, ..self.order[position] };
            }
        }
        let entry = self.slots.swap_remove(slot).entry;
        self.lengths_mut(&entry.prefix).remove(entry.prefix.prefix_len());
        entry
    }
}
