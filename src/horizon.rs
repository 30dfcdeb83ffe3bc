//! The split horizon: the side of the gateway that an address is on (LAN or WAN), and how far an address reaches.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Side of the gateway that an address is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Horizon {
    /// The local networks.
    Lan,
    /// The rest of the world.
    Wan,
}

/// External addresses of the gateway, as far as they are known. In the reply to a WAN client, they replace the private
/// addresses of LAN peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// The gateway's public IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// IPv6 address at which the WAN reaches LAN peers with private IPv6 addresses.
    pub v6: Option<Ipv6Addr>,
}

/// Local networks, each as a mask and the network address to compare with.
#[derive(Debug)]
pub struct LocalNetworks {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl LocalNetworks {
    /// Create the local networks from their prefixes.
    pub fn new(prefixes: &[IpNet]) -> Self {
        let v4 = prefixes.iter().filter_map(|prefix| match prefix {
            IpNet::V4(net) => Some((u32::from(net.netmask()), u32::from(net.network()))),
            IpNet::V6(_) => None,
        });
        let v6 = prefixes.iter().filter_map(|prefix| match prefix {
            IpNet::V6(net) => Some((u128::from(net.netmask()), u128::from(net.network()))),
            IpNet::V4(_) => None,
        });
        Self { v4: v4.collect(), v6: v6.collect() }
    }

    /// Return the side that `address` is on. The caller converts a v4-mapped address to IPv4 first (rule 9).
    pub fn horizon(&self, address: IpAddr) -> Horizon {
        let local = match address {
            IpAddr::V4(v4) => self.v4.iter().any(|(mask, net)| u32::from(v4) & mask == *net),
            IpAddr::V6(v6) => self.v6.iter().any(|(mask, net)| u128::from(v6) & mask == *net),
        };
        if local { Horizon::Lan } else { Horizon::Wan }
    }
}

/// Reach of an address, by the address alone. It decides which clients may get the address in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// This host only.
    Host,
    /// The local networks only.
    Private,
    /// The internet.
    Public,
}

/// Return the reach of an address of either family, given as its 4 or 16 bytes.
pub(crate) fn reach(octets: &[u8]) -> Reach {
    if octets.first().is_some_and(|first| !is_seldom_public(*first)) {
        return Reach::Public;
    }
    match *octets {
        [127, ..] if octets.len() == 4 => Reach::Host,
        [10 | 0, ..] | [192, 168, ..] | [169, 254, ..] if octets.len() == 4 => Reach::Private,
        [172, second, ..] if octets.len() == 4 && second & 0xf0 == 16 => Reach::Private,
        // RFC 6598: addresses behind a carrier's NAT, which cannot be reached from outside of it.
        [100, second, ..] if octets.len() == 4 && second & 0xc0 == 64 => Reach::Private,
        [first, second, ..] if octets.len() == 16 => match (first, second) {
            _ if *octets == Ipv6Addr::LOCALHOST.octets() => Reach::Host,
            (0xfc | 0xfd, _) => Reach::Private,
            (0xfe, second) if second & 0xc0 == 0x80 => Reach::Private,
            _ => Reach::Public,
        },
        _ => Reach::Public,
    }
}

/// Return false if all addresses with this first byte are public: a fast test before [`reach`].
#[inline]
pub(crate) const fn is_seldom_public(first: u8) -> bool {
    matches!(first, 0 | 10 | 100 | 127 | 169 | 172 | 192 | 0xfc..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_networks_are_recognized_by_their_prefixes() {
        let prefixes = ["10.0.0.0/8", "192.168.4.0/22", "fc00::/7", "203.0.113.7/32"].map(|p| p.parse().expect(p));
        let networks = LocalNetworks::new(&prefixes);
        for (address, horizon) in [
            ("10.255.0.1", Horizon::Lan),
            ("11.0.0.1", Horizon::Wan),
            ("192.168.7.255", Horizon::Lan),
            ("192.168.8.0", Horizon::Wan),
            ("203.0.113.7", Horizon::Lan),
            ("203.0.113.8", Horizon::Wan),
            ("fd12::1", Horizon::Lan),
            ("2001:db8::1", Horizon::Wan),
            ("::1", Horizon::Wan),
        ] {
            assert_eq!(networks.horizon(address.parse().expect(address)), horizon, "{address}");
        }
        assert_eq!(LocalNetworks::new(&[]).horizon(IpAddr::V4(Ipv4Addr::LOCALHOST)), Horizon::Wan);
    }

    #[test]
    fn reach_depends_on_the_address_alone() {
        for (address, expected) in [
            ("127.3.4.5", Reach::Host),
            ("::1", Reach::Host),
            ("10.1.2.3", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("172.31.255.255", Reach::Private),
            ("172.32.0.1", Reach::Public),
            ("192.168.1.1", Reach::Private),
            ("192.169.1.1", Reach::Public),
            ("169.254.9.9", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("100.128.0.1", Reach::Public),
            ("fd00::1", Reach::Private),
            ("fe80::1", Reach::Private),
            ("febf::1", Reach::Private),
            ("fec0::1", Reach::Public),
            ("2001:db8::1", Reach::Public),
            ("8.8.8.8", Reach::Public),
        ] {
            let octets = match address.parse().expect(address) {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            assert_eq!(reach(&octets), expected, "{address}");
            assert!(expected == Reach::Public || is_seldom_public(octets[0]), "{address}");
        }
    }
}
