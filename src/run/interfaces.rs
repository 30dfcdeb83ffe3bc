//! The addresses and routes of the host's interfaces, as the system reports them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;

use crate::sides::{Assigned, Host, Route};

/// Routes of the system, as text. They are missing on a kernel without the family, and in some sandboxes.
const ROUTES_V4: &str = "/proc/self/net/route";
const ROUTES_V6: &str = "/proc/self/net/ipv6_route";

/// Flags of a route: it is in use, it leads to a gateway, it rejects packets.
const RTF_UP: u32 = 0x1;
const RTF_GATEWAY: u32 = 0x2;
const RTF_REJECT: u32 = 0x200;

/// Return the addresses and routes of this host; none if the system does not report them.
pub(super) fn host() -> Host {
    let text = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut routes: Vec<Route> = text(ROUTES_V4).lines().filter_map(route_v4).collect();
    routes.extend(text(ROUTES_V6).lines().filter_map(route_v6));
    Host { assigned: getifaddrs().into_iter().flatten().filter_map(|address| assigned(&address)).collect(), routes }
}

fn assigned(of: &InterfaceAddress) -> Option<Assigned> {
    if !of.flags.contains(InterfaceFlags::IFF_UP) {
        return None;
    }
    let network = IpNet::with_netmask(ip(of.address.as_ref()?)?, ip(of.netmask.as_ref()?)?).ok()?;
    let is_loopback = of.flags.contains(InterfaceFlags::IFF_LOOPBACK);
    let interface = of.interface_name.clone();
    let link = if_nametoindex(interface.as_str()).unwrap_or_default();
    Some(Assigned { interface, link, network, is_loopback })
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = || address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4().or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

/// Parse a line of [`ROUTES_V4`]: interface, destination, gateway, flags, three numbers, mask. Only default routes
/// count: the networks on the link are those of the addresses.
fn route_v4(line: &str) -> Option<Route> {
    let mut fields = line.split_whitespace();
    let interface = fields.next()?;
    let (destination, _gateway, flags) = (fields.next()?, fields.next()?, fields.next()?);
    let mask = fields.nth(3)?;
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let is_default = u32::from_str_radix(destination, 16) == Ok(0) && u32::from_str_radix(mask, 16) == Ok(0);
    let is_used = flags & RTF_UP != 0 && flags & RTF_REJECT == 0;
    let destination = IpNet::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0).ok()?;
    (is_default && is_used).then(|| Route { interface: interface.into(), destination })
}

/// Parse a line of [`ROUTES_V6`]: destination, its length, source, its length, gateway, three numbers, flags,
/// interface; all numbers in hexadecimal. Default routes count, and networks on the link.
fn route_v6(line: &str) -> Option<Route> {
    let mut fields = line.split_whitespace();
    let (destination, length) = (fields.next()?, fields.next()?);
    let (flags, interface) = (fields.nth(6)?, fields.next()?);
    let destination = Ipv6Addr::from(u128::from_str_radix(destination, 16).ok()?);
    let length = u8::from_str_radix(length, 16).ok()?;
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let is_used = flags & RTF_UP != 0 && flags & RTF_REJECT == 0;
    let is_on_link = flags & RTF_GATEWAY == 0 && !destination.is_multicast() && length < 128;
    let destination = IpNet::V6(Ipv6Net::new(destination, length).ok()?);
    (is_used && (length == 0 || is_on_link)).then(|| Route { interface: interface.into(), destination })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(route: Option<Route>) -> Option<String> {
        route.map(|route| format!("{} {}", route.interface, route.destination))
    }

    #[test]
    fn default_routes_of_v4_are_found() {
        for (line, expected) in [
            ("eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0", Some("eth0 0.0.0.0/0")),
            ("pppoe-wan\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0", Some("pppoe-wan 0.0.0.0/0")),
            ("eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0", None),
            ("tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0", None),
            ("eth0\t00000000\t010200C0\t0000\t0\t0\t0\t00000000\t0\t0\t0", None),
            ("*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0", None),
            ("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT", None),
            ("eth0\t00000000", None),
            ("", None),
        ] {
            assert_eq!(shown(route_v4(line)).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn default_routes_and_networks_of_v6_are_found() {
        let zero = "00000000000000000000000000000000";
        let via = "fe800000000000000000000000000001";
        let line = |destination: &str, length: &str, gateway: &str, flags: &str, interface: &str| {
            format!("{destination} {length} {zero} 00 {gateway} 00000400 00000001 00000000 {flags} {interface}")
        };
        for (line, expected) in [
            (line(zero, "00", via, "00000003", "wan0"), Some("wan0 ::/0")),
            (line("20010db8000200000000000000000000", "40", zero, "00000001", "eth0"), Some("eth0 2001:db8:2::/64")),
            (line("20010db8000300000000000000000000", "38", via, "00000003", "eth0"), None),
            (line("20010db8000200000000000000000004", "80", zero, "80200001", "eth0"), None),
            (line("ff000000000000000000000000000000", "08", zero, "00000001", "eth0"), None),
            (line(zero, "00", zero, "00200200", "lo"), None),
            ("nonsense".into(), None),
        ] {
            assert_eq!(shown(route_v6(&line)).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn this_host_has_a_loopback() {
        let host = host();
        assert!(
            host.assigned
                .iter()
                .any(|address| { address.is_loopback && address.link > 0 && address.network.addr().is_loopback() })
        );
    }
}
