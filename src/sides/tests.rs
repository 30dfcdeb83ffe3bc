//! A gateway, a router behind it and a Raspberry Pi at home, with right, wrong and missing names.

use super::*;

/// A host with interfaces, each with its addresses and whether it has a default route.
fn host(interfaces: &[(&str, &[&str], bool)]) -> Host {
    let mut host = Host::default();
    for (link, (name, networks, has_default_route)) in (1..).zip(interfaces) {
        for network in *networks {
            let network = network.parse().expect(network);
            host.assigned.push(Assigned { interface: (*name).into(), link, network, is_loopback: *name == "lo" });
        }
        if *has_default_route {
            let destination = "0.0.0.0/0".parse().expect("a prefix");
            host.routes.push(Route { interface: (*name).into(), destination });
        }
    }
    host
}

const LO: (&str, &[&str], bool) = ("lo", &["127.0.0.1/8", "::1/128"], false);
const WAN0: (&str, &[&str], bool) = ("wan0", &["203.0.113.9/24", "2001:db8:1::9/64", "fe80::1/64"], true);
const LAN: (&str, &[&str], bool) =
    ("br-lan", &["192.168.1.1/24", "2001:db8:2::1/64", "fd00:1::1/64", "fe80::2/64"], false);
const LTE0: (&str, &[&str], bool) = ("lte0", &["10.9.8.7/24"], true);

/// A router with a LAN, its line, and a second uplink.
fn gateway() -> Host {
    host(&[LO, WAN0, LAN, LTE0])
}

/// A Pi at home, with one interface.
fn pi() -> Host {
    host(&[LO, ("eth0", &["192.168.1.4/24", "2001:db8:2::4/64", "fe80::4/64"], true)])
}

/// A router behind another router: the network of its line is private too.
fn inner_gateway() -> Host {
    host(&[LO, ("wan0", &["192.168.0.2/24"], true), LAN])
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).into()).collect()
}

fn default_lan() -> Vec<IpNet> {
    let lan = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"];
    lan.map(|prefix| prefix.parse().expect(prefix)).to_vec()
}

fn sides(host: &Host, wan: &[&str], lan: &[&str]) -> Sides {
    let (wan, lan) = (names(wan), names(lan));
    let default_lan = default_lan();
    Sides::of(
        host,
        &Configured { lan: &default_lan, wan_interfaces: &wan, lan_interfaces: &lan, ..Configured::default() },
    )
}

fn side_of(sides: &Sides, name: &str) -> (Side, Reason) {
    let interface = sides.interfaces.iter().find(|interface| interface.name == name).expect(name);
    (interface.side, interface.reason)
}

#[test]
fn each_row_of_the_table_decides_in_its_turn() {
    use Reason::*;
    for (host, wan, lan, name, expected) in [
        (gateway(), &[][..], &[][..], "lo", (Side::Host, Loopback)),
        (gateway(), &[], &[], "wan0", (Side::Wan, PublicAddress)),
        (gateway(), &[], &[], "br-lan", (Side::Lan, PrivateAddress)),
        (gateway(), &["wan0"], &[], "wan0", (Side::Wan, NamedWan)),
        (gateway(), &["wan0"], &[], "br-lan", (Side::Lan, PrivateAddress)),
        (gateway(), &["wan0"], &[], "lte0", (Side::Wan, SecondUplink)),
        (gateway(), &["wan"], &[], "lte0", (Side::Wan, SecondUplink)),
        (gateway(), &["wan0", "lte0"], &[], "lte0", (Side::Wan, NamedWan)),
        (gateway(), &[], &["br-lan"], "lte0", (Side::Wan, NotNamedLan)),
        (gateway(), &[], &["br-lan"], "br-lan", (Side::Lan, NamedLan)),
        (gateway(), &["br-lan"], &["br-lan"], "br-lan", (Side::Wan, NamedWan)),
        (pi(), &[], &[], "eth0", (Side::Lan, PrivateAddress)),
        (pi(), &["wan"], &[], "eth0", (Side::Lan, PrivateAddress)),
        (pi(), &["eth0"], &[], "eth0", (Side::Wan, NamedWan)),
        (pi(), &[], &["eth0"], "eth0", (Side::Lan, NamedLan)),
        (inner_gateway(), &["wan0"], &[], "wan0", (Side::Wan, NamedWan)),
        (inner_gateway(), &["wan"], &[], "wan0", (Side::Wan, SecondUplink)),
        (inner_gateway(), &["wan"], &[], "br-lan", (Side::Lan, PrivateAddress)),
        (host(&[("eth0", &["fd00::4/64"], false)]), &[], &[], "eth0", (Side::Unknown, NoAddress)),
        (host(&[("wan0", &["100.64.3.4/10"], false)]), &[], &[], "wan0", (Side::Wan, PublicAddress)),
    ] {
        assert_eq!(side_of(&sides(&host, wan, lan), name), expected, "{name}, WAN {wan:?}, LAN {lan:?}");
    }
}

#[test]
fn a_missing_or_wrong_name_makes_no_stranger_local_and_locks_no_home_out() {
    for (host, wan, lan) in [
        (gateway(), &[][..], &[][..]),
        (gateway(), &["wan0"], &[]),
        (gateway(), &["wan"], &[]),
        (gateway(), &["wan0", "lte0"], &[]),
        (gateway(), &[], &["br-lan"]),
        (inner_gateway(), &["wan0"], &[]),
        (inner_gateway(), &["wan"], &[]),
        (inner_gateway(), &[], &["br-lan"]),
        (pi(), &[], &[]),
        (pi(), &["wan"], &[]),
        (pi(), &[], &["eth0"]),
    ] {
        let networks = sides(&host, wan, lan).networks();
        let horizon = |address: &str| networks.horizon(address.parse().expect(address));
        let context = format!("{:?}, WAN {wan:?}, LAN {lan:?}", host.assigned[2].interface);
        for home in ["192.168.1.77", "2001:db8:2::77", "127.0.0.1", "::1"] {
            assert_eq!(horizon(home), Horizon::Lan, "{home}: {context}");
        }
        for stranger in ["203.0.113.77", "198.51.100.7", "2001:db8:1::77", "2001:db8:7::1"] {
            assert_eq!(horizon(stranger), Horizon::Wan, "{stranger}: {context}");
        }
    }
}

#[test]
fn an_address_at_the_wans_interface_is_never_local() {
    for (host, wan, lan, strangers) in [
        (inner_gateway(), &["wan0"][..], &[][..], "192.168.0.77"),
        (inner_gateway(), &["wan"], &[], "192.168.0.77"),
        (inner_gateway(), &[], &["br-lan"], "192.168.0.77"),
        (gateway(), &["wan0"], &[], "10.9.8.77"),
        (gateway(), &["wan0", "lte0"], &[], "10.9.8.77"),
        (gateway(), &[], &["br-lan"], "10.9.8.77"),
        (pi(), &["eth0"], &[], "192.168.1.77"),
        (pi(), &["eth0"], &[], "2001:db8:2::77"),
    ] {
        let networks = sides(&host, wan, lan).networks();
        assert_eq!(networks.horizon(strangers.parse().expect(strangers)), Horizon::Wan, "{strangers} {wan:?} {lan:?}");
    }
}

#[test]
fn a_longer_configured_prefix_is_local_also_at_the_wans_interface() {
    let mut lan = default_lan();
    lan.push("192.168.0.64/26".parse().expect("a prefix"));
    let wan = names(&["wan0"]);
    let configured = Configured { lan: &lan, wan_interfaces: &wan, ..Configured::default() };
    let networks = Sides::of(&inner_gateway(), &configured).networks();
    for (address, expected) in [("192.168.0.77", Horizon::Lan), ("192.168.0.7", Horizon::Wan)] {
        assert_eq!(networks.horizon(address.parse().expect(address)), expected, "{address}");
    }
}

#[test]
fn the_hosts_own_and_external_addresses_are_local() {
    let wan = names(&["wan0"]);
    let external_v4 = Some("198.51.100.1".parse().expect("an address"));
    let sides = Sides::of(&gateway(), &Configured { wan_interfaces: &wan, external_v4, ..Configured::default() });
    let networks = sides.networks();
    for own in ["203.0.113.9", "2001:db8:1::9", "192.168.1.1", "198.51.100.1", "10.9.8.7"] {
        assert_eq!(networks.horizon(own.parse().expect(own)), Horizon::Lan, "{own}");
    }
    assert_eq!(networks.horizon("203.0.113.10".parse().expect("an address")), Horizon::Wan);
}

#[test]
fn a_link_local_neighbour_is_on_the_side_of_its_link() {
    let networks = sides(&gateway(), &["wan0"], &[]).networks();
    let neighbour: IpAddr = "fe80::77".parse().expect("an address");
    assert_eq!(networks.horizon_on_link(neighbour, 2), Horizon::Wan, "wan0");
    assert_eq!(networks.horizon_on_link(neighbour, 3), Horizon::Lan, "br-lan");
}

#[test]
fn the_external_address_of_v4_is_that_of_a_named_interface_and_that_of_v6_is_configured() {
    let found = |host: &Host, wan: &[&str]| sides(host, wan, &[]).external;
    let address = |text: &str| text.parse().ok();
    assert_eq!(found(&gateway(), &["wan0"]).v4, address("203.0.113.9"));
    assert_eq!(found(&gateway(), &["wan"]).v4, None);
    assert_eq!(found(&gateway(), &[]).v4, None);
    assert_eq!(found(&inner_gateway(), &["wan0"]).v4, None, "behind another router");
    assert_eq!(found(&host(&[("wan0", &["100.64.3.4/10"], true)]), &["wan0"]).v4, None, "behind a carrier's NAT");
    assert_eq!(found(&gateway(), &["wan0"]).v6, None, "a gateway does not translate IPv6");
    assert_eq!(found(&gateway(), &["wan0"]).host_v6, "2001:db8:1::9".parse().ok(), "this host is reached at its own");
    assert_eq!(found(&pi(), &[]).host_v6, "2001:db8:2::4".parse().ok());
    let configured = Configured {
        external_v4: "198.51.100.1".parse().ok(),
        external_v6: "2001:db8:9::1".parse().ok(),
        ..Configured::default()
    };
    let external = Sides::of(&gateway(), &configured).external;
    assert_eq!(external.v6, external.host_v6);
    assert_eq!(external.v4, "198.51.100.1".parse().ok());
}

#[test]
fn the_networks_on_a_link_come_from_its_addresses_and_its_routes() {
    // An address of DHCPv6 has a prefix of 128 bits: the network of the link is in a route.
    let mut host = host(&[("eth0", &["192.168.1.4/24", "2001:db8:2::4/128", "fe80::4/64"], true)]);
    for destination in ["2001:db8:2::/64", "fe80::/64", "192.168.1.0/24"] {
        host.routes.push(Route { interface: "eth0".into(), destination: destination.parse().expect(destination) });
    }
    let networks: Vec<String> = sides(&host, &[], &[]).interfaces[0].networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["192.168.1.0/24", "2001:db8:2::4/128", "2001:db8:2::/64"]);
}

#[test]
fn a_name_that_fits_no_interface_and_a_home_taken_for_the_wan_are_reported() {
    let warnings = |host: &Host, wan: &[&str]| sides(host, wan, &[]).warnings();
    assert_eq!(
        warnings(&gateway(), &["wan"])[0],
        "network.interface: no interface \"wan\" is up, so the name has no effect yet; the interfaces are lo, wan0, \
         br-lan, lte0"
    );
    assert_eq!(
        warnings(&pi(), &["eth0"]),
        [
            "eth0: its neighbours (192.168.1.0/24) count as the WAN, because it is named in network.interface; if they are \
          your home, name eth0 in network.lan_interfaces, and not in network.interface"
        ]
    );
    assert_eq!(
        warnings(&gateway(), &["wan0"]),
        [
            "lte0: its neighbours (10.9.8.0/24) count as the WAN, because it has a default route, like a second uplink; if \
          they are your home, name lte0 in network.lan_interfaces, and not in network.interface"
        ]
    );
    assert!(sides(&gateway(), &["wan0"], &["br-lan"]).warnings().is_empty());
    assert_eq!(sides(&gateway(), &[], &["lan"]).missing, [("network.lan_interfaces", "lan".into())]);
}

#[test]
fn each_interface_is_described_in_a_line() {
    assert_eq!(
        sides(&pi(), &[], &[]).lines(),
        [
            "lo              host    is the loopback: 127.0.0.0/8, ::1/128",
            "eth0            LAN     has a private IPv4 address: 192.168.1.0/24, 2001:db8:2::/64",
        ]
    );
}

#[test]
fn the_side_of_an_address_is_explained_by_the_network_that_decides() {
    let gateway = sides(&gateway(), &["wan0"], &[]);
    for (address, expected) in [
        ("203.0.113.9", "it is an address of this host"),
        ("203.0.113.8", "it is in 203.0.113.0/24 on wan0, a WAN interface, which is named in network.interface"),
        ("192.168.1.5", "it is in 192.168.1.0/24 on br-lan, a LAN interface, which has a private IPv4 address"),
        ("2001:db8:2::5", "it is in 2001:db8:2::/64 on br-lan, a LAN interface, which has a private IPv4 address"),
        ("192.168.7.5", "it is in 192.168.0.0/16 of network.lan"),
        ("127.0.0.1", "it is in 127.0.0.0/8 of network.lan"),
        ("198.51.100.1", "it is in no local network"),
    ] {
        assert_eq!(gateway.explain(address.parse().expect(address)), expected, "{address}");
    }
}

#[test]
fn the_explanation_is_of_the_side_that_counts() {
    let mut random = fastrand::Rng::with_seed(13);
    for (host, wan, lan) in [
        (gateway(), &["wan0"][..], &[][..]),
        (gateway(), &["wan"], &[]),
        (inner_gateway(), &["wan0"], &[]),
        (inner_gateway(), &[], &["br-lan"]),
        (pi(), &["eth0"], &[]),
    ] {
        let sides = sides(&host, wan, lan);
        let networks = sides.networks();
        for _ in 0..5_000 {
            let starts = [[192, 168], [203, 0], [10, 9], [172, 16], [198, 51]];
            let start = starts[random.usize(..starts.len())];
            let address = IpAddr::from([start[0], start[1], random.u8(..3), random.u8(..12)]);
            let why = sides.explain(address);
            let is_wan = why.contains("no local network") || why.contains("a WAN interface");
            assert_eq!(networks.horizon(address) == Horizon::Wan, is_wan, "{address}: {why}");
        }
    }
}
