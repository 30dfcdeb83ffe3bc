//! The announce URLs to put into a torrent.

use core::net::{IpAddr, SocketAddr};
use std::net::TcpListener;

use crate::access::Admission;
use crate::config::Config;
use crate::horizon::{Horizon, Networks};
use crate::shared::AnnounceUrl;
use crate::sides::{Assigned, Host};

/// Return the line of a URL for the user: the URL, its side, and the admission there; `None` if no client is admitted.
pub(super) fn line(url: &AnnounceUrl, config: &Config) -> Option<String> {
    let admission = match url.horizon {
        Horizon::Lan => config.access.lan,
        Horizon::Wan => config.access.wan,
    };
    let clients = match admission {
        Admission::Open => "all clients",
        Admission::Whitelist => "clients on the whitelist",
        Admission::Closed => return None,
    };
    Some(format!("  {}  {}: {clients}", url.url, url.horizon.name()))
}

/// Return the announce URLs of these sockets. A socket on the unspecified address has one for each address of this
/// host. `networks` decides the side of an address by its neighbours.
pub(super) fn of(sockets: &[TcpListener], host: &Host, networks: &Networks) -> Vec<AnnounceUrl> {
    let bound = sockets.iter().filter_map(|socket| socket.local_addr().ok());
    bound
        .flat_map(|address| addresses(address, &host.assigned))
        .flat_map(|address| urls(address, host, networks))
        .collect()
}

/// Return the addresses of the page for local browsers, by its socket.
pub(super) fn of_page(bound: SocketAddr, host: &Host, networks: &Networks) -> Vec<String> {
    let at_home = |address: &SocketAddr| address.ip().is_loopback() || networks.horizon(address.ip()) == Horizon::Lan;
    addresses(bound, &host.assigned).iter().filter(|address| at_home(address)).map(|a| format!("http://{a}")).collect()
}

fn urls(address: SocketAddr, host: &Host, networks: &Networks) -> [AnnounceUrl; 2] {
    let assigned = host.assigned.iter().find(|assigned| assigned.network.addr() == address.ip());
    // Its own address is always local. The address of its network stands for its neighbours.
    let neighbours = assigned.map_or(address.ip(), |assigned| assigned.network.network());
    let horizon = networks.horizon(neighbours);
    ["http", "udp"].map(|scheme| AnnounceUrl { url: format!("{scheme}://{address}/announce"), horizon })
}

/// Return the addresses under which other hosts reach a socket. Link-local addresses are left out, because a URL cannot
/// name the link.
fn addresses(bound: SocketAddr, host: &[Assigned]) -> Vec<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    let of_family = |assigned: &&Assigned| assigned.network.addr().is_ipv4() == bound.is_ipv4();
    let reaches_far = |assigned: &&Assigned| {
        let text_is_enough = !matches!(assigned.network.addr(), IpAddr::V6(v6) if v6.is_unicast_link_local());
        text_is_enough && !assigned.is_loopback
    };
    let mut far: Vec<_> = host.iter().filter(of_family).filter(reaches_far).map(|a| a.network.addr()).collect();
    far.dedup();
    if far.is_empty() {
        far.extend(host.iter().filter(of_family).filter(|a| a.is_loopback).map(|a| a.network.addr()));
    }
    far.into_iter().map(|address| SocketAddr::new(address, bound.port())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(networks: &[(&str, &str)]) -> Host {
        let assigned = |(interface, network): &(&str, &str)| Assigned {
            interface: (*interface).into(),
            link: 0,
            network: network.parse().expect(network),
            is_loopback: *interface == "lo",
        };
        Host { assigned: networks.iter().map(assigned).collect(), routes: Vec::new() }
    }

    #[test]
    fn a_socket_that_listens_everywhere_is_named_by_every_far_reaching_address_with_its_clients() {
        let host = host(&[
            ("lo", "127.0.0.1/8"),
            ("lo", "::1/128"),
            ("eth0", "192.168.1.4/24"),
            ("eth0", "fe80::5/64"),
            ("eth0", "2001:db8::4/64"),
        ]);
        let networks = Networks::local(&["192.168.1.0/24".parse().expect("a prefix")]);
        let config = Config::default();
        let lines = |bound: &str| -> Vec<String> {
            let addresses = addresses(bound.parse().expect(bound), &host.assigned);
            addresses
                .into_iter()
                .flat_map(|address| urls(address, &host, &networks))
                .filter_map(|url| line(&url, &config))
                .collect()
        };
        assert_eq!(
            lines("0.0.0.0:6969"),
            [
                "  http://192.168.1.4:6969/announce  LAN: all clients",
                "  udp://192.168.1.4:6969/announce  LAN: all clients"
            ]
        );
        assert_eq!(lines("[::]:6969")[0], "  http://[2001:db8::4]:6969/announce  WAN: clients on the whitelist");
        assert_eq!(lines("10.0.0.1:80")[1], "  udp://10.0.0.1:80/announce  WAN: clients on the whitelist");
    }

    #[test]
    fn a_host_without_a_network_is_named_by_its_loopback() {
        let host = host(&[("lo", "127.0.0.1/8"), ("lo", "::1/128")]).assigned;
        assert_eq!(addresses("0.0.0.0:1".parse().expect("address"), &host), ["127.0.0.1:1".parse().expect("address")]);
    }
}
