//! A load over HTTP from one thread: up to 64 simultaneous connections, kept or new for each request.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt};

use super::super::cores::Cores;
use super::super::mix::{Announce, Event, Request, Requests};
use super::super::program::Program;
use super::super::turn::{Before, Turn};
use super::exchange::{self, Response};

pub(crate) const CONNECTIONS: usize = 64;

/// Time after which a response counts as lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time limit for the start of a contestant.
const START: Duration = Duration::from_secs(20);

/// The slot of one connection.
struct Place {
    stream: Option<TcpStream>,
    /// Due time of the pending request, if any.
    due: Option<u64>,
    unsent: usize,
    request: String,
    response: Vec<u8>,
}

/// The clients of one contestant.
pub(crate) struct Load {
    cores: Cores,
    port: u16,
    keep: bool,
    epoll: Epoll,
    places: Vec<Place>,
    free: Vec<usize>,
    turn: Turn,
    began: Instant,
}

impl super::super::field::Load for Load {
    /// Whether connections are kept.
    type Way = bool;

    /// Create clients of the contestant on `port`.
    ///
    /// # Errors
    /// When the contestant does not answer.
    fn connect(cores: Cores, port: u16, keep: bool) -> Result<Self, String> {
        let place = |_| Place { stream: None, due: None, unsent: 0, request: String::new(), response: Vec::new() };
        let mut load = Self {
            cores,
            port,
            keep,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll"),
            places: (0..CONNECTIONS).map(place).collect(),
            free: (0..CONNECTIONS).rev().collect(),
            turn: Turn::default(),
            began: Instant::now(),
        };
        let until = Instant::now() + START;
        let announce = Announce { torrent: 0, port: 1, left: 1, event: Event::Started, wanted: 50 };
        while Instant::now() < until {
            load.ask(&announce, 0);
            let wait = Instant::now() + Duration::from_millis(50);
            while Instant::now() < wait {
                load.receive();
                if load.turn.replies > 0 {
                    return Ok(load);
                }
            }
        }
        Err(format!("no answer to an announce within {START:?}"))
    }

    /// Keep a request pending on every connection, for a time or until the requests run out.
    fn saturate(&mut self, requests: &mut impl Requests, time: Option<Duration>, of: &Program) -> Turn {
        let before = self.begin(of);
        loop {
            let mut exhausted = false;
            while !self.free.is_empty() && !exhausted {
                let now = self.now();
                match self.next(requests) {
                    Some(announce) => self.ask(&announce, now),
                    None => exhausted = true,
                }
            }
            self.receive();
            let elapsed = self.began.elapsed();
            if time.is_some_and(|time| elapsed >= time) || exhausted && self.free.len() == CONNECTIONS {
                break;
            }
        }
        self.end(of, before)
    }

    /// Send requests at a rate, at random moments. A request that is due while no connection is free waits for one, and
    /// this wait is part of its latency.
    fn at_rate(
        &mut self,
        requests: &mut impl Requests,
        (per_second, time): (f64, Duration),
        of: &Program,
        meanwhile: &mut dyn FnMut(),
    ) -> Turn {
        let mut random = Rng::with_seed(8);
        let before = self.begin(of);
        let (end, mut due) = (time.as_nanos() as f64, 0.0);
        loop {
            let now = self.now() as f64;
            if now > end {
                break;
            }
            while due <= now && !self.free.is_empty() {
                let Some(announce) = self.next(requests) else { break };
                self.ask(&announce, due as u64);
                due += -(1.0 - random.f64()).ln() * 1e9 / per_second;
            }
            self.receive();
            meanwhile();
        }
        self.end(of, before)
    }
}

impl Load {
    fn next(&self, requests: &mut impl Requests) -> Option<Announce> {
        let client = *self.free.last()?;
        match requests.next(client)? {
            Request::Announce(announce) => Some(announce),
            other => unreachable!("the mix has {other:?}"),
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    fn begin(&mut self, of: &Program) -> Before {
        self.turn = Turn::default();
        self.began = Instant::now();
        Before::turn_of(of)
    }

    /// End the turn. Replies until now count for its rate; pending requests are awaited only to find out if they are
    /// lost.
    fn end(&mut self, of: &Program, before: Before) -> Turn {
        self.turn.end(before, of, self.began.elapsed());
        let in_time = self.turn.clone();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && self.free.len() < CONNECTIONS {
            self.receive();
        }
        for number in 0..CONNECTIONS {
            if self.places[number].due.is_some() {
                self.lose(number);
            }
        }
        let Turn { lost, malformed, latency, .. } = self.turn.clone();
        Turn { lost, malformed, latency, ..in_time }
    }

    /// Start a request on a free connection.
    fn ask(&mut self, announce: &Announce, due: u64) {
        let Some(number) = self.free.pop() else { return };
        self.turn.asked += 1;
        let place = &mut self.places[number];
        exchange::write(announce, self.keep, &mut place.request);
        (place.due, place.unsent) = (Some(due), place.request.len());
        place.response.clear();
        if place.stream.is_none() {
            match open(number, self.port) {
                Ok(stream) => {
                    let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
                    self.epoll.add(&stream, EpollEvent::new(flags, number as u64)).expect("epoll");
                    place.stream = Some(stream);
                }
                Err(_) => return self.lose(number),
            }
        }
        self.go_on(number);
    }

    /// Continue all connections that are ready.
    fn receive(&mut self) {
        let mut events = [EpollEvent::empty(); CONNECTIONS];
        let ready = self.epoll.wait(&mut events, 0_u8).unwrap_or_default();
        for event in &events[..ready] {
            self.go_on(event.data() as usize);
        }
        if ready == 0 {
            self.cores.nothing_to_do();
        }
    }

    fn go_on(&mut self, number: usize) {
        let place = &mut self.places[number];
        let (Some(stream), Some(due)) = (&mut place.stream, place.due) else {
            // An event on an idle connection: the contestant may have closed it.
            let closed = |stream: &TcpStream| {
                stream.peek(&mut [0]).map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |octets| octets == 0)
            };
            place.stream = place.stream.take().filter(|stream| !closed(stream));
            return;
        };
        while place.unsent > 0 {
            match stream.write(&place.request.as_bytes()[place.request.len() - place.unsent..]) {
                Ok(octets) => place.unsent -= octets,
                // The connection is not established yet, or its buffer is full.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return,
                Err(_) => return self.lose(number),
            }
        }
        let mut octets = [0; 4096];
        match stream.read(&mut octets) {
            Ok(0) => return self.lose(number),
            Ok(read) => place.response.extend_from_slice(&octets[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => return self.lose(number),
        }
        match Response::of(&place.response) {
            Response::Partial => return,
            Response::Malformed => self.turn.malformed += 1,
            Response::Peers { octets } => {
                self.turn.replies += 1;
                self.turn.octets += octets as u64;
                self.turn.latency.record((self.began.elapsed().as_nanos() as u64).saturating_sub(due));
            }
        }
        self.finish(number);
    }

    fn lose(&mut self, number: usize) {
        self.turn.lost += 1;
        self.places[number].stream = None;
        self.finish(number);
    }

    fn finish(&mut self, number: usize) {
        self.places[number].due = None;
        if !self.keep {
            self.places[number].stream = None;
        }
        self.free.push(number);
    }
}

/// Open a connection from the address of this slot. It is established when it becomes writable.
fn open(number: usize, port: u16) -> nix::Result<TcpStream> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd: OwnedFd = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    setsockopt(&fd, sockopt::IpBindAddressNoPort, &true)?;
    let from = Ipv4Addr::new(127, 0, 0, 2 + number as u8);
    bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(from, 0)))?;
    match connect(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from(fd)),
        Err(error) => Err(error),
    }
}
