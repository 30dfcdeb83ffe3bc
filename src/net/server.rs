//! The server: all sockets for peers, and the work beside them, on one thread.
//!
//! A turn waits until a socket is ready or the waker is woken. Then it gives each ready socket a bounded share: one
//! batch of datagrams, one step of a connection, a number of new connections. A socket with more to do is still ready
//! in the next turn, so no client can block the others.
//!
//! A UDP socket that fills a batch leaves epoll until it has an empty batch. It gets its share in every turn meanwhile.
//! This saves work: for a watched socket the kernel reports each received datagram and each sent reply to epoll.
//!
//! The work beside the sockets (timers, signals, the admin API) is a future. It is polled between two turns when its
//! waker was woken. Long work runs in steps, with a turn after each ([`crate::shared::Turns`]).

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::cell::RefCell;
use std::io;
use std::net::UdpSocket;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

pub use super::epoll::Patience;
use super::epoll::{Interest, Readiness, Ready, Token};
use super::http::HttpServer;
use super::udp::{BATCH, UdpServer};
use super::waker::ServerWaker;
use crate::clock::Running;
use crate::shared::Shared;
use crate::tracker::{LOOK_AHEAD, Tracker};

/// The sockets and the state that serves them.
#[derive(Debug)]
pub struct Server {
    readiness: Readiness,
    ready: Ready,
    waker: Arc<ServerWaker>,
    udp: Vec<Udp>,
    http: Rc<RefCell<HttpServer>>,
    shared: Rc<Shared>,
}

/// A UDP socket, and whether epoll watches it.
#[derive(Debug)]
struct Udp {
    server: UdpServer,
    is_watched: bool,
}

impl Udp {
    /// Answer a batch. Stop watching the socket after a full batch, and watch it again after an empty one. If the
    /// kernel has no memory to watch it, it gets a share in every turn until the kernel has.
    fn take_turn(&mut self, number: usize, tracker: &mut Tracker, now: Running, readiness: &Readiness) {
        match self.server.exchange(tracker, now) {
            0 if !self.is_watched => {
                self.is_watched = readiness.add(self.server.socket(), Token::Udp(number), Interest::Readable).is_ok();
            }
            BATCH if self.is_watched => self.is_watched = readiness.remove(self.server.socket()).is_err(),
            _ => {}
        }
    }
}

impl Server {
    /// Serve UDP on `sockets`, and HTTP on the listeners of `http`.
    ///
    /// # Errors
    /// When epoll does not take a socket.
    pub fn new(sockets: Vec<UdpSocket>, http: Rc<RefCell<HttpServer>>, shared: Rc<Shared>) -> io::Result<Self> {
        let (readiness, waker) = (Readiness::new()?, Arc::new(ServerWaker::new()?));
        readiness.add(&*waker, Token::ServerWaker, Interest::Edge)?;
        let mut udp = Vec::with_capacity(sockets.len());
        for (number, socket) in sockets.into_iter().enumerate() {
            readiness.add(&socket, Token::Udp(number), Interest::Readable)?;
            udp.push(Udp { server: UdpServer::new(socket)?, is_watched: true });
        }
        http.borrow().watch(&readiness)?;
        Ok(Self { readiness, ready: Ready::new(), waker, udp, http, shared })
    }

    /// Serve until `work` is done, and return its result.
    ///
    /// # Errors
    /// When the wait for the sockets fails. No input from the network can cause that.
    pub fn run<T>(&mut self, work: impl Future<Output = T>) -> io::Result<T> {
        let mut work = pin!(work);
        let waker = Waker::from(Arc::clone(&self.waker));
        let mut context = Context::from_waker(&waker);
        // Work that became ready earlier has not woken this waker: poll once in any case.
        waker.wake_by_ref();
        self.shared.turns.begin();
        loop {
            if self.waker.answer()
                && let Poll::Ready(result) = work.as_mut().poll(&mut context)
            {
                return Ok(result);
            }
            let is_awaited = self.waker.is_rung() || self.shared.turns.are_awaited();
            self.turn(if is_awaited { Patience::None } else { Patience::Endless })?;
            self.shared.turns.end_one();
        }
    }

    /// Wait until a socket is ready, and give each ready socket a bounded share of the time. It allocates nothing.
    ///
    /// # Errors
    /// As with [`Self::run`].
    pub fn turn(&mut self, patience: Patience) -> io::Result<()> {
        let mut http = self.http.borrow_mut();
        http.watch_where_there_is_room(&self.readiness)?;
        let patience = if self.udp.iter().all(|udp| udp.is_watched) { patience } else { Patience::None };
        self.readiness.wait(&mut self.ready, patience)?;
        let tracker = &mut *self.shared.tracker.borrow_mut();
        let (begin, requests) = (Instant::now(), tracker.counters.requests());
        let now = self.shared.now_at(begin);
        for (number, udp) in self.udp.iter_mut().enumerate().filter(|(_, udp)| !udp.is_watched) {
            udp.take_turn(number, tracker, now, &self.readiness);
        }
        let mut connections_wait = false;
        let mut asking = heapless::Vec::<usize, LOOK_AHEAD>::new();
        for token in self.ready.tokens() {
            match token {
                Token::ServerWaker => {}
                Token::Udp(number) => self.udp[number].take_turn(number, tracker, now, &self.readiness),
                Token::Connection(slot) => {
                    // Never full: it is emptied below as soon as it fills.
                    let _ = asking.push(slot);
                    if asking.is_full() {
                        http.advance_all(&asking, tracker, now, &self.readiness);
                        asking.clear();
                    }
                }
                Token::Listener(_) => connections_wait = true,
            }
        }
        http.advance_all(&asking, tracker, now, &self.readiness);
        // Accept last: by now the connections with a waiting request have been served, so none of them is closed for a
        // new one. New clients also had time to send their requests.
        if connections_wait {
            for token in self.ready.tokens() {
                if let Token::Listener(number) = token {
                    http.accept(number, tracker, now, &self.readiness);
                }
            }
        }
        let requests = tracker.counters.requests() - requests;
        if requests > 0 {
            let mut latency = self.shared.latency.get();
            latency.add(requests, begin.elapsed());
            self.shared.latency.set(latency);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
