//! The addresses and routes of the host.

use core::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// An address of an interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Name of the interface.
    pub interface: String,
    /// The system's number of the interface.
    pub link: u32,
    /// The address, and the length of its network's prefix.
    pub network: IpNet,
    /// Whether the interface is the loopback.
    pub is_loopback: bool,
}

/// Route of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Name of the interface.
    pub interface: String,
    /// Destination: a network on the link, or a prefix of length 0 for a default route.
    pub destination: IpNet,
}

/// Addresses and routes of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Addresses of all interfaces that are up.
    pub assigned: Vec<Assigned>,
    /// Default routes, and the networks on each link.
    pub routes: Vec<Route>,
}

impl Host {
    /// Return the IPv4 addresses of an interface.
    pub(super) fn v4_of<'h>(&'h self, interface: &'h str) -> impl Iterator<Item = Ipv4Addr> + 'h {
        let assigned = self.assigned.iter().filter(move |assigned| assigned.interface == interface);
        assigned.filter_map(|assigned| match assigned.network.addr() {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        })
    }

    /// Return whether an interface has a default route.
    pub(super) fn has_default_route(&self, interface: &str) -> bool {
        self.routes.iter().any(|route| route.interface == interface && route.destination.prefix_len() == 0)
    }
}

/// Return whether an address is valid on its link only.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Return whether the WAN can see this address. It cannot see the interface's own address behind another router or a
/// carrier's NAT (RFC 6598).
pub(super) fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let carriers = a == 100 && b & 0xc0 == 64;
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || carriers)
        }
        IpAddr::V6(v6) => v6.segments()[0] & 0xe000 == 0x2000,
    }
}
