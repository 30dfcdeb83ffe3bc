//! In steady state the tracker's own code allocates nothing for what comes through its sockets, and the runtime below it
//! next to nothing.
//!
//! Allocations are counted by thread: the tracker is on the test's thread, its clients are on others.

mod common;

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
use nakodo::daemon::Daemon;
use nakodo::net::bind;
use nakodo::net::connection::{Connection, RECEIVE_OCTETS, SEND_OCTETS, Wait};
use nakodo::net::http::{HttpServer, Timeouts};
use nakodo::net::udp::UdpServer;
use nakodo::store::Store;
use nakodo::tracker::{MAX_RESPONSE_OCTETS, Settings, Tracker};
use smol::LocalExecutor;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How many allocations `work` makes on this thread.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

/// Allocations of the runtime.
struct Allocated {
    allocations: u64,
    /// Octets that were not freed again.
    kept: i64,
    requests: u64,
}

fn tracker() -> Tracker {
    // A pool too small for all who come, so that eviction runs as well.
    let settings = Settings { memory_octets: 120 * 64, ..common::settings() };
    Tracker::new(settings, common::seeds(5)).expect("memory")
}

/// The `number`th datagram of a mixture: connects, announces of all kinds, scrapes, garbage.
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

/// Datagrams that are on their way at a time.
const WINDOW: u32 = 24;

/// A UDP client that sends the mixture to `tracker`, and waits for a connect's reply after each window, so that hardly
/// anything is lost.
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

    /// Wait until everything that was sent has been answered.
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
    let mut server = UdpServer::new(bind::udp(LOOPBACK).expect("a free port")).expect("the reactor takes it");
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

/// The mixture of a connection that is kept.
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
    // Some of it comes in pieces, and some at once.
    let pipelined = requests[3..9].concat();
    requests.push(pipelined);
    requests
}

#[test]
fn a_kept_connection_allocates_nothing() {
    let listener = TcpListener::bind(LOOPBACK).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let client = thread::spawn(move || read_and_write(&TcpStream::connect(address).expect("it listens")));
    let (stream, from) = listener.accept().expect("a client comes");
    stream.set_nonblocking(true).expect("it can be");
    let (mut received, mut unsent) = (vec![0; RECEIVE_OCTETS], vec![0; SEND_OCTETS]);
    let mut connection = Connection::new(from.ip(), &mut received, &mut unsent);
    let (mut tracker, mut response, started) = (tracker(), vec![0; MAX_RESPONSE_OCTETS], Instant::now());
    let mut serve = |requests: u64| {
        let enough = connection.answered() + requests;
        while connection.answered() < enough {
            let now = Running::from_seconds(1000).after(started.elapsed());
            match connection.step(&mut tracker, now, &stream, &mut response) {
                Wait::Over => unreachable!("the connection is kept"),
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

/// Write the mixture and read whatever comes, until the other end goes.
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

/// The servers as they run, on this thread.
struct Servers {
    executor: Rc<LocalExecutor<'static>>,
    daemon: Rc<Daemon>,
    udp: SocketAddr,
    http: SocketAddr,
    _folder: Folder,
}

impl Servers {
    fn new() -> Self {
        let folder = Folder::new("allocations");
        let store = Store::open(&folder.path("data")).expect("a store").store;
        let daemon = Rc::new(Daemon::new(tracker(), store, Running::default()));
        let executor = Rc::new(LocalExecutor::new());
        let udp = UdpServer::new(bind::udp(LOOPBACK).expect("a free port")).expect("the reactor takes it");
        let udp_address = udp.local_addr().expect("bound");
        let tcp = bind::tcp(LOOPBACK).expect("a free port");
        let http_address = tcp.local_addr().expect("bound");
        let patience = Duration::from_secs(60);
        let http = Rc::new(HttpServer::new(Rc::clone(&daemon), 8, Timeouts { head: patience, idle: patience }));
        executor.spawn(udp.serve(Rc::clone(&daemon))).detach();
        executor.spawn(http.serve(tcp, Rc::clone(&executor))).detach();
        Self { executor, daemon, udp: udp_address, http: http_address, _folder: folder }
    }

    fn requests(&self) -> u64 {
        let counted = self.daemon.tracker.borrow().counters;
        let http = counted.announces_http + counted.scrapes_http + counted.http_bad_parameters + counted.http_not_found;
        let udp = counted.announces_udp + counted.scrapes_udp + counted.connects_udp;
        http + udp + counted.udp_malformed + counted.udp_bad_connection_id
    }

    /// Serve a client on another thread, and return the allocations and the requests that there were, once it is warm.
    fn measure(&self, client: impl FnOnce(&dyn Fn() -> bool) + Send) -> Allocated {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let over = &over;
            let client = scope.spawn(move || {
                client(&|| over.load(Ordering::Relaxed));
            });
            self.serve(2_000);
            let before = self.requests();
            let measured = allocation_counter::measure(|| self.serve(20_000));
            let requests = self.requests() - before;
            over.store(true, Ordering::Relaxed);
            smol::block_on(self.executor.run(async {
                while !client.is_finished() {
                    smol::future::yield_now().await;
                }
            }));
            client.join().expect("the client ends well");
            Allocated { allocations: measured.count_total, kept: measured.bytes_current, requests }
        })
    }

    fn serve(&self, requests: u64) {
        let enough = self.requests() + requests;
        smol::block_on(self.executor.run(async {
            while self.requests() < enough {
                smol::Timer::after(Duration::from_millis(20)).await;
            }
        }));
    }
}

/// Each time that the runtime wakes up it allocates a node for the timers that are due and a list of whom to wake, 520
/// octets together, and frees them; and now and then a block of its queue. So a request costs the less the more of them
/// there are at once. What it does on a thread of its own, when this one is late, is not counted.
#[test]
fn the_runtime_allocates_little_and_keeps_nothing() {
    let servers = Servers::new();
    let (udp, http) = (servers.udp, servers.http);
    let report = |what: &str, allocated: Allocated, most: f64| {
        let Allocated { allocations, kept, requests } = allocated;
        let each = allocations as f64 / requests as f64;
        println!("{what}: {allocations} allocations in {requests} requests, {each:.3} each; {kept} octets are kept");
        assert!(each <= most, "{what}: {each:.3} allocations a request");
        assert!(kept < 64 * 1024, "{what}: {kept} octets are kept");
    };
    report("datagrams, one after the other", servers.measure(|enough| one_by_one(udp, enough)), 3.0);
    report("datagrams, 24 at a time", servers.measure(|enough| Mixer::new(udp).send_until(enough)), 1.0);
    let kept = |enough: &dyn Fn() -> bool| talk_one_by_one(TcpStream::connect(http).expect("it listens"), enough);
    report("requests on a kept connection, one after the other", servers.measure(kept), 3.0);
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
