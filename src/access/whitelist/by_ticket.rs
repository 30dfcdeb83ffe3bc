//! Entries that a ticket brought. They reach the disk with the next rare batch: the ticket brings them again if they are
//! lost before.

use ipnet::IpNet;

use super::{Entry, Full, Place, Slot, Whitelist};
use crate::access::prefix;

/// Maximum number of entries that were replaced by another address of their user and are still on the disk.
pub(super) const DEPARTED: usize = 256;

/// Number of changes in memory after which a batch is due.
const DEPARTED_DUE: usize = DEPARTED / 2;

/// Changes that are in memory only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsaved {
    /// Entries to write.
    pub entries: Vec<Entry>,
    /// Prefixes of entries to remove.
    pub departed: Vec<IpNet>,
}

/// The entries of one user that tickets brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Their number.
    pub entries: usize,
    /// Prefix of the one that has been idle for longest.
    pub stalest: Option<IpNet>,
}

impl Whitelist {
    /// Return the entries of `user` that tickets brought. This reads the whole list.
    pub fn brought_for(&self, user: &str) -> Brought {
        let of_user = self.slots.iter().map(|slot| &slot.entry);
        let of_user = of_user.filter(|entry| entry.ticket.is_some() && entry.user == user);
        let (mut entries, mut stalest) = (0, None::<&Entry>);
        for entry in of_user {
            entries += 1;
            stalest = Some(stalest.filter(|other| other.last_seen <= entry.last_seen).unwrap_or(entry));
        }
        Brought { entries, stalest: stalest.map(|entry| entry.prefix) }
    }

    /// Return whether [`Self::depart`] has room.
    pub const fn can_depart(&self) -> bool {
        self.departed.len() < DEPARTED
    }

    /// Add an entry, or replace the one with the same prefix, in memory only. [`Self::take_unsaved`] returns it later.
    ///
    /// # Errors
    /// [`Full`]; the list stays unchanged.
    pub fn put_unsaved(&mut self, entry: Entry) -> Result<(), Full> {
        let prefix = prefix::canonical(&entry.prefix);
        self.put(entry)?;
        self.mark_unsaved(&prefix);
        Ok(())
    }

    /// Remember an entry on the disk that was removed from memory in favour of another address of its user.
    pub fn depart(&mut self, place: &Departing) {
        if !place.is_unsaved && self.can_depart() {
            self.departed.push(place.prefix);
        }
    }

    /// Return the entry to be removed with [`Self::depart`].
    pub fn departing(&self, prefix: &IpNet) -> Option<Departing> {
        let position = self.position(prefix).ok()?;
        Some(Departing { prefix: *prefix, is_unsaved: self.order[position].is_unsaved })
    }

    /// Return whether so many changes are in memory only that they should be written soon.
    pub const fn is_saving_due(&self) -> bool {
        self.departed.len() >= DEPARTED_DUE
    }

    /// Return changes that are in memory only, at most `most` of each kind, and count them as saved.
    ///
    /// If saving them fails, [`Self::put_back`] undoes that.
    pub fn take_unsaved(&mut self, most: usize) -> Unsaved {
        let mut entries = Vec::new();
        if self.unsaved > 0 {
            let unsaved = self.order.iter_mut().filter(|place| place.is_unsaved).take(most);
            for place in unsaved {
                place.is_unsaved = false;
                let slot: &mut Slot = &mut self.slots[place.slot as usize];
                slot.saved_last_seen = slot.entry.last_seen;
                entries.push(slot.entry.clone());
            }
        }
        self.unsaved -= entries.len();
        let from = self.departed.len().saturating_sub(most);
        Unsaved { entries, departed: self.departed.drain(from..).collect() }
    }

    /// Count changes as in memory only again, as far as they were not made obsolete meanwhile.
    pub fn put_back(&mut self, unsaved: &Unsaved) {
        unsaved.entries.iter().for_each(|entry| self.mark_unsaved(&entry.prefix));
        for prefix in &unsaved.departed {
            if self.get(prefix).is_none() && self.can_depart() {
                self.departed.push(*prefix);
            }
        }
    }

    fn mark_unsaved(&mut self, prefix: &IpNet) {
        let Ok(position) = self.position(prefix) else { return };
        let place: &mut Place = &mut self.order[position];
        self.unsaved += usize::from(!core::mem::replace(&mut place.is_unsaved, true));
    }
}

/// An entry that is about to be removed in favour of another address of its user.
#[derive(Clone, Copy, Debug)]
pub struct Departing {
    prefix: IpNet,
    is_unsaved: bool,
}
