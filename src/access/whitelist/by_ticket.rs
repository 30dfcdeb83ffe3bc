//! Entries that a ticket brought. One of a login page reaches the disk with the next rare batch. One of an announce stays in
//! memory: after a restart, the next announce brings it again.

use ipnet::IpNet;

use super::{Entry, Full, Place, Slot, Whitelist};
use crate::access::prefix;

/// Maximum number of entries that were replaced by another address of their user and are still on the disk.
pub(super) const DEPARTED: usize = 256;

/// Number of changes in memory after which a batch is due.
const DEPARTED_DUE: usize = DEPARTED / 2;

/// The copy of an entry on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnDisk {
    Yes,
    /// It is to be written with the next batch; there may be an earlier one.
    Soon,
    /// It has none, and needs none.
    Never,
}

/// The request with which a ticket was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownBy {
    /// A client shows it with each announce.
    Announce,
    /// A browser shows it once.
    Login,
}

/// Changes that are to be written.
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

    /// Add an entry, or replace the one with the same prefix, in memory only. [`Self::take_unsaved`] returns it later if a
    /// login brought it.
    ///
    /// # Errors
    /// [`Full`]; the list stays unchanged.
    pub fn put_unsaved(&mut self, entry: Entry, shown_by: ShownBy) -> Result<(), Full> {
        let prefix = prefix::canonical(&entry.prefix);
        let before = self.position(&prefix).ok().map(|position| self.order[position].on_disk);
        if before.is_none() && self.is_full() {
            return Err(Full { capacity: self.capacity });
        }
        // A copy of the entry that was there before would come back after a restart, even if its user is revoked.
        let has_copy = before.is_some_and(|before| before != OnDisk::Never) || self.departed.contains(&prefix);
        self.put(entry)?;
        self.mark(&prefix, if has_copy || shown_by == ShownBy::Login { OnDisk::Soon } else { OnDisk::Never });
        Ok(())
    }

    /// Remember an entry on the disk that was removed from memory in favour of another address of its user.
    pub fn depart(&mut self, place: &Departing) {
        if place.on_disk != OnDisk::Never && self.can_depart() {
            self.departed.push(place.prefix);
        }
    }

    /// Return the entry to be removed with [`Self::depart`].
    pub fn departing(&self, prefix: &IpNet) -> Option<Departing> {
        let position = self.position(prefix).ok()?;
        Some(Departing { prefix: *prefix, on_disk: self.order[position].on_disk })
    }

    /// Return whether so many changes are in memory only that they should be written soon.
    pub const fn is_saving_due(&self) -> bool {
        self.departed.len() >= DEPARTED_DUE
    }

    /// Return changes that are to be written, at most `most` of each kind, and count them as saved.
    ///
    /// If saving them fails, [`Self::put_back`] undoes that.
    pub fn take_unsaved(&mut self, most: usize) -> Unsaved {
        let mut entries = Vec::new();
        if self.unsaved > 0 {
            for place in self.order.iter_mut().filter(|place| place.on_disk == OnDisk::Soon).take(most) {
                place.on_disk = OnDisk::Yes;
                let slot: &mut Slot = &mut self.slots[place.slot as usize];
                slot.saved_last_seen = slot.entry.last_seen;
                entries.push(slot.entry.clone());
            }
        }
        self.unsaved -= entries.len();
        let from = self.departed.len().saturating_sub(most);
        Unsaved { entries, departed: self.departed.drain(from..).collect() }
    }

    /// Count changes as unsaved again, as far as they were not made obsolete meanwhile.
    pub fn put_back(&mut self, unsaved: &Unsaved) {
        unsaved.entries.iter().for_each(|entry| self.mark(&entry.prefix, OnDisk::Soon));
        for prefix in &unsaved.departed {
            if self.get(prefix).is_none() && self.can_depart() {
                self.departed.push(*prefix);
            }
        }
    }

    fn mark(&mut self, prefix: &IpNet, on_disk: OnDisk) {
        let Ok(position) = self.position(prefix) else { return };
        let place: &mut Place = &mut self.order[position];
        self.unsaved += usize::from(on_disk == OnDisk::Soon);
        self.unsaved -= usize::from(place.on_disk == OnDisk::Soon);
        place.on_disk = on_disk;
    }
}

/// An entry that is about to be removed in favour of another address of its user.
#[derive(Clone, Copy, Debug)]
pub struct Departing {
    prefix: IpNet,
    on_disk: OnDisk,
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::access::{REMOVALS_A_CALL, TicketNumber, User};

    fn entry(number: u32, user: &str) -> Entry {
        let prefix = IpNet::from(core::net::IpAddr::from(number.to_be_bytes()));
        Entry {
            user: User::try_from(user).expect("a short name"),
            ticket: Some(TicketNumber(number)),
            ..Entry::new(prefix)
        }
    }

    fn depart(list: &mut Whitelist, entry: &Entry) {
        let departing = list.departing(&entry.prefix).expect("listed");
        assert_eq!(list.remove_all(&[entry.prefix], drop), 1);
        list.depart(&departing);
        list.check_invariants();
    }

    #[test]
    fn a_login_is_written_once_and_an_announce_never() {
        let mut list = Whitelist::with_capacity(8, Duration::from_secs(60)).expect("memory");
        let [login, announce, command] = [1, 2, 3].map(|number| entry(number, "mika"));
        list.put_unsaved(login.clone(), ShownBy::Login).expect("room");
        list.put_unsaved(announce.clone(), ShownBy::Announce).expect("room");
        list.put(command.clone()).expect("room");
        assert_eq!(list.brought_for("mika").entries, 3);
        assert_eq!(list.take_unsaved(8), Unsaved { entries: vec![login.clone()], departed: vec![] });
        assert_eq!(list.take_unsaved(8), Unsaved::default());
        // The disk has no copy of the second one, which would have to be removed.
        depart(&mut list, &announce);
        assert_eq!(list.take_unsaved(8), Unsaved::default());
        depart(&mut list, &login);
        assert_eq!(list.take_unsaved(8), Unsaved { entries: vec![], departed: vec![login.prefix] });
        // An announce that replaces an entry on the disk replaces its copy too.
        let renewed = Entry { until: Some(crate::clock::UnixSeconds(7)), ..command };
        list.put_unsaved(renewed.clone(), ShownBy::Announce).expect("room");
        assert_eq!(list.take_unsaved(8).entries, [renewed]);
    }

    #[test]
    fn an_announce_at_an_address_whose_old_entry_is_on_the_disk_is_written() {
        let mut list = Whitelist::with_capacity(8, Duration::from_secs(60)).expect("memory");
        let before = entry(1, "mika");
        list.put(before.clone()).expect("room");
        depart(&mut list, &before);
        let after = entry(1, "ann");
        list.put_unsaved(after.clone(), ShownBy::Announce).expect("room");
        list.check_invariants();
        assert_eq!(list.take_unsaved(8), Unsaved { entries: vec![after], departed: vec![] });
    }

    #[test]
    fn a_ticket_takes_no_place_of_an_entry_that_is_being_written() {
        let mut list = Whitelist::with_capacity(2, Duration::from_secs(60)).expect("memory");
        list.reserve(1);
        list.put_unsaved(entry(1, "mika"), ShownBy::Announce).expect("room");
        assert!(list.put_unsaved(entry(2, "mika"), ShownBy::Announce).is_err());
        list.put_unsaved(entry(1, "ann"), ShownBy::Announce).expect("its place");
        list.put(entry(3, "noor")).expect("the reserved place");
        list.reserve(0);
        assert!(list.is_full());
    }

    #[test]
    fn a_failed_write_is_repeated_unless_it_is_obsolete() {
        let mut list = Whitelist::with_capacity(8, Duration::from_secs(60)).expect("memory");
        let [stays, leaves, departs] = [1, 2, 3].map(|number| entry(number, "mika"));
        list.put(departs.clone()).expect("room");
        depart(&mut list, &departs);
        for entry in [&stays, &leaves] {
            list.put_unsaved(entry.clone(), ShownBy::Login).expect("room");
        }
        let unsaved = list.take_unsaved(8);
        assert_eq!((unsaved.entries.len(), unsaved.departed.len()), (2, 1));
        list.remove_all(&[leaves.prefix], drop);
        list.put(departs.clone()).expect("room");
        list.put_back(&unsaved);
        list.check_invariants();
        assert_eq!(list.take_unsaved(8), Unsaved { entries: vec![stays], departed: vec![] });
    }

    #[test]
    fn departed_entries_are_bounded_and_written_before_their_place_is_full() {
        let mut list = Whitelist::with_capacity(DEPARTED + 1, Duration::from_secs(60)).expect("memory");
        for number in 0..DEPARTED as u32 {
            assert_eq!(list.is_saving_due(), number as usize >= DEPARTED_DUE);
            assert!(list.can_depart());
            list.put(entry(number, "mika")).expect("room");
            depart(&mut list, &entry(number, "mika"));
        }
        assert!(!list.can_depart());
        assert_eq!(list.take_unsaved(REMOVALS_A_CALL).departed.len(), REMOVALS_A_CALL);
        // An entry that is put again is no longer to be removed.
        list.put(entry(0, "mika")).expect("room");
        assert_eq!(list.take_unsaved(DEPARTED).departed.len(), DEPARTED - REMOVALS_A_CALL - 1);
    }
}
