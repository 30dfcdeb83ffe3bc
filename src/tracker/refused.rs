//! The clients that were refused lately, each with the reason, so that an operator sees the addresses that the whitelist lacks.
//!
//! A client has one place, which its address decides. Another client may take it: under a flood of strangers the table has
//! the latest of them. A refused customer announces again, and is back in the table.

use core::net::IpAddr;

use super::{Refusal, TicketRefusal};
use crate::access::prefix;
use crate::clock::Running;
use ipnet::IpNet;

/// Number of places; a power of two.
const PLACES: usize = 64;

/// The reason for which a client was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedFor {
    /// Its announce or scrape was refused.
    Request(Refusal),
    /// Its ticket was refused.
    Ticket(TicketRefusal),
}

impl RefusedFor {
    /// Return the text that the client got.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Request(refusal) => refusal.reason(),
            Self::Ticket(refusal) => refusal.reason(),
        }
    }

    /// Return whether an entry on the whitelist would admit the client.
    pub const fn is_about_the_address(self) -> bool {
        match self {
            Self::Request(refusal) => matches!(refusal, Refusal::NotWhitelisted { .. }),
            Self::Ticket(refusal) => !matches!(refusal, TicketRefusal::WrongSide),
        }
    }
}

/// A client that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedClient {
    /// Its address.
    pub address: IpAddr,
    /// The latest reason.
    pub reason: RefusedFor,
    /// Number of refusals while it kept its place.
    pub count: u32,
    /// The time of the latest one.
    pub last: Running,
}

/// The table.
#[derive(Debug)]
pub(super) struct RefusedClients([Option<RefusedClient>; PLACES]);

impl Default for RefusedClients {
    fn default() -> Self {
        Self([None; PLACES])
    }
}

impl RefusedClients {
    /// Note a refusal.
    pub(super) fn note(&mut self, address: IpAddr, reason: RefusedFor, now: Running) {
        let place = self.place(address);
        let count = place.filter(|client| client.address == address).map_or(0, |client| client.count);
        *place = Some(RefusedClient { address, reason, count: count.saturating_add(1), last: now });
    }

    /// Replace the reason of the refusal that was noted last for this address.
    pub(super) fn correct(&mut self, address: IpAddr, reason: RefusedFor) {
        if let Some(client) = self.place(address).as_mut().filter(|client| client.address == address) {
            client.reason = reason;
        }
    }

    /// Forget a client that is admitted now.
    pub(super) fn forget(&mut self, address: IpAddr) {
        let place = self.place(address);
        if place.is_some_and(|client| client.address == address) {
            *place = None;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &RefusedClient> {
        self.0.iter().flatten()
    }

    /// Return the place of an address. All addresses that a client may change by itself share one.
    fn place(&mut self, address: IpAddr) -> &mut Option<RefusedClient> {
        let number = match prefix::of_client(address) {
            IpNet::V4(net) => u64::from(u32::from(net.network())),
            IpNet::V6(net) => (u128::from(net.network()) >> 64) as u64,
        };
        // Fibonacci hashing: the high bits of the product depend on all bits of the number.
        &mut self.0[(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PLACES.ilog2())) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: RefusedFor = RefusedFor::Request(Refusal::NotWhitelisted { retry_in_minutes: 30 });

    fn address(number: u32) -> IpAddr {
        IpAddr::from((0xc000_0200 + number).to_be_bytes())
    }

    #[test]
    fn a_client_is_counted_until_it_is_admitted() {
        let mut refused = RefusedClients::default();
        refused.note(address(7), STRANGER, Running::from_seconds(1));
        refused.note(address(7), STRANGER, Running::from_seconds(5));
        refused.correct(address(7), RefusedFor::Ticket(TicketRefusal::Expired));
        let client = *refused.iter().next().expect("it is there");
        assert_eq!((client.count, client.last), (2, Running::from_seconds(5)));
        assert_eq!(client.reason, RefusedFor::Ticket(TicketRefusal::Expired));
        refused.correct(address(8), STRANGER);
        refused.forget(address(8));
        assert_eq!(refused.iter().count(), 1, "another client changes nothing");
        refused.forget(address(7));
        assert_eq!(refused.iter().count(), 0);
    }

    #[test]
    fn a_flood_leaves_the_latest_clients() {
        let mut refused = RefusedClients::default();
        for number in 0..10_000 {
            refused.note(address(number), STRANGER, Running::from_seconds(u64::from(number)));
        }
        assert_eq!(refused.iter().count(), PLACES);
        let oldest = refused.iter().map(|client| client.last.seconds()).min();
        assert!(oldest > Some(9_000), "{oldest:?}");
    }

    #[test]
    fn the_addresses_of_a_network_share_a_place() {
        let mut refused = RefusedClients::default();
        for address in ["2001:db8::1", "2001:db8::2:3"] {
            refused.note(address.parse().expect(address), STRANGER, Running::from_seconds(1));
        }
        assert_eq!(refused.iter().count(), 1);
    }
}
