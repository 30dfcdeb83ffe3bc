//! One HTTP connection: octets in, through the core, octets out.
//!
//! [`Connection::step`] does what can be done without waiting, with buffers that are its slot's: it reads once, answers
//! all requests that are whole, and writes once for as many responses as there is room for. So a request costs one read
//! and one write, and nothing is read only to hear that there is nothing: readiness tells.

use core::net::IpAddr;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};

use crate::clock::Running;
use crate::tracker::{AnnounceRequest, Answer, MAX_RESPONSE_OCTETS, Tracker};

/// Octets of requests that a connection holds: a scrape of 74 swarms has 5,300 in its path alone.
pub const RECEIVE_OCTETS: usize = 8 * 1024;

/// Octets of responses that leave in one piece, before one more that may be of any length.
const TOGETHER_OCTETS: usize = 1024;

/// Octets of responses that wait for a slow client.
pub const SEND_OCTETS: usize = TOGETHER_OCTETS + MAX_RESPONSE_OCTETS;

/// Requests that are answered before others get their turn.
const REQUESTS_A_TURN: usize = 32;

/// Octets that are read and left unused before a connection is closed.
const UNUSED_OCTETS: usize = 1 << 20;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The beginning of a request: it is idle.
    Request,
    /// The rest of a request.
    Rest,
    /// The client, which does not take the response.
    Room,
    /// Nothing but its turn.
    Turn,
    /// The client's end, all having been said from ours: a kernel that has to close on what was not read resets the
    /// connection, and the client may never see the response.
    End,
    /// Nothing: it is over.
    Over,
}

impl Wait {
    /// Whether the connection is at rest: no request of it is under way, so that it may be closed for a newcomer.
    pub(super) const fn is_at_rest(self) -> bool {
        match self {
            Self::Request | Self::End | Self::Over => true,
            Self::Rest | Self::Room | Self::Turn => false,
        }
    }

    /// Whether all responses have been sent and no request is read any more.
    pub(super) const fn is_ending(self) -> bool {
        match self {
            Self::End | Self::Over => true,
            Self::Request | Self::Rest | Self::Room | Self::Turn => false,
        }
    }
}

/// What a step works with.
#[derive(Debug)]
pub struct Buffers<'a> {
    /// The slot's [`RECEIVE_OCTETS`].
    pub received: &'a mut [u8],
    /// The slot's [`SEND_OCTETS`].
    pub unsent: &'a mut [u8],
    /// [`SEND_OCTETS`] that all connections share.
    pub responses: &'a mut [u8],
}

/// What [`Connection::begin`] has done already.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    received: nix::Result<bool>,
    /// What the request is, if it is a whole announce.
    pub request: Option<AnnounceRequest>,
}

/// A connection, without its buffers.
#[derive(Debug)]
pub struct Connection {
    client: IpAddr,
    waits_for: Wait,
    received_octets: usize,
    unsent_octets: usize,
    unused_octets: usize,
    answered: u64,
    ends: bool,
    /// Whether the client may send something, or have sent it, that is not going to be answered.
    may_send_more: bool,
}

impl Connection {
    /// A connection from `client`.
    pub const fn new(client: IpAddr) -> Self {
        Self {
            client,
            waits_for: Wait::Request,
            received_octets: 0,
            unsent_octets: 0,
            unused_octets: 0,
            answered: 0,
            ends: false,
            may_send_more: false,
        }
    }

    /// Who has connected.
    pub const fn client(&self) -> IpAddr {
        self.client
    }

    /// How many requests have been answered.
    pub const fn answered(&self) -> u64 {
        self.answered
    }

    /// What it waits for.
    pub const fn waits_for(&self) -> Wait {
        self.waits_for
    }

    /// Begin the next step, if that is to receive a request. `received` is the slot's, as in [`Buffers`]. The step must
    /// follow before anything else is done with the connection.
    pub fn begin(&mut self, tracker: &Tracker, stream: &TcpStream, received: &mut [u8]) -> Option<Begun> {
        match self.waits_for {
            Wait::Request | Wait::Rest => {}
            Wait::Room | Wait::Turn | Wait::End | Wait::Over => return None,
        }
        let has_received = self.receive(stream, received);
        let read = || tracker.read_announce(self.client, &received[..self.received_octets]);
        let request = if has_received == Ok(true) { read() } else { None };
        Some(Begun { received: has_received, request })
    }

    /// Do what can be done at once, and tell what it waits for then. Nothing is allocated, and `stream` may be one that
    /// blocks. Once it is over, it stays so.
    pub fn step(
        &mut self,
        begun: Option<Begun>,
        tracker: &mut Tracker,
        now: Running,
        stream: &TcpStream,
        mut buffers: Buffers<'_>,
    ) -> Wait {
        let done = match self.waits_for {
            Wait::Request | Wait::Rest => {
                let begun =
                    begun.unwrap_or_else(|| Begun { received: self.receive(stream, buffers.received), request: None });
                begun.received.and_then(|received| match received {
                    true => self.answer(begun.request, tracker, now, stream, &mut buffers),
                    false => Ok(self.waits_for),
                })
            }
            Wait::Room | Wait::Turn => self.send_unsent(stream, &mut buffers).and_then(|sent| match sent {
                true => self.answer(None, tracker, now, stream, &mut buffers),
                false => Ok(Wait::Room),
            }),
            Wait::End => self.receive_unused(stream, &mut buffers),
            Wait::Over => Ok(Wait::Over),
        };
        // The client has gone; or its network has, which comes to the same.
        self.waits_for = done.unwrap_or(Wait::Over);
        self.waits_for
    }

    /// Read what has come. Tell whether anything has; the end is an error.
    fn receive(&mut self, stream: &TcpStream, received: &mut [u8]) -> nix::Result<bool> {
        let space = &mut received[self.received_octets..];
        let octets = match recv(stream.as_raw_fd(), space, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => return Err(Errno::EPIPE),
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(false),
            octets => octets?,
        };
        self.may_send_more = octets == space.len();
        self.received_octets += octets;
        Ok(true)
    }

    /// Read what nobody asked for, until the client has closed or it is too much.
    fn receive_unused(&mut self, stream: &TcpStream, buffers: &mut Buffers<'_>) -> nix::Result<Wait> {
        match recv(stream.as_raw_fd(), buffers.received, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Ok(Wait::Over),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Wait::End),
            octets => {
                self.unused_octets += octets?;
                Ok(if self.unused_octets < UNUSED_OCTETS { Wait::End } else { Wait::Over })
            }
        }
    }

    /// Answer the requests that have arrived whole, the first of which may have been read already.
    fn answer(
        &mut self,
        mut first: Option<AnnounceRequest>,
        tracker: &mut Tracker,
        now: Running,
        stream: &TcpStream,
        buffers: &mut Buffers<'_>,
    ) -> nix::Result<Wait> {
        let (mut begin, mut written, mut is_last) = (0, 0, false);
        for _ in 0..REQUESTS_A_TURN {
            is_last = self.ends || !self.answer_one(first.take(), tracker, now, buffers, (&mut begin, &mut written));
            if is_last {
                break;
            }
            // Where there is no room for one more of any length, what there is must leave.
            if written > TOGETHER_OCTETS {
                self.send_responses(stream, buffers, written)?;
                written = 0;
                if self.unsent_octets > 0 {
                    break;
                }
            }
        }
        buffers.received.copy_within(begin..self.received_octets, 0);
        self.received_octets -= begin;
        if written > 0 {
            self.send_responses(stream, buffers, written)?;
        }
        Ok(match () {
            () if self.unsent_octets > 0 => Wait::Room,
            () if self.ends => self.end(stream),
            () if self.received_octets == 0 => Wait::Request,
            () if is_last => Wait::Rest,
            () => Wait::Turn,
        })
    }

    /// Answer the request at `begin`, behind the `written` octets of other responses. Tell whether it was whole.
    fn answer_one(
        &mut self,
        read: Option<AnnounceRequest>,
        tracker: &mut Tracker,
        now: Running,
        buffers: &mut Buffers<'_>,
        (begin, written): (&mut usize, &mut usize),
    ) -> bool {
        let received = &buffers.received[*begin..self.received_octets];
        if received.is_empty() {
            return false;
        }
        let response = &mut buffers.responses[*written..];
        let mut answer = match read {
            Some(request) => tracker.answer_announce(now, &request, response),
            None => tracker.answer_request(now, self.client, received, response),
        };
        if answer == Answer::Incomplete && received.len() == buffers.received.len() {
            answer = tracker.answer_long_head(received, response);
        }
        let Answer::Response { consumed, written: octets, keep_alive } = answer else { return false };
        *begin += consumed;
        *written += octets;
        self.answered += 1;
        self.ends = !keep_alive;
        // Who was told that the request is none may be in the midst of it.
        self.may_send_more |= *begin < self.received_octets || !response.starts_with(b"HTTP/1.1 200 ");
        true
    }

    /// Close our end: at once, where the client has said all that it has to say.
    fn end(&self, stream: &TcpStream) -> Wait {
        if self.may_send_more && stream.shutdown(Shutdown::Write).is_ok() { Wait::End } else { Wait::Over }
    }

    /// Send the first `written` octets of the responses, and keep what the client does not take.
    fn send_responses(&mut self, stream: &TcpStream, buffers: &mut Buffers<'_>, written: usize) -> nix::Result<()> {
        let left = &buffers.responses[send_some(stream, &buffers.responses[..written])?..written];
        buffers.unsent[..left.len()].copy_from_slice(left);
        self.unsent_octets = left.len();
        Ok(())
    }

    /// Send what the client did not take before; true when nothing is left.
    fn send_unsent(&mut self, stream: &TcpStream, buffers: &mut Buffers<'_>) -> nix::Result<bool> {
        if self.unsent_octets > 0 {
            let sent = send_some(stream, &buffers.unsent[..self.unsent_octets])?;
            buffers.unsent.copy_within(sent..self.unsent_octets, 0);
            self.unsent_octets -= sent;
        }
        Ok(self.unsent_octets == 0)
    }
}

/// Send as much as the kernel takes at once. What it takes only a part of fills its buffer, so that there is no second try.
fn send_some(stream: &TcpStream, octets: &[u8]) -> nix::Result<usize> {
    match send(stream.as_raw_fd(), octets, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        sent => sent,
    }
}
