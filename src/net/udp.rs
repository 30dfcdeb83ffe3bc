//! The UDP socket: a batch of datagrams in, through the core, a batch out.

use core::array;
use core::ffi::c_uint;
use core::net::SocketAddr;
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
use crate::tracker::{Ahead, LOOK_AHEAD, Tracker};
use crate::wire;
use crate::wire::udp::MAX_REPLY_OCTETS;

/// Datagrams that one system call receives or sends.
pub const BATCH: usize = LOOK_AHEAD;

/// Octets of a datagram that are looked at: a scrape of 74 swarms has 1,496, and BEP 41 options make an announce longer.
const DATAGRAM_OCTETS: usize = 2048;

/// Octets of a socket's buffers.
pub const BUFFERS_OCTETS: usize = BATCH * (DATAGRAM_OCTETS + MAX_REPLY_OCTETS);

/// The address that a datagram was sent to, and so the one that its reply is sent from (rule 17).
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

/// The replies of a batch, in the form in which the kernel is told them.
struct Replies<'a, S> {
    octets: Vec<[IoSlice<'a>; 1], BATCH>,
    remotes: Vec<Option<S>, BATCH>,
    locals: Vec<Option<Local>, BATCH>,
}

/// A UDP socket and the buffers of its batches, all taken once.
#[derive(Debug)]
pub struct UdpServer(Family);

/// The kernel's form of addresses is the family's, so that nothing is converted but what the core is told.
#[derive(Debug)]
enum Family {
    V4(Batches<SockaddrIn>),
    V6(Batches<SockaddrIn6>),
}

/// Room for the kernel to tell, or to be told, the local address of a datagram, and nothing else.
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
    /// When the socket does not know its address.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        Ok(Self(match socket.local_addr()? {
            SocketAddr::V4(_) => Family::V4(Batches::new(socket, || nix::cmsg_space!(in_pktinfo))),
            SocketAddr::V6(_) => Family::V6(Batches::new(socket, || nix::cmsg_space!(in6_pktinfo))),
        }))
    }

    /// Receive a batch, answer it, and return how many datagrams it had. Nothing is allocated.
    pub fn exchange(&mut self, tracker: &mut Tracker, now: Running) -> usize {
        match &mut self.0 {
            Family::V4(batches) => batches.exchange(tracker, now),
            Family::V6(batches) => batches.exchange(tracker, now),
        }
    }

    /// The socket, to be watched.
    pub(super) fn socket(&self) -> &UdpSocket {
        match &self.0 {
            Family::V4(batches) => &batches.socket,
            Family::V6(batches) => &batches.socket,
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the socket does not know.
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
            // Zeroes that the system gives: they take memory only once a batch is so large.
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
            let octets = tracker.answer_datagram(now, datagram.remote.into(), &bytes[..datagram.octets], out);
            if octets == 0 {
                spare = Some(out);
                continue;
            }
            spare = outgoing.next();
            // There is room for as many as can be received.
            let _ = replies.octets.push([IoSlice::new(&out[..octets])]);
            let _ = replies.remotes.push(Some(datagram.remote));
            let _ = replies.locals.push(datagram.local);
        }
        let sent = replies.send(self.socket.as_raw_fd(), &mut self.send_headers);
        tracker.counters.udp_replies_dropped += (replies.locals.len() - sent) as u64;
        datagrams.len()
    }

    /// Let the core bring what these datagrams ask for into the cache.
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
        let mut told_where = true;
        let mut buffers = self.incoming.chunks_exact_mut(DATAGRAM_OCTETS);
        let mut slices: [_; BATCH] = array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
        let fd = self.socket.as_raw_fd();
        let received = recvmmsg(fd, &mut self.receive_headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        // Would block, or an error that some datagram of ours has caused at its destination: the next call goes on.
        for message in received.into_iter().flatten() {
            let local = message.cmsgs().ok().and_then(|mut messages| messages.find_map(local_of));
            told_where &= local.is_some();
            // The kernel tells of each datagram where it comes from: without that there is no use in those after it.
            let Some(remote) = message.address else { break };
            let _ = datagrams.push(Datagram { remote, local, octets: message.bytes });
        }
        if !told_where {
            // The kernel has shortened the control buffer's length in the header, which would stay so.
            self.receive_headers = MultiHeaders::preallocate(BATCH, Some((self.local_address_space)()));
        }
        datagrams
    }
}

impl<'a, S: SockaddrLike + Copy> Replies<'a, S> {
    /// Send them and return how many the kernel took. What it does not take is dropped, as UDP may: the client asks
    /// again.
    fn send(&self, fd: RawFd, headers: &mut MultiHeaders<S>) -> usize {
        let mut taken = 0;
        let mut first = 0;
        while let Some(local) = self.locals.get(first) {
            // One call has one source address; but for multi-homed hosts under load that is the whole batch.
            let together = self.locals[first..].iter().take_while(|other| *other == local).count();
            match self.send_from(*local, first..first + together, fd, headers) {
                Ok(sent) => {
                    taken += sent;
                    first += sent.max(1);
                }
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return taken,
                Err(Errno::EINTR) => {}
                // This one cannot be sent (no route, filtered): the others may.
                Err(_) => first += 1,
            }
        }
        taken
    }

    fn send_from(
        &self,
        local: Option<Local>,
        which: Range<usize>,
        fd: RawFd,
        headers: &mut MultiHeaders<S>,
    ) -> nix::Result<usize> {
        let (octets, remotes) = (&self.octets[which.clone()], &self.remotes[which]);
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
            // The kernel has not told, which it does not do: it may choose then.
            None => {
                let ([[octets], ..], [Some(remote), ..]) = (octets, remotes) else { return Ok(0) };
                sendto(fd, octets, remote, flags).map(|_| 1)?
            }
        };
        Ok(sent)
    }
}

/// The address a datagram was sent to. An IPv6 address of one link only makes sense with its interface.
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
