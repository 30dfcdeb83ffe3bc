//! Detection of a NAT in front of the tracker: all peers come from one address (rule 27).

use core::net::IpAddr;

/// Minimum number of new peers that indicate a NAT in front of the tracker, if all come from one address.
const PEERS_OF_A_NAT: u64 = 100;

/// The address from which all peers came so far, if it was the same for all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NatDetector {
    only: Option<IpAddr>,
    several: bool,
    peers: u64,
}

impl NatDetector {
    /// Count a new peer, which announced from `address`.
    pub(super) fn add(&mut self, address: IpAddr) {
        self.several |= *self.only.get_or_insert(address) != address;
        self.peers += 1;
    }

    /// Return the address from which all of many peers came, if it was the same for all. A loopback address is no NAT.
    pub(super) fn only(&self) -> Option<IpAddr> {
        let only = self.only.filter(|address| !address.is_loopback());
        only.filter(|_| !self.several && self.peers >= PEERS_OF_A_NAT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_27_many_peers_from_one_address_look_like_a_nat() {
        let bridge = IpAddr::from([172, 17, 0, 1]);
        let mut sources = NatDetector::default();
        for _ in 1..PEERS_OF_A_NAT {
            sources.add(bridge);
        }
        assert_eq!(sources.only(), None, "a household has many torrents");
        sources.add(bridge);
        assert_eq!(sources.only(), Some(bridge));
        sources.add(IpAddr::from([172, 17, 0, 2]));
        assert_eq!(sources.only(), None);
    }

    #[test]
    fn rule_27_a_client_on_the_same_host_is_no_nat() {
        let mut sources = NatDetector::default();
        (0..PEERS_OF_A_NAT * 2).for_each(|_| sources.add(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(sources.only(), None);
    }
}
