//! Clients with real sockets. Every wait has a time limit.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage};

use super::http::{self, Response};
use super::process::PATIENCE;
use super::udp::{self, Reply};
use super::{Announce, Refused, Scraped, Told, info_hash};

/// Time after which a UDP datagram is sent again: datagrams may be lost even on loopback.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A UDP client with its own address.
pub(crate) struct UdpClient {
    pub(crate) socket: UdpSocket,
    pub(crate) tracker: SocketAddr,
    connection_id: Option<u64>,
}

impl UdpClient {
    /// Create a client at `from`, on any port, that accepts answers from every address.
    pub(crate) fn new(from: &str, tracker: SocketAddr) -> Self {
        let socket = UdpSocket::bind((super::ip(from), 0)).expect(from);
        socket.set_read_timeout(Some(AGAIN_AFTER)).expect("a timeout");
        Self { socket, tracker, connection_id: None }
    }

    /// Send `request` until it is answered; return the answer and its sender.
    pub(crate) fn ask(&self, request: &[u8]) -> (Vec<u8>, SocketAddr) {
        self.ask_for(request, PATIENCE).expect("an answer")
    }

    fn ask_for(&self, request: &[u8], patience: Duration) -> Option<(Vec<u8>, SocketAddr)> {
        let started = Instant::now();
        let mut reply = [0; 2048];
        while started.elapsed() < patience {
            self.socket.send_to(request, self.tracker).expect("loopback takes datagrams");
            while let Ok((octets, from)) = self.socket.recv_from(&mut reply) {
                // Ignore other replies: a request that was sent twice is answered twice.
                if octets >= 8 && reply[4..8] == request[12..16] {
                    return Some((reply[..octets].to_vec(), from));
                }
            }
        }
        None
    }

    /// Return the next datagram, if one arrives within about a second.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let mut reply = [0; 2048];
        self.socket.recv_from(&mut reply).ok().map(|(octets, _)| reply[..octets].to_vec())
    }

    pub(crate) fn connect(&mut self) -> u64 {
        if let Some(id) = self.connection_id {
            return id;
        }
        let (reply, from) = self.ask(&udp::connect(0x0bad_cafe));
        let Reply::Connect(id) = Reply::parse(&reply, from, 0x0bad_cafe) else {
            unreachable!("{} to a connect", reply.escape_ascii())
        };
        self.connection_id = Some(id);
        id
    }

    pub(crate) fn announce(&mut self, announce: &Announce) -> Result<Told, Refused> {
        let id = self.connect();
        let (reply, from) = self.ask(&udp::announce(id, 7, announce));
        Reply::parse(&reply, from, 7).told()
    }

    /// Scrape one swarm.
    pub(crate) fn scrape(&mut self, swarm: u8) -> Result<Scraped, String> {
        let id = self.connect();
        let (reply, from) = self.ask(&udp::scrape(id, 9, &[info_hash(swarm)]));
        match Reply::parse(&reply, from, 9) {
            Reply::Scrape(entries) if entries.len() == 1 => Ok(entries[0]),
            Reply::Error(reason) => Err(reason),
            other => unreachable!("{other:?} to a scrape"),
        }
    }
}

/// One HTTP connection.
pub(crate) struct HttpClient {
    pub(crate) stream: TcpStream,
    received: Vec<u8>,
}

impl HttpClient {
    pub(crate) fn connect(tracker: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&tracker, PATIENCE).expect("the tracker listens");
        Self::over(stream)
    }

    /// Connect from a given address of this host.
    pub(crate) fn connect_from(from: &str, tracker: SocketAddr) -> Self {
        let family = if tracker.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let stream =
            TcpStream::from(socket::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket"));
        let from = SockaddrStorage::from(SocketAddr::new(super::ip(from), 0));
        socket::bind(stream.as_raw_fd(), &from).expect("an address of this host");
        socket::connect(stream.as_raw_fd(), &SockaddrStorage::from(tracker)).expect("the tracker listens");
        Self::over(stream)
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, received: Vec::new() }
    }

    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).expect("the tracker takes it");
    }

    /// Read the next complete response.
    pub(crate) fn response(&mut self) -> Response {
        self.try_response().expect("a response")
    }

    /// Read the next complete response, or return the error.
    pub(crate) fn try_response(&mut self) -> io::Result<Response> {
        loop {
            if let Some(octets) = whole(&self.received) {
                let response = Response::parse(&self.received[..octets]);
                self.received.drain(..octets);
                return Ok(response);
            }
            let mut piece = [0; 16 * 1024];
            match self.stream.read(&mut piece)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                octets => self.received.extend_from_slice(&piece[..octets]),
            }
        }
    }

    pub(crate) fn ask(&mut self, request: &[u8]) -> Response {
        self.send(request);
        self.response()
    }

    pub(crate) fn announce(&mut self, announce: &Announce) -> Result<Told, Refused> {
        self.ask(&http::announce(announce)).told()
    }

    /// Wait until the tracker closes the connection, and return the bytes received until then.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let started = Instant::now();
        let mut piece = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => break,
                Ok(octets) => self.received.extend_from_slice(&piece[..octets]),
                Err(error) if is_timeout(&error) => unreachable!("the connection stays open"),
                // The tracker resets the connection if it closes it with unread data.
                Err(_) => break,
            }
            assert!(started.elapsed() < PATIENCE, "the connection stays open");
        }
        self.received
    }

    /// Is the connection open, with nothing to read?
    pub(crate) fn is_open(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        let read = self.stream.read(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        read.is_err_and(|error| is_timeout(&error))
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Return the length of the response at the start of `received`, once it is complete.
fn whole(received: &[u8]) -> Option<usize> {
    let head = received.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("it has a length");
    let octets = head + length.parse::<usize>().expect("a number");
    (received.len() >= octets).then_some(octets)
}

/// Announce over a new connection.
pub(crate) fn announce_http(tracker: SocketAddr, announce: &Announce) -> Result<Told, Refused> {
    HttpClient::connect(tracker).announce(announce)
}

/// Return these loopback addresses; on a machine without IPv6, only the IPv4 ones. The missing ones are reported on
/// stderr directly, because the test harness hides the output of passing tests.
pub(crate) fn with_ipv6<'a>(addresses: &[&'a str]) -> Vec<&'a str> {
    let is_there = |address: &&&str| match UdpSocket::bind((super::ip(address), 0)) {
        Err(error) if address.contains(':') => {
            let test = thread::current();
            let test = test.name().unwrap_or_default();
            writeln!(io::stderr(), "{test}: NOT tried on {address}, which is missing here: {error}").expect("a line");
            false
        }
        bound => bound.is_ok(),
    };
    addresses.iter().filter(is_there).copied().collect()
}
