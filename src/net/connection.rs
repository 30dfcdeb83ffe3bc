//! One HTTP connection: octets in, through the core, octets out.
//!
//! [`Connection::step`] does all that can be done without waiting, with buffers that are its slot's; so a request that
//! has arrived whole is read, answered and sent in one read and one write.

use core::net::IpAddr;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::clock::Running;
use crate::tracker::{Answer, MAX_RESPONSE_OCTETS, Tracker};

/// Octets of requests that a connection holds: a scrape of 74 swarms has 5,300 in its path alone.
pub const RECEIVE_OCTETS: usize = 8 * 1024;

/// Octets of responses that wait for a slow client.
pub const SEND_OCTETS: usize = MAX_RESPONSE_OCTETS;

/// Reads after which others get their turn.
const READS_A_TURN: usize = 8;

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
    /// Nothing: it is over.
    Over,
}

/// A connection and the buffers of its slot.
#[derive(Debug)]
pub struct Connection<'a> {
    client: IpAddr,
    received: &'a mut [u8],
    received_octets: usize,
    unsent: &'a mut [u8],
    unsent_octets: usize,
    answered: u64,
    ends: bool,
}

impl<'a> Connection<'a> {
    /// A connection from `client`, with buffers of [`RECEIVE_OCTETS`] and [`SEND_OCTETS`].
    pub fn new(client: IpAddr, received: &'a mut [u8], unsent: &'a mut [u8]) -> Self {
        Self { client, received, received_octets: 0, unsent, unsent_octets: 0, answered: 0, ends: false }
    }

    /// How many requests have been answered.
    pub const fn answered(&self) -> u64 {
        self.answered
    }

    /// Do what can be done at once. `response` is scratch of [`MAX_RESPONSE_OCTETS`] that connections share; `stream`
    /// must not block. Nothing is allocated.
    pub fn step(&mut self, tracker: &mut Tracker, now: Running, mut stream: &TcpStream, response: &mut [u8]) -> Wait {
        for _ in 0..READS_A_TURN {
            match self.send_unsent(stream) {
                Ok(true) if self.ends => return Wait::Over,
                Ok(true) => {}
                Ok(false) => return Wait::Room,
                Err(_) => return Wait::Over,
            }
            let answered = self.answer_received(tracker, now, stream, response);
            match answered {
                Ok(true) => continue,
                Ok(false) => {}
                Err(_) => return Wait::Over,
            }
            match stream.read(&mut self.received[self.received_octets..]) {
                Ok(0) => return Wait::Over,
                Ok(octets) => self.received_octets += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return if self.received_octets == 0 { Wait::Request } else { Wait::Rest };
                }
                Err(_) => return Wait::Over,
            }
        }
        Wait::Turn
    }

    /// Send what an earlier response left over; true when nothing is left.
    fn send_unsent(&mut self, stream: &TcpStream) -> io::Result<bool> {
        let sent = send(stream, &self.unsent[..self.unsent_octets])?;
        self.unsent.copy_within(sent..self.unsent_octets, 0);
        self.unsent_octets -= sent;
        Ok(self.unsent_octets == 0)
    }

    /// Answer the first request that has arrived whole, if one has, and tell whether it has.
    fn answer_received(
        &mut self,
        tracker: &mut Tracker,
        now: Running,
        stream: &TcpStream,
        response: &mut [u8],
    ) -> io::Result<bool> {
        let received = &self.received[..self.received_octets];
        if received.is_empty() {
            return Ok(false);
        }
        let mut answer = tracker.answer_request(now, self.client, received, response);
        if answer == Answer::Incomplete && self.received_octets == self.received.len() {
            answer = tracker.answer_long_head(received, response);
        }
        let Answer::Response { consumed, written, keep_alive } = answer else { return Ok(false) };
        self.received.copy_within(consumed..self.received_octets, 0);
        self.received_octets -= consumed;
        self.answered += 1;
        self.ends = !keep_alive;
        let sent = send(stream, &response[..written])?;
        let left = &response[sent..written];
        self.unsent[..left.len()].copy_from_slice(left);
        self.unsent_octets = left.len();
        Ok(true)
    }
}

/// Send as much as the kernel takes at once.
fn send(mut stream: &TcpStream, octets: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < octets.len() {
        match stream.write(&octets[sent..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => sent += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}
