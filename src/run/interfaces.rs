//! The addresses of the host's interfaces. If one of them is configured as the WAN interface, also the external
//! addresses and the local networks that follow from it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

use crate::tracker::External;

/// An address of an interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) interface: String,
    pub(super) network: IpNet,
    pub(super) is_loopback: bool,
}

/// Return all addresses of this host; none if the system does not report them.
pub(super) fn assigned() -> Vec<Assigned> {
    getifaddrs().into_iter().flatten().filter_map(|address| from_system(&address)).collect()
}

fn from_system(of: &InterfaceAddress) -> Option<Assigned> {
    if !of.flags.contains(InterfaceFlags::IFF_UP) {
        return None;
    }
    let network = IpNet::with_netmask(ip(of.address.as_ref()?)?, ip(of.netmask.as_ref()?)?).ok()?;
    let is_loopback = of.flags.contains(InterfaceFlags::IFF_LOOPBACK);
    Some(Assigned { interface: of.interface_name.clone(), network, is_loopback })
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = || address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4().or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

/// Return the external addresses of the gateway, with `wan` as its WAN interface.
pub(super) fn external(assigned: &[Assigned], wan: &str) -> External {
    let addresses = || assigned.iter().filter(|address| address.interface == wan).map(|address| address.network.addr());
    let v4 = addresses().find_map(|address| match address {
        IpAddr::V4(v4) if is_global_v4(v4) => Some(v4),
        _ => None,
    });
    let v6 = addresses().find_map(|address| match address {
        IpAddr::V6(v6) if is_global_v6(v6) => Some(v6),
        _ => None,
    });
    External { v4, v6 }
}

/// Return the networks of the other interfaces.
pub(super) fn local_networks(assigned: &[Assigned], wan: &str) -> Vec<IpNet> {
    assigned.iter().filter(|address| address.interface != wan).map(|address| address.network.trunc()).collect()
}

/// Return whether the WAN can see this address. It cannot see the interface's own address behind another router or a
/// carrier's NAT.
fn is_global_v4(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    let carriers = a == 100 && b & 0xc0 == 64;
    !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || carriers)
}

fn is_global_v6(v6: Ipv6Addr) -> bool {
    v6.segments()[0] & 0xe000 == 0x2000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned_to(interface: &str, network: &str) -> Assigned {
        let network = network.parse().expect(network);
        Assigned { interface: interface.into(), network, is_loopback: interface == "lo" }
    }

    #[test]
    fn the_wan_interface_has_the_external_addresses_and_the_others_the_local_networks() {
        let host = [
            assigned_to("lo", "127.0.0.1/8"),
            assigned_to("wan0", "203.0.113.9/24"),
            assigned_to("wan0", "fe80::1/64"),
            assigned_to("wan0", "2001:db8:1::9/64"),
            assigned_to("br-lan", "192.168.1.1/24"),
            assigned_to("br-lan", "2001:db8:2::1/64"),
        ];
        let external = external(&host, "wan0");
        assert_eq!(external.v4, Some("203.0.113.9".parse().expect("v4")));
        assert_eq!(external.v6, Some("2001:db8:1::9".parse().expect("v6")));
        let local: Vec<String> = local_networks(&host, "wan0").iter().map(ToString::to_string).collect();
        assert_eq!(local, ["127.0.0.0/8", "192.168.1.0/24", "2001:db8:2::/64"]);
    }

    #[test]
    fn an_address_behind_another_nat_is_not_external() {
        for network in ["192.168.0.2/24", "100.64.3.4/10", "10.0.0.5/8", "169.254.1.1/16"] {
            assert_eq!(external(&[assigned_to("wan0", network)], "wan0"), External::default(), "{network}");
        }
    }

    #[test]
    fn this_host_has_a_loopback() {
        assert!(assigned().iter().any(|address| address.is_loopback && address.network.addr().is_loopback()));
    }
}
