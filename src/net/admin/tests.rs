//! Tests with real sockets, a real store, and the client of the commands.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream};
use std::path::{Path, PathBuf};

use smol::future::FutureExt as _;
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::exchange::REQUEST_OCTETS;
use super::*;
use crate::access::{Entry, Retire, User, prefix};
use crate::api::{Allow, Revoke, Status, Whitelist};
use crate::client::{self, Request};
use crate::clock::{Running, UnixSeconds};
use crate::exit::{self, Failure};
use crate::testing::{self, TempDir};
use crate::wire::{Announce, Event, InfoHash, Transport};

#[cfg(feature = "page")]
mod gate;
mod lists;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn gate(token_file: &Path) -> GateSettings<'_> {
    GateSettings { token_file: Some(token_file), ..GateSettings::default() }
}

/// A daemon that serves its admin API while the test does other work.
struct Served {
    executor: LocalExecutor<'static>,
    shared: Rc<Shared>,
    socket: PathBuf,
    _file: SocketFile,
    tcp: SocketAddr,
    dir: TempDir,
}

impl Served {
    fn new(capacity: usize) -> Self {
        Self::with_patience(capacity, Duration::from_secs(10))
    }

    fn with_patience(capacity: usize, patience: Duration) -> Self {
        let dir = TempDir::new();
        let shared = Rc::new(testing::shared(&dir, testing::settings(capacity)));
        let limits = Limits { connections: 2, patience };
        let socket = dir.file("nakodo.sock");
        let (unix, file) = UnixServer::bind(&socket, limits).expect("a socket");
        let token_file = dir.file("token");
        fs::write(&token_file, format!("{TOKEN}\n")).expect("it is writable");
        fs::set_permissions(&token_file, Permissions::from_mode(0o600)).expect("it is ours");
        let tcp_server = TcpServer::bind(([127, 0, 0, 1], 0).into(), &gate(&token_file), limits).expect("a port");
        let tcp = tcp_server.local_addr().expect("bound");
        let executor = LocalExecutor::new();
        executor.spawn(unix.serve(Rc::clone(&shared))).detach();
        executor.spawn(tcp_server.serve(Rc::clone(&shared))).detach();
        Self { executor, shared, socket, _file: file, tcp, dir }
    }

    /// Run blocking work on another thread, and the servers meanwhile.
    fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        smol::block_on(self.executor.run(smol::unblock(work)))
    }

    fn ask(&self, request: Request) -> Result<String, Failure> {
        let socket = self.socket.clone();
        self.run(move || client::ask(&socket, &request, None))
    }

    /// Send `request` to the Unix socket, and return the response.
    fn send(&self, request: impl Into<Vec<u8>>) -> String {
        let (socket, request) = (self.socket.clone(), request.into());
        self.run(move || {
            let mut stream = UnixStream::connect(socket).expect("it listens");
            stream.write_all(&request).expect("it is read");
            read_all(stream)
        })
    }

    fn send_tcp(&self, request: String) -> String {
        let tcp = self.tcp;
        self.run(move || {
            let mut stream = TcpStream::connect(tcp).expect("it listens");
            stream.write_all(request.as_bytes()).expect("it is read");
            read_all(stream)
        })
    }

    fn whitelist(&self) -> Whitelist {
        let json = self.ask(Request::List { json: true }).expect("a list");
        serde_json::from_str(&json).expect("it is whole")
    }

    fn announce(&self, from: &str) -> bool {
        let announce =
            Announce { info_hash: InfoHash([7; 20]), port: 6881, left: 1, event: Event::Started, num_want: None };
        let from = from.parse().expect("an address");
        self.shared.tracker.borrow_mut().announce(self.shared.now(), from, Transport::Http, &announce).is_ok()
    }

    fn peers(&self) -> usize {
        self.shared.tracker.borrow().usage().leechers
    }

    /// Close the daemon, and return the entries on the disk.
    fn reopened(self) -> Vec<Entry> {
        let Self { executor, shared, dir, .. } = self;
        drop((executor, shared));
        let opened = crate::store::Store::open(dir.path()).expect("the store is closed");
        let mut entries = opened.entries;
        entries.sort_by_key(|entry| entry.prefix);
        entries
    }
}

fn read_all(mut stream: impl std::io::Read) -> String {
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("it is sent to its end");
    response
}

fn post(body: &str) -> String {
    with_body("POST", body)
}

fn with_body(method: &str, body: &str) -> String {
    format!("{method} /v1/whitelist HTTP/1.1\r\nHost: n\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn allow(text: &str) -> Allow {
    let prefix = prefix::parse(text).expect(text);
    Allow { prefix, user: None, retire_after_seconds: None, until_unix: None, permanent: false }
}

fn of_user(text: &str, user: &str) -> Request {
    Request::Allow(Allow { user: Some(user.into()), ..allow(text) })
}

#[track_caller]
fn refused(response: &str, status: &str, reason: &str) {
    assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{status}: {response}");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.contains("\r\nContent-Type: application/problem+json\r\n"), "{head}");
    assert!(head.ends_with(&format!("\r\nContent-Length: {}\r\nConnection: close", body.len())), "{head}");
    let (number, title) = status.split_once(' ').expect("a phrase");
    let start = format!(r#"{{"type":"about:blank","title":"{title}","status":{number},"detail":""#);
    assert!(body.starts_with(&start) && body.contains(reason), "{reason}: {body}");
}

#[test]
fn an_allowed_prefix_is_on_the_disk_and_in_the_table() {
    let served = Served::new(8);
    assert!(!served.announce("203.0.113.7"));
    assert_eq!(served.ask(of_user("203.0.113.7", "mika")), Ok("allowed 203.0.113.7/32\n".into()));
    assert!(served.announce("203.0.113.7"));
    let until = Allow { until_unix: Some(4_000_000_000), retire_after_seconds: Some(60), ..allow("2001:db8::7") };
    assert_eq!(served.ask(Request::Allow(until)), Ok("allowed 2001:db8::/64\n".into()));
    assert!(served.announce("2001:db8::99"));
    let permanent = Allow { permanent: true, ..allow("198.51.100.0/24") };
    assert_eq!(served.ask(Request::Allow(permanent)), Ok("allowed 198.51.100.0/24\n".into()));

    let list = served.whitelist().entries;
    let listed: Vec<_> = list.iter().map(|entry| (entry.prefix.to_string(), entry.retire_after_seconds)).collect();
    let expected = [("198.51.100.0/24", None), ("203.0.113.7/32", Some(30 * 86_400)), ("2001:db8::/64", Some(60))];
    assert_eq!(listed, expected.map(|(prefix, retire)| (prefix.to_string(), retire)));
    assert_eq!(list[1].user.as_deref(), Some("mika"));
    assert_eq!((list[0].user.as_deref(), list[2].until_unix), (None, Some(4_000_000_000)));

    let entries = served.reopened();
    let listed: Vec<_> = entries.iter().map(|entry| (entry.user.as_str(), entry.retire, entry.until)).collect();
    let until = Some(UnixSeconds(4_000_000_000));
    assert_eq!(listed, [("", Retire::Never, None), ("mika", Retire::Default, None), ("", Retire::After(60), until)]);
}

#[test]
fn allowing_an_entry_again_resets_its_idle_time() {
    let served = Served::new(1);
    let old = Entry { retire: Retire::Never, ..Entry::new(prefix::parse("203.0.113.7").expect("a prefix")) };
    let later = served.shared.now().after(Duration::from_millis(20));
    served.shared.tracker.borrow_mut().whitelist().put(old).expect("room");
    while served.shared.now() < later {
        std::thread::yield_now();
    }
    assert_eq!(served.ask(of_user("203.0.113.7", "mika")), Ok("changed 203.0.113.7/32\n".into()));
    let tracker = served.shared.tracker.borrow();
    let entry = tracker.whitelisted().after(None).expect("it is there");
    assert_eq!((entry.user.as_str(), entry.retire), ("mika", Retire::Default));
    assert!(entry.last_seen >= later);
}

#[test]
fn an_invalid_request_is_refused_and_changes_nothing() {
    let served = Served::new(8);
    for (body, reason) in [
        ("", "the request's body is not valid for /v1/whitelist: EOF"),
        ("{}", "missing field `prefix`"),
        (r#"{"prefix":"192.0.2.7","usr":"m"}"#, "unknown field `usr`"),
        (r#"{"prefix":"host.example"}"#, "`host.example` is not an IPv4 or IPv6 address"),
        (r#"{"prefix":"192.0.2.7"} {}"#, "trailing characters"),
        (r#"{"prefix":"192.0.2.7","user":" "}"#, "`user` is blank"),
        (r#"{"prefix":"192.0.2.7","user":"a\u0007"}"#, "control characters"),
        (r#"{"prefix":"192.0.2.7","user":"abcdefghijklmnopqrstuvwxyz0123456"}"#, "`user` has 33 bytes and may have 32"),
        (r#"{"prefix":"192.0.2.7","permanent":true,"retire_after_seconds":60}"#, "exclude each other"),
        (r#"{"prefix":"192.0.2.7","retire_after_seconds":0}"#, "may be from 1 to 315360000 (3650d)"),
        (r#"{"prefix":"192.0.2.7","retire_after_seconds":4294967297}"#, "is 4294967297 and may be"),
        (r#"{"prefix":"192.0.2.7","until_unix":1000}"#, "the end (1000 s since 1970) has passed"),
    ] {
        refused(&served.send(post(body)), "400 Bad Request", reason);
    }
    refused(&served.send(with_body("DELETE", "{}")), "400 Bad Request", "the request's body is not valid for");
    assert_eq!(served.whitelist(), Whitelist::default());
    assert_eq!(served.reopened(), []);
}

#[test]
fn a_malformed_or_unknown_request_is_refused() {
    let served = Served::new(8);
    let long = "x".repeat(REQUEST_OCTETS);
    let many = "a: b\r\n".repeat(200);
    for (request, status, reason) in [
        (
            "GET / HTTP/1.1\r\n\r\n".into(),
            "404 Not Found",
            "/v1/whitelist, /v1/whitelist/import, /v1/users, /v1/explain/*, /v1/tickets, ",
        ),
        ("GET /v1/status/ HTTP/1.1\r\n\r\n".into(), "404 Not Found", "unknown path"),
        ("GET /\u{ff} HTTP/1.1\r\n\r\n".into(), "404 Not Found", "unknown path"),
        ("hello\r\n\r\n".into(), "400 Bad Request", "this is not an HTTP/1.1 request"),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), "431 Request Header Fields Too Large", "head is too long"),
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), "431 Request Header Fields Too Large", "fewer or shorter headers"),
        (post(&long), "413 Content Too Large", "may have 8192 bytes"),
        (post("").replace(": 0", ": 18446744073709551615"), "413 Content Too Large", "body is too long"),
        (post("").replace("Content-Length: 0", "Transfer-Encoding: chunked"), "411 Length Required", "Content-Length"),
    ] {
        refused(&served.send(request), status, reason);
    }
    let response = served.send("PUT /v1/whitelist HTTP/1.1\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, POST, DELETE\r\n"), "{response}");
    let response = served.send("POST /v1/status HTTP/1.1\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n"), "{response}");
    assert!(response.ends_with(r#""detail":"/v1/status takes only GET"}"#), "{response}");
}

#[test]
fn a_request_that_is_cut_is_refused() {
    let served = Served::new(8);
    let request = post(r#"{"prefix":"192.0.2.7"}"#);
    for octets in [0, 1, 40, request.len() - 1] {
        let (socket, start) = (served.socket.clone(), request[..octets].to_owned());
        let response = served.run(move || {
            let mut stream = UnixStream::connect(socket).expect("it listens");
            stream.write_all(start.as_bytes()).expect("it is read");
            stream.shutdown(Shutdown::Write).expect("it is open");
            read_all(stream)
        });
        match octets {
            0 => assert_eq!(response, "", "a probe gets no response"),
            _ => refused(&response, "400 Bad Request", "the request ends too early"),
        }
    }
    assert_eq!(served.whitelist(), Whitelist::default());
}

#[test]
fn a_slow_client_times_out_and_blocks_no_other_client() {
    let served = Served::with_patience(8, Duration::from_millis(200));
    let socket = served.socket.clone();
    let responses = served.run(move || {
        // As many as are served at the same time; the next one waits in the kernel.
        let slow: Vec<_> = [b"GET /v1/st".as_slice(), b""]
            .into_iter()
            .map(|start| {
                let mut stream = UnixStream::connect(&socket).expect("it listens");
                stream.write_all(start).expect("it is read");
                stream
            })
            .collect();
        assert!(client::ask(&socket, &Request::Status { json: false }, None).is_ok());
        slow.into_iter().map(read_all).collect::<Vec<_>>()
    });
    for response in responses {
        refused(&response, "408 Request Timeout", "did not arrive within 200ms");
    }
}

#[test]
fn a_client_that_does_not_read_times_out() {
    let served = Served::with_patience(20_000, Duration::from_millis(200));
    fill(&served, 20_000);
    let socket = served.socket.clone();
    let read = served.run(move || {
        let mut stream = UnixStream::connect(&socket).expect("it listens");
        stream.write_all(b"GET /v1/whitelist HTTP/1.1\r\n\r\n").expect("it is read");
        // A write of zero bytes fails as soon as the other end is closed.
        while stream.write(&[]).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        read_all(stream)
    });
    assert!(read.starts_with("HTTP/1.1 200 OK\r\n") && !read.ends_with("]}"), "it was cut");
}

/// Put `count` entries into the table, but not on the disk.
fn fill(served: &Served, count: u32) {
    let mut tracker = served.shared.tracker.borrow_mut();
    for number in 0..count {
        let [_, a, b, c] = number.to_be_bytes();
        let user = User::try_from(format!("customer {number}").as_str()).expect("it is short");
        let prefix = prefix::of([10, a, b, c].into());
        let last_seen = Running::from_seconds(5);
        let entry = Entry { user, retire: Retire::Never, last_seen, ..Entry::new(prefix) };
        tracker.whitelist().put(entry).expect("room");
    }
}

#[test]
fn a_long_list_comes_whole() {
    let served = Served::new(2_000);
    fill(&served, 2_000);
    let list = served.whitelist().entries;
    assert_eq!(list.len(), 2_000);
    assert!(list.is_sorted_by_key(|entry| entry.prefix));
    assert_eq!(list[1_999].user.as_deref(), Some("customer 1999"));
    let table = served.ask(Request::List { json: false }).expect("a list");
    assert_eq!(table.lines().count(), 2_001);
    let response = served.send("GET /v1/whitelist HTTP/1.1\r\n\r\n");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{\"entries\":[{";
    assert!(response.starts_with(head), "{}", &response[..200]);
}

#[test]
fn revoked_peers_leave_at_once() {
    let served = Served::new(8);
    for (address, user) in [("203.0.113.7", "mika"), ("2001:db8::7", "mika"), ("203.0.113.9", "noor")] {
        served.ask(of_user(address, user)).expect("room");
        assert!(served.announce(address));
    }
    assert!(served.announce("192.168.1.7"), "the LAN is open");
    served.ask(Request::Allow(allow("203.0.113.0/24"))).expect("room");
    assert_eq!(served.peers(), 4);

    let revoke = |text| Request::Revoke(Revoke::Prefix(prefix::parse(text).expect(text)));
    assert_eq!(served.ask(revoke("203.0.113.0/24")), Ok("removed 1 entry\n".into()));
    assert_eq!(served.peers(), 4, "each has an entry of its own");
    assert_eq!(served.ask(revoke("203.0.113.9")), Ok("removed 1 entry\n".into()));
    assert_eq!(served.peers(), 3);
    assert_eq!(served.ask(Request::Revoke(Revoke::User("mika".into()))), Ok("removed 2 entries\n".into()));
    assert_eq!(served.peers(), 1, "the LAN's stays");
    assert!(!served.announce("203.0.113.7") && !served.announce("2001:db8::7"));

    for (revoke, reason) in [
        (revoke("203.0.113.9"), "203.0.113.9/32 is not on the whitelist"),
        (Request::Revoke(Revoke::User("mika".into())), "user \"mika\" is not on the whitelist"),
        (Request::Revoke(Revoke::User(String::new())), "user \"\" is not on the whitelist"),
    ] {
        let Err(failure) = served.ask(revoke) else { unreachable!("{reason}") };
        assert!(failure.code == exit::DATAERR && failure.message.starts_with(reason), "{failure:?}");
    }
    let response = served.send(with_body("DELETE", r#"{"user":"mika"}"#));
    refused(&response, "404 Not Found", "`nakodo list` shows its entries");
    assert_eq!(served.reopened(), []);
}

#[test]
fn a_full_whitelist_takes_no_newcomer() {
    let served = Served::new(2);
    for address in ["203.0.113.7", "203.0.113.8"] {
        served.ask(Request::Allow(allow(address))).expect("room");
    }
    let response = served.send(post(r#"{"prefix":"203.0.113.9"}"#));
    refused(&response, "507 Insufficient Storage", "it has room for 2 entries; revoke some, or raise access.capacity");
    assert_eq!(served.ask(Request::Allow(allow("203.0.113.8"))), Ok("changed 203.0.113.8/32\n".into()));
    assert_eq!(served.reopened().len(), 2);
}

#[test]
fn a_change_that_the_disk_does_not_take_is_not_made() {
    let served = Served::new(8);
    served.ask(of_user("203.0.113.7", "mika")).expect("room");
    served.announce("203.0.113.7");
    let before = served.whitelist().entries;
    for request in [post(r#"{"prefix":"203.0.113.8"}"#), with_body("DELETE", r#"{"user":"mika"}"#)] {
        served.shared.store.break_disk();
        let response = served.send(request);
        refused(&response, "507 Insufficient Storage", "nothing was changed, because the disk failed: cannot ");
        assert!(response.ends_with(r#","outcome":"unchanged"}"#), "{response}");
    }
    let after = served.whitelist().entries;
    assert_eq!((after.len(), after[0].prefix), (1, before[0].prefix));
    assert_eq!(served.peers(), 1);
    let json = served.ask(Request::Status { json: true }).expect("a status");
    let disk = serde_json::from_str::<Status>(&json).expect("it is one").disk;
    assert_eq!((disk.failing, disk.failures, disk.rebuilds), (None, 2, 2));
    assert_eq!(served.reopened().len(), 1);
}

#[test]
fn the_status_is_reported() {
    let served = Served::new(8);
    served.ask(Request::Allow(allow("203.0.113.7"))).expect("room");
    served.announce("203.0.113.7");
    served.announce("203.0.113.8");
    let json = served.ask(Request::Status { json: true }).expect("a status");
    let status: Status = serde_json::from_str(&json).expect("it is one");
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    assert_eq!((status.memory.budget_octets, status.memory.swarms, status.memory.peers), (256 << 10, 1, 1));
    assert_eq!((status.memory.seeders, status.memory.leechers), (0, 1));
    assert!(status.memory.lines > 3_000 && status.memory.lines_in_use > 0);
    assert_eq!((status.whitelist.entries, status.whitelist.capacity), (1, 8));
    assert!(status.flash.octets_written > 0);
    for (name, count) in [("announces_http", 2), ("refused_not_whitelisted", 1), ("peers_added", 1)] {
        assert!(status.counters.0.contains(&(name.into(), count)), "{json}");
    }
    let text = served.ask(Request::Status { json: false }).expect("a status");
    assert!(text.contains("  leechers"), "{text}");
}

#[test]
fn requests_without_the_token_are_refused() {
    let served = Served::new(8);
    let get = |fields: &str| format!("GET /v1/status HTTP/1.1\r\nHost: n\r\n{fields}\r\n");
    for fields in ["", "Authorization: Bearer 0123456789abcdef\r\n", "Authorization: Basic Og==\r\n"] {
        let response = served.send_tcp(get(fields));
        let head = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n";
        assert!(response.starts_with(head) && response.contains("admin.token_file"), "{response}");
    }
    let long = post(&"x".repeat(100_000));
    assert!(served.send_tcp(long).starts_with("HTTP/1.1 401 "), "whatever the request is");
    let response = served.send_tcp(get(&format!("Authorization: Bearer {TOKEN}\r\n")));
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    let allow = post(r#"{"prefix":"203.0.113.7"}"#);
    let allow = allow.replace("Host: n", &format!("Host: n\r\nAuthorization: Bearer {TOKEN}"));
    let response = served.send_tcp(allow);
    assert!(response.ends_with("\r\n\r\n{\"prefix\":\"203.0.113.7/32\",\"replaced\":false}"), "{response}");
}

#[test]
fn strangers_are_closed_for_new_clients_in_every_state() {
    let served = Served::with_patience(8, Duration::from_secs(120));
    let long = post(&"x".repeat(100_000));
    let whole = "GET /v1/status HTTP/1.1\r\n\r\n";
    for said in ["G", "POST /v1/whitelist HTTP/1.1\r\nContent-Length: 5\r\n", whole, &long] {
        let (tcp, octets) = (served.tcp, said.to_owned());
        let responses = served.run(move || {
            let mut strangers = Vec::new();
            [(); 5].map(|()| {
                for _ in 0..4 {
                    let mut stranger = TcpStream::connect(tcp).expect("it listens");
                    // The tracker may have closed it already.
                    let _ = stranger.write_all(octets.as_bytes());
                    strangers.push(stranger);
                }
                let mut client = TcpStream::connect(tcp).expect("it listens");
                client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
                let request = format!("GET /v1/status HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
                client.write_all(request.as_bytes()).expect("there is room");
                let mut response = String::new();
                client.read_to_string(&mut response).map(|_| response).map_err(|error| error.kind())
            })
        });
        for response in responses {
            assert!(response.as_ref().is_ok_and(|text| text.starts_with("HTTP/1.1 200 OK")), "{said}: {response:?}");
        }
    }
}

#[test]
fn the_server_survives_accept_errors() {
    let dir = TempDir::new();
    let shared = testing::shared(&dir, testing::settings(1));
    let (mut client, server) = async_net::unix::UnixStream::pair().expect("two sockets");
    let coming = std::cell::RefCell::new(vec![Ok(server), Err(std::io::ErrorKind::ConnectionAborted.into())]);
    let accept = || -> Accepting<'_> {
        let next: Option<std::io::Result<async_net::unix::UnixStream>> = coming.borrow_mut().pop();
        Box::pin(async {
            match next {
                Some(accepted) => accepted.map(|stream| (Box::new(stream) as Connection, None)),
                None => core::future::pending().await,
            }
        })
    };
    let serving = async {
        serve(&accept, "a test", &shared, None, Limits::default()).await;
        Err(std::io::ErrorKind::BrokenPipe.into())
    };
    let asking = async {
        client.write_all(b"GET /v1/status HTTP/1.1\r\n\r\n").await?;
        let mut response = String::new();
        client.read_to_string(&mut response).await.map(|_| response)
    };
    let response = smol::block_on(asking.or(serving)).expect("it is answered");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
}

#[test]
fn one_running_tracker_owns_the_socket() {
    let dir = TempDir::new();
    let path = dir.file("nakodo.sock");
    let bind = || UnixServer::bind(&path, Limits::default());
    let message =
        |bound: Result<(UnixServer, SocketFile), SocketError>| bound.map(drop).expect_err("it is not ours").to_string();

    let server = bind().expect("the path is free");
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o660);
    assert!(message(bind()).starts_with("another nakodo is listening on the control socket"));
    drop(server);
    assert!(!path.exists(), "its file goes with it");

    drop(StdUnixListener::bind(&path).expect("the path is free"));
    assert!(path.exists(), "a dead one stays behind");
    let server = bind().expect("the dead one is replaced");
    fs::remove_file(&path).expect("it is there");
    let another = StdUnixListener::bind(&path).expect("the name is free");
    drop(server);
    assert!(path.exists(), "the file of another process stays");
    drop(another);

    fs::remove_file(&path).expect("it is there");
    fs::write(&path, "precious").expect("it is writable");
    let text = message(bind());
    assert!(text.contains("another file is there; move it away"), "{text}");
    assert_eq!(fs::read(&path).expect("it is still there"), b"precious");
    for path in [dir.file("absent/nakodo.sock"), dir.file(&"x".repeat(120))] {
        let text = message(UnixServer::bind(&path, Limits::default()));
        assert!(text.starts_with("cannot create the control socket") && text.contains("set admin.socket"), "{text}");
    }
}

#[test]
fn an_unusable_tcp_address_or_token_is_reported() {
    let served = Served::new(1);
    let token_file = served.dir.file("token");
    let error =
        TcpServer::bind(served.tcp, &gate(&token_file), Limits::default()).expect_err("it is taken").to_string();
    assert!(error.contains("the port is in use") && error.contains("with `admin.listen`"), "{error}");
    let free = ([127, 0, 0, 1], 0).into();
    let absent = served.dir.file("absent");
    let error = TcpServer::bind(free, &gate(&absent), Limits::default()).expect_err("no token").to_string();
    assert!(error.starts_with("cannot read the token file"), "{error}");
}
