//! The tickets that were verified lately. A ticket in this table costs no arithmetic.

use crate::access::{TicketNumber, User};
use crate::clock::Running;
use crate::hash_key::HashKey;
use crate::ticket::Ticket;

/// Number of sets, a power of two, and of places in each.
const SETS: usize = 64;
const PLACES: usize = 4;

/// A verified ticket.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Keyed hash of its whole text.
    hash: [u64; 2],
    /// Its user.
    pub user: User,
    /// Its number.
    pub number: TicketNumber,
    /// Time of its last use.
    used: Running,
    /// Time until which it replaces no further address.
    pub(super) settled_until: Running,
    /// Number of addresses that it has replaced by others.
    pub replaced: u32,
    /// Number of requests that were refused because it is in use at too many addresses.
    pub over_limit: u32,
}

/// Table of fixed size. A new ticket replaces the one in its set that has been unused for longest.
///
/// Invariant: no hash occurs twice.
#[derive(Debug)]
pub(super) struct VerifiedTickets {
    keys: [HashKey; 2],
    places: Box<[Option<Verified>]>,
}

/// Keyed hash of the text of a ticket. Clients cannot find two texts with the same one.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextHash([u64; 2]);

impl VerifiedTickets {
    pub(super) fn new(key: HashKey) -> Self {
        let second = HashKey(key.1, key.0 ^ u64::MAX);
        Self { keys: [key, second], places: vec![None; SETS * PLACES].into_boxed_slice() }
    }

    pub(super) fn hash(&self, text: &[u8]) -> TextHash {
        TextHash(self.keys.map(|key| key.hash(text)))
    }

    fn set(&mut self, hash: TextHash) -> &mut [Option<Verified>] {
        let first = hash.0[0] as usize % SETS * PLACES;
        &mut self.places[first..first + PLACES]
    }

    /// Return the ticket with this hash, and note its use.
    pub(super) fn get(&mut self, hash: TextHash, now: Running) -> Option<&mut Verified> {
        let found = self.set(hash).iter_mut().flatten().find(|verified| verified.hash == hash.0)?;
        found.used = now;
        Some(found)
    }

    /// Add a ticket that is not in the table.
    pub(super) fn add(&mut self, hash: TextHash, ticket: &Ticket, now: Running) {
        let stalest = self.set(hash).iter_mut().min_by_key(|place| place.as_ref().map(|verified| verified.used));
        if let Some(place) = stalest {
            *place = Some(Verified {
                hash: hash.0,
                user: ticket.user.clone(),
                number: ticket.number,
                used: now,
                settled_until: Running::default(),
                replaced: 0,
                over_limit: 0,
            });
        }
    }

    /// Remove all tickets: their keys may have changed, or some may be revoked.
    pub(super) fn clear(&mut self) {
        self.places.fill(None);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Verified> {
        self.places.iter().flatten()
    }
}
