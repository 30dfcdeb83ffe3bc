//! The announce URLs to put into a torrent.

use core::net::SocketAddr;
use std::net::TcpListener;

use super::interfaces::{self, Assigned};

/// Return the announce URLs of these sockets. A socket on the unspecified address has one for each address of this
/// host.
pub(super) fn of(sockets: &[TcpListener]) -> Vec<String> {
    let host = interfaces::assigned();
    let bound = sockets.iter().filter_map(|socket| socket.local_addr().ok());
    bound.flat_map(|address| addresses(address, &host)).flat_map(urls).collect()
}

fn urls(address: SocketAddr) -> [String; 2] {
    ["http", "udp"].map(|scheme| format!("{scheme}://{address}/announce"))
}

/// Return the addresses under which other hosts reach a socket. Link-local addresses are left out, because a URL cannot
/// name the link.
fn addresses(bound: SocketAddr, host: &[Assigned]) -> Vec<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    let of_family = |assigned: &&Assigned| assigned.network.addr().is_ipv4() == bound.is_ipv4();
    let reaches_far = |assigned: &&Assigned| {
        let text_is_enough =
            !matches!(assigned.network.addr(), core::net::IpAddr::V6(v6) if v6.is_unicast_link_local());
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

    fn host(networks: &[(&str, &str)]) -> Vec<Assigned> {
        let assigned = |(interface, network): &(&str, &str)| Assigned {
            interface: (*interface).into(),
            network: network.parse().expect(network),
            is_loopback: *interface == "lo",
        };
        networks.iter().map(assigned).collect()
    }

    #[test]
    fn a_socket_that_listens_everywhere_is_named_by_every_far_reaching_address() {
        let host = host(&[
            ("lo", "127.0.0.1/8"),
            ("lo", "::1/128"),
            ("eth0", "192.168.1.4/24"),
            ("eth0", "fe80::5/64"),
            ("eth0", "2001:db8::4/64"),
        ]);
        let named = |bound: &str| -> Vec<String> {
            addresses(bound.parse().expect(bound), &host).into_iter().flat_map(urls).collect()
        };
        assert_eq!(named("0.0.0.0:6969"), ["http://192.168.1.4:6969/announce", "udp://192.168.1.4:6969/announce"]);
        assert_eq!(named("[::]:6969")[0], "http://[2001:db8::4]:6969/announce");
        assert_eq!(named("10.0.0.1:80")[1], "udp://10.0.0.1:80/announce");
    }

    #[test]
    fn a_host_without_a_network_is_named_by_its_loopback() {
        let host = host(&[("lo", "127.0.0.1/8"), ("lo", "::1/128")]);
        assert_eq!(addresses("0.0.0.0:1".parse().expect("address"), &host), ["127.0.0.1:1".parse().expect("address")]);
    }
}
