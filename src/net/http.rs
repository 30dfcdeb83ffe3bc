//! The HTTP server: a fixed number of connections with fixed buffers.
//!
//! A connection takes one of the slots. Where none is free, the one that has been idle for longest is given up; where
//! none is idle, new connections wait in the kernel until one is, or ends, or is out of time. Nothing is allocated for a request
//! on a connection that is kept.

use core::net::IpAddr;
use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;

use async_io::{Async, Timer};
use smol::LocalExecutor;
use smol::channel::{Receiver, Sender};
use smol::future::FutureExt as _;

use super::connection::{Connection, RECEIVE_OCTETS, SEND_OCTETS, Wait};
use crate::clock::Running;
use crate::daemon::Daemon;
use crate::tracker::MAX_RESPONSE_OCTETS;

/// Time to wait when the system has no descriptor left for a connection.
const AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(100);

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From the first octet of a request to its end, and from a response to its being taken.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
}

/// A connection as seen from outside of it.
#[derive(Debug)]
struct Occupied {
    stream: Arc<Async<TcpStream>>,
    waits_for: Wait,
    deadline: Running,
}

/// Where a connection keeps its octets.
#[derive(Debug)]
struct Buffers {
    received: &'static mut [u8],
    unsent: &'static mut [u8],
}

/// The slots and what is in them.
#[derive(Debug)]
pub struct HttpServer {
    slots: RefCell<Vec<Option<Occupied>>>,
    buffers: RefCell<Vec<Buffers>>,
    free: (Sender<usize>, Receiver<usize>),
    /// Rung when a connection becomes idle, and so could be given up.
    idle: (Sender<()>, Receiver<()>),
    response: RefCell<Box<[u8]>>,
    timeouts: Cell<Timeouts>,
    daemon: Rc<Daemon>,
}

/// Octets that one connection takes, all of them from the start; pages that no connection has used yet cost nothing.
pub const CONNECTION_OCTETS: usize = RECEIVE_OCTETS + SEND_OCTETS;

impl HttpServer {
    /// A server with `connections` slots. Their buffers live as long as the process.
    pub fn new(daemon: Rc<Daemon>, connections: usize, timeouts: Timeouts) -> Self {
        let free = smol::channel::bounded(connections.max(1));
        let memory = Box::leak(vec![0; connections.max(1) * CONNECTION_OCTETS].into_boxed_slice());
        let buffers = memory.chunks_exact_mut(CONNECTION_OCTETS).map(|slot| {
            let (received, unsent) = slot.split_at_mut(RECEIVE_OCTETS);
            Buffers { received, unsent }
        });
        let buffers: Vec<_> = buffers.collect();
        for slot in 0..buffers.len() {
            // There is room for each slot exactly once.
            let _ = free.0.try_send(slot);
        }
        Self {
            slots: RefCell::new(buffers.iter().map(|_| None).collect()),
            buffers: RefCell::new(buffers),
            free,
            idle: smol::channel::bounded(1),
            response: RefCell::new(vec![0; MAX_RESPONSE_OCTETS].into_boxed_slice()),
            timeouts: Cell::new(timeouts),
            daemon,
        }
    }

    /// Use other timeouts from now on.
    pub fn set_timeouts(&self, timeouts: Timeouts) {
        self.timeouts.set(timeouts);
    }

    /// Accept connections for as long as the socket works.
    ///
    /// # Errors
    /// When the reactor does not take the socket.
    pub async fn serve<'a>(self: Rc<Self>, socket: TcpListener, executor: Rc<LocalExecutor<'a>>) -> io::Result<()>
    where
        Self: 'a,
    {
        let listener = async_net::TcpListener::from(Async::new_nonblocking(socket)?);
        loop {
            let (stream, client) = match listener.accept().await {
                Ok(accepted) => accepted,
                // Out of descriptors, or a connection that was gone before it was accepted.
                Err(_) => {
                    Timer::after(AFTER_ACCEPT_ERROR).await;
                    continue;
                }
            };
            let slot = self.free_slot().await;
            self.daemon.tracker.borrow_mut().counters.http_connections += 1;
            let connection = Rc::clone(&self).converse(slot, stream.into(), client.ip());
            executor.spawn(connection).detach();
        }
    }

    /// Take a free slot, giving up the longest idle connection for it if need be.
    async fn free_slot(&self) -> usize {
        loop {
            if let Ok(slot) = self.free.1.try_recv() {
                return slot;
            }
            if self.give_up_longest_idle() {
                // The channel is never closed while there is a server.
                return self.free.1.recv().await.unwrap_or_default();
            }
            // One that is busy now may be idle for long before it ends.
            let freed = async { self.free.1.recv().await.ok() };
            let idle = async { self.idle.1.recv().await.err().map(|_| 0) };
            if let Some(slot) = freed.or(idle).await {
                return slot;
            }
        }
    }

    /// Whether there was one to give up.
    fn give_up_longest_idle(&self) -> bool {
        let mut slots = self.slots.borrow_mut();
        let idle = slots.iter_mut().flatten().filter(|occupied| occupied.waits_for == Wait::Request);
        let Some(longest_idle) = idle.min_by_key(|occupied| occupied.deadline) else { return false };
        longest_idle.waits_for = Wait::Over;
        // Its task wakes to the end of the stream.
        let _ = longest_idle.stream.get_ref().shutdown(Shutdown::Both);
        self.daemon.tracker.borrow_mut().counters.http_connections_given_up += 1;
        true
    }

    async fn converse(self: Rc<Self>, slot: usize, stream: Arc<Async<TcpStream>>, client: IpAddr) {
        let buffers = {
            let mut all = self.buffers.borrow_mut();
            let Some(buffers) = all.get_mut(slot) else { return };
            Buffers { received: core::mem::take(&mut buffers.received), unsent: core::mem::take(&mut buffers.unsent) }
        };
        let Buffers { received, unsent } = buffers;
        self.occupy(slot, &stream, Wait::Rest);
        self.exchange(slot, &stream, Connection::new(client, &mut *received, &mut *unsent)).await;
        if let Some(vacated) = self.slots.borrow_mut().get_mut(slot) {
            *vacated = None;
        }
        if let Some(returned) = self.buffers.borrow_mut().get_mut(slot) {
            *returned = Buffers { received, unsent };
        }
        drop(stream);
        let _ = self.free.0.try_send(slot);
    }

    async fn exchange(&self, slot: usize, stream: &Async<TcpStream>, mut connection: Connection<'_>) {
        let mut before = (Wait::Rest, 0);
        loop {
            let waits_for = {
                let mut tracker = self.daemon.tracker.borrow_mut();
                let mut response = self.response.borrow_mut();
                connection.step(&mut tracker, self.daemon.now(), stream.get_ref(), &mut response)
            };
            // The time for a request does not begin anew with each of its pieces, but with each request.
            let now = (waits_for, connection.answered());
            if now != before || waits_for == Wait::Request {
                self.wait_from_now(slot, waits_for);
            }
            before = now;
            let ready = match waits_for {
                Wait::Request | Wait::Rest => stream.readable().await,
                Wait::Room => stream.writable().await,
                Wait::Turn => {
                    smol::future::yield_now().await;
                    Ok(())
                }
                Wait::Over => return,
            };
            if ready.is_err() {
                return;
            }
        }
    }

    fn occupy(&self, slot: usize, stream: &Arc<Async<TcpStream>>, waits_for: Wait) {
        let deadline = self.deadline(waits_for);
        if let Some(slot) = self.slots.borrow_mut().get_mut(slot) {
            *slot = Some(Occupied { stream: Arc::clone(stream), waits_for, deadline });
        }
    }

    fn wait_from_now(&self, slot: usize, waits_for: Wait) {
        let deadline = self.deadline(waits_for);
        if let Some(Some(occupied)) = self.slots.borrow_mut().get_mut(slot) {
            // One that was given up stays given up.
            if occupied.waits_for != Wait::Over {
                occupied.waits_for = waits_for;
                occupied.deadline = deadline;
            }
        }
        if waits_for == Wait::Request {
            // It has been rung already, then.
            let _ = self.idle.0.try_send(());
        }
    }

    fn deadline(&self, waits_for: Wait) -> Running {
        let Timeouts { head, idle } = self.timeouts.get();
        self.daemon.now().after(if waits_for == Wait::Request { idle } else { head })
    }

    /// Close the connections that are out of time. To be called every second or so.
    pub fn close_overdue(&self) {
        let now = self.daemon.now();
        let mut timed_out = 0;
        for occupied in self.slots.borrow_mut().iter_mut().flatten() {
            if occupied.deadline <= now && occupied.waits_for != Wait::Over {
                // An idle connection that ends is no matter; one that was slow is counted.
                timed_out += u64::from(occupied.waits_for != Wait::Request);
                occupied.waits_for = Wait::Over;
                let _ = occupied.stream.get_ref().shutdown(Shutdown::Both);
            }
        }
        self.daemon.tracker.borrow_mut().counters.http_connections_timed_out += timed_out;
    }
}
