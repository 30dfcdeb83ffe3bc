//! In steady state the tracker makes no allocation for its peer sockets: neither for a datagram nor for a request nor
//! for a connection.
//!
//! Allocations are counted per thread: the tracker runs on the test's thread, its clients on others.

mod common;

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::process::Folder;
use common::sockets::HttpClient;
use common::{Announce, Event, http, info_hash, udp};
use nakodo::clock::Running;
use nakodo::net::bind;
use nakodo::net::connection::{Buffers, Connection, RECEIVE_OCTETS, SEND_OCTETS, Turn, Wait};
use nakodo::net::http::{HttpServer, Timeouts};
use nakodo::net::server::{Patience, Server};
use nakodo::net::udp::UdpServer;
use nakodo::shared::Shared;
use nakodo::store::Store;
use nakodo::ticket::Book;
use nakodo::tracker::{Sender, Settings, Tracker};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Count the allocations that `work` makes on this thread.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

fn tracker() -> Tracker {
    // The pool is too small for all peers, so that eviction runs as well.
    let settings = Settings { memory_octets: 120 * 64, ..common::settings() };
    Tracker::new(settings, common::seeds(5)).expect("memory")
}

/// Write the `number`th datagram of a mixture: connects, announces of all kinds, scrapes, garbage.
fn datagram(connection_id: u64, number: u32, into: &mut Vec<u8>) {
    let events = [Event::Started, Event::Update, Event::Completed, Event::Paused, Event::Stopped];
    let (swarm, port) = ((number % 13) as u8, 6881 + (number % 97) as u16);
    into.clear();
    match number % 8 {
        0 => into.extend(udp::connect(number)),
        1 => into.extend(udp::scrape(connection_id, number, &[swarm, 99, 1].map(info_hash))),
        2 => into.extend(udp::announce(u64::MAX, number, &Announce::leecher(swarm, port))),
        3 => into.extend((0..number % 1400).map(|octet| octet as u8)),
        _ => {
            let left = u64::from(!number.is_multiple_of(3));
            let announce = Announce { left, ..Announce::leecher(swarm, port) };
            let event = events[number as usize % events.len()];
            into.extend(udp::announce(connection_id, number, &announce.with(event).wanting(200)));
        }
    }
}

/// Number of simultaneously pending datagrams.
const WINDOW: u32 = 24;

/// A UDP client that sends the mixture to the tracker. After each window it waits for the reply to a connect, so that
/// few datagrams are lost.
struct Mixer {
    socket: UdpSocket,
    connection_id: u64,
    datagram: Vec<u8>,
    sent: u32,
}

impl Mixer {
    fn new(tracker: SocketAddr) -> Self {
        let socket = UdpSocket::bind(LOOPBACK).expect("a free port");
        socket.connect(tracker).expect("a route to loopback");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        Self { socket, connection_id: 0, datagram: Vec::new(), sent: 0 }
    }

    /// Send a connect and wait for its reply: the tracker has then processed all earlier datagrams.
    fn connect(&mut self) {
        let mut reply = [0; 2048];
        loop {
            self.socket.send(&udp::connect(u32::MAX)).expect("loopback takes datagrams");
            self.sent += 1;
            while let Ok(octets) = self.socket.recv(&mut reply) {
                if octets == 16 && reply[4..8] == [0xff; 4] {
                    self.connection_id = u64::from_be_bytes(reply[8..16].try_into().expect("8 octets"));
                    return;
                }
            }
        }
    }

    fn send_until(&mut self, enough: impl Fn() -> bool) {
        self.connect();
        while !enough() {
            for _ in 0..WINDOW {
                datagram(self.connection_id, self.sent, &mut self.datagram);
                self.socket.send(&self.datagram).expect("loopback takes datagrams");
                self.sent += 1;
            }
            self.connect();
        }
    }
}

#[test]
fn a_hundred_thousand_datagrams_allocate_nothing() {
    let mut server = UdpServer::new(bind::udp(LOOPBACK).expect("a free port")).expect("an address");
    let (address, over) = (server.local_addr().expect("bound"), Arc::new(AtomicBool::new(false)));
    let enough = Arc::clone(&over);
    let client = thread::spawn(move || Mixer::new(address).send_until(|| enough.load(Ordering::Relaxed)));
    let (mut tracker, started) = (tracker(), Instant::now());
    let mut serve = |goes_on: &dyn Fn(usize) -> bool| {
        let (mut served, mut most) = (0, 0);
        while goes_on(served) {
            let now = Running::from_seconds(1000).after(started.elapsed());
            let octets = server.exchange(&mut tracker, now);
            if octets == 0 {
                thread::yield_now();
            }
            served += octets;
            most = most.max(octets);
            tracker.sweep(now);
        }
        most
    };
    serve(&|served| served < 10_000);
    let mut most = 0;
    let allocated = allocations(|| most = serve(&|served| served < 100_000));
    over.store(true, Ordering::Relaxed);
    serve(&|_| !client.is_finished());
    client.join().expect("the client ends well");
    println!("{allocated} allocations in 100,000 datagrams, up to {most} in a batch");
    assert_eq!(allocated, 0);
    assert!(most > 1, "there were batches");
    let counted = tracker.counters;
    for (name, count) in counted.named() {
        let happens = ["announces_udp", "scrapes_udp", "connects_udp", "udp_malformed", "udp_bad_connection_id"];
        assert!(count > 1000 || !happens.contains(&name), "{name} {count}");
    }
}

/// Build the mixture of requests on a kept connection.
fn http_requests() -> Vec<Vec<u8>> {
    let mut requests = vec![
        http::get("/"),
        http::get("/nothing"),
        http::get("/announce?port=nonsense"),
        http::scrape(&[3, 99, 1].map(info_hash)),
        b"HEAD / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    for number in 0..97 {
        let announce =
            Announce { left: u64::from(number % 3), ..Announce::leecher(number % 13, 6881 + u16::from(number)) };
        let event = [Event::Started, Event::Update, Event::Completed, Event::Paused, Event::Stopped];
        requests.push(http::announce(&announce.with(event[usize::from(number) % 5]).wanting(200)));
    }
    // The client sends some requests in pieces; these come together.
    let pipelined = requests[3..9].concat();
    requests.push(pipelined);
    requests
}

#[test]
fn a_kept_connection_allocates_nothing() {
    let listener = TcpListener::bind(LOOPBACK).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let client = thread::spawn(move || read_and_write(&TcpStream::connect(address).expect("the tracker listens")));
    let (stream, from) = listener.accept().expect("a client comes");
    let (mut received, mut unsent, mut responses) = ([0; RECEIVE_OCTETS], [0; SEND_OCTETS], [0; SEND_OCTETS]);
    let mut connection = Connection::new(Sender::from(from), false);
    let (mut tracker, started) = (tracker(), Instant::now());
    let mut serve = |requests: u64| {
        let enough = connection.answered() + requests;
        while connection.answered() < enough {
            let now = Running::from_seconds(1000).after(started.elapsed());
            let buffers = Buffers { received: &mut received, unsent: &mut unsent, responses: &mut responses };
            match connection.step(None, &mut Turn { tracker: &mut tracker, now }, &stream, buffers) {
                Wait::End | Wait::Over => unreachable!("the connection is kept"),
                Wait::Turn => {}
                Wait::Request | Wait::Rest | Wait::Room => thread::yield_now(),
            }
        }
    };
    serve(2_000);
    let allocated = allocations(|| serve(20_000));
    drop(stream);
    client.join().expect("the client ends well");
    println!("{allocated} allocations in 20,000 requests of one connection");
    assert_eq!(allocated, 0);
    assert!(tracker.counters.announces_http > 10_000 && tracker.counters.scrapes_http > 100);
}

/// Write the mixture and read all responses, until the tracker closes the connection.
fn read_and_write(mut stream: &TcpStream) {
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut piece = [0; 64 * 1024];
            while let Ok(1..) = stream.read(&mut piece) {}
        });
        let requests = http_requests();
        for (number, request) in requests.iter().cycle().enumerate() {
            let (begin, end) = request.split_at(if number % 10 == 0 { request.len() / 2 } else { 0 });
            if stream.write_all(begin).and_then(|()| stream.write_all(end)).is_err() {
                break;
            }
        }
    });
}

/// The server for peers, on this thread.
struct Served {
    server: Server,
    shared: Rc<Shared>,
    udp: SocketAddr,
    http: SocketAddr,
    _folder: Folder,
}

impl Served {
    fn new() -> Self {
        let folder = Folder::new("allocations");
        let store = Store::open(&folder.path("data")).expect("a store").store;
        let shared = Rc::new(Shared::new(tracker(), store, Book::default(), Running::default()));
        let (udp, tcp) = (bind::udp(LOOPBACK).expect("a free port"), bind::tcp(LOOPBACK).expect("a free port"));
        let [udp_address, http_address] = [udp.local_addr(), tcp.local_addr()].map(|address| address.expect("bound"));
        let patience = Duration::from_secs(60);
        let http = HttpServer::new(vec![tcp], 8, Timeouts { head: patience, idle: patience });
        let server = Server::new(vec![udp], Rc::new(RefCell::new(http)), Rc::clone(&shared));
        let server = server.expect("the kernel watches sockets");
        Self { server, shared, udp: udp_address, http: http_address, _folder: folder }
    }

    fn requests(&self) -> u64 {
        let counted = self.shared.tracker.borrow().counters;
        let http = counted.announces_http + counted.scrapes_http + counted.http_bad_parameters + counted.http_not_found;
        let udp = counted.announces_udp + counted.scrapes_udp + counted.connects_udp;
        http + udp + counted.udp_malformed + counted.udp_bad_connection_id
    }

    /// Serve a client on another thread, and count the allocations after a warm-up.
    fn measure(&mut self, client: impl FnOnce(&dyn Fn() -> bool) + Send) -> u64 {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let over = &over;
            let client = scope.spawn(move || client(&|| over.load(Ordering::Relaxed)));
            self.serve(2_000);
            let allocated = allocations(|| self.serve(20_000));
            over.store(true, Ordering::Relaxed);
            while !client.is_finished() {
                self.server.turn(Patience::None).expect("the sockets work");
                thread::yield_now();
            }
            client.join().expect("the client ends well");
            allocated
        })
    }

    fn serve(&mut self, requests: u64) {
        let enough = self.requests() + requests;
        while self.requests() < enough {
            // An endless wait is safe: the clients send requests until the test stops them.
            self.server.turn(Patience::Endless).expect("the sockets work");
        }
    }
}

#[test]
fn the_server_allocates_nothing_for_any_client() {
    let mut served = Served::new();
    let (udp, http) = (served.udp, served.http);
    assert_eq!(served.measure(|enough| one_by_one(udp, enough)), 0, "datagrams, one after the other");
    assert_eq!(served.measure(|enough| Mixer::new(udp).send_until(enough)), 0, "datagrams, 24 at a time");
    let kept = |enough: &dyn Fn() -> bool| talk_one_by_one(TcpStream::connect(http).expect("a listener"), enough);
    assert_eq!(served.measure(kept), 0, "requests on a kept connection, one after the other");
    assert_eq!(served.measure(|enough| connect_for_each(http, enough)), 0, "a connection for each request");
    let before = served.shared.tracker.borrow().counters;
    assert_eq!(served.measure(|enough| crowd(http, enough)), 0, "more connections than there is room for");
    let after = served.shared.tracker.borrow().counters;
    assert!(after.http_connections_given_up > before.http_connections_given_up + 1000, "{after:?}");
}

fn one_by_one(tracker: SocketAddr, enough: &dyn Fn() -> bool) {
    let mut client = Mixer::new(tracker);
    while !enough() {
        client.connect();
    }
}

fn talk_one_by_one(stream: TcpStream, enough: &dyn Fn() -> bool) {
    let mut client = HttpClient::over(stream);
    let request = http::announce(&Announce::leecher(1, 6881));
    while !enough() {
        client.ask(&request);
    }
}

fn connect_for_each(tracker: SocketAddr, enough: &dyn Fn() -> bool) {
    let target = http::announce_target(&Announce::leecher(1, 6881));
    let request = format!("GET {target} HTTP/1.0\r\n\r\n");
    while !enough() {
        let mut client = HttpClient::connect(tracker);
        client.ask(request.as_bytes());
        assert_eq!(client.rest(), b"");
    }
}

/// Open connections that stay open until the tracker closes them to make room.
fn crowd(tracker: SocketAddr, enough: &dyn Fn() -> bool) {
    let request = http::announce(&Announce::leecher(1, 6881));
    let mut open: [Option<HttpClient>; 16] = [const { None }; 16];
    for place in (0..16).cycle() {
        if enough() {
            break;
        }
        let mut client = HttpClient::connect(tracker);
        client.ask(&request);
        open[place] = Some(client);
    }
}
