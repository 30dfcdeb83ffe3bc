//! Sources of requests that hide their clients: a NAT in front of the tracker (rule 27), and a proxy that is not in the
//! configuration (rule 25).
//!
//! The shares of the addresses among the new peers are estimated with a few counters (Misra and Gries, "Finding
//! Repeated Elements"): a new address that finds no free counter takes one from each. So an address with a large share
//! keeps its counter, and no counter exceeds the true number.

use core::fmt;
use core::net::IpAddr;

/// Minimum number of new peers from which a share is estimated: a household has many torrents.
const PEERS_OF_A_NAT: u32 = 100;

/// Number of new peers after which all numbers are halved, so that old peers count less.
const PEERS_REMEMBERED: u32 = 1_000;

/// Number of addresses with a counter.
const COUNTERS: usize = 4;

/// Source that hides its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// Most new peers announce from one address.
    Nat {
        /// The address.
        address: IpAddr,
        /// Whether the address is admitted without a look at the whitelist.
        bypasses_whitelist: bool,
    },
    /// A local address forwarded a request of a client outside, and is not in `network.proxies`.
    ForgottenProxy {
        /// The address.
        address: IpAddr,
    },
}

impl fmt::Display for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nat { address, bypasses_whitelist } => {
                write!(
                    f,
                    "most new peers announce from {address}: this looks like a NAT in front of the tracker, such as the \
                     bridge of a container, or like a router that masquerades inbound connections; peers behind it cannot \
                     reach each other{}; let the tracker use the host's network, or let the router keep the source address",
                    if *bypasses_whitelist {
                        ", and the whitelist is off for all of them, because the address is local"
                    } else {
                        ""
                    }
                )
            }
            Self::ForgottenProxy { address } => write!(
                f,
                "{address} forwards requests of clients outside, and is not in network.proxies: its requests are refused; \
                 add it there if it is your proxy"
            ),
        }
    }
}

/// Sources of the new peers, and the last proxy that is not in the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sources {
    counters: [(Option<IpAddr>, u32); COUNTERS],
    peers: u32,
    pub(super) forgotten_proxy: Option<IpAddr>,
}

impl Sources {
    /// Count a new peer, which announced from `address`.
    pub(super) fn add(&mut self, address: IpAddr) {
        self.peers += 1;
        if self.peers == PEERS_REMEMBERED {
            self.peers /= 2;
            self.counters.iter_mut().for_each(|(_, peers)| *peers /= 2);
        }
        if let Some((_, peers)) = self.counters.iter_mut().find(|(counted, _)| *counted == Some(address)) {
            *peers += 1;
        } else if let Some(free) = self.counters.iter_mut().find(|(_, peers)| *peers == 0) {
            *free = (Some(address), 1);
        } else {
            self.counters.iter_mut().for_each(|(_, peers)| *peers -= 1);
        }
    }

    /// Return the address from which most of many peers came. A loopback address is no NAT.
    pub(super) fn nat(&self) -> Option<IpAddr> {
        let most = self.counters.iter().find(|(_, peers)| peers * 2 > self.peers);
        let (address, _) = most.filter(|_| self.peers >= PEERS_OF_A_NAT)?;
        address.filter(|address| !address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRIDGE: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(172, 17, 0, 1));

    fn other(number: u32) -> IpAddr {
        IpAddr::from(0x0b00_0000_u32.wrapping_add(number).to_be_bytes())
    }

    #[test]
    fn rule_27_many_peers_from_one_address_look_like_a_nat() {
        let mut sources = Sources::default();
        for _ in 1..PEERS_OF_A_NAT {
            sources.add(BRIDGE);
        }
        assert_eq!(sources.nat(), None, "a household has many torrents");
        sources.add(BRIDGE);
        assert_eq!(sources.nat(), Some(BRIDGE));
        sources.add(IpAddr::from([172, 17, 0, 2]));
        assert_eq!(sources.nat(), Some(BRIDGE), "one other peer changes nothing");
    }

    #[test]
    fn rule_27_the_share_counts() {
        for (bridged_of_ten, expected) in [(9, Some(BRIDGE)), (7, Some(BRIDGE)), (5, None), (3, None), (0, None)] {
            let mut sources = Sources::default();
            for number in 0..20_000 {
                sources.add(if number % 10 < bridged_of_ten { BRIDGE } else { other(number) });
            }
            assert_eq!(sources.nat(), expected, "{bridged_of_ten} of 10");
        }
    }

    #[test]
    fn rule_27_a_nat_that_is_gone_is_forgotten() {
        let mut sources = Sources::default();
        (0..5_000).for_each(|_| sources.add(BRIDGE));
        assert_eq!(sources.nat(), Some(BRIDGE));
        (0..5_000).for_each(|number| sources.add(other(number)));
        assert_eq!(sources.nat(), None);
    }

    #[test]
    fn rule_27_a_client_on_the_same_host_is_no_nat() {
        let mut sources = Sources::default();
        (0..PEERS_OF_A_NAT * 2).for_each(|_| sources.add(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(sources.nat(), None);
    }
}
