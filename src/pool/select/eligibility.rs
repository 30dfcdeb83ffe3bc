//! Eligibility: the peers of a swarm that an asker may receive, and the endpoints under which it receives them.

use core::net::IpAddr;

use super::super::age::Tick;
use super::super::chain::Place;
use super::super::endpoint::address_of;
use super::super::family::{Family, V4};
use super::super::line::LineIndex;
use super::super::meta_word::SlotMask;
use super::row::Row;
use crate::horizon::{Horizon, Reach, reach};

/// The peer that asks for a selection: the properties that decide which peers it may receive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<F: Family> {
    /// Its endpoint. Zeros, the endpoint of no peer, if it is not of the selected family.
    pub(crate) endpoint: F::Endpoint,
    /// Its swarm and its place there, if it was just stored.
    pub(crate) stored: Option<(LineIndex, Place)>,
    pub(crate) horizon: Horizon,
    /// The reach of its own address. On the LAN, a peer on this host is returned only to askers on this host.
    pub(crate) reach: Reach,
    /// Whether it downloads nothing more, so that only leechers are useful to it.
    pub(crate) complete: bool,
    /// The address that replaces a private address of a LAN peer in a reply to a WAN asker.
    pub(crate) external: Option<[u8; 16]>,
    /// The address that replaces the loopback address of a peer on this host, for askers elsewhere.
    pub(crate) host: Option<[u8; 16]>,
}

/// The peers on one side of the horizon that an asker may receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Shows {
    /// All of them, under the stored endpoints.
    All,
    /// Those with public addresses. The others are behind a carrier's NAT, or in a provider's own network.
    Public,
    /// Those that the asker can reach, under the addresses by which it reaches them.
    Reachable,
}

/// The rules by which an asker may receive the peers of one swarm.
#[derive(Clone, Copy)]
pub(super) struct Eligibility<'a, F: Family> {
    pub(super) asker: &'a Asker<F>,
    /// The place of the asker in the swarm of the selection.
    pub(super) own_place: Option<Place>,
    pub(super) shows: Shows,
    pub(super) now: Tick,
}

impl<F: Family> Eligibility<'_, F> {
    /// Return the slots of the peers in a line that the asker may receive.
    #[inline]
    pub(super) fn slots(&self, row: &Row<'_, F>) -> SlotMask {
        let slots = row.wanted(row.meta_word.alive(self.now), self.asker.complete, self.own_place);
        let is_shown = |slot: &usize| match self.shows {
            Shows::All => true,
            Shows::Public => reach_of(&row.endpoints[*slot]) == Reach::Public,
            Shows::Reachable => {
                let endpoint = self.asker.endpoint_of_lan_peer(row.endpoints[*slot]);
                endpoint.is_some_and(|endpoint| endpoint != self.asker.endpoint)
            }
        };
        if self.shows == Shows::All {
            return slots;
        }
        slots.ascending().filter(|slot| !is_shown(slot)).fold(slots, |shown, slot| shown.without(SlotMask::only(slot)))
    }
}

impl<F: Family> Asker<F> {
    /// Return the endpoint under which this asker may receive a LAN peer, or `None` if it may not receive that peer.
    pub(super) fn endpoint_of_lan_peer(&self, mut endpoint: F::Endpoint) -> Option<F::Endpoint> {
        let replacement = match (reach_of(&endpoint), self.horizon) {
            (Reach::Host, _) if self.reach == Reach::Host => return Some(endpoint),
            (Reach::Host, _) => self.host.as_ref()?,
            (Reach::Private, Horizon::Wan) => self.external.as_ref()?,
            (Reach::Private, Horizon::Lan) | (Reach::Public, _) => return Some(endpoint),
        };
        let (address, _) = endpoint.as_mut().split_last_chunk_mut::<2>()?;
        address.copy_from_slice(replacement.get(..address.len())?);
        Some(endpoint)
    }
}

fn reach_of(endpoint: &impl AsRef<[u8]>) -> Reach {
    reach(address_of(endpoint))
}

/// Return the bytes of `address`, if it is of this family.
pub(crate) fn octets_of<F: Family>(address: Option<IpAddr>) -> Option<[u8; 16]> {
    let mut octets = [0; 16];
    match address? {
        IpAddr::V4(v4) if F::ROOT == V4::ROOT => octets[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) if F::ROOT != V4::ROOT => octets = v6.octets(),
        _ => return None,
    }
    Some(octets)
}
