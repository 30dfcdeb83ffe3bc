//! The UDP socket: a batch of datagrams in, through the core, a batch out.

use core::array;
use core::ffi::c_uint;
use core::net::{IpAddr, SocketAddr};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use heapless::Vec;
use nix::errno::Errno;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg,
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

/// One datagram, or one reply, of a batch.
#[derive(Clone, Copy, Debug)]
struct Addressed {
    remote: SocketAddr,
    local: Option<Local>,
    octets: usize,
}

/// A UDP socket and the buffers of its batches, all taken once.
pub struct UdpServer {
    socket: UdpSocket,
    is_ipv4: bool,
    /// `DATAGRAM_OCTETS` for each datagram of a batch.
    incoming: Box<[u8]>,
    /// `MAX_REPLY_OCTETS` for each reply.
    outgoing: Box<[u8]>,
    receive_headers: MultiHeaders<SockaddrStorage>,
    send_headers: MultiHeaders<SockaddrStorage>,
    send_headers_without_source: MultiHeaders<SockaddrStorage>,
}

impl core::fmt::Debug for UdpServer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("UdpServer").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl UdpServer {
    /// Serve on `socket`, which [`super::bind::udp`] has opened.
    ///
    /// # Errors
    /// When the socket does not know its address.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        let is_ipv4 = socket.local_addr()?.is_ipv4();
        Ok(Self {
            socket,
            is_ipv4,
            // Zeroes that the system gives: they take memory only once a batch is so large.
            incoming: vec![0; BATCH * DATAGRAM_OCTETS].into_boxed_slice(),
            outgoing: vec![0; BATCH * MAX_REPLY_OCTETS].into_boxed_slice(),
            receive_headers: headers(is_ipv4),
            send_headers: headers(is_ipv4),
            send_headers_without_source: MultiHeaders::preallocate(BATCH, None),
        })
    }

    /// Receive a batch, answer it, and return how many datagrams it had. Nothing is allocated.
    pub fn exchange(&mut self, tracker: &mut Tracker, now: Running) -> usize {
        let datagrams = self.receive();
        if datagrams.len() > 1 {
            self.look_ahead(tracker, &datagrams);
        }
        let mut replies = Vec::<Addressed, BATCH>::new();
        let (outgoing, _) = self.outgoing.as_chunks_mut::<MAX_REPLY_OCTETS>();
        for (datagram, bytes) in datagrams.iter().zip(self.incoming.chunks_exact(DATAGRAM_OCTETS)) {
            let Some(out) = outgoing.get_mut(replies.len()) else { break };
            let octets = tracker.answer_datagram(now, datagram.remote, &bytes[..datagram.octets], out);
            if octets > 0 {
                let _ = replies.push(Addressed { octets, ..*datagram });
            }
        }
        let sent = self.send(&replies);
        tracker.counters.udp_replies_dropped += (replies.len() - sent) as u64;
        datagrams.len()
    }

    /// Let the core bring what these datagrams ask for into the cache.
    fn look_ahead(&self, tracker: &mut Tracker, datagrams: &[Addressed]) {
        let mut ahead = Vec::<Ahead, BATCH>::new();
        for (datagram, bytes) in datagrams.iter().zip(self.incoming.chunks_exact(DATAGRAM_OCTETS)) {
            if let Some(info_hash) = wire::udp::peek_info_hash(&bytes[..datagram.octets]) {
                let _ = ahead.push(Ahead { info_hash, from: datagram.remote.ip() });
            }
        }
        tracker.look_ahead(&ahead);
    }

    fn receive(&mut self) -> Vec<Addressed, BATCH> {
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
            let remote = message.address.as_ref().and_then(socket_address);
            // A datagram from nowhere keeps its place, and is dropped as one from port 0 is.
            let remote = remote.unwrap_or_else(|| SocketAddr::from(([0; 4], 0)));
            let _ = datagrams.push(Addressed { remote, local, octets: message.bytes });
        }
        if !told_where {
            // The kernel has shortened the control buffer's length in the header, which would stay so.
            self.receive_headers = headers(self.is_ipv4);
        }
        datagrams
    }

    /// Send the replies that stand in `outgoing` and return how many the kernel took. What it does not take is dropped,
    /// as UDP may: the client asks again.
    fn send(&mut self, replies: &[Addressed]) -> usize {
        let mut taken = 0;
        let mut first = 0;
        while let Some(reply) = replies.get(first) {
            // One call has one source address; but for multi-homed hosts under load that is the whole batch.
            let together = replies[first..].iter().take_while(|other| other.local == reply.local).count();
            match self.send_from(reply.local, first, &replies[first..first + together]) {
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

    fn send_from(&mut self, local: Option<Local>, first: usize, replies: &[Addressed]) -> nix::Result<usize> {
        let buffers = self.outgoing.chunks_exact(MAX_REPLY_OCTETS).skip(first);
        let slices: Vec<[IoSlice<'_>; 1], BATCH> =
            buffers.zip(replies).map(|(buffer, reply)| [IoSlice::new(&buffer[..reply.octets])]).collect();
        let remotes: Vec<Option<SockaddrStorage>, BATCH> =
            replies.iter().map(|reply| Some(SockaddrStorage::from(reply.remote))).collect();
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let with_source = &mut self.send_headers;
        let sent = match local {
            Some(Local::V4(address)) => {
                let info = in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: nix::libc::in_addr { s_addr: u32::from_ne_bytes(address) },
                    ipi_addr: nix::libc::in_addr { s_addr: 0 },
                };
                let source = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmmsg(fd, with_source, &slices, &remotes[..], source, flags)?.count()
            }
            Some(Local::V6 { address, interface }) => {
                let ipi6_addr = nix::libc::in6_addr { s6_addr: address };
                let info = in6_pktinfo { ipi6_addr, ipi6_ifindex: interface };
                let source = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmmsg(fd, with_source, &slices, &remotes[..], source, flags)?.count()
            }
            None => {
                let headers = &mut self.send_headers_without_source;
                sendmmsg(fd, headers, &slices, &remotes[..], [], flags)?.count()
            }
        };
        Ok(sent)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the socket does not know.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
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

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::new(IpAddr::V4(v4.ip()), v4.port()));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into()))
}

/// Headers of a batch, with room to name the local address of each datagram.
fn headers(is_ipv4: bool) -> MultiHeaders<SockaddrStorage> {
    let control = if is_ipv4 { nix::cmsg_space!(in_pktinfo) } else { nix::cmsg_space!(in6_pktinfo) };
    MultiHeaders::preallocate(BATCH, Some(control))
}
