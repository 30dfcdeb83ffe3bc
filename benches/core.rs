//! The cost of an announce in the core, without sockets: `cargo bench --bench core`.
//!
//! The figures are medians of several alternating rounds, and depend on the machine: quote their ratios. For figures
//! that do not depend on the machine's load, `benches/instructions` counts the instructions of [`announce`], [`answer`]
//! and [`respond`] with callgrind. It uses these options, which make N announces in 100,000 swarms of 10 and nothing
//! else: `--announces N` calls the core directly, `--datagrams N` includes UDP, from the datagram to the bytes of the
//! reply, `--requests N` includes HTTP, `--whitelisted N` also a whitelist, and `--tickets N` also a ticket in each URL,
//! which has put the client's address on the list before.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use nakodo::access::{TicketNumber, User};
use nakodo::clock::{Running, UnixSeconds};
use nakodo::ticket::{SigningKey, Ticket};
use nakodo::tracker::{
    Admission, Ahead, Answer, HashKey, LOOK_AHEAD, MAX_RESPONSE_OCTETS, Policy, Seeds, Settings, TicketRules, Tracker,
};
use nakodo::wire::udp::{MAX_REPLY_OCTETS, peek_announce};
use nakodo::wire::{Announce, Event, InfoHash, Transport};

const ROUNDS: usize = 7;
const ANNOUNCES_A_ROUND: u32 = 1_000_000;
/// Number of requests with which the tickets put all addresses on the whitelist.
const FIRST: u32 = 200;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number_after = |option: &str| -> Option<u32> {
        let at = arguments.iter().position(|argument| argument == option)?;
        Some(arguments.get(at + 1).and_then(|number| number.parse().ok()).expect("the option takes a number"))
    };
    if let Some(announces) = number_after("--announces") {
        return Swarms::new(100_000, 10).announce_at_random(announces);
    }
    if let Some(datagrams) = number_after("--datagrams") {
        return Swarms::new(100_000, 10).answer_datagrams(datagrams);
    }
    if let Some(requests) = number_after("--requests") {
        return Swarms::new(100_000, 10).answer_requests(requests);
    }
    if let Some(requests) = number_after("--tickets") {
        return Swarms::new(100_000, 10).answer_requests_with_tickets(requests, true);
    }
    if let Some(requests) = number_after("--whitelisted") {
        return Swarms::new(100_000, 10).answer_requests_with_tickets(requests, false);
    }
    let mut cases = [
        ("100,000 swarms of 10 peers", Swarms::new(100_000, 10)),
        ("1 swarm of 10 peers", Swarms::new(1, 10)),
        ("1 swarm of 100,000 peers", Swarms::new(1, 100_000)),
        ("1,000 swarms of 1,000 peers", Swarms::new(1000, 1000)),
    ];
    println!("announces with 30 peers wanted, {ROUNDS} rounds of {ANNOUNCES_A_ROUND}, median:");
    for (batch, how) in [(LOOK_AHEAD, "in batches, as UDP has them"), (1, "one by one")] {
        println!(" {how}:");
        let mut rounds = [const { Vec::new() }; 4];
        for _ in 0..ROUNDS {
            for ((_, swarms), nanos) in cases.iter_mut().zip(&mut rounds) {
                swarms.batch = batch;
                nanos.push(swarms.round());
            }
        }
        let medians: Vec<f64> = rounds.into_iter().map(median).collect();
        for ((name, swarms), nanos) in cases.iter().zip(&medians) {
            let octets = swarms.tracker.usage().lines_in_use as f64 * 64.0 / f64::from(swarms.swarms * swarms.peers);
            println!(
                "  {name:30} {nanos:7.1} ns an announce, {:5.2} million a second, {octets:5.2} bytes of lines a peer",
                1e3 / nanos
            );
        }
        println!("  a swarm of 100,000 costs {:.2} times one of 10 (required: at most 10)", medians[2] / medians[1]);
    }
}

fn median(mut nanos: Vec<f64>) -> f64 {
    nanos.sort_by(f64::total_cmp);
    nanos[nanos.len() / 2]
}

fn info_hash(swarm: u32) -> InfoHash {
    let mut info_hash = [0; 20];
    info_hash[..4].copy_from_slice(&swarm.wrapping_mul(0x9e37_79b1).to_be_bytes());
    InfoHash(info_hash)
}

fn address(peer: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0100_0000 + peer))
}

/// Build an announce with the connection id of a connect reply.
fn datagram(connected: &[u8], swarm: u32, peer: u32) -> [u8; 98] {
    let mut datagram = [0; 98];
    datagram[..8].copy_from_slice(&connected[8..16]);
    datagram[11] = 1;
    datagram[16..36].copy_from_slice(&info_hash(swarm).0);
    datagram[71] = (peer % 4) as u8;
    datagram[95] = 30;
    datagram[96..].copy_from_slice(&6881_u16.to_be_bytes());
    datagram
}

/// Build the head of an announce as clients send it.
fn request(swarm: u32, peer: u32) -> String {
    let escaped: String = info_hash(swarm).0.iter().map(|octet| format!("%{octet:02x}")).collect();
    let left = peer % 4;
    format!(
        "GET /announce?info_hash={escaped}&peer_id=-TR4060-abcdefghijkl&port=6881&uploaded=0&downloaded=0&left={left}\
         &numwant=30&key=1a2b3c4d&compact=1&supportcrypto=1 HTTP/1.1\r\nHost: tracker.example:6969\r\n\
         User-Agent: Transmission/4.0.6\r\nAccept: */*\r\nAccept-Encoding: deflate, gzip\r\n\r\n"
    )
}

fn what_is_announced(swarm: u32, peer: u32) -> Announce {
    let left = u64::from(peer % 4);
    Announce { info_hash: info_hash(swarm), port: 6881, left, event: Event::Update, num_want: Some(30) }
}

/// Make one announce. This is a separate function, so that its instructions can be counted.
#[inline(never)]
fn announce(tracker: &mut Tracker, now: Running, from: IpAddr, announce: &Announce) -> usize {
    let reply = tracker.announce(now, from, Transport::Udp, announce).expect("open to all");
    reply.peers4.len()
}

/// Answer a batch as the UDP server does. This is a separate function, so that its instructions can be counted.
#[inline(never)]
fn answer(tracker: &mut Tracker, now: Running, batch: &[(SocketAddr, [u8; 98])], out: &mut [u8]) {
    let mut ahead = heapless::Vec::<Ahead, LOOK_AHEAD>::new();
    for (from, datagram) in batch {
        if let Some(announce) = peek_announce(datagram) {
            let _ = ahead.push(Ahead::new(from.ip(), &announce));
        }
    }
    tracker.look_ahead(&ahead);
    for (from, datagram) in batch {
        assert!(
            black_box(tracker.answer_datagram(now, *from, datagram, out)) > 20,
            "an announce is answered with peers"
        );
    }
}

/// Answer an announce over HTTP. This is a separate function, so that its instructions can be counted.
#[inline(never)]
fn respond(tracker: &mut Tracker, now: Running, from: IpAddr, request: &[u8], out: &mut [u8]) {
    let answer = tracker.answer_request(now, from, request, out);
    assert!(matches!(black_box(answer), Answer::Response { written: 200.., .. }), "an announce is answered with peers");
}

/// A tracker with full swarms, for announces at random.
struct Swarms {
    tracker: Tracker,
    swarms: u32,
    peers: u32,
    now: Running,
    batch: usize,
    random: fastrand::Rng,
}

impl Swarms {
    fn new(swarms: u32, peers: u32) -> Self {
        let policy = Policy { min_interval: Duration::ZERO, wan: Admission::Open, ..Policy::default() };
        let settings = Settings {
            memory_octets: 64 << 20,
            whitelist_capacity: 64,
            peer_timeout: Duration::from_secs(2700),
            lan: Vec::new(),
            policy,
        };
        let seeds = Seeds { hash: HashKey(1, 2), connection_ids: HashKey(3, 4), random: 5 };
        let mut filled = Self {
            tracker: Tracker::new(settings, seeds).expect("memory"),
            swarms,
            peers,
            now: Running::from_seconds(10),
            batch: LOOK_AHEAD,
            random: fastrand::Rng::with_seed(6),
        };
        for peer in 0..peers {
            for swarm in 0..swarms {
                filled.announce(swarm, peer);
            }
        }
        filled
    }

    fn announce(&mut self, swarm: u32, peer: u32) -> usize {
        announce(&mut self.tracker, self.now, address(peer), &what_is_announced(swarm, peer))
    }

    /// Announce in batches like the UDP server, which looks ahead at the datagrams of one system call.
    fn announce_at_random(&mut self, announces: u32) {
        let mut left = announces;
        while left > 0 {
            let batch = (left as usize).min(self.batch);
            let mut who = [(0, 0); LOOK_AHEAD];
            for (swarm, peer) in &mut who[..batch] {
                (*swarm, *peer) = (self.random.u32(..self.swarms), self.random.u32(..self.peers));
            }
            if batch > 1 {
                let ahead = who.map(|(swarm, peer)| Ahead::new(address(peer), &what_is_announced(swarm, peer)));
                self.tracker.look_ahead(&ahead[..batch]);
            }
            for (swarm, peer) in &who[..batch] {
                black_box(self.announce(*swarm, *peer));
            }
            left -= batch as u32;
        }
    }

    /// Answer random announces over UDP.
    fn answer_datagrams(&mut self, datagrams: u32) {
        let mut out = [0; MAX_REPLY_OCTETS];
        for _ in 0..datagrams.div_ceil(LOOK_AHEAD as u32) {
            let batch: [(SocketAddr, [u8; 98]); LOOK_AHEAD] = core::array::from_fn(|_| {
                let (swarm, peer) = (self.random.u32(..self.swarms), self.random.u32(..self.peers));
                let from = SocketAddr::new(address(peer), 6881);
                let mut connect = [0; 16];
                connect[..8].copy_from_slice(&0x417_2710_1980_u64.to_be_bytes());
                self.tracker.answer_datagram(self.now, from, &connect, &mut out);
                (from, datagram(&out, swarm, peer))
            });
            answer(&mut self.tracker, self.now, &batch, &mut out);
        }
    }

    /// Answer random announces over HTTP.
    fn answer_requests(&mut self, requests: u32) {
        let mut out = [0; MAX_RESPONSE_OCTETS];
        for _ in 0..requests {
            let (swarm, peer) = (self.random.u32(..self.swarms), self.random.u32(..self.peers));
            respond(&mut self.tracker, self.now, address(peer), request(swarm, peer).as_bytes(), &mut out);
        }
    }

    /// Answer random announces over HTTP from addresses that tickets put on the whitelist. Either each has its ticket, or
    /// only the first ones.
    fn answer_requests_with_tickets(&mut self, requests: u32, each: bool) {
        let key = SigningKey::of_seed([7; 32]).expect("a seed");
        let policy = Policy { min_interval: Duration::ZERO, wan: Admission::Whitelist, ..Policy::default() };
        self.tracker.set_policy(policy);
        self.tracker.set_ticket_rules(TicketRules { keys: vec![key.public()], ..TicketRules::default() });
        let ticket = |peer: u32| {
            let user = User::try_from(format!("customer-{peer}").as_str()).expect("a short name");
            let (until, number) = (UnixSeconds(1_800_000_000), TicketNumber(28_000_000));
            key.sign("", &Ticket { key: key.public().id(), user, until, number, addresses: 2 })
        };
        let tickets: Vec<_> = (0..self.peers).map(ticket).collect();
        let mut out = [0; MAX_RESPONSE_OCTETS];
        for number in 0..requests {
            let (swarm, peer) = (self.random.u32(..self.swarms), self.random.u32(..self.peers));
            let mut request = request(swarm, peer);
            if each || number < FIRST {
                request = request.replace("GET /", &format!("GET /{}/", tickets[peer as usize]));
            }
            // Time for the signatures of the first ones.
            self.now = self.now.after(Duration::from_millis(if number < FIRST { 1000 } else { 0 }));
            respond(&mut self.tracker, self.now, address(peer), request.as_bytes(), &mut out);
        }
    }

    /// Measure one round, in nanoseconds per announce.
    fn round(&mut self) -> f64 {
        let started = Instant::now();
        self.announce_at_random(ANNOUNCES_A_ROUND);
        started.elapsed().as_nanos() as f64 / f64::from(ANNOUNCES_A_ROUND)
    }
}
