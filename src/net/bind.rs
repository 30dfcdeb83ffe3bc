//! Opening the sockets, and saying what is wrong when that fails.

use core::fmt;
use core::net::SocketAddr;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::libc::{self, IPPROTO_TCP, TCP_DEFER_ACCEPT};
use nix::setsockopt_impl;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
    sockopt,
};

/// Octets of datagrams that may wait in the kernel while we are busy; the kernel gives what its own limit allows.
const RECEIVE_BUFFER_OCTETS: usize = 1 << 20;

/// Connections that may wait in the kernel until they are accepted.
const BACKLOG: i32 = 128;

/// How many seconds the kernel keeps a connection to itself whose client has said nothing. It counts in retransmissions
/// of its SYN-ACK, and rounds up.
const SILENT_SECONDS: u32 = 1;

/// The option that sets that: nix knows how to set one, but not this one by name.
#[derive(Clone, Copy, Debug)]
struct DeferAccept;

setsockopt_impl!(DeferAccept, IPPROTO_TCP, TCP_DEFER_ACCEPT, u32, sockopt::SetStruct<'_, u32>);

/// Why a socket could not be opened.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    protocol: &'static str,
    errno: Errno,
    /// How the address was chosen, and so how another one is.
    setting: &'static str,
}

impl BindError {
    fn new(address: SocketAddr, protocol: &'static str, errno: Errno) -> Self {
        Self { address, protocol, errno, setting: "`listen` or --listen" }
    }

    /// The address is one that `setting`, a key of the configuration, names.
    pub(super) fn set_by(self, setting: &'static str) -> Self {
        Self { setting, ..self }
    }

    /// Does somebody else have the port?
    pub fn is_in_use(&self) -> bool {
        self.errno == Errno::EADDRINUSE
    }

    /// Does this host just not have the family, as a kernel without IPv6 does?
    pub fn is_missing_family(&self) -> bool {
        self.address.is_ipv6() && matches!(self.errno, Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, protocol, errno, setting } = self;
        write!(f, "cannot listen on {address} ({protocol}): ")?;
        match errno {
            Errno::EADDRINUSE => write!(
                f,
                "the port is in use, perhaps by another nakodo; stop that one, or choose another port with {setting}"
            ),
            Errno::EACCES => write!(
                f,
                "that is not permitted; ports below 1024 need root or CAP_NET_BIND_SERVICE: choose another port with {setting}"
            ),
            Errno::EADDRNOTAVAIL => write!(f, "this host does not have that address; correct {setting}"),
            Errno::EAFNOSUPPORT => write!(f, "this host has no IPv6"),
            other => write!(f, "{}", io::Error::from(*other)),
        }
    }
}

impl std::error::Error for BindError {}

/// Open a UDP socket that does not block and tells of each datagram the address it was sent to (rule 17).
///
/// # Errors
/// Says why the address could not be had.
pub fn udp(address: SocketAddr) -> Result<UdpSocket, BindError> {
    let open = || -> nix::Result<UdpSocket> {
        let fd = open_socket(address, SockType::Datagram, SockProtocol::Udp)?;
        match address {
            SocketAddr::V4(_) => setsockopt(&fd, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&fd, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        // What the kernel does not give, we do without.
        let _ = setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER_OCTETS);
        bind_to(&fd, address)?;
        Ok(UdpSocket::from(fd))
    };
    open().map_err(|errno| BindError::new(address, "UDP", errno))
}

/// Open a TCP socket that listens and does not block.
///
/// # Errors
/// Says why the address could not be had.
pub fn tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    let open = || -> nix::Result<TcpListener> {
        let fd = open_socket(address, SockType::Stream, SockProtocol::Tcp)?;
        // A restart must not wait for the connections of the run before to be forgotten.
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        // Inherited by each connection: a response is sent in as few pieces as it can be.
        setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
        // So that a connection can be read from as soon as it is accepted. Where the kernel cannot, it is done without.
        let _ = setsockopt(&fd, DeferAccept, &SILENT_SECONDS);
        bind_to(&fd, address)?;
        listen(&fd, Backlog::new(BACKLOG)?)?;
        Ok(TcpListener::from(fd))
    };
    open().map_err(|errno| BindError::new(address, "TCP", errno))
}

fn open_socket(address: SocketAddr, kind: SockType, protocol: SockProtocol) -> nix::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, protocol)?;
    if address.is_ipv6() {
        // The IPv4 socket beside it takes the same port.
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    Ok(fd)
}

fn bind_to(fd: &OwnedFd, address: SocketAddr) -> nix::Result<()> {
    use std::os::fd::AsRawFd;
    bind(fd.as_fd().as_raw_fd(), &SockaddrStorage::from(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_told_with_what_to_do() {
        for local in ["127.0.0.1:0", "[::]:0"] {
            let first = tcp(local.parse().expect(local)).expect("a free port");
            let taken = first.local_addr().expect("bound");
            let error = tcp(taken).expect_err("taken").to_string();
            assert!(error.contains(&taken.to_string()) && error.contains("the port is in use"), "{error}");
            let first = udp(local.parse().expect(local)).expect("a free port");
            let error = udp(first.local_addr().expect("bound")).expect_err("taken").to_string();
            assert!(error.contains("(UDP): the port is in use"), "{error}");
        }
    }

    #[test]
    fn both_families_share_a_port() {
        let v4 = udp("0.0.0.0:0".parse().expect("address")).expect("any port");
        let port = v4.local_addr().expect("bound").port();
        udp(SocketAddr::new("::".parse().expect("address"), port)).expect("the same port of the other family");
    }

    #[test]
    fn an_address_that_is_not_ours_is_told() {
        let error = tcp("198.51.100.77:6969".parse().expect("address")).expect_err("not ours");
        assert!(error.to_string().contains("does not have that address"), "{error}");
        assert!(!error.is_missing_family());
    }
}
