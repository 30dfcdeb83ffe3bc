//! Opening of the sockets, and the error messages for a socket that does not open.

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

/// Requested size in bytes of a UDP socket's receive buffer, for datagrams that arrive while the tracker is busy. The
/// kernel reduces it to its own limit.
const RECEIVE_BUFFER_OCTETS: usize = 1 << 20;

/// Number of connections that may wait in the kernel to be accepted.
const BACKLOG: i32 = 128;

/// Number of seconds for which the kernel holds back a connection until its client sends data. The kernel counts in
/// retransmissions of its SYN-ACK, and rounds up.
const SILENT_SECONDS: u32 = 1;

/// The socket option `TCP_DEFER_ACCEPT`. It is defined here because nix has no name for it.
#[derive(Clone, Copy, Debug)]
struct DeferAccept;

setsockopt_impl!(DeferAccept, IPPROTO_TCP, TCP_DEFER_ACCEPT, u32, sockopt::SetStruct<'_, u32>);

/// The reason why a socket did not open.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    protocol: &'static str,
    errno: Errno,
    /// The key or option that sets the address, for the advice in the message.
    setting: &'static str,
}

impl BindError {
    fn new(address: SocketAddr, protocol: &'static str, errno: Errno) -> Self {
        Self { address, protocol, errno, setting: "`listen` or --listen" }
    }

    /// Name `setting`, a key of the configuration, as the source of the address.
    pub(super) fn set_by(self, setting: &'static str) -> Self {
        Self { setting, ..self }
    }

    /// Return whether another socket uses the port.
    pub fn is_in_use(&self) -> bool {
        self.errno == Errno::EADDRINUSE
    }

    /// Return whether this host lacks the address family, like a kernel without IPv6.
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

/// Open a non-blocking UDP socket that reports the destination address of each datagram (rule 17).
///
/// # Errors
/// When the system refuses the address.
pub fn udp(address: SocketAddr) -> Result<UdpSocket, BindError> {
    let open = || -> nix::Result<UdpSocket> {
        let fd = open_socket(address, SockType::Datagram, SockProtocol::Udp)?;
        match address {
            SocketAddr::V4(_) => setsockopt(&fd, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&fd, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        // Best effort: a smaller buffer works too.
        let _ = setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER_OCTETS);
        bind_to(&fd, address)?;
        Ok(UdpSocket::from(fd))
    };
    open().map_err(|errno| BindError::new(address, "UDP", errno))
}

/// Open a non-blocking TCP socket that listens.
///
/// # Errors
/// When the system refuses the address.
pub fn tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    let open = || -> nix::Result<TcpListener> {
        let fd = open_socket(address, SockType::Stream, SockProtocol::Tcp)?;
        // Allow a restart at once, while connections of the previous run are still in TIME_WAIT.
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        // Each accepted connection inherits this: a response leaves in as few segments as possible.
        setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
        // A connection can then be read as soon as it is accepted. Best effort: the tracker works without it.
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
        // Leave the IPv4 port free for the IPv4 socket beside this one.
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
    fn the_error_for_a_port_in_use_names_the_port_and_the_protocol() {
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
    fn the_error_for_an_address_of_another_host_says_so() {
        let error = tcp("198.51.100.77:6969".parse().expect("address")).expect_err("not ours");
        assert!(error.to_string().contains("does not have that address"), "{error}");
        assert!(!error.is_missing_family());
    }
}
