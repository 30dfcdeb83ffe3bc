//! Tests that run the server turn by turn, with clients on the same thread.

mod greedy;

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::Instant;

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrStorage, socket};
use smol::channel;

use super::*;
use crate::net::bind;
use crate::net::http::Timeouts;
use crate::testing::{self, TempDir};
use crate::tracker::Settings;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const LAST_REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

struct Served {
    server: Server,
    shared: Rc<Shared>,
    http: SocketAddr,
    udp: SocketAddr,
    _dir: TempDir,
}

impl Served {
    fn new(connections: usize) -> Self {
        Self::behind(&[], connections)
    }

    /// Create a server behind `proxies`.
    fn behind(proxies: &[&str], connections: usize) -> Self {
        let dir = TempDir::new();
        let mut settings = Settings { lan: vec!["127.0.0.0/8".parse().expect("a prefix")], ..testing::settings(1) };
        settings.policy.proxies = proxies.iter().map(|proxy| proxy.parse().expect("a prefix")).collect();
        let shared = Rc::new(testing::shared(&dir, settings));
        let tcp = bind::tcp(([127, 0, 0, 1], 0).into()).expect("a port");
        let udp = bind::udp(([127, 0, 0, 1], 0).into()).expect("a port");
        let (http, udp_address) = (tcp.local_addr().expect("bound"), udp.local_addr().expect("bound"));
        let patience = Duration::from_secs(60);
        let server = HttpServer::new(vec![tcp], connections, Timeouts { head: patience, idle: patience });
        let server = Server::new(vec![udp], Rc::new(RefCell::new(server)), Rc::clone(&shared)).expect("an epoll");
        Self { server, shared, http, udp: udp_address, _dir: dir }
    }

    fn connect(&self) -> TcpStream {
        self.connect_from(1)
    }

    /// Connect from 127.0.0.`host`.
    fn connect_from(&self, host: u8) -> TcpStream {
        self.connect_from_as(host, |_| {})
    }

    /// Connect from 127.0.0.`host` with a socket that `prepared` has set up first.
    fn connect_from_as(&self, host: u8, prepared: impl FnOnce(&TcpStream)) -> TcpStream {
        let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
        let stream = TcpStream::from(socket);
        prepared(&stream);
        socket::bind(stream.as_raw_fd(), &SockaddrIn::new(127, 0, 0, host, 0)).expect("an address of this host");
        socket::connect(stream.as_raw_fd(), &SockaddrStorage::from(self.http)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        stream
    }

    fn connect_and_say(&self, octets: &[u8]) -> TcpStream {
        self.connect_from_and_say(1, octets)
    }

    fn connect_from_and_say(&self, host: u8, octets: &[u8]) -> TcpStream {
        let mut stream = self.connect_from(host);
        stream.write_all(octets).expect("there is room");
        stream
    }

    /// Take turns until no socket is ready, and return the number of turns with a ready socket.
    fn settle(&mut self) -> usize {
        for turns in 0..10_000 {
            self.server.turn(Patience::None).expect("the sockets work");
            if self.server.ready.tokens().next().is_none() {
                return turns;
            }
        }
        unreachable!("it never rests")
    }

    /// Take turns until `stream` has received `octets` bytes or its end.
    fn response(&mut self, stream: &mut TcpStream, octets: usize) -> Vec<u8> {
        let (started, mut response, mut piece) = (Instant::now(), Vec::new(), [0; 4096]);
        while response.len() < octets && started.elapsed() < Duration::from_secs(20) {
            self.settle();
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(octets) => response.extend_from_slice(&piece[..octets]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        response
    }

    /// Return everything up to the end of the stream, which must not be a reset.
    fn rest(&mut self, mut stream: TcpStream) -> Vec<u8> {
        self.response(&mut stream, usize::MAX)
    }

    /// Return the response to one request of the front page.
    fn front_page(&mut self) -> Vec<u8> {
        let stream = self.connect_and_say(LAST_REQUEST);
        self.rest(stream)
    }

    fn counter(&self, name: &str) -> u64 {
        let counters = self.shared.tracker.borrow().counters;
        counters.named().into_iter().find(|(named, _)| *named == name).expect(name).1
    }
}

#[test]
fn a_request_that_has_arrived_is_answered_and_closed_in_one_turn() {
    let mut served = Served::new(4);
    let stream = served.connect_and_say(LAST_REQUEST);
    served.server.turn(Patience::Endless).expect("the sockets work");
    // Only the listener is watched, and no connection waits there.
    assert_eq!(served.settle(), 0);
    assert!(served.rest(stream).starts_with(b"HTTP/1.1 200 "));
}

#[test]
fn a_silent_connection_stays_in_the_kernel_for_now() {
    let mut served = Served::new(4);
    let mut silent = served.connect();
    thread::sleep(Duration::from_millis(20));
    assert_eq!((served.settle(), served.counter("http_connections")), (0, 0));
    silent.write_all(LAST_REQUEST).expect("there is room");
    assert!(served.rest(silent).starts_with(b"HTTP/1.1 200 "));
}

#[test]
fn requests_in_one_segment_are_answered_in_order_and_at_once() {
    let mut served = Served::new(4);
    let [front, other] = [&b"GET / HTTP/1.1\r\n\r\n"[..], b"GET /x HTTP/1.1\r\n\r\n"];
    let mut stream = served.connect_and_say(&[front, other, front, other, front].concat());
    served.server.turn(Patience::Endless).expect("the sockets work");
    assert_eq!(served.settle(), 0, "all of it in one turn");
    let text = served.response(&mut stream, 5 * 150);
    let text = String::from_utf8(text).expect("text");
    let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).filter_map(|response| response.get(..3)).collect();
    assert_eq!(statuses, ["200", "404", "200", "404", "200"], "{text}");
    // Split at each byte, with the start of the next request in the same segment.
    for split in 1..front.len() {
        stream.write_all(&front[..split]).expect("there is room");
        served.settle();
        stream.write_all(&[&front[split..], other].concat()).expect("there is room");
        let text = String::from_utf8(served.response(&mut stream, 200)).expect("text");
        assert!(text.starts_with("HTTP/1.1 200 ") && text.matches("HTTP/1.1 404 ").count() == 1, "{split}: {text}");
    }
}

#[test]
fn a_greedy_client_gives_others_their_turn() {
    let mut served = Served::new(4);
    let mut greedy = served.connect_and_say(&REQUEST.repeat(400));
    served.server.turn(Patience::Endless).expect("the sockets work");
    let page = served.front_page().len() + "keep-alive".len() - "close".len();
    assert!(served.settle() == 0 && served.counter("http_connections") == 2);
    assert_eq!(served.response(&mut greedy, 400 * page).len(), 400 * page);
}

#[test]
fn a_new_connection_waits_without_spinning_while_all_slots_are_busy() {
    let mut served = Served::new(2);
    let mut busy = [2, 3].map(|host| served.connect_from_and_say(host, b"GET "));
    served.settle();
    assert_eq!(served.counter("http_connections"), 2);
    let newcomer = served.connect_and_say(LAST_REQUEST);
    thread::sleep(Duration::from_millis(20));
    assert!(served.settle() <= 1, "the newcomer is seen once");
    assert_eq!(served.settle(), 0);
    assert_eq!(served.counter("http_connections"), 2);
    // One of them comes to rest, and is closed for the new connection.
    busy[0].write_all(b"/ HTTP/1.1\r\n\r\n").expect("there is room");
    assert!(served.rest(newcomer).starts_with(b"HTTP/1.1 200 "));
    assert_eq!(served.counter("http_connections_given_up"), 1);
    // The other one ends.
    let [_, other] = busy;
    let _third = served.connect_from_and_say(4, b"GET ");
    served.settle();
    let newcomer = served.connect_and_say(LAST_REQUEST);
    served.settle();
    assert_eq!(served.counter("http_connections"), 4);
    drop(other);
    assert!(served.rest(newcomer).starts_with(b"HTTP/1.1 200 "));
    assert_eq!(served.counter("http_connections_given_up"), 1);
}

#[test]
fn the_slowest_connection_of_a_greedy_address_is_closed_if_none_is_idle() {
    let mut served = Served::new(8);
    let patient = served.connect_from_and_say(2, b"GET ");
    let mut greedy: Vec<TcpStream> = (0..7).map(|_| served.connect_from_and_say(3, b"GET ")).collect();
    served.settle();
    thread::sleep(Duration::from_millis(5));
    // Data that has arrived by then counts: the first of them is not slow any more, and then idle.
    greedy[0].write_all(b"/ HTTP/1.1\r\n\r\n").expect("there is room");
    let mut newcomers = [4, 5].map(|host| served.connect_from_and_say(host, REQUEST));
    for newcomer in &mut newcomers {
        assert!(served.response(newcomer, 50).starts_with(b"HTTP/1.1 200 "));
    }
    assert!(served.rest(greedy.remove(0)).starts_with(b"HTTP/1.1 200 "));
    assert_eq!(served.counter("http_connections_given_up"), 2);
    // The new connections are idle by now, and are the next to be closed.
    assert!(served.front_page().starts_with(b"HTTP/1.1 200 "));
    assert_eq!(served.counter("http_connections_given_up"), 3);
    let mut stream = patient;
    stream.write_all(b"/ HTTP/1.1\r\n\r\n").expect("there is room");
    assert!(served.response(&mut stream, 50).starts_with(b"HTTP/1.1 200 "));
}

#[test]
fn a_proxy_may_hold_all_connections() {
    let mut served = Served::behind(&["127.0.0.3/32"], 8);
    let proxied: Vec<TcpStream> = (0..8).map(|_| served.connect_from_and_say(3, b"GET ")).collect();
    served.settle();
    let newcomer = served.connect_and_say(LAST_REQUEST);
    served.settle();
    assert_eq!((served.counter("http_connections"), served.counter("http_connections_given_up")), (8, 0));
    drop(proxied);
    assert!(served.rest(newcomer).starts_with(b"HTTP/1.1 200 "));
}

#[test]
fn the_longest_idle_gives_way_at_once() {
    let mut served = Served::new(3);
    let mut streams: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut stream = served.connect_and_say(REQUEST);
            served.response(&mut stream, 50);
            thread::sleep(Duration::from_millis(5));
            stream
        })
        .collect();
    streams[0].write_all(REQUEST).expect("there is room");
    served.response(&mut streams[0], 50);
    assert!(served.front_page().starts_with(b"HTTP/1.1 200 "));
    assert_eq!(served.rest(streams.remove(1)), b"", "the second had been idle for longest");
    for mut stream in streams {
        stream.write_all(REQUEST).expect("there is room");
        assert!(served.response(&mut stream, 50).starts_with(b"HTTP/1.1 200 "));
    }
    assert_eq!(served.counter("http_connections_given_up"), 1);
}

/// One wait reports 64 sockets: those after them look idle, but have a request waiting.
#[test]
fn a_connection_with_a_waiting_request_is_not_closed() {
    let mut served = Served::new(100);
    let mut streams: Vec<TcpStream> = (0..100).map(|_| served.connect_and_say(REQUEST)).collect();
    for stream in &mut streams {
        assert!(served.response(stream, 50).starts_with(b"HTTP/1.1 200 "));
    }
    let newcomer = served.connect_and_say(LAST_REQUEST);
    thread::sleep(Duration::from_millis(20));
    for stream in &mut streams {
        stream.write_all(b"GET /x HTTP/1.1\r\n\r\n").expect("there is room");
    }
    assert!(served.rest(newcomer).starts_with(b"HTTP/1.1 200 "));
    for (number, stream) in streams.iter_mut().enumerate() {
        assert!(served.response(stream, 50).starts_with(b"HTTP/1.1 404 "), "{number}");
    }
    assert_eq!(served.counter("http_connections_given_up"), 1);
}

#[test]
fn a_client_that_closes_its_end_after_a_request_is_answered() {
    let mut served = Served::new(4);
    for request in [REQUEST.to_vec(), LAST_REQUEST.to_vec(), REQUEST.repeat(100)] {
        let stream = served.connect_and_say(&request);
        stream.shutdown(Shutdown::Write).expect("it can be");
        let text = String::from_utf8(served.rest(stream)).expect("text");
        assert_eq!(text.matches("HTTP/1.1 200 ").count(), request.len() / REQUEST.len(), "{text}");
        // An incomplete request is not answered.
        let stream = served.connect_and_say(&request[..request.len() - 1]);
        stream.shutdown(Shutdown::Write).expect("it can be");
        let text = String::from_utf8(served.rest(stream)).expect("text");
        assert_eq!(text.matches("HTTP/1.1 200 ").count(), request.len() / REQUEST.len() - 1, "{text}");
    }
}

/// To close a socket with unread data resets the connection, and the client could lose the response.
#[test]
fn a_client_that_sends_too_much_receives_the_response_and_an_orderly_end() {
    let mut served = Served::new(4);
    let body = vec![b'x'; 100_000];
    for (head, more, status) in [
        (LAST_REQUEST, REQUEST, "200"),
        (b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n", &body, "405"),
        (b"nonsense\r\n\r\n", &body, "400"),
    ] {
        // Once in one segment, and once after the response.
        let together = served.connect_and_say(&[head, more].concat());
        let text = String::from_utf8(served.rest(together)).expect("text");
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")) && text.matches("HTTP/1.1").count() == 1, "{text}");
        if status != "200" {
            let mut stream = served.connect_and_say(head);
            served.settle();
            stream.write_all(more).expect("it is taken");
            let text = String::from_utf8(served.rest(stream)).expect("text");
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        }
    }
    // The discarded data is limited in time and in size.
    let mut stream = served.connect_and_say(b"nonsense\r\n\r\n");
    served.settle();
    let mut sent = 0;
    while stream.write_all(&body).is_ok() {
        served.settle();
        sent += body.len();
        assert!(sent < 64 << 20, "it ends");
    }
    let mut waiting = served.connect_and_say(b"nonsense\r\n\r\n");
    served.settle();
    thread::sleep(Duration::from_millis(1_050));
    let now = served.shared.now();
    served.server.http.borrow_mut().close_overdue(&mut served.shared.tracker.borrow_mut(), now);
    let closed = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(10));
        waiting.write_all(b"x").is_err()
    });
    assert!(closed && served.counter("http_connections_timed_out") == 0);
}

#[test]
fn connections_and_datagrams_have_their_turn_side_by_side() {
    let mut served = Served::new(8);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(served.udp).expect("a route");
    let connect = [&0x0417_2710_1980_u64.to_be_bytes()[..], &[0; 8]].concat();
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(served.connect_and_say(LAST_REQUEST));
        socket.send(&connect).expect("loopback takes datagrams");
    }
    let share = |served: &mut Served| {
        served.server.turn(Patience::None).expect("the sockets work");
        (served.counter("connects_udp"), served.counter("http_connections"))
    };
    assert_eq!([share(&mut served), share(&mut served)], [(32, 32), (64, 64)]);
    served.settle();
    assert_eq!(share(&mut served), (100, 100));
    for stream in streams {
        assert!(served.rest(stream).starts_with(b"HTTP/1.1 200 "));
    }
}

#[test]
fn no_waking_from_another_thread_is_lost() {
    let mut served = Served::new(1);
    let ((ask, asked), (answer, answered)) = (channel::bounded::<u32>(1), channel::bounded::<u32>(1));
    let echo = thread::spawn(move || {
        while let Ok(number) = asked.recv_blocking() {
            // From time to time the answer is so late that the server waits for it.
            if number % 64 == 0 {
                thread::sleep(Duration::from_micros(u64::from(number % 7) * 50));
            }
            answer.send_blocking(number).expect("it is listened to");
        }
    });
    let asking = async {
        for number in 0..20_000 {
            ask.send(number).await.expect("the other thread listens");
            assert_eq!(answered.recv().await, Ok(number));
        }
        drop(ask);
    };
    served.server.run(asking).expect("the sockets work");
    echo.join().expect("it ends well");
}

#[test]
fn work_that_is_always_ready_does_not_keep_sockets_waiting() {
    let mut served = Served::new(1);
    let mut stream = served.connect_and_say(LAST_REQUEST);
    let http = Rc::clone(&served.shared);
    let busy = async {
        while http.tracker.borrow().counters.http_connections == 0 {
            smol::future::yield_now().await;
        }
    };
    served.server.run(busy).expect("the sockets work");
    assert!(served.response(&mut stream, usize::MAX).starts_with(b"HTTP/1.1 200 "));
    // Work that is ready at once needs no wake-up.
    assert_eq!(served.server.run(async { 7 }).expect("the sockets work"), 7);
}

#[test]
fn work_in_steps_lets_the_sockets_have_a_turn_after_each() {
    let mut served = Served::new(1);
    let mut stream = served.connect_and_say(LAST_REQUEST);
    let (shared, steps) = (Rc::clone(&served.shared), Rc::new(core::cell::Cell::new(0)));
    let executor = smol::LocalExecutor::new();
    let (turns, steps_made) = (Rc::clone(&shared), Rc::clone(&steps));
    let in_steps = async move {
        loop {
            steps_made.set(steps_made.get() + 1);
            turns.turns.next().await;
        }
    };
    executor.spawn(in_steps).detach();
    let until_answered = async {
        while shared.tracker.borrow().counters.http_connections == 0 {
            shared.turns.next().await;
        }
    };
    served.server.run(executor.run(until_answered)).expect("the sockets work");
    assert!(served.response(&mut stream, usize::MAX).starts_with(b"HTTP/1.1 200 "));
    let turns = shared.turns.ended();
    assert!((1..=turns + 1).contains(&steps.get()), "{} steps in {turns} turns", steps.get());
}

#[test]
fn a_udp_socket_that_fills_batches_is_served_unwatched_until_it_has_nothing_left() {
    let mut served = Served::new(4);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(served.udp).expect("a route");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut connect = [0; 16];
    connect[..8].copy_from_slice(&0x417_2710_1980_u64.to_be_bytes());
    // Each turn ends, even while it does not wait.
    for (sent, answered, is_watched) in [
        (BATCH + 3, BATCH, false),
        (0, BATCH + 3, false),
        (0, BATCH + 3, true),
        (1, BATCH + 4, true),
        (BATCH, 2 * BATCH + 4, false),
        (2, 2 * BATCH + 6, false),
        (0, 2 * BATCH + 6, true),
    ] {
        (0..sent).for_each(|_| assert_eq!(socket.send(&connect).expect("there is room"), connect.len()));
        served.server.turn(if is_watched && sent == 0 { Patience::None } else { Patience::Endless }).expect("it works");
        assert_eq!(served.counter("connects_udp"), answered as u64);
        assert_eq!(served.server.udp[0].is_watched, is_watched, "after {sent} more");
    }
    for _ in 0..2 * BATCH + 6 {
        assert_eq!(socket.recv(&mut [0; 32]).expect("a reply for each"), 16);
    }
}

#[test]
fn requests_that_are_ready_together_are_answered_as_those_that_come_alone() {
    let announce = |port: usize| {
        format!("GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port={port}&left=1 HTTP/1.1\r\n\r\n").into_bytes()
    };
    // Each request in two pieces, of which the second may be empty, and a part of its expected answer: many announces,
    // and some other requests.
    let asked: Vec<(Vec<u8>, Vec<u8>, &str)> = (0..LOOK_AHEAD + 9)
        .map(|number| match number % 8 {
            0 => (b"GET /announce?port=1 HTTP/1.1\r\n\r\n".to_vec(), Vec::new(), "info_hash is missing"),
            1 => (REQUEST.to_vec(), Vec::new(), "200 OK"),
            2 => (b"nonsense\r\n\r\n".to_vec(), Vec::new(), "400 Bad Request"),
            3 => (announce(1000 + number)[..40].to_vec(), announce(1000 + number)[40..].to_vec(), "e5:peers"),
            4 => ([announce(1000 + number), REQUEST.to_vec()].concat(), Vec::new(), "This is nakodo"),
            5 => (announce(0), Vec::new(), "failure reason"),
            _ => (announce(1000 + number), Vec::new(), "e5:peers"),
        })
        .collect();
    let mut served = Served::new(asked.len());
    let mut streams: Vec<TcpStream> = asked.iter().map(|_| served.connect_and_say(REQUEST)).collect();
    for stream in &mut streams {
        assert!(!served.response(stream, 1).is_empty());
    }
    for stage in [0, 1] {
        for (stream, (first, second, _)) in streams.iter_mut().zip(&asked) {
            stream.write_all([first, second][stage]).expect("there is room");
        }
        served.settle();
    }
    for (stream, (_, _, expected)) in streams.iter_mut().zip(&asked) {
        let response = served.response(stream, 1);
        let text = String::from_utf8_lossy(&response);
        assert!(text.contains(expected), "{text} for {expected}");
    }
    let announces = asked.iter().filter(|(_, _, expected)| *expected != "failure reason" && expected.contains("peers"));
    assert!(served.shared.tracker.borrow().usage().leechers >= announces.count(), "each is stored");
}
