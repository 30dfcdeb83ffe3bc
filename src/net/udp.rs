//! The UDP socket: receive a batch of datagrams, answer them in the core, send a batch of replies.

use core::array;
use core::ffi::c_uint;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};

use heapless::Vec;
use nix::errno::Errno;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg,
    sendmmsg, sendto,
};

use crate::clock::Running;
use crate::tracker::{Ahead, LOOK_AHEAD, Sender, Tracker};
use crate::wire;
use crate::wire::udp::MAX_REPLY_OCTETS;

/// Number of datagrams that one system call receives or sends.
pub const BATCH: usize = LOOK_AHEAD;

/// Number of bytes that are read of a datagram: a scrape of 74 swarms has 1,496, and an announce with BEP 41 options is
/// longer than a plain one.
const DATAGRAM_OCTETS: usize = 2048;

/// Size in bytes of the buffers of one socket.
pub const BUFFERS_OCTETS: usize = BATCH * (DATAGRAM_OCTETS + MAX_REPLY_OCTETS);

/// The destination address of a datagram, which is the source address of its reply (rule 17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Local {
    V4([u8; 4]),
    V6 { address: [u8; 16], interface: c_uint },
}

/// One datagram of a batch, from an address of the socket's family.
#[derive(Clone, Copy, Debug)]
struct Datagram<S> {
    remote: S,
    local: Option<Local>,
    octets: usize,
}

impl<S: Copy + Into<SocketAddr>> Datagram<S> {
    fn sender(&self) -> Sender {
        Sender::new(self.remote.into(), self.local.map(Local::address))
    }
}

impl Local {
    fn address(self) -> IpAddr {
        match self {
            Self::V4(address) => address.into(),
            Self::V6 { address, .. } => address.into(),
        }
    }
}

/// The replies of a batch, in the form that the kernel takes.
struct Replies<'a, S> {
    octets: Vec<[IoSlice<'a>; 1], BATCH>,
    remotes: Vec<Option<S>, BATCH>,
    locals: Vec<Option<Local>, BATCH>,
}

/// A UDP socket and the buffers of its batches, allocated once.
#[derive(Debug)]
pub struct UdpServer(Family);

/// The batches of either address family. They hold addresses in the kernel's form; only those that go to the core are
/// converted.
#[derive(Debug)]
enum Family {
    V4(Batches<SockaddrIn>),
    V6(Batches<SockaddrIn6>),
}

/// Allocates room for the control message that carries the local address of a datagram, and for no other.
type LocalAddressSpace = fn() -> std::vec::Vec<u8>;

struct Batches<S> {
    socket: UdpSocket,
    local_address_space: LocalAddressSpace,
    /// `DATAGRAM_OCTETS` for each datagram of a batch.
    incoming: Box<[u8]>,
    /// `MAX_REPLY_OCTETS` for each reply.
    outgoing: Box<[u8]>,
    receive_headers: MultiHeaders<S>,
    send_headers: MultiHeaders<S>,
}

impl<S> core::fmt::Debug for Batches<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Batches").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl UdpServer {
    /// Serve on `socket`, which [`super::bind::udp`] has opened.
    ///
    /// # Errors
    /// When the socket cannot report its address.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        Ok(Self(match socket.local_addr()? {
            SocketAddr::V4(_) => Family::V4(Batches::new(socket, || nix::cmsg_space!(in_pktinfo))),
            SocketAddr::V6(_) => Family::V6(Batches::new(socket, || nix::cmsg_space!(in6_pktinfo))),
        }))
    }

    /// Receive a batch, answer it, and return its number of datagrams. It allocates nothing.
    pub fn exchange(&mut self, tracker: &mut Tracker, now: Running) -> usize {
        match &mut self.0 {
            Family::V4(batches) => batches.exchange(tracker, now),
            Family::V6(batches) => batches.exchange(tracker, now),
        }
    }

    /// Return the socket, for epoll.
    pub(super) fn socket(&self) -> &UdpSocket {
        match &self.0 {
            Family::V4(batches) => &batches.socket,
            Family::V6(batches) => &batches.socket,
        }
    }

    /// Return the address that the socket listens on.
    ///
    /// # Errors
    /// When the socket cannot report its address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().local_addr()
    }
}

impl<S: SockaddrLike + Copy + Into<SocketAddr>> Batches<S> {
    fn new(socket: UdpSocket, local_address_space: LocalAddressSpace) -> Self {
        let headers = || MultiHeaders::preallocate(BATCH, Some(local_address_space()));
        Self {
            socket,
            local_address_space,
            // Zeroed pages from the system: they take memory only when a batch is large enough to touch them.
            incoming: vec![0; BATCH * DATAGRAM_OCTETS].into_boxed_slice(),
            outgoing: vec![0; BATCH * MAX_REPLY_OCTETS].into_boxed_slice(),
            receive_headers: headers(),
            send_headers: headers(),
        }
    }

    fn exchange(&mut self, tracker: &mut Tracker, now: Running) -> usize {
        let datagrams = self.receive();
        if datagrams.len() > 1 {
            self.look_ahead(tracker, &datagrams);
        }
        let mut replies = Replies { octets: Vec::new(), remotes: Vec::new(), locals: Vec::new() };
        let mut outgoing = self.outgoing.chunks_exact_mut(MAX_REPLY_OCTETS);
        let mut spare = outgoing.next();
        for (datagram, bytes) in datagrams.iter().zip(self.incoming.chunks_exact(DATAGRAM_OCTETS)) {
            let Some(out) = spare.take() else { break };
            let octets = tracker.answer_datagram(now, datagram.sender(), &bytes[..datagram.octets], out);
            if octets == 0 {
                spare = Some(out);
                continue;
            }
            spare = outgoing.next();
            // Never full: a batch has at most `BATCH` replies.
            let _ = replies.octets.push([IoSlice::new(&out[..octets])]);
            let _ = replies.remotes.push(Some(datagram.remote));
            let _ = replies.locals.push(datagram.local);
        }
        let sent = replies.send(self.socket.as_raw_fd(), &mut self.send_headers);
        tracker.counters.udp_replies_dropped += (replies.locals.len() - sent) as u64;
        datagrams.len()
    }

    /// Let the core prefetch the swarms that these datagrams ask for.
    fn look_ahead(&self, tracker: &mut Tracker, datagrams: &[Datagram<S>]) {
        let mut ahead = Vec::<Ahead, BATCH>::new();
        for (datagram, bytes) in datagrams.iter().zip(self.incoming.chunks_exact(DATAGRAM_OCTETS)) {
            if let Some(announce) = wire::udp::peek_announce(&bytes[..datagram.octets]) {
                let remote: SocketAddr = datagram.remote.into();
                let _ = ahead.push(Ahead::new(remote.ip(), &announce));
            }
        }
        tracker.look_ahead(&ahead);
    }

    fn receive(&mut self) -> Vec<Datagram<S>, BATCH> {
        let mut datagrams = Vec::new();
        let mut all_have_local = true;
        let mut buffers = self.incoming.chunks_exact_mut(DATAGRAM_OCTETS);
        let mut slices: [_; BATCH] = array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
        let fd = self.socket.as_raw_fd();
        let received = recvmmsg(fd, &mut self.receive_headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        // An error is EAGAIN, or the report that an earlier reply did not reach its client: ignore it, the next call
        // continues.
        for message in received.into_iter().flatten() {
            let local = message.cmsgs().ok().and_then(|mut messages| messages.find_map(local_of));
            all_have_local &= local.is_some();
            // The kernel gives the source of every datagram. If it were missing, the datagrams after it would be
            // useless too.
            let Some(remote) = message.address else { break };
            let _ = datagrams.push(Datagram { remote, local, octets: message.bytes });
        }
        if !all_have_local {
            // The kernel has shortened the control buffer's length in the header, and it would stay short.
            self.receive_headers = MultiHeaders::preallocate(BATCH, Some((self.local_address_space)()));
        }
        datagrams
    }
}

impl<'a, S: SockaddrLike + Copy> Replies<'a, S> {
    /// Send the replies and return the number that the kernel took. The others are dropped, as UDP allows: the client
    /// repeats its request.
    fn send(&self, fd: RawFd, headers: &mut MultiHeaders<S>) -> usize {
        let mut taken = 0;
        let mut first = 0;
        while let Some(local) = self.locals.get(first) {
            // One call has one source address. Only a multi-homed host under load needs several calls for a batch.
            let together = self.locals[first..].iter().take_while(|other| *other == local).count();
            match self.send_from(*local, first..first + together, fd, headers) {
                Ok(sent) => {
                    taken += sent;
                    first += sent.max(1);
                }
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return taken,
                Err(Errno::EINTR) => {}
                // This reply cannot be sent (no route, or filtered). Try the others.
                Err(_) => first += 1,
            }
        }
        taken
    }

    fn send_from(
        &self,
        local: Option<Local>,
        batch: Range<usize>,
        fd: RawFd,
        headers: &mut MultiHeaders<S>,
    ) -> nix::Result<usize> {
        let (octets, remotes) = (&self.octets[batch.clone()], &self.remotes[batch]);
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = match local {
            Some(Local::V4(address)) => {
                let info = in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: nix::libc::in_addr { s_addr: u32::from_ne_bytes(address) },
                    ipi_addr: nix::libc::in_addr { s_addr: 0 },
                };
                let source = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmmsg(fd, headers, octets, remotes, source, flags)?.count()
            }
            Some(Local::V6 { address, interface }) => {
                let ipi6_addr = nix::libc::in6_addr { s6_addr: address };
                let info = in6_pktinfo { ipi6_addr, ipi6_ifindex: interface };
                let source = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmmsg(fd, headers, octets, remotes, source, flags)?.count()
            }
            // The local address is missing, which is not expected. Let the kernel choose one.
            None => {
                let ([[octets], ..], [Some(remote), ..]) = (octets, remotes) else { return Ok(0) };
                sendto(fd, octets, remote, flags).map(|_| 1)?
            }
        };
        Ok(sent)
    }
}

/// Return the destination address of a datagram. A link-local IPv6 address is complete only with its interface.
fn local_of(message: ControlMessageOwned) -> Option<Local> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(Local::V4(info.ipi_spec_dst.s_addr.to_ne_bytes())),
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let address = info.ipi6_addr.s6_addr;
            let interface = if address.starts_with(&[0xfe, 0x80]) { info.ipi6_ifindex } else { 0 };
            Some(Local::V6 { address, interface })
        }
        _ => None,
    }
}
