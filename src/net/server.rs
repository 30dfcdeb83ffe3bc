//! The server: all sockets that peers talk to, and the work beside them, on one thread.
//!
//! A turn waits until a socket is ready, or the bell rings, and then gives each of the ready ones a bounded share: a
//! batch of datagrams, a step of a connection, some new connections. What is not done in a turn is still ready in the
//! next, so nobody keeps others from being served. A UDP socket that fills a batch is not watched until it has nothing
//! left: it gets its share in each turn, and the kernel, which otherwise tells an epoll of every datagram that comes in
//! and of every reply that has left, has less to do. The work beside (timers, signals, the administration) is a future: it
//! is polled between two turns when its waker has rung the bell. What takes long there is done in steps, with a turn after
//! each ([`crate::shared::Turns`]).

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::cell::RefCell;
use std::io;
use std::net::UdpSocket;
use std::rc::Rc;
use std::sync::Arc;

pub use super::epoll::Patience;
use super::epoll::{Interest, Readiness, Ready, Token};
use super::http::HttpServer;
use super::udp::{BATCH, UdpServer};
use super::waker::ServerWaker;
use crate::clock::Running;
use crate::shared::Shared;
use crate::tracker::{LOOK_AHEAD, Tracker};

/// The sockets and what they are served with.
#[derive(Debug)]
pub struct Server {
    readiness: Readiness,
    ready: Ready,
    waker: Arc<ServerWaker>,
    udp: Vec<Udp>,
    http: Rc<RefCell<HttpServer>>,
    shared: Rc<Shared>,
}

/// A UDP socket, and whether it is watched.
#[derive(Debug)]
struct Udp {
    server: UdpServer,
    is_watched: bool,
}

impl Udp {
    /// Answer a batch, and watch the socket only if there is no more to be expected at once. Where the kernel has no memory
    /// to watch it with, it gets a turn as long as that lasts.
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
    /// Serve UDP on `sockets` and HTTP where `http` listens.
    ///
    /// # Errors
    /// When the kernel does not watch the sockets.
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

    /// Serve until `work` is done, and return what came of it.
    ///
    /// # Errors
    /// When waiting for the sockets fails, which it does not do for anything that comes from outside.
    pub fn run<T>(&mut self, work: impl Future<Output = T>) -> io::Result<T> {
        let mut work = pin!(work);
        let waker = Waker::from(Arc::clone(&self.waker));
        let mut context = Context::from_waker(&waker);
        // Whatever was there to be done before was not known to this waker.
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

    /// Wait until something is ready, and give everything that is a bounded share of the time. Nothing is allocated.
    ///
    /// # Errors
    /// As with [`Self::run`].
    pub fn turn(&mut self, patience: Patience) -> io::Result<()> {
        let mut http = self.http.borrow_mut();
        http.watch_where_there_is_room(&self.readiness)?;
        let patience = if self.udp.iter().all(|udp| udp.is_watched) { patience } else { Patience::None };
        self.readiness.wait(&mut self.ready, patience)?;
        let tracker = &mut *self.shared.tracker.borrow_mut();
        let now = self.shared.now();
        for (number, udp) in self.udp.iter_mut().enumerate().filter(|(_, udp)| !udp.is_watched) {
            udp.take_turn(number, tracker, now, &self.readiness);
        }
        let mut somebody_came = false;
        let mut asking = heapless::Vec::<usize, LOOK_AHEAD>::new();
        for token in self.ready.tokens() {
            match token {
                Token::ServerWaker => {}
                Token::Udp(number) => self.udp[number].take_turn(number, tracker, now, &self.readiness),
                Token::Connection(slot) => {
                    // There is room: it never stays full.
                    let _ = asking.push(slot);
                    if asking.is_full() {
                        http.advance_all(&asking, tracker, now, &self.readiness);
                        asking.clear();
                    }
                }
                Token::Listener(_) => somebody_came = true,
            }
        }
        http.advance_all(&asking, tracker, now, &self.readiness);
        // Last, for then no connection is given up that has a request waiting, and newcomers have had time to send theirs.
        if somebody_came {
            for token in self.ready.tokens() {
                if let Token::Listener(number) = token {
                    http.accept(number, tracker, now, &self.readiness);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
