//! In steady state the core makes no allocation for any request.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Announce, Event, http, info_hash, socket, udp};
use nakodo::access::{Entry, Retire, TicketNumber, User};
use nakodo::clock::{Running, UnixSeconds};
use nakodo::ticket::{Revocation, SigningKey, Ticket};
use nakodo::torrents::{TorrentMode, TorrentRules};
use nakodo::tracker::{Admission, Answer, MAX_RESPONSE_OCTETS, Settings, TicketRules, Tracker};
use nakodo::wire::InfoHash;

const REQUESTS: u64 = 100_000;
/// Number of requests after which every path has run and every buffer has its final size.
const WARM_UP: u64 = 20_000;

/// The time of the wall clock, which does not advance.
const WALL: UnixSeconds = UnixSeconds(1_800_000_000);

/// Whitelisted prefixes on the WAN.
const CUSTOMERS: [&str; 2] = ["203.0.113.0/25", "2001:db8:5::/48"];

/// A request, built before the allocations are counted.
enum Request {
    Datagram(Vec<u8>),
    /// A datagram that starts with a connection id, which is filled in when it is sent.
    WithId(Vec<u8>),
    Http(Vec<u8>),
}

struct Sender {
    from: SocketAddr,
    requests: Vec<Request>,
}

fn requests(number: u8, garbage: &mut fastrand::Rng) -> Vec<Request> {
    let swarm = number % 13;
    let port = 6881 + u16::from(number);
    let events = [Event::Started, Event::Update, Event::Update, Event::Paused, Event::Completed, Event::Stopped];
    let mut requests = vec![
        Request::Datagram(udp::connect(1).to_vec()),
        Request::Datagram(udp::announce(u64::MAX, 2, &Announce::leecher(swarm, port)).to_vec()),
        Request::Datagram((0..garbage.usize(..1400)).map(|_| garbage.u8(..)).collect()),
        Request::WithId(udp::scrape(0, 3, &[1, swarm, 99].map(info_hash))),
        Request::Http(http::scrape(&[swarm, 99, 1].map(info_hash))),
        Request::Http(http::get("/announce?port=nonsense")),
        Request::Http(http::get("/nothing")),
        Request::Http(b"nonsense\r\n\r\n".to_vec()),
        Request::Http(b"GET /announce?info_hash=".to_vec()),
        Request::Http(http::get(&http::announce_target(&Announce::leecher(swarm, port)).replace("/announce", "/"))),
        Request::Http(forwarded(swarm, port, "X-Forwarded-For: 192.168.1.9, 203.0.113.3")),
        Request::Http(forwarded(swarm, port, "Forwarded: for=\"[2001:db8::1]:80\";proto=http")),
        Request::Http(b"HEAD / HTTP/1.0\r\nX-Forwarded-For: 203.0.113.3\r\n\r\n".to_vec()),
    ];
    for (at, event) in events.into_iter().enumerate() {
        let left = u64::from(at < 4 && !number.is_multiple_of(3));
        let announce = Announce { left, ..Announce::leecher(swarm, port) }.with(event).wanting(200);
        requests.push(Request::WithId(udp::announce(0, 4, &announce).to_vec()));
        requests.push(Request::Http(http::announce(&announce)));
    }
    requests.extend(with_tickets(number));
    requests
}

fn key() -> SigningKey {
    SigningKey::of_seed([7; 32]).expect("a seed")
}

fn ticket(user: u8) -> Ticket {
    let user = User::try_from(format!("user-{user}").as_str()).expect("a short name");
    let (key, until) = (key().public().id(), UnixSeconds(WALL.0 + 30 * 86_400));
    Ticket { key, user, until, number: TicketNumber::at(WALL), addresses: 1 }
}

/// Build announces with good and bad tickets. Some users have several addresses.
fn with_tickets(number: u8) -> Vec<Request> {
    let target = http::announce_target(&Announce::leecher(number % 13, 6881 + u16::from(number)));
    let good = ticket(number % 20);
    let text = key().sign("", &good);
    let other = SigningKey::of_seed([8; 32]).expect("a seed");
    let of = |ticket: Ticket| key().sign("", &ticket).to_string();
    let texts = [
        text.to_string(),
        of(Ticket { until: UnixSeconds(good.until.0 + 86_400), ..good.clone() }),
        text.to_uppercase(),
        text.replace('.', "%2e"),
        format!("{text}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        text[..100].to_owned(),
        text.replace("user-", "user!"),
        of(Ticket { until: WALL, ..good.clone() }),
        of(Ticket { number: TicketNumber(good.number.0 + 100_000), ..good.clone() }),
        of(revoked()),
        other.sign("", &good).to_string(),
        other.sign("", &Ticket { key: other.public().id(), ..good }).to_string(),
    ];
    let mut requests: Vec<Request> =
        texts.iter().map(|text| Request::Http(http::get(&format!("/{text}{target}")))).collect();
    requests.extend(texts.iter().map(|text| Request::Http(http::get(&format!("/login/{text}")))));
    let mut datagram = udp::announce(0, 5, &Announce::leecher(number % 13, 6881)).to_vec();
    let url = format!("/{text}/announce");
    datagram.extend([2, url.len() as u8].iter().chain(url.as_bytes()));
    requests.push(Request::WithId(datagram));
    requests
}

fn revoked() -> Ticket {
    Ticket { number: TicketNumber(7), until: UnixSeconds(WALL.0 + 86_400), ..ticket(99) }
}

/// Build an announce with a forwarding header.
fn forwarded(swarm: u8, port: u16, header: &str) -> Vec<u8> {
    let target = http::announce_target(&Announce::leecher(swarm, port));
    format!("GET {target} HTTP/1.1\r\n{header}\r\n\r\n").into_bytes()
}

/// Build senders of both families: on the LAN, whitelisted on the WAN, and refused on the WAN.
fn senders() -> Vec<Sender> {
    let mut garbage = fastrand::Rng::with_seed(9);
    let mut sender = |from: String, number| Sender { from: socket(&from), requests: requests(number, &mut garbage) };
    let mut senders = Vec::new();
    for number in 1..100 {
        senders.push(sender(format!("192.168.1.{number}:50001"), number));
        senders.push(sender(format!("[fd00::{number}]:50001"), number));
        senders.push(sender(format!("203.0.113.{number}:50001"), number));
        senders.push(sender(format!("[2001:db8:5:{number}::1]:50001"), number));
        senders.push(sender(format!("[::ffff:192.168.2.{number}]:50001"), number));
        // One address with too large a share of the pool.
        senders.push(sender("203.0.113.120:50001".into(), number));
        senders.push(sender(format!("198.51.100.{number}:50001"), number));
    }
    senders
}

/// Build a tracker with a pool that is too small for the senders, so that eviction runs as well.
fn tracker() -> Tracker {
    let mut settings = Settings { memory_octets: 120 * 64, whitelist_capacity: 12, ..common::settings() };
    settings.policy.wan = Admission::Whitelist;
    settings.policy.external.v4 = Some([203, 0, 113, 200].into());
    settings.policy.proxies = vec!["192.168.1.5/32".parse().expect("a prefix")];
    let mut tracker = Tracker::new(settings, common::seeds(5)).expect("memory");
    let mut rules = TicketRules { keys: vec![key().public()], ..TicketRules::default() };
    let Ticket { user, number, .. } = revoked();
    assert!(rules.revocations.add(Revocation { user, first: number, last: number, until: None }));
    tracker.set_ticket_rules(rules);
    let list = Some(vec![InfoHash(info_hash(12))].into());
    tracker.set_torrents(TorrentRules { mode: TorrentMode::Except, list });
    for prefix in CUSTOMERS {
        let entry = Entry { retire: Retire::Never, ..Entry::new(prefix.parse().expect(prefix)) };
        tracker.whitelist().put(entry).expect("room");
    }
    tracker
}

/// The shell: it owns the buffers and calls the core.
struct Shell {
    tracker: Tracker,
    now: Running,
    next_sweep: Running,
    random: fastrand::Rng,
    out: Vec<u8>,
    /// Total length of the replies in bytes; it keeps the compiler from removing the calls.
    replied: u64,
}

impl Shell {
    fn serve(&mut self, senders: &mut [Sender], requests: u64) {
        for number in 0..requests {
            // From time to time let so much time pass without requests that all peers are stale, or expired.
            self.pass(match number % 10_000 {
                4_999 => Duration::from_secs(2200),
                9_999 => Duration::from_secs(3600),
                _ => Duration::from_millis(200),
            });
            if number % 500 == 0 {
                self.revoke_one();
            }
            let sender = self.random.usize(..senders.len());
            let Sender { from, requests } = &mut senders[sender];
            let request = self.random.usize(..requests.len());
            self.replied += self.answer(*from, &mut requests[request]) as u64;
        }
    }

    /// Make room on the whitelist for an address with a ticket.
    fn revoke_one(&mut self) {
        let brought = self.tracker.whitelisted().entries().find(|entry| entry.ticket.is_some());
        if let Some(prefix) = brought.map(|entry| entry.prefix) {
            self.tracker.revoke(&[prefix]);
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        while self.next_sweep <= end {
            self.now = self.next_sweep;
            self.next_sweep = self.now.after(self.tracker.sweep(self.now));
            assert_eq!(self.tracker.retire(self.now, Some(WALL), drop), 0);
        }
        self.now = end;
    }

    fn answer(&mut self, from: SocketAddr, request: &mut Request) -> usize {
        match request {
            Request::Datagram(datagram) => self.tracker.answer_datagram(self.now, from, datagram, &mut self.out),
            Request::WithId(datagram) => {
                let connected = self.tracker.answer_datagram(self.now, from, &udp::connect(0), &mut self.out);
                datagram[..8].copy_from_slice(&self.out[8..connected]);
                self.tracker.answer_datagram(self.now, from, datagram, &mut self.out)
            }
            Request::Http(request) => match self.tracker.answer_request(self.now, from.ip(), request, &mut self.out) {
                Answer::Incomplete => 0,
                Answer::Response { written, .. } => written,
            },
        }
    }
}

/// Count the allocations that `work` makes on this thread.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert_eq!(allocations(|| drop(std::hint::black_box(String::from("one").repeat(3)))), 2);
}

#[test]
fn a_hundred_thousand_requests_allocate_nothing() {
    let mut senders = senders();
    let mut shell = Shell {
        tracker: tracker(),
        now: Running::from_seconds(1000),
        next_sweep: Running::from_seconds(1000),
        random: fastrand::Rng::with_seed(7),
        out: vec![0; MAX_RESPONSE_OCTETS],
        replied: 0,
    };
    shell.serve(&mut senders, WARM_UP);
    let before = shell.tracker.counters;
    let allocated = allocations(|| shell.serve(&mut senders, REQUESTS));
    println!("{allocated} allocations in {REQUESTS} requests, {} bytes of replies", shell.replied);
    assert_eq!(allocated, 0);
    shell.tracker.check_invariants().expect("the invariants hold");
    let unmet = |((name, after), (_, before)): ((&'static str, u64), (_, u64))| (after <= before).then_some(name);
    let unmet: Vec<_> = shell.tracker.counters.named().zip(before.named()).filter_map(unmet).collect();
    assert_eq!(unmet, UNMET, "every other counter has increased");
}

/// Counters that only the shell increases, or that cannot increase here.
const UNMET: [&str; 11] = [
    "refused_wan_closed",
    "refused_port_zero",
    "tickets_wrong_side",
    "peers_revoked",
    "entries_retired",
    "udp_source_port_zero",
    "udp_replies_dropped",
    "http_connections",
    "http_connections_given_up",
    "http_connections_timed_out",
    "http_bad_proxy_header",
];
