//! Table of the address prefixes that may announce, with the customer and the idle time of each.

mod by_ticket;
mod clocks;
mod entry;
mod removal;
mod saving;

#[cfg(test)]
use core::cmp::Ordering;
use core::fmt;
use core::net::IpAddr;
use core::ops::Range;
use core::time::Duration;
use std::collections::TryReserveError;

use ipnet::IpNet;

use by_ticket::OnDisk;
pub use by_ticket::{ShownBy, Unsaved};
pub use clocks::ClockHistory;
use clocks::Clocks;
pub use entry::{Entry, Retire};
pub use removal::{REMOVALS_A_CALL, Retired};
pub use saving::{Moved, Seen};

use super::prefix;
use super::prefix_lengths::PrefixLengths;
use crate::clock::Running;

/// Number of slots to visit in one call, for callers that let other work run between two calls.
pub const SLOTS_A_CALL: usize = 1024;

/// Result of [`Whitelist::put`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The prefix was not on the list.
    Added,
    /// The prefix was on the list. The new entry fully replaces this old one.
    Replaced(Entry),
}

/// Error: the whitelist is full; the new entry was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// Maximum number of entries.
    pub capacity: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the whitelist is full: it has room for {} entries; revoke some, or raise the capacity",
            self.capacity
        )
    }
}

impl core::error::Error for Full {}

/// Entry, and its `last_seen` on disk.
#[derive(Clone, Debug)]
struct Slot {
    entry: Entry,
    saved_last_seen: Running,
}

impl Slot {
    /// Take an entry that is on disk.
    const fn new(entry: Entry) -> Self {
        Self { saved_last_seen: entry.last_seen, entry }
    }
}

/// Index of a slot, with the part of its prefix that a search compares. If a search had to read the slots themselves,
/// each of its steps would be a cache miss.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// First 64 bits of the address.
    head: u64,
    slot: u32,
    /// Address family and prefix length: both sort before the address.
    kind: u16,
    /// Whether `retire` has reported that the entry is past its end.
    is_suspended: bool,
    on_disk: OnDisk,
}

const _: () = assert!(size_of::<Place>() == 16);

/// Memory that an entry takes in total, in bytes.
pub const ENTRY_OCTETS: usize = size_of::<Slot>() + size_of::<Place>();

/// Table of at most `capacity` entries, allocated once.
///
/// A look-up does one binary search for each prefix length in use. A change moves up to `capacity` places of 16 bytes.
/// Each entry takes [`ENTRY_OCTETS`]; memory of unused entries is never written.
///
/// Invariants, checked by `check_invariants`:
/// - `slots` and `order` have the same length, which is at most `capacity`, and are allocated for `capacity` items;
/// - `order` holds each index of `slots` exactly once, strictly ascending by the slot's prefix (family, length,
///   address), so no prefix occurs twice; each place has the head and kind of its slot's prefix;
/// - every prefix is canonical: its host bits are zero, and it is not v4-mapped;
/// - `v4` and `v6` count the entries of their family by length;
/// - `suspended` and `unsaved` are the numbers of places with `is_suspended`, and of those with `OnDisk::Soon`;
/// - `departed` has no prefix of an entry in the list, and at most 256;
/// - `next` is the slot that `retire` visits next, or any number past the last slot.
#[derive(Debug)]
pub struct Whitelist {
    slots: Vec<Slot>,
    order: Vec<Place>,
    v4: PrefixLengths,
    v6: PrefixLengths,
    capacity: usize,
    retire_after: Duration,
    next: usize,
    clocks: Clocks,
    suspended: usize,
    unsaved: usize,
    departed: Vec<IpNet>,
    /// Number of places for entries that are being written to the disk.
    reserved: usize,
}

impl Whitelist {
    /// Return an empty table for `capacity` entries (at most `u32::MAX`), with `retire_after` of running time as the
    /// default idle time until retirement.
    pub fn with_capacity(capacity: usize, retire_after: Duration) -> Result<Self, TryReserveError> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(capacity)?;
        let mut order = Vec::new();
        order.try_reserve_exact(capacity)?;
        Ok(Self {
            slots,
            order,
            v4: PrefixLengths::default(),
            v6: PrefixLengths::default(),
            capacity,
            retire_after,
            next: 0,
            clocks: Clocks::default(),
            suspended: 0,
            unsaved: 0,
            departed: Vec::with_capacity(by_ticket::DEPARTED),
            reserved: 0,
        })
    }

    /// Return the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Return the maximum number of entries.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Set the default idle time until retirement, in running time.
    pub fn set_retire_after(&mut self, retire_after: Duration) {
        self.retire_after = retire_after;
    }

    /// Record an announce from `address`, and return whether it is allowed. If so, its entry is no longer idle.
    ///
    /// The most specific entry that covers the address counts. An entry that is due for retirement or past its end
    /// covers nothing, even before `retire` removes it. The wall clock for the end is the one last passed to
    /// [`Self::retire`].
    pub fn touch(&mut self, address: IpAddr, now: Running) -> bool {
        self.clocks.running = self.clocks.running.max(now);
        let Some(slot) = self.covering(address) else { return false };
        let last_seen = &mut self.slots[slot].entry.last_seen;
        *last_seen = now.max(*last_seen);
        true
    }

    /// Return whether `address` may announce, by the times last passed to the table. Idle times do not change.
    pub fn covers(&self, address: IpAddr) -> bool {
        self.covering(address).is_some()
    }

    /// Return the entry with exactly this prefix, even if it is due for retirement.
    pub fn get(&self, prefix: &IpNet) -> Option<&Entry> {
        self.position(&prefix::canonical(prefix)).ok().map(|position| self.at(position))
    }

    /// Return whether it has no room for another entry of a ticket.
    pub const fn is_full(&self) -> bool {
        self.slots.len() + self.reserved >= self.capacity
    }

    /// Keep places for `entries` new entries that are being written to the disk, so that no ticket takes them meanwhile.
    /// The next call replaces this one.
    pub const fn reserve(&mut self, entries: usize) {
        self.reserved = entries;
    }

    /// Check whether [`Self::put`] would succeed for this prefix.
    pub fn can_put(&self, prefix: &IpNet) -> Result<(), Full> {
        if self.len() < self.capacity || self.get(prefix).is_some() {
            Ok(())
        } else {
            Err(Full { capacity: self.capacity })
        }
    }

    /// Add an entry that is already on disk. An entry with the same prefix is replaced and returned.
    ///
    /// When the list is full, it stays unchanged.
    pub fn put(&mut self, mut entry: Entry) -> Result<Put, Full> {
        entry.prefix = prefix::canonical(&entry.prefix);
        match self.position(&entry.prefix) {
            Ok(position) => {
                let place = &mut self.order[position];
                self.suspended -= usize::from(core::mem::take(&mut place.is_suspended));
                self.unsaved -= usize::from(core::mem::replace(&mut place.on_disk, OnDisk::Yes) == OnDisk::Soon);
                let old = core::mem::replace(&mut self.slots[place.slot as usize], Slot::new(entry));
                Ok(Put::Replaced(old.entry))
            }
            Err(_) if self.len() >= self.capacity => Err(Full { capacity: self.capacity }),
            Err(position) => {
                self.lengths_mut(&entry.prefix).add(entry.prefix.prefix_len());
                self.order.insert(position, Place::new(&entry.prefix, self.slots.len() as u32));
                self.departed.retain(|departed| *departed != entry.prefix);
                self.slots.push(Slot::new(entry));
                Ok(Put::Added)
            }
        }
    }

    /// Remove and return the entry with exactly this prefix.
    #[cfg(test)]
    pub(crate) fn remove(&mut self, prefix: &IpNet) -> Option<Entry> {
        let position = self.position(&prefix::canonical(prefix)).ok()?;
        let place = self.order.remove(position);
        self.count_removed(place);
        Some(self.remove_slot(place.slot as usize))
    }

    /// Iterate over the entries of a user in these `slots`, in no particular order. The empty name matches no entry.
    ///
    /// All slots are `0..len()`. An entry stays in its slot until some entry is removed.
    pub fn of_user<'a>(&'a self, user: &'a str, slots: Range<usize>) -> impl Iterator<Item = &'a Entry> + 'a {
        let slots = self.slots.get(slots.start..slots.end.min(self.len())).unwrap_or_default();
        slots.iter().map(|slot| &slot.entry).filter(move |entry| !user.is_empty() && entry.user == user)
    }

    /// Iterate over all entries, in no particular order, including those due for retirement.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().map(|slot| &slot.entry)
    }

    /// Return the first entry after `cursor` in the order of the list (family, length, address), or the first of all.
    ///
    /// A caller that continues from the prefix returned last sees every entry that stays on the list meanwhile.
    pub fn after(&self, cursor: Option<&IpNet>) -> Option<&Entry> {
        let position = match cursor.map(|cursor| self.position(&prefix::canonical(cursor))) {
            None => 0,
            Some(Ok(position)) => position + 1,
            Some(Err(position)) => position,
        };
        (position < self.len()).then(|| self.at(position))
    }

    /// Return the idle time of an entry at `now`, in running time.
    pub fn idle(&self, entry: &Entry, now: Running) -> Duration {
        now.since(entry.last_seen)
    }

    /// Return the idle time after which an entry is retired, in running time; `None` for never.
    pub fn retirement(&self, entry: &Entry) -> Option<Duration> {
        entry.retire.idle_time(self.retire_after)
    }

    /// Return the longest live entry that covers all addresses of `prefix`.
    pub fn containing(&self, prefix: &IpNet) -> Option<&Entry> {
        let prefix = prefix::canonical(prefix);
        self.covering_all(prefix.addr(), prefix.prefix_len()).map(|slot| &self.slots[slot].entry)
    }

    /// Return the longest live entry that covers `address`.
    pub fn covering_entry(&self, address: IpAddr) -> Option<&Entry> {
        self.covering(address).map(|slot| &self.slots[slot].entry)
    }

    /// Return the slot of the longest live prefix that covers `address`.
    fn covering(&self, address: IpAddr) -> Option<usize> {
        self.covering_all(address.to_canonical(), u8::MAX)
    }

    /// Return the slot of the longest live prefix that covers `address` and is no longer than `longest` bits.
    fn covering_all(&self, address: IpAddr, longest: u8) -> Option<usize> {
        let lengths = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        lengths.longest_first().filter(|length| *length <= longest).find_map(|length| {
            let position = self.position(&prefix::cut(address, length)).ok()?;
            self.is_live(self.at(position)).then(|| self.order[position].slot as usize)
        })
    }

    fn is_live(&self, entry: &Entry) -> bool {
        !self.has_ended(entry) && !self.is_idle(entry)
    }

    /// Return whether an entry is past its end. It then covers nothing.
    pub fn has_ended(&self, entry: &Entry) -> bool {
        entry.until.is_some_and(|until| self.clocks.is_past(until))
    }

    fn is_idle(&self, entry: &Entry) -> bool {
        self.retirement(entry).is_some_and(|most| self.idle(entry, self.clocks.running) > most)
    }

    /// Return whether an entry is to be removed. A single jump of the wall clock ends none for good.
    fn is_due(&self, entry: &Entry) -> bool {
        self.is_idle(entry) || entry.until.is_some_and(|until| self.clocks.has_stood_beyond(until))
    }

    /// Return the position of a prefix in `order`, or the position to insert it at.
    fn position(&self, prefix: &IpNet) -> Result<usize, usize> {
        let sought = Place::new(prefix, 0);
        self.order.binary_search_by(|place| {
            let by_head = place.kind.cmp(&sought.kind).then(place.head.cmp(&sought.head));
            // The head holds all bits of a prefix of up to 64 bits.
            if by_head.is_eq() && prefix.prefix_len() > 64 {
                self.slots[place.slot as usize].entry.prefix.addr().cmp(&prefix.addr())
            } else {
                by_head
            }
        })
    }

    fn at(&self, position: usize) -> &Entry {
        &self.slots[self.order[position].slot as usize].entry
    }

    fn lengths_mut(&mut self, prefix: &IpNet) -> &mut PrefixLengths {
        match prefix {
            IpNet::V4(_) => &mut self.v4,
            IpNet::V6(_) => &mut self.v6,
        }
    }

    /// Panic if an invariant of the structure does not hold.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        assert_eq!(self.slots.len(), self.order.len());
        assert!(self.slots.len() <= self.capacity);
        assert!(self.slots.capacity() >= self.capacity && self.order.capacity() >= self.capacity);
        let mut seen = vec![false; self.slots.len()];
        for &Place { slot, head, kind, .. } in &self.order {
            let expected = Place::new(&self.slots[slot as usize].entry.prefix, slot);
            assert_eq!((head, kind), (expected.head, expected.kind));
            assert!(!core::mem::replace(&mut seen[slot as usize], true), "slot {slot} occurs twice");
        }
        for pair in self.order.windows(2) {
            let [left, right] = [pair[0], pair[1]].map(|place| self.slots[place.slot as usize].entry.prefix);
            assert_eq!(compare(&left, &right), Ordering::Less, "{left} before {right}");
        }
        let (mut v4, mut v6) = (PrefixLengths::default(), PrefixLengths::default());
        for Slot { entry: Entry { prefix, .. }, .. } in &self.slots {
            assert!(prefix::is_canonical(prefix), "{prefix}");
            if matches!(prefix, IpNet::V4(_)) { v4.add(prefix.prefix_len()) } else { v6.add(prefix.prefix_len()) }
        }
        assert_eq!((&v4, &v6), (&self.v4, &self.v6));
        assert_eq!(self.suspended, self.order.iter().filter(|place| place.is_suspended).count());
        assert_eq!(self.unsaved, self.order.iter().filter(|place| place.on_disk == OnDisk::Soon).count());
        assert!(
            self.departed.len() <= by_ticket::DEPARTED && self.departed.iter().all(|prefix| self.get(prefix).is_none())
        );
    }
}

/// Compare two prefixes in the order of the list: IPv4 before IPv6, short before long, then by address.
#[cfg(test)]
fn compare(left: &IpNet, right: &IpNet) -> Ordering {
    match (left, right) {
        (IpNet::V4(left), IpNet::V4(right)) => {
            left.prefix_len().cmp(&right.prefix_len()).then_with(|| left.addr().cmp(&right.addr()))
        }
        (IpNet::V6(left), IpNet::V6(right)) => {
            left.prefix_len().cmp(&right.prefix_len()).then_with(|| left.addr().cmp(&right.addr()))
        }
        (IpNet::V4(_), IpNet::V6(_)) => Ordering::Less,
        (IpNet::V6(_), IpNet::V4(_)) => Ordering::Greater,
    }
}

impl Place {
    fn new(prefix: &IpNet, slot: u32) -> Self {
        let (family, head) = match prefix.addr() {
            IpAddr::V4(address) => (4, u64::from(address.to_bits()) << 32),
            IpAddr::V6(address) => (6, (address.to_bits() >> 64) as u64),
        };
        Self {
            head,
            slot,
            kind: u16::from_be_bytes([family, prefix.prefix_len()]),
            is_suspended: false,
            on_disk: OnDisk::Yes,
        }
    }
}

#[cfg(test)]
mod tests;
