//! A running tracker under clients with real sockets: correct, slow, greedy and broken ones.

mod common;

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::process::{CONFIG, Daemon, Folder, PATIENCE, wait_for};
use common::sockets::{HttpClient, UdpClient, announce_http, with_ipv6};
use common::udp::Reply;
use common::{Announce, http, info_hash, udp};
use nakodo::net::connection::Wait;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, setsockopt, sockopt};

/// Configuration that listens on all addresses, on free ports.
const EVERYWHERE: &str = "listen = [\"0.0.0.0:0\", \"[::]:0\"]\n";

/// Build a configuration with few connections and short timeouts.
fn hasty(connections: usize, head: &str, idle: &str) -> String {
    format!(
        "listen = [\"127.0.0.1:0\"]\n[http]\nconnections = {connections}\nhead_timeout = \"{head}\"\nidle_timeout = \"{idle}\"\n"
    )
}

fn leecher() -> Announce {
    Announce::leecher(1, 6881)
}

fn http_announce() -> Vec<u8> {
    http::announce(&leecher())
}

/// Return the tracker's address at `loopback`, with the port of that family.
fn listening(daemon: &Daemon<'_>, loopback: &str) -> SocketAddr {
    let loopback = common::ip(loopback);
    let mut addresses = daemon.urls.iter().map(|url| Daemon::address_in(url));
    let of_family = addresses.find(|address| address.is_ipv4() == loopback.is_ipv4());
    SocketAddr::new(loopback, of_family.expect("a URL of that family").port())
}

#[test]
fn rule_17_replies_come_from_the_destination_address_of_the_request() {
    let folder = Folder::new("rule-17");
    let daemon = Daemon::configured(&folder, EVERYWHERE);
    for asked in with_ipv6(&["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.255.0.9", "::1"]) {
        let tracker = listening(&daemon, asked);
        for from in if tracker.is_ipv4() { &["127.0.0.1", "127.0.0.77", "0.0.0.0"][..] } else { &["::1", "::"] } {
            let mut client = UdpClient::new(from, tracker);
            let (reply, answered_from) = client.ask(&udp::connect(5));
            assert!(matches!(Reply::parse(&reply, tracker, 5), Reply::Connect(_)));
            assert_eq!(answered_from, tracker, "asked from {from}, not connected");
            // A connected socket receives replies from its own destination only.
            client.socket.connect(tracker).expect("a route to loopback");
            client.announce(&leecher()).expect("the LAN is open");
        }
    }
}

#[test]
fn replies_of_one_batch_have_the_right_addresses() {
    let folder = Folder::new("batch");
    let daemon = Daemon::configured(&folder, EVERYWHERE);
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let asked: Vec<SocketAddr> =
        (1..=40).map(|host| listening(&daemon, &format!("127.0.0.{}", host % 4 + 1))).collect();
    let mut open: Vec<u32> = (0..40).collect();
    wait_for("all replies", || {
        // While the tracker is stopped, the datagrams queue up and form one batch.
        daemon.signal(Signal::SIGSTOP);
        for &number in &open {
            socket.send_to(&udp::connect(number), asked[number as usize]).expect("loopback takes datagrams");
        }
        daemon.signal(Signal::SIGCONT);
        let mut reply = [0; 2048];
        while let Ok((octets, from)) = socket.recv_from(&mut reply) {
            let number = u32::from_be_bytes(reply[4..8].try_into().expect("4 octets"));
            assert_eq!((octets, from), (16, asked[number as usize]), "{number}");
            open.retain(|&waiting| waiting != number);
            if open.is_empty() {
                break;
            }
        }
        open.is_empty().then_some(())
    });
}

#[test]
fn odd_datagrams_do_no_harm() {
    let folder = Folder::new("odd");
    let daemon = Daemon::configured(&folder, EVERYWHERE);
    for loopback in with_ipv6(&["127.0.0.1", "::1"]) {
        let tracker = listening(&daemon, loopback);
        let mut client = UdpClient::new(loopback, tracker);
        let id = client.connect();
        let mut large = udp::announce(id, 3, &leecher()).to_vec();
        for octets in [2047, 2048, 2049, 9000, 60_000] {
            large.resize(octets, 0);
            let (reply, from) = client.ask(&large);
            Reply::parse(&reply, from, 3).told().expect("longer is fine");
        }
        // A normal datagram after a large one is read correctly.
        assert_eq!(client.scrape(1).map(|counts| counts.2), Ok(if tracker.is_ipv4() { 1 } else { 2 }));
        let many: Vec<[u8; 20]> = (0..=255).map(info_hash).collect();
        let (reply, from) = client.ask(&udp::scrape(id, 4, &many));
        assert!(matches!(Reply::parse(&reply, from, 4), Reply::Scrape(told) if told.len() == 74));

        let malformed = daemon.counter("udp_malformed");
        for _ in 0..40 {
            client.socket.send_to(&[], tracker).expect("loopback takes datagrams");
            client.socket.send_to(&[0xff; 15], tracker).expect("loopback takes datagrams");
        }
        client.scrape(1).expect("the tracker still answers");
        wait_for("the count", || (daemon.counter("udp_malformed") >= malformed + 80).then_some(()));
        assert!(client.receive().is_none(), "malformed datagrams get no reply");
    }
}

#[test]
fn rule_24_requests_arrive_in_any_pieces() {
    let folder = Folder::new("pieces");
    let daemon = Daemon::configured(&folder, "listen = [\"127.0.0.1:0\"]\n");
    let mut client = HttpClient::connect(daemon.address());
    for octet in http_announce() {
        client.send(&[octet]);
    }
    assert_eq!(client.response().told().expect("the LAN is open").counts(), (0, 1));
    for requests in [2, 10, 100] {
        client.send(&http_announce().repeat(requests));
        for _ in 0..requests {
            assert!(client.response().keep_alive);
        }
    }
    // Send the second half of a request together with the first half of the next.
    let request = http::scrape(&[info_hash(1)]);
    let (begin, end) = request.split_at(request.len() / 2);
    client.send(begin);
    for _ in 0..10 {
        client.send(&[end, begin].concat());
        assert_eq!(client.response().scraped(&info_hash(1)), (0, 0, 1));
    }
    client.send(end);
    assert_eq!(client.response().scraped(&info_hash(1)), (0, 0, 1));
    assert!(client.is_open());
    assert_eq!(daemon.counter("http_connections"), 1);
}

#[test]
fn rule_24_connections_are_kept_or_closed_as_asked() {
    let folder = Folder::new("kept");
    let daemon = Daemon::configured(&folder, "listen = [\"127.0.0.1:0\"]\n");
    let target = http::announce_target(&leecher());
    for (request, keep_alive) in [
        (format!("GET {target} HTTP/1.1\r\n\r\n"), true),
        (format!("GET {target} HTTP/1.0\r\n\r\n"), false),
        (format!("GET {target} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), true),
        (format!("GET {target} HTTP/1.1\r\nConnection: close\r\n\r\n"), false),
        (format!("GET {target} HTTP/1.1\r\nConnection: Close, te\r\n\r\n"), false),
        ("GET /nothing HTTP/1.1\r\n\r\n".into(), true),
        ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".into(), false),
        ("nonsense\r\n\r\n".into(), false),
    ] {
        let mut client = HttpClient::connect(daemon.address());
        assert_eq!(client.ask(request.as_bytes()).keep_alive, keep_alive, "{request}");
        if keep_alive {
            assert!(client.ask(&http_announce()).keep_alive, "{request}");
        } else {
            assert_eq!(client.rest(), b"", "nothing follows: {request}");
        }
    }
    // A request after one that closes the connection is not answered.
    let mut client = HttpClient::connect(daemon.address());
    client.send(&[format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes(), &http_announce()].concat());
    assert!(!client.response().keep_alive);
    assert_eq!(client.rest(), b"");
}

#[test]
fn rule_24_too_long_a_head_gets_431() {
    let folder = Folder::new("long");
    let daemon = Daemon::configured(&folder, "listen = [\"127.0.0.1:0\"]\n");
    for octets in [8_192, 10_000, 300_000] {
        let head = format!("GET /announce?{} HTTP/1.1\r\n\r\n", "x".repeat(octets));
        let mut client = HttpClient::connect(daemon.address());
        // The tracker answers before it has read the whole head. It keeps reading, so that the client gets the answer.
        client.send(head.as_bytes());
        let response = client.try_response().unwrap_or_else(|error| unreachable!("{octets} bytes: {error}"));
        assert_eq!((response.status, response.keep_alive), (431, false));
        assert_eq!(client.rest(), b"");
    }
    let mut client = HttpClient::connect(daemon.address());
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(8_000));
    assert_eq!(client.ask(long.as_bytes()).status, 200, "many and long headers are fine while they fit");
}

#[test]
fn garbage_is_answered_in_plain_text_and_closed() {
    let folder = Folder::new("garbage");
    let daemon = Daemon::configured(&folder, "listen = [\"127.0.0.1:0\"]\n");
    let hello = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\x5f\x00\x0a\x0d\x01\x00\x02\x13\x01";
    for garbage in
        [&hello[..], b"\x00", b"\xff\xfe\xfd\r\n", b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0", b"SSH-2.0-x\r\n"]
    {
        let mut client = HttpClient::connect(daemon.address());
        let response = client.ask(garbage);
        assert_eq!((response.status, response.keep_alive), (400, false), "{}", garbage.escape_ascii());
        assert_eq!(client.rest(), b"");
    }
    announce_http(daemon.address(), &leecher()).expect("the tracker still answers");
}

#[test]
fn rule_24_too_slow_a_head_is_closed_and_counted() {
    let folder = Folder::new("slow");
    let daemon = Daemon::configured(&folder, &hasty(8, "1s", "1h"));
    let started = Instant::now();
    let mut silent = HttpClient::connect(daemon.address());
    let mut trickling = HttpClient::connect(daemon.address());
    // Single bytes do not extend the time limit.
    let closed = wait_for("the end of the slow connection", || {
        let sent = trickling.stream.write_all(b"G");
        thread::sleep(Duration::from_millis(50));
        (sent.is_err() || !trickling.is_open()).then(|| started.elapsed())
    });
    assert!(closed >= Duration::from_millis(900), "closed after {closed:?}");
    assert_eq!(trickling.rest(), b"", "closed without a response");
    assert_eq!(daemon.counter("http_connections_timed_out"), 1);
    assert!(silent.is_open(), "a connection without a request stays open");
    silent.announce(&leecher()).expect("the LAN is open");
}

#[test]
fn idle_connections_are_closed_and_not_counted_as_slow() {
    let folder = Folder::new("idle");
    let daemon = Daemon::configured(&folder, &hasty(8, "5m", "3s"));
    let started = Instant::now();
    let silent = HttpClient::connect(daemon.address());
    let mut kept = HttpClient::connect(daemon.address());
    kept.announce(&leecher()).expect("the LAN is open");
    for client in [kept, silent] {
        assert_eq!(client.rest(), b"");
    }
    assert!(started.elapsed() >= Duration::from_millis(2900));
    assert_eq!(daemon.counter("http_connections_timed_out"), 0);
}

/// The time limit for a request starts with its first byte, even if that byte arrives together with the end of another
/// request.
#[test]
fn a_client_that_is_never_slow_is_never_closed() {
    let folder = Folder::new("busy");
    // The timeouts are longer than a busy machine may delay the tracker or the client.
    let daemon = Daemon::configured(&folder, &hasty(8, "5s", "5s"));
    let mut client = HttpClient::connect(daemon.address());
    let request = http_announce();
    let (begin, end) = request.split_at(request.len() / 2);
    client.send(begin);
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(11) {
        client.send(&[end, begin].concat());
        client.try_response().unwrap_or_else(|error| unreachable!("after {:?}: {error}", started.elapsed()));
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(daemon.counter("http_connections_timed_out"), 0);
}

#[test]
fn the_longest_idle_connection_makes_room() {
    let folder = Folder::new("give-way");
    let daemon = Daemon::configured(&folder, &hasty(4, "5m", "5m"));
    let mut clients: Vec<HttpClient> = (0..4)
        .map(|_| {
            let mut client = HttpClient::connect(daemon.address());
            client.announce(&leecher()).expect("the LAN is open");
            thread::sleep(Duration::from_millis(20));
            client
        })
        .collect();
    // Use the first connection again, so that the second is idle longest.
    clients[0].announce(&leecher()).expect("the LAN is open");
    announce_http(daemon.address(), &leecher()).expect("a fifth client is served");
    assert_eq!(clients.remove(1).rest(), b"");
    for client in &mut clients {
        client.announce(&leecher()).expect("the others stay");
    }
    assert_eq!(daemon.counter("http_connections_given_up"), 1);
}

#[test]
fn a_burst_of_more_clients_than_connections_is_served() {
    let folder = Folder::new("burst");
    let daemon = Daemon::configured(&folder, &hasty(4, "5m", "5m"));
    daemon.signal(Signal::SIGSTOP);
    let mut clients: Vec<HttpClient> = (0..20).map(|_| HttpClient::connect(daemon.address())).collect();
    for client in &mut clients {
        client.send(&http_announce());
    }
    daemon.signal(Signal::SIGCONT);
    let mut served = 0;
    for (number, client) in clients.iter_mut().enumerate() {
        client.response().told().unwrap_or_else(|_| unreachable!("{number} is not served"));
        served += 1;
    }
    assert_eq!(served, 20);
}

/// Connect a client that starts a request and does not finish it.
fn slow_client(from: &str, daemon: &Daemon<'_>) -> HttpClient {
    let mut client = HttpClient::connect_from(from, daemon.address());
    client.send(b"GET /announce?");
    client
}

#[test]
fn an_address_that_holds_all_connections_with_slow_requests_does_not_block_others() {
    let folder = Folder::new("slow-one");
    let daemon = Daemon::configured(&folder, &hasty(8, "5m", "5m"));
    let mut patient = slow_client("127.0.0.2", &daemon);
    let mut greedy: Vec<HttpClient> = (0..7).map(|_| slow_client("127.0.0.3", &daemon)).collect();
    wait_for("eight connections", || (daemon.counter("http_connections") == 8).then_some(()));
    // Make more requests than the greedy address has connections: each newcomer must return its slot.
    for _ in 0..12 {
        announce_http(daemon.address(), &leecher()).expect("served at once");
    }
    assert_eq!(daemon.counter("http_connections_given_up"), 1);
    assert_eq!(greedy.remove(0).rest(), b"", "the slowest connection of the greedy address is closed");
    assert!(greedy.iter_mut().all(HttpClient::is_open), "its other connections stay open");
    // The other slow client has only one connection and keeps it, although it is the oldest.
    patient.send(&http_announce()[b"GET /announce?".len()..]);
    patient.response().told().expect("the LAN is open");
}

#[test]
fn a_newcomer_waits_for_timeouts_if_all_connections_are_slow() {
    let folder = Folder::new("slow-all");
    let daemon = Daemon::configured(&folder, &hasty(4, "2s", "5m"));
    let slow: Vec<HttpClient> = (2..6).map(|host| slow_client(&format!("127.0.0.{host}"), &daemon)).collect();
    wait_for("four connections", || (daemon.counter("http_connections") == 4).then_some(()));
    announce_http(daemon.address(), &leecher()).expect("served in the end");
    assert_eq!(daemon.counter("http_connections_given_up"), 0);
    for client in slow {
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(daemon.counter("http_connections_timed_out"), 4);
}

/// Way in which a client blocks a connection.
#[derive(Clone, Copy, Debug)]
enum Attack {
    /// The connection waits in this state.
    Wait(Wait),
    /// The client pipelines requests and reads all responses, so that the connection always has more work.
    Busy,
}

impl Attack {
    /// Return the next attack. The match makes the compiler reject a new state that is not listed here.
    const fn next(self) -> Option<Self> {
        match self {
            Self::Wait(Wait::Request) => Some(Self::Wait(Wait::Rest)),
            Self::Wait(Wait::Rest) => Some(Self::Wait(Wait::Room)),
            Self::Wait(Wait::Room) => Some(Self::Wait(Wait::Turn)),
            Self::Wait(Wait::Turn) => Some(Self::Wait(Wait::End)),
            Self::Wait(Wait::End) => Some(Self::Wait(Wait::Over)),
            Self::Wait(Wait::Over) => Some(Self::Busy),
            Self::Busy => None,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        std::iter::successors(Some(Self::Wait(Wait::Request)), |attack| attack.next())
    }

    /// Return the first bytes of a connection, and the bytes that it then repeats while the tracker accepts them.
    fn octets(self) -> (Vec<u8>, Vec<u8>) {
        let page = b"GET / HTTP/1.1\r\n\r\n";
        match self {
            Self::Wait(Wait::Request) => (page.to_vec(), Vec::new()),
            Self::Wait(Wait::Rest) => (b"GET /announce?".to_vec(), Vec::new()),
            Self::Wait(Wait::Room) => (Vec::new(), http::scrape(&(0..74).map(info_hash).collect::<Vec<_>>())),
            Self::Wait(Wait::Turn) | Self::Busy => (Vec::new(), page.repeat(100)),
            Self::Wait(Wait::End) => (b"nonsense\r\n\r\n".to_vec(), b"x".to_vec()),
            Self::Wait(Wait::Over) => (b"GET / HTTP/1.0\r\n\r\n".to_vec(), Vec::new()),
        }
    }

    /// Do one step of the attack; an error means that the tracker has closed the connection.
    fn go_on(self, stream: &mut TcpStream, sent: &mut usize) -> io::Result<()> {
        let (begin, more) = self.octets();
        // Continue a partly written request, so that every request is complete.
        for _ in 0..50 {
            let rest =
                if *sent < begin.len() { &begin[*sent..] } else { &more[(*sent - begin.len()) % more.len().max(1)..] };
            match stream.write(rest) {
                Ok(octets) => *sent += octets,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let reads = match self {
            Self::Wait(Wait::Request | Wait::Rest | Wait::Over) | Self::Busy => true,
            Self::Wait(Wait::Room | Wait::Turn | Wait::End) => false,
        };
        if reads { read_all(stream) } else { Ok(()) }
    }

    /// Attack with `connections` from these addresses in turn, until the test is over. Replace each closed connection.
    fn run(self, addresses: &[String], connections: usize, tracker: SocketAddr, over: &AtomicBool) {
        let from = |address: &String| {
            let small = matches!(self, Self::Wait(Wait::Room | Wait::Turn));
            let stream = connected(address, tracker, small);
            stream.set_nonblocking(true).expect("a non-blocking socket");
            (address.clone(), stream, 0)
        };
        let mut open: Vec<_> = addresses.iter().cycle().take(connections).map(from).collect();
        let started = Instant::now();
        // The attack lasts longer than the patience of the other clients.
        while !over.load(Ordering::Relaxed) && started.elapsed() < 2 * PATIENCE {
            for connection in &mut open {
                if self.go_on(&mut connection.1, &mut connection.2).is_err() {
                    *connection = from(&connection.0.clone());
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Read all available bytes. A connection that the tracker closed is an error.
fn read_all(stream: &mut TcpStream) -> io::Result<()> {
    let mut piece = [0; 64 * 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Connect from `address`, with a small receive buffer if `small`.
fn connected(address: &str, tracker: SocketAddr, small: bool) -> TcpStream {
    let fd = nix::sys::socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    let stream = TcpStream::from(fd.expect("a socket"));
    if small {
        setsockopt(&stream, sockopt::RcvBuf, &2048).expect("a small buffer");
    }
    let fd = std::os::fd::AsRawFd::as_raw_fd(&stream);
    nix::sys::socket::bind(fd, &SockaddrStorage::from(SocketAddr::new(common::ip(address), 0))).expect("an address");
    nix::sys::socket::connect(fd, &SockaddrStorage::from(tracker)).expect("the tracker listens");
    stream
}

/// Attack from `addresses` with twice as many connections as slots, and check that another client is served.
fn others_are_served_beside(attack: Attack, addresses: usize, daemon: &Daemon<'_>, slots: usize) {
    let attackers: Vec<String> = (1..=addresses).map(|host| format!("127.0.1.{host}")).collect();
    let (tracker, over) = (daemon.address(), AtomicBool::new(false));
    thread::scope(|scope| {
        let attacker = scope.spawn(|| attack.run(&attackers, 2 * slots, tracker, &over));
        wait_for("the attack", || (daemon.counter("http_connections") >= slots as u64).then_some(()));
        for number in 0..30 {
            // Give the attackers time to take the free slots again.
            thread::sleep(Duration::from_millis(10));
            let told = announce_http(tracker, &leecher());
            told.unwrap_or_else(|error| unreachable!("{attack:?} from {addresses}, {number}: {error:?}"));
        }
        over.store(true, Ordering::Relaxed);
        attacker.join().expect("the thread ends");
    });
}

#[test]
fn fewer_than_eight_attacking_addresses_cannot_block_others() {
    // Each address may hold two of the sixteen slots. The timeouts are longer than the test.
    let slots = 16;
    for attack in Attack::all() {
        for addresses in [1, 7] {
            let folder = Folder::new("attack");
            let daemon = Daemon::configured(&folder, &hasty(slots, "5m", "5m"));
            others_are_served_beside(attack, addresses, &daemon, slots);
        }
    }
}

#[test]
fn an_address_that_takes_all_descriptors_does_not_block_others() {
    let folder = Folder::new("descriptors");
    folder.write("nakodo.toml", format!("data_dir = \"data\"\n{}", hasty(256, "5m", "5m")));
    let serve = folder.command(&["serve", CONFIG[0], CONFIG[1]]);
    let mut limited = Command::new("/bin/sh");
    limited.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""]).arg(serve.get_program()).args(serve.get_args());
    limited.current_dir(folder.path("")).env_clear();
    let daemon = Daemon::start_with(&folder, limited).unwrap_or_else(|ran| unreachable!("{ran:?}"));
    let tracker = daemon.address();
    let slow: Vec<HttpClient> = (0..100).map(|_| slow_client("127.0.0.3", &daemon)).collect();
    for _ in 0..20 {
        announce_http(tracker, &leecher()).expect("the LAN is open");
    }
    // The command below also needs a file descriptor in the tracker.
    drop(slow);
    wait_for("descriptors", || {
        let status = folder.run(&["status", "--json", CONFIG[0], CONFIG[1]]);
        status.out.contains("http_connections_given_up").then_some(())
    });
    assert!(daemon.counter("http_connections") < 256 && daemon.counter("http_connections_given_up") > 20);
}

#[test]
fn a_client_that_does_not_read_is_disconnected_and_does_not_affect_others() {
    let folder = Folder::new("deaf");
    let daemon = Daemon::configured(&folder, &hasty(8, "2s", "5m"));
    // A scrape with a long response.
    let scrape = http::scrape(&(0..60).map(info_hash).collect::<Vec<_>>());
    let deaf = HttpClient::over(connected("127.0.0.1", daemon.address(), true));
    let (mut sender, tracker) = (deaf.stream.try_clone().expect("a copy"), daemon.address());
    let asking = thread::spawn(move || {
        let mut asked = 0;
        // Send until the tracker stops reading, and then closes the connection.
        while sender.write_all(&scrape).is_ok() {
            asked += 1;
        }
        asked
    });
    let started = Instant::now();
    wait_for("the timeout of the client that does not read", || {
        announce_http(tracker, &leecher()).expect("others are served");
        (daemon.counter("http_connections_timed_out") == 1).then_some(())
    });
    let asked = asking.join().expect("the thread ends");
    assert!(started.elapsed() >= Duration::from_millis(1900) && asked > 1, "{asked} asked in {:?}", started.elapsed());
    drop(deaf);
}

#[test]
fn a_slow_reader_gets_every_response() {
    let folder = Folder::new("slow-reader");
    let daemon = Daemon::configured(&folder, &hasty(8, "1m", "5m"));
    let hashes: Vec<_> = (0..74).map(info_hash).collect();
    let requests = 100;
    let mut client = HttpClient::over(connected("127.0.0.1", daemon.address(), true));
    let mut sender = client.stream.try_clone().expect("a copy");
    let scrape = http::scrape(&hashes);
    let asking = thread::spawn(move || {
        sender.write_all(&scrape.repeat(requests)).expect("the tracker reads everything");
        // A client may close its sending side after its last request.
        sender.shutdown(Shutdown::Write).expect("an open connection");
    });
    // Wait until the buffers of both sides are full.
    thread::sleep(Duration::from_millis(300));
    for number in 0..requests {
        let response = client.try_response().unwrap_or_else(|error| unreachable!("{number}: {error}"));
        assert_eq!(response.scraped(&info_hash(73)), (0, 0, 0));
        if number % 10 == 0 {
            thread::sleep(Duration::from_millis(20));
        }
    }
    asking.join().expect("everything was sent");
    assert_eq!(client.rest(), b"");
    assert_eq!(daemon.counter("http_connections_timed_out"), 0);
}

#[test]
fn a_client_that_closes_its_sending_side_is_answered() {
    let folder = Folder::new("half-closed");
    let daemon = Daemon::configured(&folder, "listen = [\"127.0.0.1:0\"]\n");
    for requests in [1, 20] {
        let mut client = HttpClient::connect(daemon.address());
        client.send(&http_announce().repeat(requests));
        client.stream.shutdown(Shutdown::Write).expect("an open connection");
        for _ in 0..requests {
            client.response().told().expect("the LAN is open");
        }
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn waiting_for_a_free_connection_uses_no_cpu_time() {
    let folder = Folder::new("full");
    let daemon = Daemon::configured(&folder, &hasty(2, "5m", "5m"));
    let mut busy = vec![slow_client("127.0.0.2", &daemon), slow_client("127.0.0.3", &daemon)];
    wait_for("two connections", || (daemon.counter("http_connections") == 2).then_some(()));
    let mut newcomer = HttpClient::connect(daemon.address());
    newcomer.send(&http_announce());
    let before = daemon.processor_time();
    thread::sleep(Duration::from_secs(2));
    let taken = daemon.processor_time() - before;
    assert!(taken < Duration::from_millis(500), "{taken:?}");
    assert_eq!(daemon.counter("http_connections"), 2);
    drop(busy.pop());
    newcomer.response().told().expect("the LAN is open");
    assert_eq!(daemon.counter("http_connections_given_up"), 0);
}

#[test]
fn a_flood_of_connections_does_not_block_udp() {
    let folder = Folder::new("connections");
    let daemon = Daemon::configured(&folder, &hasty(16, "5m", "5m"));
    let tracker = daemon.address();
    let over = AtomicBool::new(false);
    let (connected, asked) = thread::scope(|scope| {
        let flooders: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut connected = 0;
                    let mut open = std::collections::VecDeque::new();
                    while !over.load(Ordering::Relaxed) {
                        // The kernel makes a client wait while the queue is full.
                        if let Ok(mut stream) = TcpStream::connect_timeout(&tracker, Duration::from_millis(100)) {
                            let _ = stream.write_all(if connected % 2 == 0 { b"GET /" } else { b"nonsense\r\n\r\n" });
                            connected += 1;
                            open.push_back(stream);
                        }
                        // Keep twelve slow connections, and close older ones to make room for more.
                        if open.len() > 12 {
                            open.pop_front();
                        }
                    }
                    connected
                })
            })
            .collect();
        let mut client = UdpClient::new("127.0.0.1", tracker);
        let (started, mut asked) = (Instant::now(), 0);
        while started.elapsed() < Duration::from_secs(2) {
            client.announce(&leecher()).expect("the LAN is open");
            asked += 1;
        }
        over.store(true, Ordering::Relaxed);
        (flooders.into_iter().map(|flooder| flooder.join().expect("the thread ends")).sum::<usize>(), asked)
    });
    println!("{asked} announces over UDP beside {connected} connections");
    // If the flood blocked UDP, at most a few announces would be answered.
    assert!(asked > 20 && connected > 100, "{asked} beside {connected}");
}

/// Number of datagrams from each of two threads.
const FLOOD: usize = 100_000;

#[test]
fn a_flood_of_datagrams_does_not_block_http() {
    let folder = Folder::new("flood");
    let daemon = Daemon::configured(&folder, EVERYWHERE);
    let tracker = listening(&daemon, "127.0.0.1");
    let over = AtomicBool::new(false);
    let (sent, asked, slowest) = thread::scope(|scope| {
        let flooders: Vec<_> = [1, 2]
            .map(|host| {
                scope.spawn(move || {
                    let mut client = UdpClient::new(&format!("127.0.0.{host}"), tracker);
                    let id = client.connect();
                    let started = Instant::now();
                    let mut sent = 0;
                    while sent < FLOOD && started.elapsed() < Duration::from_secs(4) {
                        let announce = Announce::leecher(sent as u8, 6881 + sent as u16 % 1000);
                        sent += usize::from(
                            client.socket.send_to(&udp::announce(id, 1, &announce), client.tracker).is_ok(),
                        );
                    }
                    sent
                })
            })
            .into();
        let over = &over;
        let asker = scope.spawn(move || {
            let mut client = HttpClient::connect(tracker);
            let (mut asked, mut slowest) = (0, Duration::ZERO);
            while !over.load(Ordering::Relaxed) {
                let started = Instant::now();
                client.announce(&leecher()).expect("the LAN is open");
                announce_http(tracker, &leecher()).expect("new connections too");
                slowest = slowest.max(started.elapsed());
                asked += 2;
            }
            (asked, slowest)
        });
        let sent: usize = flooders.into_iter().map(|flooder| flooder.join().expect("the thread ends")).sum();
        over.store(true, Ordering::Relaxed);
        let (asked, slowest) = asker.join().expect("the thread ends");
        (sent, asked, slowest)
    });
    println!("{asked} HTTP requests beside {sent} datagrams, the slowest pair in {slowest:?}");
    // If the flood blocked HTTP, only the first pair of requests would be answered, after the flood.
    assert!(asked > 10, "{asked}");
    assert!(UdpClient::new("127.0.0.3", tracker).announce(&leecher()).is_ok());
}

#[test]
fn ten_thousand_bad_requests_do_not_fill_the_log() {
    let folder = Folder::new("quiet");
    let daemon = Daemon::configured(&folder, "listen = [\"127.0.0.1:0\"]\n");
    let before = daemon.log().len();
    let (tracker, udp) = (daemon.address(), UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    let mut client = HttpClient::connect(tracker);
    for round in 0..50 {
        client.send(&[http::get("/nothing").repeat(50), http::get("/announce?port=x").repeat(50)].concat());
        for _ in 0..100 {
            client.response();
        }
        for number in 0..100 {
            let datagram = udp::announce(number, number as u32, &leecher());
            udp.send_to(&datagram[..if round % 2 == 0 { 98 } else { 97 }], tracker).expect("loopback takes datagrams");
        }
        // Also send requests that close the connection.
        assert_eq!(HttpClient::connect(tracker).ask(b"nonsense\r\n\r\n").status, 400);
        drop(HttpClient::connect(tracker));
    }
    let counters = daemon.counters();
    assert!(counters["http_not_found"] == 2500 && counters["http_bad_parameters"] == 2500, "{counters:?}");
    let log = daemon.log();
    assert!(log.len() <= before + 3, "{log:?}");
}
