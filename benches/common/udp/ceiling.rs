//! The cost of the system itself: a program that answers with fixed bytes, through the same system calls as nakodo.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::{array, env};

use nix::libc::{in_addr, in_pktinfo};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};

use super::datagram::{ANNOUNCE, CONNECT, REPLY_OCTETS, SCRAPE, word};

/// Argument that runs the bench as its ceiling. The port and the length of an announce reply in bytes follow it.
pub(crate) const ARGUMENT: &str = "--ceiling";

const BATCH: usize = 32;
const DATAGRAM_OCTETS: usize = 2048;

type Headers = MultiHeaders<SockaddrIn>;

/// If the command line requests the ceiling, serve as the ceiling until the process is killed.
pub(crate) fn run_if_asked() {
    let mut arguments = env::args().skip_while(|argument| argument != ARGUMENT).skip(1);
    if let (Some(port), Some(octets)) = (arguments.next(), arguments.next()) {
        serve(port.parse().expect("a port"), octets.parse().expect("octets"));
    }
}

fn serve(port: u16, announce_octets: usize) {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect("the port");
    setsockopt(&socket, sockopt::Ipv4PacketInfo, &true).expect("packet info");
    let _ = setsockopt(&socket, sockopt::RcvBuf, &(1 << 20));
    let mut incoming = vec![0; BATCH * DATAGRAM_OCTETS];
    let mut outgoing = vec![[0; REPLY_OCTETS]; BATCH];
    let mut receive_headers = Headers::preallocate(BATCH, Some(nix::cmsg_space!(in_pktinfo)));
    let mut send_headers = Headers::preallocate(BATCH, Some(nix::cmsg_space!(in_pktinfo)));
    loop {
        let received = receive(&socket, &mut incoming, &mut receive_headers);
        let mut replies = heapless::Vec::<_, BATCH>::new();
        for ((datagram, (octets, _)), out) in incoming.chunks(DATAGRAM_OCTETS).zip(&received).zip(&mut outgoing) {
            let _ = replies.push(answer(&datagram[..*octets], announce_octets, out));
        }
        send(&socket, &outgoing, &replies, &received, &mut send_headers);
        if received.len() < BATCH {
            let mut waits = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut waits, PollTimeout::NONE);
        }
    }
}

/// Length of each datagram in bytes, and its sender.
type Received = heapless::Vec<(usize, Option<SockaddrIn>), BATCH>;

fn receive(socket: &UdpSocket, incoming: &mut [u8], headers: &mut Headers) -> Received {
    let mut buffers = incoming.chunks_mut(DATAGRAM_OCTETS);
    let mut slices: [_; BATCH] = array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
    let received = recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
    received.into_iter().flatten().map(|message| (message.bytes, message.address)).collect()
}

fn send(socket: &UdpSocket, outgoing: &[[u8; REPLY_OCTETS]], octets: &[usize], to: &Received, headers: &mut Headers) {
    let slices: heapless::Vec<[IoSlice<'_>; 1], BATCH> =
        outgoing.iter().zip(octets).map(|(out, octets)| [IoSlice::new(&out[..*octets])]).collect();
    let remotes: heapless::Vec<_, BATCH> = to.iter().map(|(_, from)| *from).collect();
    let nowhere = in_addr { s_addr: 0 };
    let here = in_addr { s_addr: u32::from_ne_bytes(Ipv4Addr::LOCALHOST.octets()) };
    let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: here, ipi_addr: nowhere };
    let source = [ControlMessage::Ipv4PacketInfo(&info)];
    // Drop replies that the kernel does not accept, like nakodo.
    let _ = sendmmsg(socket.as_raw_fd(), headers, &slices, &remotes[..], source, MsgFlags::MSG_DONTWAIT);
}

/// Write a reply as long as nakodo's, and return its length in bytes.
fn answer(datagram: &[u8], announce_octets: usize, out: &mut [u8; REPLY_OCTETS]) -> usize {
    if datagram.len() < 16 {
        return 0;
    }
    let action = word(datagram, 8);
    out[..4].copy_from_slice(&action.to_be_bytes());
    out[4..8].copy_from_slice(&datagram[12..16]);
    match action {
        CONNECT => 16,
        ANNOUNCE => announce_octets,
        SCRAPE => 8 + (datagram.len() - 16) / 20 * 12,
        _ => 0,
    }
}
