//! An interface of the host, its side, and the reason for it.

use core::fmt;

use ipnet::IpNet;

/// Side of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This host itself.
    Host,
    /// The local networks.
    Lan,
    /// The internet.
    Wan,
    /// Not known.
    Unknown,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Host => "host",
            Self::Lan => "LAN",
            Self::Wan => "WAN",
            Self::Unknown => "unknown",
        })
    }
}

/// Reason for the side of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is the loopback.
    Loopback,
    /// `network.interface` names it.
    NamedWan,
    /// `network.lan_interfaces` names it.
    NamedLan,
    /// `network.lan_interfaces` names only others.
    NotNamedLan,
    /// It has a default route, and `network.interface` names another interface.
    SecondUplink,
    /// It has a private IPv4 address.
    PrivateAddress,
    /// It has a public IPv4 address.
    PublicAddress,
    /// It has no IPv4 address.
    NoAddress,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "is the loopback",
            Self::NamedWan => "is named in network.interface",
            Self::NamedLan => "is named in network.lan_interfaces",
            Self::NotNamedLan => "is not named in network.lan_interfaces",
            Self::SecondUplink => "has a default route, like a second uplink",
            Self::PrivateAddress => "has a private IPv4 address",
            Self::PublicAddress => "has a public IPv4 address only",
            Self::NoAddress => "has no IPv4 address; network.lan_interfaces can name it",
        })
    }
}

/// An interface and its side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Name.
    pub name: String,
    /// The system's number of the interface.
    pub link: u32,
    /// Side.
    pub side: Side,
    /// Reason for the side.
    pub reason: Reason,
    /// The networks on its link, the link-local one excepted.
    pub networks: Vec<IpNet>,
}

impl Interface {
    /// Return whether its neighbours are never local.
    pub(super) const fn is_never_local(&self) -> bool {
        matches!(self.reason, Reason::NamedWan | Reason::NotNamedLan | Reason::SecondUplink)
    }
}
