//! Shared parts of the tests: a tracker with a mock clock and an interface of bytes only, and a tracker in its own
//! process.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub(crate) mod bencode;
pub(crate) mod http;
pub(crate) mod process;
pub(crate) mod sockets;
pub(crate) mod udp;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nakodo::access::Entry;
use nakodo::clock::Running;
use nakodo::tracker::{Admission, Answer, HashKey, MAX_RESPONSE_OCTETS, Policy, Seeds, Settings, Tracker};
use nakodo::wire::Transport;

/// Length of the UDP buffer: the longest reply, and some bytes that must stay untouched.
const UDP_BUFFER_OCTETS: usize = 2048;
/// Value of an unwritten byte in a buffer.
const DIRT: u8 = 0xa5;

pub(crate) const INTERVAL: Duration = Duration::from_secs(1800);
pub(crate) const MIN_INTERVAL: Duration = Duration::from_secs(300);
pub(crate) const PEER_TIMEOUT: Duration = Duration::from_secs(2700);
pub(crate) const DEFAULT_PEERS: usize = 50;
pub(crate) const MAX_PEERS: usize = 200;
pub(crate) const BOTH: [Transport; 2] = [Transport::Udp, Transport::Http];

/// Build the settings of a usual home: LAN and WAN are open, and the gateway's external address is unknown.
pub(crate) fn settings() -> Settings {
    let policy = Policy {
        interval: INTERVAL,
        min_interval: MIN_INTERVAL,
        max_peers: MAX_PEERS as u16,
        default_peers: DEFAULT_PEERS as u16,
        wan: Admission::Open,
        retry_in: Duration::from_secs(3600),
        ..Policy::default()
    };
    let lan = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10"];
    Settings {
        memory_octets: 1 << 20,
        whitelist_capacity: 64,
        peer_timeout: PEER_TIMEOUT,
        lan: lan.iter().map(|prefix| prefix.parse().expect(prefix)).collect(),
        policy,
    }
}

pub(crate) fn seeds(random: u64) -> Seeds {
    Seeds { hash: HashKey(random ^ 11, 13), connection_ids: HashKey(17, random ^ 19), random }
}

pub(crate) fn socket(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

/// Content of an announce, for both transports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announce {
    pub(crate) info_hash: [u8; 20],
    /// The port on which the client listens; it differs from the source port.
    pub(crate) port: u16,
    pub(crate) left: u64,
    pub(crate) event: Event,
    /// `None`: absent over HTTP, -1 over UDP.
    pub(crate) num_want: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Update,
    Completed,
    Started,
    Stopped,
    Paused,
}

impl Announce {
    pub(crate) fn leecher(swarm: u8, port: u16) -> Self {
        Self { info_hash: info_hash(swarm), port, left: 1, event: Event::Update, num_want: None }
    }

    pub(crate) fn seeder(swarm: u8, port: u16) -> Self {
        Self { left: 0, ..Self::leecher(swarm, port) }
    }

    pub(crate) fn with(self, event: Event) -> Self {
        Self { event, ..self }
    }

    pub(crate) fn wanting(self, num_want: i32) -> Self {
        Self { num_want: Some(num_want), ..self }
    }
}

/// Build an info-hash that is not UTF-8, with many bytes that HTTP must escape.
pub(crate) fn info_hash(number: u8) -> [u8; 20] {
    let mut bytes = *b"\xff\x00&=%+ ?#\x80\xc3\xfe/\r\n;:~\x7f_";
    bytes[19] = number;
    bytes
}

/// Reply to an admitted announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) interval: u32,
    pub(crate) seeders: u32,
    pub(crate) leechers: u32,
    /// In the order of the reply; over HTTP the IPv4 peers come before the others.
    pub(crate) peers: Vec<SocketAddr>,
}

impl Told {
    pub(crate) fn counts(&self) -> (u32, u32) {
        (self.seeders, self.leechers)
    }
}

/// Reply to a refused announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) reason: String,
    /// Minutes (BEP 31); UDP has no field for it.
    pub(crate) retry_in: Option<i64>,
}

/// Seeders, finished downloads, leechers.
pub(crate) type Scraped = (u32, u32, u32);

/// A tracker with its clock and the buffers of the shell.
pub(crate) struct Site {
    pub(crate) tracker: Tracker,
    pub(crate) now: Running,
    next_sweep: Running,
    out: Vec<u8>,
}

impl Site {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::seeded(settings, 23)
    }

    pub(crate) fn seeded(settings: Settings, random: u64) -> Self {
        let tracker = Tracker::new(settings, seeds(random)).expect("memory");
        let now = Running::from_seconds(10_000);
        Self { tracker, now, next_sweep: now, out: vec![DIRT; MAX_RESPONSE_OCTETS + 64] }
    }

    /// Create a site on which every client may announce.
    pub(crate) fn open() -> Self {
        Self::new(settings())
    }

    /// Let time pass, and call the sweeper whenever it is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        while self.next_sweep <= end {
            self.now = self.next_sweep;
            self.next_sweep = self.now.after(self.tracker.sweep(self.now));
        }
        self.now = end;
    }

    /// Remove the peers of all addresses that were retired or revoked.
    pub(crate) fn forget(&mut self) {
        let end = self.tracker.forgetting_ends();
        while !self.tracker.has_forgotten(end) {
            self.tracker.forget(self.now);
        }
    }

    pub(crate) fn allow(&mut self, prefix: &str) {
        let entry = Entry { last_seen: self.now, ..Entry::new(prefix.parse().expect(prefix)) };
        self.tracker.whitelist().put(entry).expect("room");
    }

    /// Answer a datagram and return the reply, if any. Check that the buffer is untouched beyond the reply.
    pub(crate) fn datagram(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let out = &mut self.out[..UDP_BUFFER_OCTETS];
        out.fill(DIRT);
        let written = self.tracker.answer_datagram(self.now, from, datagram, out);
        assert!(out[written..].iter().all(|&octet| octet == DIRT), "written beyond the reply");
        (written > 0).then(|| out[..written].to_vec())
    }

    pub(crate) fn answer(&mut self, from: IpAddr, received: &[u8]) -> Answer {
        self.tracker.answer_request(self.now, from, received, &mut self.out)
    }

    /// Answer exactly one complete request.
    pub(crate) fn request(&mut self, from: IpAddr, request: &[u8]) -> http::Response {
        let Answer::Response { consumed, written, keep_alive, .. } = self.answer(from, request) else {
            unreachable!("a whole request is answered: {}", request.escape_ascii());
        };
        assert_eq!(consumed, request.len(), "the whole request is consumed");
        let response = http::Response::parse(&self.out[..written]);
        assert_eq!(response.keep_alive, keep_alive, "the response states if the connection is kept");
        response
    }

    /// Parse the response that the last [`Site::answer`] wrote.
    pub(crate) fn written(&self, octets: usize) -> http::Response {
        http::Response::parse(&self.out[..octets])
    }

    pub(crate) fn connect(&mut self, from: SocketAddr) -> u64 {
        let reply = self.datagram(from, &udp::connect(0x0bad_cafe)).expect("a connect is answered");
        match udp::Reply::parse(&reply, from, 0x0bad_cafe) {
            udp::Reply::Connect(id) => id,
            other => unreachable!("{other:?} to a connect"),
        }
    }

    /// Announce from `from`; over UDP with a new connection id.
    pub(crate) fn announce(
        &mut self,
        transport: Transport,
        from: SocketAddr,
        announce: Announce,
    ) -> Result<Told, Refused> {
        match transport {
            Transport::Http => self.request(from.ip(), &http::announce(&announce)).told(),
            Transport::Udp => {
                let id = self.connect(from);
                let reply = self.datagram(from, &udp::announce(id, 7, &announce)).expect("an announce is answered");
                udp::Reply::parse(&reply, from, 7).told()
            }
        }
    }

    /// Announce, and expect a reply with peers.
    pub(crate) fn told(&mut self, transport: Transport, from: &str, announce: Announce) -> Told {
        self.announce(transport, socket(from), announce).expect(from)
    }

    /// Announce, and expect a refusal.
    pub(crate) fn refused(&mut self, transport: Transport, from: &str, announce: Announce) -> Refused {
        self.announce(transport, socket(from), announce).expect_err(from)
    }

    /// Scrape one swarm from `from`.
    pub(crate) fn scrape(&mut self, transport: Transport, from: &str, swarm: u8) -> Scraped {
        let (from, hash) = (socket(from), info_hash(swarm));
        match transport {
            Transport::Http => self.request(from.ip(), &http::scrape(&[hash])).scraped(&hash),
            Transport::Udp => {
                let id = self.connect(from);
                let reply = self.datagram(from, &udp::scrape(id, 9, &[hash])).expect("a scrape is answered");
                match udp::Reply::parse(&reply, from, 9) {
                    udp::Reply::Scrape(entries) if entries.len() == 1 => entries[0],
                    other => unreachable!("{other:?} to a scrape"),
                }
            }
        }
    }
}
