//! A load over UDP from one thread: many sockets with different addresses, and batches in both directions.

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};

use super::super::cores::Cores;
use super::super::mix::{Announce, Event, Request, Requests};
use super::super::program::Program;
use super::super::turn::{Before, Turn};
use super::datagram::{self, ANNOUNCE, Expected, REPLY_OCTETS, REQUEST_OCTETS, word};
use super::outstanding::{Found, Outstanding};

/// Number of clients, each with its own address.
pub(crate) const SOCKETS: usize = 8;

/// Number of pending requests of each client when it saturates a tracker. All clients together stay below the 277
/// datagrams that fit into a receive buffer of Linux's default size.
const IN_FLIGHT: usize = 24;

const BATCH: usize = 32;

/// Interval of the checks for lost replies: a reply counts as lost after one to two intervals.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time limit for the start of a contestant.
const START: Duration = Duration::from_secs(20);

struct Client {
    socket: UdpSocket,
    connection_id: u64,
    in_flight: usize,
}

/// The clients of one contestant.
pub(crate) struct Load {
    cores: Cores,
    clients: Vec<Client>,
    outstanding: Outstanding,
    turn: Turn,
    /// Number of answered announces in this turn, and the total size of the replies in bytes.
    announces: (u64, u64),
    began: Instant,
    outgoing: Vec<[u8; REQUEST_OCTETS]>,
    incoming: Vec<[u8; REPLY_OCTETS]>,
    send_headers: MultiHeaders<SockaddrIn>,
    receive_headers: MultiHeaders<SockaddrIn>,
}

impl super::super::field::Load for Load {
    /// The clients are in 127.0.`net`.0.
    type Way = u8;

    /// Create clients in 127.0.`net`.0, connected (BEP 15) to the contestant on `port`.
    ///
    /// # Errors
    /// When the contestant does not answer.
    fn connect(cores: Cores, port: u16, net: u8) -> Result<Self, String> {
        let clients = (0..SOCKETS).map(|client| Client {
            socket: socket(Ipv4Addr::new(127, 0, net, 2 + client as u8), port),
            connection_id: 0,
            in_flight: 0,
        });
        let mut load = Self {
            cores,
            clients: clients.collect(),
            outstanding: Outstanding::new(),
            turn: Turn::default(),
            announces: (0, 0),
            began: Instant::now(),
            outgoing: vec![[0; REQUEST_OCTETS]; BATCH],
            incoming: vec![[0; REPLY_OCTETS]; BATCH],
            send_headers: MultiHeaders::preallocate(BATCH, None),
            receive_headers: MultiHeaders::preallocate(BATCH, None),
        };
        let announce = Announce { torrent: 0, port: 1, left: 1, event: Event::Started, wanted: 200 };
        for client in 0..SOCKETS {
            load.insist(client, &Request::Connect)?;
            load.insist(client, &Request::Announce(announce))?;
        }
        load.give_up_old();
        load.give_up_old();
        Ok(load)
    }

    /// Keep enough requests pending to saturate a tracker, for a time or until the requests run out.
    fn saturate(&mut self, requests: &mut impl Requests, time: Option<Duration>, of: &Program) -> Turn {
        let before = self.begin(of);
        let mut next_check = PATIENCE;
        loop {
            let (mut received, mut sent) = (0, 0);
            for client in 0..SOCKETS {
                received += self.receive(client);
                sent += self.fill_up(client, requests);
            }
            // A client without pending requests that sends nothing has no more requests.
            let exhausted = sent == 0 && self.clients.iter().all(|client| client.in_flight == 0);
            let elapsed = self.began.elapsed();
            if elapsed > next_check {
                self.give_up_old();
                next_check = elapsed + PATIENCE;
            }
            if exhausted || time.is_some_and(|time| elapsed >= time) {
                break;
            }
            if received + sent == 0 {
                self.cores.nothing_to_do();
            }
        }
        self.end(of, before)
    }

    /// Send requests at a rate, at random moments, independent of the replies. Call `meanwhile` repeatedly.
    fn at_rate(
        &mut self,
        requests: &mut impl Requests,
        (per_second, time): (f64, Duration),
        of: &Program,
        meanwhile: &mut dyn FnMut(),
    ) -> Turn {
        let ready = self.readiness();
        let mut random = Rng::with_seed(8);
        let before = self.begin(of);
        let (end, mut due, mut client) = (time.as_nanos() as f64, 0.0, 0);
        loop {
            let now = self.began.elapsed().as_nanos() as f64;
            if now > end {
                break;
            }
            let mut octets = heapless::Vec::<usize, BATCH>::new();
            while due <= now && !octets.is_full() {
                let Some(request) = requests.next(client) else { break };
                let _ = octets.push(self.write(client, octets.len(), &request, due as u64));
                due += -(1.0 - random.f64()).ln() * 1e9 / per_second;
            }
            self.send(client, &octets);
            client = (client + 1) % SOCKETS;
            let mut events = [EpollEvent::empty(); SOCKETS];
            let readable = ready.wait(&mut events, 0_u8).unwrap_or_default();
            for event in &events[..readable] {
                self.receive(event.data() as usize);
            }
            meanwhile();
            self.cores.nothing_to_do();
        }
        self.end(of, before)
    }
}

impl Load {
    /// Repeat a request until it is answered, because the contestant may still be starting.
    fn insist(&mut self, client: usize, request: &Request) -> Result<(), String> {
        let before = self.turn.replies;
        let until = Instant::now() + START;
        while Instant::now() < until {
            self.write(client, 0, request, 0);
            self.send(client, &[if matches!(request, Request::Connect) { 16 } else { 98 }]);
            let wait = Instant::now() + Duration::from_millis(50);
            while Instant::now() < wait {
                self.receive(client);
                if self.turn.replies > before {
                    return Ok(());
                }
            }
        }
        Err(format!("no answer to {request:?} within {START:?}"))
    }

    fn readiness(&self) -> Epoll {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
        for (number, client) in self.clients.iter().enumerate() {
            epoll.add(&client.socket, EpollEvent::new(EpollFlags::EPOLLIN, number as u64)).expect("epoll");
        }
        epoll
    }

    /// Return the mean length of an announce reply in the last turn, in bytes.
    pub(crate) fn announce_octets(&self) -> f64 {
        self.announces.1 as f64 / self.announces.0 as f64
    }

    fn begin(&mut self, of: &Program) -> Before {
        self.turn = Turn::default();
        self.announces = (0, 0);
        self.began = Instant::now();
        Before::turn_of(of)
    }

    /// End the turn. Replies until now count for its rate; pending requests are awaited only to find out if they are
    /// lost.
    fn end(&mut self, of: &Program, before: Before) -> Turn {
        self.turn.end(before, of, self.began.elapsed());
        let in_time = self.turn.clone();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && self.clients.iter().any(|client| client.in_flight > 0) {
            (0..SOCKETS).for_each(|client| _ = self.receive(client));
        }
        self.give_up_old();
        self.give_up_old();
        let Turn { lost, malformed, latency, .. } = self.turn.clone();
        Turn { lost, malformed, latency, ..in_time }
    }

    fn give_up_old(&mut self) {
        let Self { outstanding, clients, turn, .. } = self;
        outstanding.give_up_old(|asked| {
            turn.lost += 1;
            clients[usize::from(asked.socket)].in_flight -= 1;
        });
    }

    fn fill_up(&mut self, client: usize, requests: &mut impl Requests) -> usize {
        let room = IN_FLIGHT.saturating_sub(self.clients[client].in_flight).min(BATCH);
        let mut octets = heapless::Vec::<usize, BATCH>::new();
        while octets.len() < room {
            let Some(request) = requests.next(client) else { break };
            let _ = octets.push(self.write(client, octets.len(), &request, 0));
        }
        self.send(client, &octets);
        octets.len()
    }

    /// Write a request into its place in the batch.
    fn write(&mut self, client: usize, place: usize, request: &Request, due: u64) -> usize {
        let (transaction, lost) = self.outstanding.ask(Expected::of(request), client as u8, due);
        if let Some(lost) = lost {
            self.turn.lost += 1;
            self.clients[usize::from(lost.socket)].in_flight -= 1;
        }
        self.turn.asked += 1;
        self.clients[client].in_flight += 1;
        datagram::write(request, self.clients[client].connection_id, transaction, &mut self.outgoing[place])
    }

    fn send(&mut self, client: usize, octets: &[usize]) {
        let mut first = 0;
        while first < octets.len() {
            let batch = self.outgoing.iter().zip(octets).skip(first);
            let slices: heapless::Vec<[IoSlice<'_>; 1], BATCH> =
                batch.map(|(out, octets)| [IoSlice::new(&out[..*octets])]).collect();
            let fd = self.clients[client].socket.as_raw_fd();
            let flags = MsgFlags::MSG_DONTWAIT;
            let sent = sendmmsg(fd, &mut self.send_headers, &slices, [None; BATCH], [], flags);
            match sent {
                Ok(sent) => first += sent.count().max(1),
                // The buffer is full, or the contestant does not listen yet: the request is lost.
                Err(_) => first += 1,
            }
        }
    }

    /// Process the replies to a client, and return their number.
    fn receive(&mut self, client: usize) -> usize {
        let mut octets = heapless::Vec::<usize, BATCH>::new();
        let mut buffers = self.incoming.iter_mut();
        let mut slices: [_; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(buffers.next().map_or(&mut [], |buffer| &mut buffer[..]))]);
        let fd = self.clients[client].socket.as_raw_fd();
        let received = recvmmsg(fd, &mut self.receive_headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        octets.extend(received.into_iter().flatten().map(|message| message.bytes));
        if octets.is_empty() {
            return 0;
        }
        let now = self.began.elapsed().as_nanos() as u64;
        for (place, octets) in octets.iter().enumerate() {
            self.take(client, place, *octets, now);
        }
        octets.len()
    }

    fn take(&mut self, client: usize, place: usize, octets: usize, now: u64) {
        let reply = &self.incoming[place][..octets];
        let asked = match self.outstanding.find(word(reply, 4)) {
            Found::Open(asked) => asked,
            // The request already counts as lost.
            Found::Closed => return,
            Found::NeverAsked => return self.turn.malformed += 1,
        };
        self.outstanding.close(&asked);
        self.clients[usize::from(asked.socket)].in_flight -= 1;
        if usize::from(asked.socket) != client || !asked.expected.is_met_by(reply) {
            return self.turn.malformed += 1;
        }
        self.turn.replies += 1;
        self.turn.octets += octets as u64;
        if asked.expected.action() == ANNOUNCE {
            self.announces.0 += 1;
            self.announces.1 += octets as u64;
        }
        self.turn.latency.record(now.saturating_sub(asked.due));
        if asked.expected == Expected::Connection {
            self.clients[client].connection_id = u64::from(word(reply, 8)) << 32 | u64::from(word(reply, 12));
        }
    }
}

fn socket(from: Ipv4Addr, port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).expect("a socket of 127.0.0.0/8");
    let _ = setsockopt(&socket, sockopt::RcvBuf, &(4 << 20));
    socket.connect((Ipv4Addr::LOCALHOST, port)).expect("loopback");
    socket
}
