//! The side of each interface of the host, and the networks and external addresses that follow.
//!
//! The first row that fits decides:
//!
//! | interface | side | its networks |
//! |---|---|---|
//! | the loopback | this host | as `network.lan` says |
//! | `network.interface` names it | WAN | never local |
//! | `network.lan_interfaces` names it | LAN | local |
//! | `network.lan_interfaces` names only others | WAN | never local |
//! | it has a default route, `network.interface` names another, and a LAN interface without one exists | WAN | never local |
//! | it has a private IPv4 address (RFC 1918) | LAN | local |
//! | it has another IPv4 address | WAN | as `network.lan` says |
//! | it has no IPv4 address | unknown | as `network.lan` says |
//!
//! So a name that fits no interface makes nobody local. The host's own addresses and its external addresses are local:
//! a router that hairpins a connection of a local client shows one of them as its source.

mod host;
mod interface;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

pub use host::{Assigned, Host, Route};
use host::{is_global, is_link_local};
pub use interface::{Interface, Reason, Side};

use crate::horizon::{External, Horizon, Networks};

/// Names and addresses from the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Configured<'a> {
    /// `network.lan`.
    pub lan: &'a [IpNet],
    /// `network.lan_interfaces`.
    pub lan_interfaces: &'a [String],
    /// `network.interface`.
    pub wan_interfaces: &'a [String],
    /// `network.external_v4`.
    pub external_v4: Option<Ipv4Addr>,
    /// `network.external_v6`.
    pub external_v6: Option<Ipv6Addr>,
}

/// Origin of a network with a known side.
#[derive(Clone, Copy, Debug)]
enum Origin<'s> {
    /// It is an address of this host.
    Own,
    /// It is an external address of the local peers.
    External,
    /// It is on the link of this interface.
    Interface(&'s Interface),
    /// It is in `network.lan`.
    Listed,
}

impl Origin<'_> {
    const fn horizon(self) -> Horizon {
        match self {
            Self::Interface(interface) if interface.is_never_local() => Horizon::Wan,
            Self::Own | Self::External | Self::Interface(_) | Self::Listed => Horizon::Lan,
        }
    }
}

/// The sides of the host's interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// The interfaces that are up, in the system's order.
    pub interfaces: Vec<Interface>,
    /// Names in the configuration that fit no interface, each with its key.
    pub missing: Vec<(&'static str, String)>,
    /// Addresses of this host that are not on the loopback.
    own: Vec<IpAddr>,
    /// The local networks of the configuration.
    lan: Vec<IpNet>,
    /// Addresses under which peers outside reach the local ones.
    pub external: External,
}

impl Sides {
    /// Determine the sides.
    pub fn of(host: &Host, configured: &Configured<'_>) -> Self {
        let mut interfaces = interfaces_of(host);
        let uplinks_are_known = has_lan_without_default_route(host, configured);
        for interface in &mut interfaces {
            (interface.side, interface.reason) = side(host, configured, interface, uplinks_are_known);
        }
        let named = |key, names: &[String]| -> Vec<(&'static str, String)> {
            let is_missing = |name: &&String| !interfaces.iter().any(|interface| interface.name == **name);
            names.iter().filter(is_missing).map(|name| (key, name.clone())).collect()
        };
        let mut missing = named("network.interface", configured.wan_interfaces);
        missing.extend(named("network.lan_interfaces", configured.lan_interfaces));
        let own = host.assigned.iter().filter(|assigned| !assigned.is_loopback);
        let own = own.map(|assigned| assigned.network.addr()).filter(|address| !is_link_local(*address)).collect();
        let external = external(host, configured, &interfaces);
        Self { interfaces, missing, own, lan: configured.lan.to_vec(), external }
    }

    /// Return the networks with known sides.
    pub fn networks(&self) -> Networks {
        let wan = self.interfaces.iter().filter(|interface| interface.side == Side::Wan);
        let wan_links: Vec<u32> = wan.map(|interface| interface.link).collect();
        Networks::new(self.origins().map(|(network, origin)| (network, origin.horizon()))).with_wan_links(&wan_links)
    }

    /// Describe why `address` is on its side, as the end of a sentence.
    pub fn explain(&self, address: IpAddr) -> String {
        let containing = self.origins().filter(|(network, _)| network.contains(&address));
        // Of equal lengths the first decides, as in `Networks`.
        let decisive =
            containing.reduce(|best, next| if next.0.prefix_len() > best.0.prefix_len() { next } else { best });
        match decisive {
            None => "it is in no local network".into(),
            Some((_, Origin::Own)) => "it is an address of this host".into(),
            Some((_, Origin::External)) => "it is the external address of the local peers".into(),
            Some((network, Origin::Interface(interface))) => {
                let Interface { name, side, reason, .. } = interface;
                format!("it is in {network} on {name}, a {side} interface, which {reason}")
            }
            Some((network, Origin::Listed)) => format!("it is in {network} of network.lan"),
        }
    }

    /// Return all networks with known sides, each with the reason. Of two equal networks, the first decides.
    fn origins(&self) -> impl Iterator<Item = (IpNet, Origin<'_>)> {
        let own = self.own.iter().map(|address| (IpNet::from(*address), Origin::Own));
        let external = [self.external.v4.map(IpAddr::V4), self.external.v6.map(IpAddr::V6)].into_iter().flatten();
        let external = external.map(|address| (IpNet::from(address), Origin::External));
        let on = |is_wanted: fn(&&Interface) -> bool| {
            let wanted = self.interfaces.iter().filter(is_wanted);
            wanted.flat_map(|interface| {
                interface.networks.iter().map(move |network| (*network, Origin::Interface(interface)))
            })
        };
        let never_local = on(|interface| interface.is_never_local());
        let on_lan = on(|interface| interface.side == Side::Lan);
        let listed = self.lan.iter().map(|network| (*network, Origin::Listed));
        own.chain(external).chain(never_local).chain(on_lan).chain(listed)
    }

    /// Describe each interface in a line: its name, its side, the reason, its networks.
    pub fn lines(&self) -> Vec<String> {
        let line = |interface: &Interface| {
            let Interface { name, side, reason, networks, .. } = interface;
            let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
            let colon = if networks.is_empty() { "" } else { ": " };
            format!("{name:<15} {side:<7} {reason}{colon}{}", networks.join(", "))
        };
        self.interfaces.iter().map(line).collect()
    }

    /// Describe probable mistakes of the configuration: names that fit no interface, and private networks that count as
    /// the WAN.
    pub fn warnings(&self) -> Vec<String> {
        let names: Vec<&str> = self.interfaces.iter().map(|interface| interface.name.as_str()).collect();
        let mut warnings: Vec<String> = self
            .missing
            .iter()
            .map(|(key, name)| {
                format!(
                    "{key}: no interface {name:?} is up, so the name has no effect yet; the interfaces are {}",
                    names.join(", ")
                )
            })
            .collect();
        let has_lan = self.interfaces.iter().any(|interface| interface.side == Side::Lan);
        let is_private = |network: &&IpNet| matches!(network, IpNet::V4(net) if net.addr().is_private());
        let may_be_home =
            |interface: &&Interface| interface.reason == Reason::SecondUplink || !has_lan && interface.is_never_local();
        for interface in self.interfaces.iter().filter(may_be_home) {
            if let Some(network) = interface.networks.iter().find(is_private) {
                let (name, reason) = (&interface.name, interface.reason);
                warnings.push(format!(
                    "{name}: its neighbours ({network}) count as the WAN, because it {reason}; if they are your home, name \
                     {name} in network.lan_interfaces, and not in network.interface"
                ));
            }
        }
        warnings
    }
}

/// Return the interfaces with their networks, but without their sides.
fn interfaces_of(host: &Host) -> Vec<Interface> {
    let mut interfaces: Vec<Interface> = Vec::new();
    for assigned in &host.assigned {
        if !interfaces.iter().any(|interface| interface.name == assigned.interface) {
            interfaces.push(Interface {
                name: assigned.interface.clone(),
                link: assigned.link,
                side: Side::Unknown,
                reason: Reason::NoAddress,
                networks: networks_on(host, &assigned.interface),
            });
        }
    }
    interfaces
}

/// Return the networks on the link of an interface, each once.
fn networks_on(host: &Host, interface: &str) -> Vec<IpNet> {
    let assigned = host.assigned.iter().filter(|assigned| assigned.interface == interface);
    let routed = host.routes.iter().filter(|route| route.interface == interface && route.destination.prefix_len() > 0);
    let all = assigned.map(|assigned| assigned.network.trunc()).chain(routed.map(|route| route.destination));
    let mut networks: Vec<IpNet> = Vec::new();
    for network in all.filter(|network| !is_link_local(network.addr())) {
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    networks
}

/// Return whether some interface is certainly local: it is named, or it has a private address and no default route.
/// Only then an interface with a default route can be told from a home's only interface.
fn has_lan_without_default_route(host: &Host, configured: &Configured<'_>) -> bool {
    host.assigned.iter().filter(|assigned| !assigned.is_loopback).any(|assigned| {
        let name = &assigned.interface;
        let is_private = matches!(assigned.network.addr(), IpAddr::V4(v4) if v4.is_private());
        let is_wan = configured.wan_interfaces.contains(name);
        configured.lan_interfaces.contains(name) || is_private && !is_wan && !host.has_default_route(name)
    })
}

fn side(host: &Host, configured: &Configured<'_>, interface: &Interface, uplinks_are_known: bool) -> (Side, Reason) {
    let name = &interface.name;
    let is_loopback = host.assigned.iter().any(|assigned| assigned.is_loopback && assigned.interface == *name);
    let mut v4 = host.v4_of(name).peekable();
    let has_v4 = v4.peek().is_some();
    if is_loopback {
        (Side::Host, Reason::Loopback)
    } else if configured.wan_interfaces.contains(name) {
        (Side::Wan, Reason::NamedWan)
    } else if configured.lan_interfaces.contains(name) {
        (Side::Lan, Reason::NamedLan)
    } else if !configured.lan_interfaces.is_empty() {
        (Side::Wan, Reason::NotNamedLan)
    } else if !configured.wan_interfaces.is_empty() && uplinks_are_known && host.has_default_route(name) {
        (Side::Wan, Reason::SecondUplink)
    } else if v4.any(|v4| v4.is_private()) {
        (Side::Lan, Reason::PrivateAddress)
    } else if has_v4 {
        (Side::Wan, Reason::PublicAddress)
    } else {
        (Side::Unknown, Reason::NoAddress)
    }
}

/// Return the external addresses: the configured ones, and else those of the interfaces that `network.interface` names.
fn external(host: &Host, configured: &Configured<'_>, interfaces: &[Interface]) -> External {
    let found = |is_wanted: &dyn Fn(&Assigned) -> bool, v4: bool| {
        let addresses = host.assigned.iter().filter(|assigned| is_wanted(assigned));
        addresses.map(|assigned| assigned.network.addr()).find(|address| address.is_ipv4() == v4 && is_global(*address))
    };
    let named = |assigned: &Assigned| configured.wan_interfaces.contains(&assigned.interface);
    let v4 = match found(&named, true) {
        Some(IpAddr::V4(v4)) => Some(v4),
        _ => None,
    };
    // Any global address of this host reaches it. Prefer one at the WAN, which changes with the line.
    let at_wan = |assigned: &Assigned| {
        interfaces.iter().any(|interface| interface.name == assigned.interface && interface.side == Side::Wan)
    };
    let host_v6 = match found(&at_wan, false).or_else(|| found(&|_| true, false)) {
        Some(IpAddr::V6(v6)) => Some(v6),
        _ => None,
    };
    External {
        v4: configured.external_v4.or(v4),
        v6: configured.external_v6,
        host_v6: configured.external_v6.or(host_v6),
    }
}

#[cfg(test)]
mod tests;
