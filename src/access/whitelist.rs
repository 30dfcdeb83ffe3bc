//! The whitelist: which address prefixes may announce, whose they are, and how long each has been idle.

mod removal;

#[cfg(test)]
use core::cmp::Ordering;
use core::fmt;
use core::net::IpAddr;
use core::ops::Range;
use core::time::Duration;
use std::collections::TryReserveError;

use ipnet::IpNet;

pub use removal::REMOVALS_A_CALL;

use super::prefix;
use super::prefix_lengths::PrefixLengths;
use crate::clock::{Running, UnixSeconds};

/// The most octets of a user's name.
pub const USER_OCTETS: usize = 32;

/// Slots to look at in one call, for callers that give others a turn between two calls.
pub const SLOTS_A_CALL: usize = 1024;

/// The name of the customer that an entry belongs to; empty when it has none.
pub type User = heapless::String<USER_OCTETS>;

/// How long an entry may be idle before it is retired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retire {
    /// As long as is configured for all (`retire_after`), also when that changes.
    #[default]
    Default,
    /// This many seconds of running time.
    After(u32),
    /// For ever.
    Never,
}

/// A prefix that may announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The addresses it is about.
    pub prefix: IpNet,
    /// The customer it belongs to; empty when it has none.
    pub user: User,
    /// How long it may be idle.
    pub retire: Retire,
    /// When it ends, however busy it is; never when there is none.
    pub until: Option<UnixSeconds>,
    /// When it was added; unknown when the clock was not sane.
    pub added: Option<UnixSeconds>,
    /// When it was last announced from, or else added.
    pub last_seen: Running,
}

/// What [`Whitelist::put`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The prefix was not on the list.
    Added,
    /// The prefix was on the list with this entry, of which nothing is kept.
    Replaced(Entry),
}

/// The whitelist holds as many entries as it has room for; the newcomer is not on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// How many entries there is room for.
    pub capacity: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the whitelist is full: it has room for {} entries; revoke some, or make room for more",
            self.capacity
        )
    }
}

impl core::error::Error for Full {}

/// When an entry was last announced from, for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which entry.
    pub prefix: IpNet,
    /// When, on the running clock.
    pub last_seen: Running,
}

/// An entry and what the disk knows of it.
#[derive(Clone, Debug)]
struct Slot {
    entry: Entry,
    saved_last_seen: Running,
}

/// Where an entry is, and enough of its prefix to find it without looking there: a search that had to look at the
/// entries themselves would miss the processor's cache at each step.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The first 64 bits of the address.
    head: u64,
    slot: u32,
    /// Family and length: all that comes before the address in the order of the list.
    kind: u16,
}

const _: () = assert!(size_of::<Place>() == 16);

/// Octets that an entry takes in all.
pub const ENTRY_OCTETS: usize = size_of::<Slot>() + size_of::<Place>();

/// A table of at most `capacity` entries, allocated once.
///
/// A look-up takes one binary search for each prefix length in use; a change shifts up to `capacity` places of 16
/// octets. An entry takes [`ENTRY_OCTETS`] in all, of which only what is in use is ever touched.
///
/// Invariants, checked by `check_invariants`:
/// - `slots` and `order` are equally long, at most `capacity`, and were allocated for as many;
/// - the slots of `order` are a permutation of the slots' numbers, strictly ascending by the slots' prefixes (family,
///   length, address): so no prefix is there twice; a place has the head and kind of its slot's prefix;
/// - every prefix is canonical: its host bits are zero, and it is not v4 written as v6;
/// - `v4` and `v6` count the entries of their family by length;
/// - `next` is the slot that `retire` looks at next, or any number beyond the last one.
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
}

/// What the clocks showed when the table was last told.
#[derive(Clone, Copy, Debug, Default)]
struct Clocks {
    running: Running,
    wall: Option<UnixSeconds>,
}

impl Whitelist {
    /// An empty table with room for `capacity` entries (at most `u32::MAX`), where an entry that does not say otherwise
    /// may be idle for `retire_after` of running time.
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
        })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many entries there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// From now on let entries that do not say otherwise be idle for `retire_after` of running time.
    pub fn set_retire_after(&mut self, retire_after: Duration) {
        self.retire_after = retire_after;
    }

    /// An announce came from `address`: whether it may, and if so its entry is no longer idle.
    ///
    /// The most specific entry that covers the address counts; one that is due to be retired or past its end (by the
    /// wall clock that [`Self::retire`] was last told) covers nothing, even before `retire` has removed it.
    pub fn touch(&mut self, address: IpAddr, now: Running) -> bool {
        self.clocks.running = self.clocks.running.max(now);
        let Some(slot) = self.covering(address) else { return false };
        let last_seen = &mut self.slots[slot].entry.last_seen;
        *last_seen = now.max(*last_seen);
        true
    }

    /// Whether `address` may announce, leaving its entry as idle as it is; by the clocks that were last told.
    pub fn covers(&self, address: IpAddr) -> bool {
        self.covering(address).is_some()
    }

    /// The entry of exactly this prefix, due to be retired or not.
    pub fn get(&self, prefix: &IpNet) -> Option<&Entry> {
        self.position(&prefix::canonical(prefix)).ok().map(|position| self.at(position))
    }

    /// Whether [`Self::put`] would find room for this prefix.
    pub fn can_put(&self, prefix: &IpNet) -> Result<(), Full> {
        if self.len() < self.capacity || self.get(prefix).is_some() {
            Ok(())
        } else {
            Err(Full { capacity: self.capacity })
        }
    }

    /// Put an entry, as it is on the disk, on the list. One with the same prefix is replaced and returned.
    ///
    /// When there is no room the list stays as it is.
    pub fn put(&mut self, mut entry: Entry) -> Result<Put, Full> {
        entry.prefix = prefix::canonical(&entry.prefix);
        let saved_last_seen = entry.last_seen;
        match self.position(&entry.prefix) {
            Ok(position) => {
                let slot = Slot { entry, saved_last_seen };
                let old = core::mem::replace(&mut self.slots[self.order[position].slot as usize], slot);
                Ok(Put::Replaced(old.entry))
            }
            Err(_) if self.len() >= self.capacity => Err(Full { capacity: self.capacity }),
            Err(position) => {
                self.lengths_mut(&entry.prefix).add(entry.prefix.prefix_len());
                self.order.insert(position, Place::new(&entry.prefix, self.slots.len() as u32));
                self.slots.push(Slot { entry, saved_last_seen });
                Ok(Put::Added)
            }
        }
    }

    /// Take the entry of exactly this prefix off the list.
    pub fn remove(&mut self, prefix: &IpNet) -> Option<Entry> {
        let position = self.position(&prefix::canonical(prefix)).ok()?;
        let slot = self.order.remove(position).slot as usize;
        Some(self.remove_slot(slot))
    }

    /// The entries of a user among those `slots`, in no order. No user has the empty name.
    ///
    /// All slots are `0..len()`. An entry stays in its slot until an entry is removed.
    pub fn of_user<'a>(&'a self, user: &'a str, slots: Range<usize>) -> impl Iterator<Item = &'a Entry> + 'a {
        let slots = self.slots.get(slots.start..slots.end.min(self.len())).unwrap_or_default();
        slots.iter().map(|slot| &slot.entry).filter(move |entry| !user.is_empty() && entry.user == user)
    }

    /// All entries, in no order, due to be retired or not.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().map(|slot| &slot.entry)
    }

    /// The first entry that comes after `cursor` in the order of the list (family, length, address), or of all.
    ///
    /// Whoever goes on from the prefix that was returned last sees every entry that stays on the list meanwhile.
    pub fn after(&self, cursor: Option<&IpNet>) -> Option<&Entry> {
        let position = match cursor.map(|cursor| self.position(&prefix::canonical(cursor))) {
            None => 0,
            Some(Ok(position)) => position + 1,
            Some(Err(position)) => position,
        };
        (position < self.len()).then(|| self.at(position))
    }

    /// How idle an entry is at `now`, in running time.
    pub fn idle(&self, entry: &Entry, now: Running) -> Duration {
        now.since(entry.last_seen)
    }

    /// How long an entry may be idle, in running time; `None` when for ever.
    pub fn retirement(&self, entry: &Entry) -> Option<Duration> {
        match entry.retire {
            Retire::Default => Some(self.retire_after),
            Retire::After(seconds) => Some(Duration::from_secs(u64::from(seconds))),
            Retire::Never => None,
        }
    }

    /// The entries among those `slots` that were announced from more than `least` after what the disk says, each of which
    /// counts as saved once it was returned.
    ///
    /// When saving them fails, [`Self::not_saved`] takes that back. An entry that stays idle never comes: the disk says all
    /// there is to say of it. All slots are `0..len()`; a removal moves the last entry to another slot, so that one may be
    /// left out by a caller that goes on afterwards.
    pub fn take_moved(&mut self, least: Duration, slots: Range<usize>) -> impl Iterator<Item = Seen> + '_ {
        let moved = move |slot: &&mut Slot| slot.entry.last_seen.since(slot.saved_last_seen) > least;
        let end = slots.end.min(self.len());
        let slots = self.slots.get_mut(slots.start..end).unwrap_or_default();
        slots.iter_mut().filter(moved).map(|slot| {
            slot.saved_last_seen = slot.entry.last_seen;
            Seen { prefix: slot.entry.prefix, last_seen: slot.entry.last_seen }
        })
    }

    /// Return these again with the next [`Self::take_moved`], because they could not be saved.
    pub fn not_saved(&mut self, moved: &[Seen]) {
        for seen in moved {
            if let Ok(position) = self.position(&seen.prefix) {
                let slot = self.order[position].slot as usize;
                self.slots[slot].saved_last_seen = Running::default();
            }
        }
    }

    /// The slot of the longest prefix that covers `address` and is live.
    fn covering(&self, address: IpAddr) -> Option<usize> {
        let address = address.to_canonical();
        let lengths = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        lengths.longest_first().find_map(|length| {
            let position = self.position(&prefix::cut(address, length)).ok()?;
            self.is_live(self.at(position)).then(|| self.order[position].slot as usize)
        })
    }

    fn is_live(&self, entry: &Entry) -> bool {
        let ended = matches!((self.clocks.wall, entry.until), (Some(wall), Some(until)) if wall >= until);
        !ended && self.retirement(entry).is_none_or(|most| self.idle(entry, self.clocks.running) <= most)
    }

    /// Where a prefix is in `order`, or where it would be.
    fn position(&self, prefix: &IpNet) -> Result<usize, usize> {
        let sought = Place::new(prefix, 0);
        self.order.binary_search_by(|place| {
            let by_head = place.kind.cmp(&sought.kind).then(place.head.cmp(&sought.head));
            // A prefix of up to 64 bits is all in the head.
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

    /// Panics where an invariant of the structure does not hold.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        assert_eq!(self.slots.len(), self.order.len());
        assert!(self.slots.len() <= self.capacity);
        assert!(self.slots.capacity() >= self.capacity && self.order.capacity() >= self.capacity);
        let mut seen = vec![false; self.slots.len()];
        for &Place { slot, head, kind } in &self.order {
            let expected = Place::new(&self.slots[slot as usize].entry.prefix, slot);
            assert_eq!((head, kind), (expected.head, expected.kind));
            assert!(!core::mem::replace(&mut seen[slot as usize], true), "slot {slot} is there twice");
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
    }
}

/// The order of the list: v4 before v6, short before long, then by address.
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
        Self { head, slot, kind: u16::from_be_bytes([family, prefix.prefix_len()]) }
    }
}

#[cfg(test)]
mod tests;
