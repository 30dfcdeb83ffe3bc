//! One HTTP connection: receive bytes, answer the requests in the core, send the responses.
//!
//! [`Connection::step`] does the work that needs no waiting, with the buffers of its slot: it reads once, answers all
//! complete requests, and writes once for as many responses as the buffer holds. So a request costs one read and one
//! write. No extra read checks for more data, because epoll reports it.

use core::net::IpAddr;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};

use crate::clock::Running;
use crate::http::{ProxyHeader, parse_proxy_header};
use crate::tracker::{AnnounceRequest, Answer, MAX_RESPONSE_OCTETS, Sender, Tracker};

/// Size in bytes of a connection's receive buffer: the path of a scrape of 74 swarms alone has 5,300.
pub const RECEIVE_OCTETS: usize = 8 * 1024;

/// Number of response bytes that are collected before they are sent. One more response of any length fits behind them.
const TOGETHER_OCTETS: usize = 1024;

/// Size in bytes of the buffer for responses that a slow client has not taken yet.
pub const SEND_OCTETS: usize = TOGETHER_OCTETS + MAX_RESPONSE_OCTETS;

/// Number of requests that a connection may have answered in one turn.
const REQUESTS_A_TURN: usize = 32;

/// Number of bytes that are read and discarded before a connection is closed.
const UNUSED_OCTETS: usize = 1 << 20;

/// Error of a connection from a proxy that does not start with the header of the PROXY protocol.
const NO_PROXY_HEADER: Errno = Errno::EPROTO;

/// The event that a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The start of a request: the connection is idle.
    Request,
    /// The rest of a request.
    Rest,
    /// Room to send the rest of a response.
    Room,
    /// Its next turn: complete requests are waiting already.
    Turn,
    /// The end of the client's data, after the end of ours. To close a socket with unread data resets the connection,
    /// and the client could lose the response.
    End,
    /// Nothing: the connection has ended.
    Over,
}

impl Wait {
    /// Return whether the connection is at rest: it has no request in progress, so it may be closed for a new
    /// connection.
    pub(super) const fn is_at_rest(self) -> bool {
        match self {
            Self::Request | Self::End | Self::Over => true,
            Self::Rest | Self::Room | Self::Turn => false,
        }
    }

    /// Return whether all responses have been sent and no more requests are read.
    pub(super) const fn is_ending(self) -> bool {
        match self {
            Self::End | Self::Over => true,
            Self::Request | Self::Rest | Self::Room | Self::Turn => false,
        }
    }
}

/// The buffers of a step.
#[derive(Debug)]
pub struct Buffers<'a> {
    /// [`RECEIVE_OCTETS`] of the slot.
    pub received: &'a mut [u8],
    /// [`SEND_OCTETS`] of the slot.
    pub unsent: &'a mut [u8],
    /// [`SEND_OCTETS`] that all connections share.
    pub responses: &'a mut [u8],
}

/// The surroundings of a step, the same for all connections of a turn of the server.
#[derive(Debug)]
pub struct Turn<'t> {
    /// The tracker.
    pub tracker: &'t mut Tracker,
    /// The time of the turn.
    pub now: Running,
}

/// Progress of the answers of a step.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Number of received bytes that are answered.
    consumed: usize,
    /// Number of bytes of responses that are not sent yet.
    written: usize,
}

/// The result of [`Connection::begin`].
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    received: nix::Result<bool>,
    /// The request, if it is a complete announce.
    pub request: Option<AnnounceRequest>,
}

/// A connection, without its buffers.
#[derive(Debug)]
pub struct Connection {
    sender: Sender,
    /// Whether the header of the PROXY protocol is still to come.
    awaits_proxy_header: bool,
    waits_for: Wait,
    received_octets: usize,
    unsent_octets: usize,
    unused_octets: usize,
    answered: u64,
    ends: bool,
    /// Whether the client may have more data on the way that will not be answered.
    may_send_more: bool,
}

impl Connection {
    /// Create the state of a new connection from `sender`. If it `awaits_proxy_header`, the connection starts with a
    /// header of the PROXY protocol, and its client is the one in the header.
    pub const fn new(sender: Sender, awaits_proxy_header: bool) -> Self {
        Self {
            sender,
            awaits_proxy_header,
            waits_for: Wait::Request,
            received_octets: 0,
            unsent_octets: 0,
            unused_octets: 0,
            answered: 0,
            ends: false,
            may_send_more: false,
        }
    }

    /// Return the address of the client.
    pub const fn client(&self) -> IpAddr {
        self.sender.address
    }

    /// Return the number of answered requests.
    pub const fn answered(&self) -> u64 {
        self.answered
    }

    /// Return the event that the connection waits for.
    pub const fn waits_for(&self) -> Wait {
        self.waits_for
    }

    /// Begin the next step, if that step receives. `received` is the slot's buffer, as in [`Buffers`]. The step must be
    /// the next call for this connection.
    pub fn begin(&mut self, tracker: &Tracker, stream: &TcpStream, received: &mut [u8]) -> Option<Begun> {
        match self.waits_for {
            Wait::Request | Wait::Rest => {}
            Wait::Room | Wait::Turn | Wait::End | Wait::Over => return None,
        }
        let has_received = self.receive(stream, received);
        let read = || tracker.read_announce(self.sender, &received[..self.received_octets]);
        let request = if has_received == Ok(true) { read() } else { None };
        Some(Begun { received: has_received, request })
    }

    /// Do all work that needs no waiting, and return the next event to wait for. It allocates nothing, and `stream` may
    /// be a blocking one. An ended connection stays ended.
    pub fn step(
        &mut self,
        begun: Option<Begun>,
        turn: &mut Turn<'_>,
        stream: &TcpStream,
        mut buffers: Buffers<'_>,
    ) -> Wait {
        let done = match self.waits_for {
            Wait::Request | Wait::Rest => {
                let begun =
                    begun.unwrap_or_else(|| Begun { received: self.receive(stream, buffers.received), request: None });
                begun.received.and_then(|received| match received {
                    true => self.answer(begun.request, turn, stream, &mut buffers),
                    false => Ok(if self.received_octets > 0 { Wait::Rest } else { Wait::Request }),
                })
            }
            Wait::Room | Wait::Turn => self.send_unsent(stream, &mut buffers).and_then(|sent| match sent {
                true => self.answer(None, turn, stream, &mut buffers),
                false => Ok(Wait::Room),
            }),
            Wait::End => self.receive_unused(stream, &mut buffers),
            Wait::Over => Ok(Wait::Over),
        };
        turn.tracker.counters.http_bad_proxy_header += u64::from(done == Err(NO_PROXY_HEADER));
        // The client or its network is gone. Both end the connection.
        self.waits_for = done.unwrap_or(Wait::Over);
        self.waits_for
    }

    /// Read the received bytes, and return whether there are bytes of a request. The end of the data is an error, and so
    /// is a proxy without its header.
    fn receive(&mut self, stream: &TcpStream, received: &mut [u8]) -> nix::Result<bool> {
        let space = &mut received[self.received_octets..];
        let octets = match recv(stream.as_raw_fd(), space, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => return Err(Errno::EPIPE),
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(false),
            octets => octets?,
        };
        self.may_send_more = octets == space.len();
        self.received_octets += octets;
        if self.awaits_proxy_header { self.take_proxy_header(received) } else { Ok(true) }
    }

    /// Remove the header of the PROXY protocol from the received bytes, and return whether there are bytes after it.
    #[cold]
    fn take_proxy_header(&mut self, received: &mut [u8]) -> nix::Result<bool> {
        match parse_proxy_header(&received[..self.received_octets]) {
            ProxyHeader::Incomplete if self.received_octets < received.len() => Ok(false),
            ProxyHeader::Incomplete | ProxyHeader::Malformed => Err(NO_PROXY_HEADER),
            ProxyHeader::Complete { client, octets } => {
                // Without a client, the requests are those of the proxy itself, which has to name a client in a header.
                self.sender = client.map_or(self.sender, Sender::from);
                self.awaits_proxy_header = false;
                received.copy_within(octets..self.received_octets, 0);
                self.received_octets -= octets;
                Ok(self.received_octets > 0)
            }
        }
    }

    /// Read and discard, until the client has closed or the limit is reached.
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

    /// Answer the complete requests. The first of them may have been parsed already.
    fn answer(
        &mut self,
        mut first: Option<AnnounceRequest>,
        turn: &mut Turn<'_>,
        stream: &TcpStream,
        buffers: &mut Buffers<'_>,
    ) -> nix::Result<Wait> {
        let (mut progress, mut is_last) = (Progress::default(), false);
        for _ in 0..REQUESTS_A_TURN {
            is_last = self.ends || !self.answer_one(first.take(), turn, buffers, &mut progress);
            if is_last {
                break;
            }
            // Send when one more response of any length would no longer fit.
            if progress.written > TOGETHER_OCTETS {
                self.send_responses(stream, buffers, progress.written)?;
                progress.written = 0;
                if self.unsent_octets > 0 {
                    break;
                }
            }
        }
        buffers.received.copy_within(progress.consumed..self.received_octets, 0);
        self.received_octets -= progress.consumed;
        if progress.written > 0 {
            self.send_responses(stream, buffers, progress.written)?;
        }
        Ok(if self.unsent_octets > 0 {
            Wait::Room
        } else if self.ends {
            self.end(stream)
        } else if self.received_octets == 0 {
            Wait::Request
        } else if is_last {
            Wait::Rest
        } else {
            Wait::Turn
        })
    }

    /// Answer the next request, and append the response to the earlier ones. Return whether the request was complete.
    fn answer_one(
        &mut self,
        read: Option<AnnounceRequest>,
        turn: &mut Turn<'_>,
        buffers: &mut Buffers<'_>,
        progress: &mut Progress,
    ) -> bool {
        let received = &buffers.received[progress.consumed..self.received_octets];
        if received.is_empty() {
            return false;
        }
        let Turn { tracker, now } = turn;
        let response = &mut buffers.responses[progress.written..];
        let mut answer = match read {
            Some(request) => tracker.answer_announce(*now, &request, response),
            None => tracker.answer_request(*now, self.sender, received, response),
        };
        if answer == Answer::Incomplete && received.len() == buffers.received.len() {
            answer = tracker.answer_long_head(received, response);
        }
        let Answer::Response { consumed, written, keep_alive, ok } = answer else { return false };
        progress.consumed += consumed;
        progress.written += written;
        self.answered += 1;
        self.ends = !keep_alive;
        // After an error response the client may still be sending its request.
        self.may_send_more |= progress.consumed < self.received_octets || !ok;
        true
    }

    /// Close our direction; close the whole connection at once if the client has no more to send.
    fn end(&self, stream: &TcpStream) -> Wait {
        if self.may_send_more && stream.shutdown(Shutdown::Write).is_ok() { Wait::End } else { Wait::Over }
    }

    /// Send the first `written` bytes of the responses, and keep the rest for later.
    fn send_responses(&mut self, stream: &TcpStream, buffers: &mut Buffers<'_>, written: usize) -> nix::Result<()> {
        let left = &buffers.responses[send_some(stream, &buffers.responses[..written])?..written];
        buffers.unsent[..left.len()].copy_from_slice(left);
        self.unsent_octets = left.len();
        Ok(())
    }

    /// Send the rest of the responses, and return whether all of it has been sent.
    fn send_unsent(&mut self, stream: &TcpStream, buffers: &mut Buffers<'_>) -> nix::Result<bool> {
        if self.unsent_octets > 0 {
            let sent = send_some(stream, &buffers.unsent[..self.unsent_octets])?;
            buffers.unsent.copy_within(sent..self.unsent_octets, 0);
            self.unsent_octets -= sent;
        }
        Ok(self.unsent_octets == 0)
    }
}

/// Send as much as the kernel takes. A partial write means that its buffer is full, so a second try is useless.
fn send_some(stream: &TcpStream, octets: &[u8]) -> nix::Result<usize> {
    match send(stream.as_raw_fd(), octets, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        sent => sent,
    }
}
