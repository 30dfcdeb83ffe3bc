//! Tickets that are not accepted although they are signed and have not ended.

use super::Ticket;
use crate::access::{TicketNumber, User};
use crate::clock::UnixSeconds;

/// Maximum number of revocations. Each is forgotten at the end of the last ticket that it can concern.
pub const REVOCATIONS: usize = 1024;

/// A revocation of one ticket of a user, or of all up to one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revocation {
    /// The user.
    pub user: User,
    /// First revoked number.
    pub first: TicketNumber,
    /// Last revoked number.
    pub last: TicketNumber,
    /// Time after which the revoked tickets have ended; `None` if the clock was not sane.
    pub until: Option<UnixSeconds>,
}

impl Revocation {
    /// Return whether `ticket` is revoked.
    fn concerns(&self, ticket: &Ticket) -> bool {
        self.user == ticket.user && (self.first..=self.last).contains(&ticket.number)
    }
}

/// The revocations, sorted by user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations(Vec<Revocation>);

impl Revocations {
    /// Return whether `ticket` is revoked.
    pub fn concern(&self, ticket: &Ticket) -> bool {
        let first = self.0.partition_point(|revocation| revocation.user < ticket.user);
        let of_user = self.0.iter().skip(first).take_while(|revocation| revocation.user == ticket.user);
        of_user.into_iter().any(|revocation| revocation.concerns(ticket))
    }

    /// Add a revocation. Return false if the list is full.
    pub fn add(&mut self, new: Revocation) -> bool {
        // One that includes others replaces them.
        self.0.retain(|old| old.user != new.user || old.first < new.first || old.last > new.last);
        if self.0.len() >= REVOCATIONS {
            return false;
        }
        let at = self.0.partition_point(|old| *old < new);
        self.0.insert(at, new);
        true
    }

    /// Forget those whose tickets have ended at `wall`.
    pub fn forget_ended(&mut self, wall: UnixSeconds) {
        self.0.retain(|revocation| revocation.until.is_none_or(|until| until > wall));
    }

    /// Iterate over the revocations.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Revocation> {
        self.0.iter()
    }
}
