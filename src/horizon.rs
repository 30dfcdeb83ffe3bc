//! The split horizon: the side of the gateway that an address is on (LAN or WAN), and how far an address reaches.

use core::fmt;
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

impl Horizon {
    /// Return its name for users.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lan => "LAN",
            Self::Wan => "WAN",
        }
    }
}

/// Addresses under which peers outside reach the local peers, as far as they are known. In the reply to a WAN client,
/// they replace the addresses that are valid at home only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// The gateway's public IPv4 address, which it shares with all local peers.
    pub v4: Option<Ipv4Addr>,
    /// IPv6 address at which the WAN reaches local peers with private IPv6 addresses. Only the configuration can name
    /// one, because a gateway does not translate IPv6 by default.
    pub v6: Option<Ipv6Addr>,
    /// IPv6 address of this host, for its own peers on the loopback.
    pub host_v6: Option<Ipv6Addr>,
}

impl fmt::Display for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |address: Option<IpAddr>| address.map_or_else(|| "none".into(), |address| address.to_string());
        let v6 = |address: Option<Ipv6Addr>| shown(address.map(IpAddr::V6));
        let v4 = shown(self.v4.map(IpAddr::V4));
        write!(f, "IPv4 {v4}, IPv6 {}, IPv6 of this host {}", v6(self.v6), v6(self.host_v6))
    }
}

/// A network, as the mask and the network address to compare with, and its side.
#[derive(Debug)]
struct Sided<T> {
    mask: T,
    network: T,
    horizon: Horizon,
}

/// Networks with known sides. The longest prefix that contains an address decides; an address in none of them is on the
/// WAN.
#[derive(Debug, Default)]
pub struct Networks {
    // The longest prefix first, so that the first match decides.
    v4: Box<[Sided<u32>]>,
    v6: Box<[Sided<u128>]>,
    /// The first bytes of all addresses in these networks, of both families: a fast test that most strangers fail.
    first_bytes: FirstBytes,
    /// Indexes of the interfaces to the WAN.
    wan_links: Box<[u32]>,
}

/// Set of first bytes.
#[derive(Clone, Copy, Debug, Default)]
struct FirstBytes([u64; 4]);

impl FirstBytes {
    /// Add the first bytes of all addresses in `prefix`.
    fn add(&mut self, prefix: &IpNet) {
        let first = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.octets()[0],
            IpAddr::V6(v6) => v6.octets()[0],
        };
        for byte in first(prefix.network())..=first(prefix.broadcast()) {
            self.0[usize::from(byte / 64)] |= 1 << (byte % 64);
        }
    }

    #[inline]
    const fn contains(&self, byte: u8) -> bool {
        self.0[(byte / 64) as usize] & (1 << (byte % 64)) != 0
    }
}

impl Networks {
    /// Create networks from prefixes. Of two equal prefixes, the first decides.
    pub fn new(sides: impl IntoIterator<Item = (IpNet, Horizon)>) -> Self {
        let (mut v4, mut v6, mut first_bytes) = (Vec::new(), Vec::new(), FirstBytes::default());
        for (prefix, horizon) in sides {
            first_bytes.add(&prefix);
            match prefix {
                IpNet::V4(net) => {
                    v4.push(Sided { mask: u32::from(net.netmask()), network: u32::from(net.network()), horizon });
                }
                IpNet::V6(net) => {
                    v6.push(Sided { mask: u128::from(net.netmask()), network: u128::from(net.network()), horizon });
                }
            }
        }
        // A longer prefix has a greater mask. The order of equal ones stays.
        v4.sort_by_key(|sided| core::cmp::Reverse(sided.mask));
        v6.sort_by_key(|sided| core::cmp::Reverse(sided.mask));
        Self { v4: v4.into(), v6: v6.into(), first_bytes, wan_links: Box::default() }
    }

    /// Create networks of which all are local.
    pub fn local(prefixes: &[IpNet]) -> Self {
        Self::new(prefixes.iter().map(|prefix| (*prefix, Horizon::Lan)))
    }

    /// Set the indexes of the interfaces to the WAN.
    #[must_use]
    pub fn with_wan_links(self, wan_links: &[u32]) -> Self {
        Self { wan_links: wan_links.into(), ..self }
    }

    /// Return the side that `address` is on. The caller converts a v4-mapped address to IPv4 first (rule 9).
    #[inline]
    pub fn horizon(&self, address: IpAddr) -> Horizon {
        let first = match address {
            IpAddr::V4(v4) => v4.octets()[0],
            IpAddr::V6(v6) => v6.octets()[0],
        };
        if self.first_bytes.contains(first) { self.longest(address) } else { Horizon::Wan }
    }

    /// Return the side of the longest prefix that contains `address`.
    #[inline(never)]
    fn longest(&self, address: IpAddr) -> Horizon {
        let horizon = match address {
            IpAddr::V4(v4) => {
                let v4 = u32::from(v4);
                self.v4.iter().find(|sided| v4 & sided.mask == sided.network).map(|sided| sided.horizon)
            }
            IpAddr::V6(v6) => {
                let v6 = u128::from(v6);
                self.v6.iter().find(|sided| v6 & sided.mask == sided.network).map(|sided| sided.horizon)
            }
        };
        horizon.unwrap_or(Horizon::Wan)
    }

    /// Return the side of a sender at `address`, which is on the interface `link` if the address is link-local: such an
    /// address occurs on every link, and only the link tells them apart (RFC 4007, "Scope Zones").
    #[inline]
    pub fn horizon_on_link(&self, address: IpAddr, link: u32) -> Horizon {
        let is_link_local = link != 0 && matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        if is_link_local && self.wan_links.contains(&link) { Horizon::Wan } else { self.horizon(address) }
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

    fn horizon(networks: &Networks, address: &str) -> Horizon {
        networks.horizon(address.parse().expect(address))
    }

    #[test]
    fn local_networks_are_recognized_by_their_prefixes() {
        let prefixes = ["10.0.0.0/8", "192.168.4.0/22", "fc00::/7", "203.0.113.7/32"].map(|p| p.parse().expect(p));
        let networks = Networks::local(&prefixes);
        for (address, expected) in [
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
            assert_eq!(horizon(&networks, address), expected, "{address}");
        }
        assert_eq!(horizon(&Networks::default(), "127.0.0.1"), Horizon::Wan);
    }

    #[test]
    fn the_longest_prefix_decides_and_of_equal_ones_the_first() {
        let sides = [
            ("192.168.0.0/16", Horizon::Lan),
            ("192.168.0.0/24", Horizon::Wan),
            ("192.168.0.0/24", Horizon::Lan),
            ("192.168.0.9/32", Horizon::Lan),
            ("2001:db8::/32", Horizon::Wan),
            ("2001:db8:1::/64", Horizon::Lan),
            ("0.0.0.0/0", Horizon::Wan),
        ];
        let networks = Networks::new(sides.map(|(prefix, horizon)| (prefix.parse().expect(prefix), horizon)));
        for (address, expected) in [
            ("192.168.1.1", Horizon::Lan),
            ("192.168.0.8", Horizon::Wan),
            ("192.168.0.9", Horizon::Lan),
            ("203.0.113.7", Horizon::Wan),
            ("2001:db8:1::5", Horizon::Lan),
            ("2001:db8:2::5", Horizon::Wan),
        ] {
            assert_eq!(horizon(&networks, address), expected, "{address}");
        }
    }

    #[test]
    fn a_link_local_sender_is_on_the_side_of_its_link() {
        let networks = Networks::local(&["fe80::/10".parse().expect("a prefix")]).with_wan_links(&[3, 5]);
        for (address, link, expected) in [
            ("fe80::1", 2, Horizon::Lan),
            ("fe80::1", 3, Horizon::Wan),
            ("fe80::1", 5, Horizon::Wan),
            ("fe80::1", 0, Horizon::Lan),
            ("2001:db8::1", 2, Horizon::Wan),
        ] {
            assert_eq!(networks.horizon_on_link(address.parse().expect(address), link), expected, "{address}%{link}");
        }
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
