//! The HTTP server: a fixed number of connections with fixed buffers.
//!
//! A connection takes one of the slots, and is read as soon as it is accepted. If it is answered and closed in that
//! step, it never enters epoll. Connections and requests allocate no memory.
//!
//! If no slot is free, a new connection takes the slot of a connection at rest: first one that is ending, then the one
//! that has been idle for longest. If no connection is at rest, it takes the slot of the slowest connection of a greedy
//! address, which is one with more than its share of the connections. That second choice does not depend on the
//! connection's state: each connection is either at rest or slow, so one address can never hold all slots. If no
//! address is greedy, new connections wait in the kernel until a connection comes to rest, ends or exceeds its time
//! limit.

#[cfg(test)]
use core::net::IpAddr;
use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;
use std::io;
use std::net::{TcpListener, TcpStream};

use super::connection::{Begun, Buffers, Connection, RECEIVE_OCTETS, SEND_OCTETS, Turn, Wait};
use super::epoll::{Interest, Readiness, Token};
use super::fairness::ConnectionCounts;
use crate::clock::Running;
use crate::tracker::{Ahead, LOOK_AHEAD, Sender, Tracker};

/// Number of connections that one listener accepts in a turn.
const ACCEPTED_A_TURN: usize = 32;

/// Largest number of connections that are served, in one turn of a listener, because each is a candidate to be closed
/// for a new one.
const SERVED_BEFORE_CLOSING: usize = 32;

/// Time limit for a client to close its direction after ours is closed.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// Time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From the first byte of a request to its end, and from a response until the client has taken it.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
}

impl Timeouts {
    const fn of(&self, waits_for: Wait) -> Duration {
        match waits_for {
            Wait::Request => self.idle,
            Wait::End => END_PATIENCE,
            Wait::Rest | Wait::Room | Wait::Turn | Wait::Over => self.head,
        }
    }
}

/// A connection in its slot.
#[derive(Debug)]
struct Occupied {
    stream: TcpStream,
    connection: Connection,
    /// Time of the last answered request or of the last change of state. A piece of a request or of a response does not
    /// renew it, so that a client that sends or reads one byte now and then still exceeds its time limit.
    since: Running,
    /// The events that epoll watches the socket for; `None` while it is not watched.
    interest: Option<Interest>,
}

/// The slots and their connections.
#[derive(Debug)]
pub struct HttpServer {
    listeners: Vec<TcpListener>,
    /// Whether to accept connections: false while all slots are busy, or while the system has no file descriptor left.
    wants_connections: bool,
    /// The events that epoll watches the listeners for.
    interest: Interest,
    slots: Vec<Option<Occupied>>,
    /// The free slots, as a stack: the last one freed is used first, so that few pages are touched while few
    /// connections are open at once.
    free: Vec<usize>,
    /// [`CONNECTION_OCTETS`] for each slot.
    buffers: Box<[u8]>,
    /// Output buffer for responses, shared by all connections.
    responses: Box<[u8]>,
    timeouts: Timeouts,
}

/// Size in bytes of one connection's buffers. They are allocated at the start, but a page takes no memory before a
/// connection uses it.
pub const CONNECTION_OCTETS: usize = RECEIVE_OCTETS + SEND_OCTETS;

impl HttpServer {
    /// Create a server on `listeners` with `connections` slots.
    pub fn new(listeners: Vec<TcpListener>, connections: usize, timeouts: Timeouts) -> Self {
        let connections = connections.max(1);
        Self {
            listeners,
            wants_connections: true,
            interest: Interest::Readable,
            slots: (0..connections).map(|_| None).collect(),
            free: (0..connections).rev().collect(),
            buffers: vec![0; connections * CONNECTION_OCTETS].into_boxed_slice(),
            responses: vec![0; SEND_OCTETS].into_boxed_slice(),
            timeouts,
        }
    }

    /// Set the timeouts, for open connections as well.
    pub fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.timeouts = timeouts;
    }

    /// Return the number of open connections.
    pub fn connections(&self) -> u32 {
        (self.slots.len() - self.free.len()) as u32
    }

    /// Return the client and the state of each open connection.
    #[cfg(test)]
    pub(super) fn waits(&self) -> Vec<(IpAddr, Wait)> {
        let connections = self.slots.iter().flatten().map(|occupied| &occupied.connection);
        connections.map(|connection| (connection.client(), connection.waits_for())).collect()
    }

    /// Begin to watch the listeners.
    pub(super) fn watch(&self, readiness: &Readiness) -> nix::Result<()> {
        let mut numbered = self.listeners.iter().enumerate();
        numbered.try_for_each(|(number, listener)| readiness.add(listener, Token::Listener(number), self.interest))
    }

    /// Watch the listeners only while a connection can be accepted: otherwise they would be ready all the time.
    pub(super) fn watch_where_there_is_room(&mut self, readiness: &Readiness) -> nix::Result<()> {
        let interest = if self.wants_connections { Interest::Readable } else { Interest::Nothing };
        if interest != self.interest {
            for (number, listener) in self.listeners.iter().enumerate() {
                readiness.change(listener, Token::Listener(number), interest)?;
            }
            self.interest = interest;
        }
        Ok(())
    }

    /// Accept connections from a ready listener, and serve the requests that have arrived with them.
    pub(super) fn accept(&mut self, number: usize, tracker: &mut Tracker, now: Running, readiness: &Readiness) {
        let mut serves = 0..SERVED_BEFORE_CLOSING;
        for _ in 0..ACCEPTED_A_TURN {
            let free = self.free.last().copied();
            let slot = free.or_else(|| self.gives_way(&mut serves, tracker, now, readiness));
            let Some(slot) = slot else { return };
            let (stream, client) = match self.listeners[number].accept() {
                Ok(accepted) => accepted,
                Err(error) if passes(&error) => return,
                Err(_) => {
                    // The system has no file descriptor or memory left: close one connection, which makes room in the
                    // next turn.
                    if let Some(slot) = self.gives_way(&mut serves, tracker, now, readiness) {
                        self.give_up(slot, tracker);
                    }
                    return;
                }
            };
            if self.slots[slot].is_some() {
                self.give_up(slot, tracker);
            }
            self.free.pop();
            self.occupy(slot, stream, client, tracker, now);
            tracker.counters.http_connections += 1;
            self.advance(slot, None, tracker, now, readiness);
        }
    }

    /// Return the slot of a connection to close for a new one; it may have ended by itself just now. If no connection
    /// may be closed, accept no more until that changes.
    ///
    /// Each candidate is served first: if more connections are ready than one wait reports, its request may have
    /// arrived without having had its turn. `serves` limits these attempts. A greedy address with only busy connections
    /// then loses one that has been served in this turn.
    fn gives_way(
        &mut self,
        serves: &mut Range<usize>,
        tracker: &mut Tracker,
        now: Running,
        readiness: &Readiness,
    ) -> Option<usize> {
        loop {
            let Some(slot) = self.longest_at_rest().or_else(|| self.slowest_of_the_greedy(tracker, |_| true)) else {
                self.wants_connections = false;
                return None;
            };
            if serves.next().is_none() {
                return self.slowest_of_the_greedy(tracker, |occupied| occupied.since == now);
            }
            let before = self.progress(slot);
            self.advance(slot, None, tracker, now, readiness);
            let after = self.progress(slot);
            if after.is_none() || after == before {
                return Some(slot);
            }
        }
    }

    /// Return the state and the number of answered requests of the connection in a slot.
    fn progress(&self, slot: usize) -> Option<(Wait, u64)> {
        self.slots[slot].as_ref().map(|occupied| (occupied.connection.waits_for(), occupied.connection.answered()))
    }

    fn occupy(&mut self, slot: usize, stream: TcpStream, client: SocketAddr, tracker: &Tracker, now: Running) {
        let reached_at = stream.local_addr().ok().map(|local| local.ip());
        let sender = Sender::new(client, reached_at);
        let awaits_proxy_header = tracker.expects_proxy_header(sender.address);
        self.slots[slot] = Some(Occupied {
            stream,
            connection: Connection::new(sender, awaits_proxy_header),
            since: now,
            interest: None,
        });
    }

    /// Return the slot of the connection at rest with the earliest deadline. A connection that is ending has the
    /// shortest time limit.
    fn longest_at_rest(&self) -> Option<usize> {
        self.first_out_of_time(|occupied| occupied.connection.waits_for().is_at_rest())
    }

    /// Return the slot of the connection with the earliest deadline among `those` of greedy addresses, in any state. A
    /// proxy is never greedy, because it forwards the requests of many clients.
    fn slowest_of_the_greedy(&self, tracker: &Tracker, those: impl Fn(&Occupied) -> bool) -> Option<usize> {
        let clients = self.slots.iter().flatten().map(|occupied| occupied.connection.client());
        let held = ConnectionCounts::by(clients.filter(|client| !tracker.is_proxy(*client)));
        // This may be less than the number of slots, when the system has no more file descriptors.
        let open = self.slots.len() - self.free.len();
        self.first_out_of_time(|occupied| {
            let client = occupied.connection.client();
            those(occupied) && held.is_greedy(client, open) && !tracker.is_proxy(client)
        })
    }

    /// Return the slot of the connection with the earliest deadline among `those`.
    fn first_out_of_time(&self, those: impl Fn(&Occupied) -> bool) -> Option<usize> {
        let occupied = self.slots.iter().enumerate().filter_map(|(slot, occupied)| Some((slot, occupied.as_ref()?)));
        let those = occupied.filter(|(_, occupied)| those(occupied));
        those.min_by_key(|(_, occupied)| occupied.deadline(self.timeouts)).map(|(slot, _)| slot)
    }

    fn give_up(&mut self, slot: usize, tracker: &mut Tracker) {
        let is_ending = |occupied: &Occupied| occupied.connection.waits_for().is_ending();
        tracker.counters.http_connections_given_up += u64::from(!self.slots[slot].as_ref().is_none_or(is_ending));
        self.vacate(slot);
    }

    /// Close the connection in a slot. That also removes it from epoll.
    fn vacate(&mut self, slot: usize) {
        if self.slots[slot].take().is_some() {
            self.free.push(slot);
            self.wants_connections = true;
        }
    }

    /// Advance ready connections, at most [`LOOK_AHEAD`]: read from all of them, prefetch the swarms of all their
    /// requests together, and then answer them.
    pub(super) fn advance_all(&mut self, slots: &[usize], tracker: &mut Tracker, now: Running, readiness: &Readiness) {
        match slots {
            [] => return,
            [slot] => return self.advance(*slot, None, tracker, now, readiness),
            _ => {}
        }
        let mut begun = heapless::Vec::<Option<Begun>, LOOK_AHEAD>::new();
        begun.extend(slots.iter().map(|slot| self.begin(*slot, tracker)));
        let mut ahead = heapless::Vec::<Ahead, LOOK_AHEAD>::new();
        ahead.extend(begun.iter().filter_map(|begun| Some(begun.as_ref()?.request.as_ref()?.ahead())));
        tracker.look_ahead(&ahead);
        for (slot, begun) in slots.iter().zip(begun) {
            self.advance(*slot, begun, tracker, now, readiness);
        }
    }

    fn begin(&mut self, slot: usize, tracker: &Tracker) -> Option<Begun> {
        let occupied = self.slots.get_mut(slot)?.as_mut()?;
        let received = &mut self.buffers[slot * CONNECTION_OCTETS..][..RECEIVE_OCTETS];
        occupied.connection.begin(tracker, &occupied.stream, received)
    }

    /// Advance a connection by one step, which may have begun already.
    pub(super) fn advance(
        &mut self,
        slot: usize,
        begun: Option<Begun>,
        tracker: &mut Tracker,
        now: Running,
        readiness: &Readiness,
    ) {
        let Some(Some(occupied)) = self.slots.get_mut(slot) else { return };
        let (received, unsent) =
            self.buffers[slot * CONNECTION_OCTETS..][..CONNECTION_OCTETS].split_at_mut(RECEIVE_OCTETS);
        let buffers = Buffers { received, unsent, responses: &mut self.responses };
        let before = (occupied.connection.waits_for(), occupied.connection.answered());
        let waits_for = occupied.connection.step(begun, &mut Turn { tracker, now }, &occupied.stream, buffers);
        if (waits_for, occupied.connection.answered()) != before {
            occupied.since = now;
        }
        self.wants_connections |= waits_for.is_at_rest();
        if waits_for == Wait::Over || occupied.watch(slot, waits_for, readiness).is_err() {
            self.vacate(slot);
        }
    }

    /// Close the connections that have exceeded their time limit. The caller repeats this about every second.
    pub fn close_overdue(&mut self, tracker: &mut Tracker, now: Running) {
        for slot in 0..self.slots.len() {
            let Some(occupied) = &self.slots[slot] else { continue };
            if occupied.deadline(self.timeouts) <= now {
                // Count only slow connections: the end of an idle one is normal.
                let slow = !occupied.connection.waits_for().is_at_rest();
                tracker.counters.http_connections_timed_out += u64::from(slow);
                self.vacate(slot);
            }
        }
        // Another part of the program may have closed file descriptors.
        self.wants_connections = true;
    }
}

impl Occupied {
    /// Return the time at which the connection exceeds its time limit.
    const fn deadline(&self, timeouts: Timeouts) -> Running {
        self.since.after(timeouts.of(self.connection.waits_for()))
    }

    /// Watch the socket for the event that its connection waits for.
    fn watch(&mut self, slot: usize, waits_for: Wait, readiness: &Readiness) -> nix::Result<()> {
        let interest = match waits_for {
            Wait::Request | Wait::Rest | Wait::End | Wait::Over => Interest::Readable,
            // All responses have been sent, so the socket is writable: that event gives the connection its next turn.
            Wait::Room | Wait::Turn => Interest::Writable,
        };
        let token = Token::Connection(slot);
        match self.interest.replace(interest) {
            None => readiness.add(&self.stream, token, interest),
            Some(before) if before != interest => readiness.change(&self.stream, token, interest),
            Some(_) => Ok(()),
        }
    }
}

/// Return whether an accept error concerns only one connection, so that the next may be accepted.
fn passes(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted)
}
