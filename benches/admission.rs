//! The cost of admission: `cargo bench --bench admission`.
//!
//! - a lookup in a whitelist of 10,000 entries, with prefixes of several lengths in both families;
//! - a flood of forged tickets beside valid customers: the share of the core that the flood takes, and the answers to the
//!   customers. Running time advances as if the flood lasted ten minutes at the given rate.
//!
//! The figures depend on the machine; the share does only through the cost of a signature, which is printed too.

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use nakodo::access::{ENTRY_OCTETS, Entry, Retire, TicketNumber, User};
use nakodo::clock::{Running, UnixSeconds};
use nakodo::ticket::{SigningKey, Ticket};
use nakodo::tracker::{Answer, HashKey, MAX_RESPONSE_OCTETS, Policy, Seeds, Settings, TicketRules, Tracker};

const WALL: UnixSeconds = UnixSeconds(1_800_000_000);
const ENTRIES: u32 = 10_000;
const LOOKUPS: u32 = 2_000_000;
const ROUNDS: usize = 5;
/// Forged announces a second, and their number of seconds.
const FORGED_A_SECOND: u32 = 2_000;
const SECONDS: u64 = 600;
/// Customers, each with one announce a second.
const CUSTOMERS: u8 = 100;

fn main() {
    lookups("prefixes of one length a family", &[32]);
    lookups("IPv4 prefixes of three lengths", &[32, 32, 32, 28, 24]);
    flood();
}

fn tracker(capacity: usize) -> Tracker {
    let settings = Settings { whitelist_capacity: capacity, policy: Policy::default(), ..Settings::default() };
    let (hash, connection_ids) = (HashKey(1, 2), HashKey(3, 4));
    Tracker::new(settings, Seeds { hash, connection_ids, random: 5 }).expect("memory")
}

fn v4(number: u32) -> IpAddr {
    IpAddr::from((0x0500_0000 + number.wrapping_mul(0x9e37)).to_be_bytes())
}

fn v6(number: u32) -> IpAddr {
    let [a, b, c, d] = number.wrapping_mul(0x9e37_79b9).to_be_bytes().map(u16::from);
    IpAddr::from([0x2001, 0xdb8, a << 8 | b, c << 8 | d, 0, 0, 0, 7])
}

fn lookups(name: &str, v4_lengths: &[u8]) {
    let mut tracker = tracker(ENTRIES as usize);
    for number in 0..ENTRIES {
        let length = v4_lengths[number as usize / 2 % v4_lengths.len()];
        let prefix = match number % 2 {
            0 => format!("{}/{length}", v4(number)),
            _ => format!("{}/64", v6(number)),
        };
        let entry = Entry { retire: Retire::Never, ..Entry::new(prefix.parse().expect("a prefix")) };
        tracker.whitelist().put(entry).expect("room");
    }
    let entries = tracker.usage().whitelist_entries;
    println!(
        "{name}: a whitelist of {entries} entries takes {:.2} MiB",
        (entries * ENTRY_OCTETS) as f64 / f64::from(1 << 20)
    );
    for (name, address) in [
        ("IPv4, listed", (|number| v4(number * 2 % ENTRIES)) as fn(u32) -> IpAddr),
        ("IPv4, not listed", |number| IpAddr::from((0x7000_0000 + number * 77).to_be_bytes())),
        ("IPv6, listed", |number| v6((number * 2 + 1) % ENTRIES)),
        ("IPv6, not listed", |number| v6(number + 7 * ENTRIES)),
    ] {
        let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| lookup(&tracker, address)).collect();
        rounds.sort_by(f64::total_cmp);
        println!("  {name:18} {:5.1} ns a lookup", rounds[ROUNDS / 2]);
    }
}

fn lookup(tracker: &Tracker, address: fn(u32) -> IpAddr) -> f64 {
    let addresses: Vec<IpAddr> = (0..4096).map(address).collect();
    let start = Instant::now();
    for number in 0..LOOKUPS {
        black_box(tracker.whitelisted().covers(addresses[number as usize % addresses.len()]));
    }
    start.elapsed().as_nanos() as f64 / f64::from(LOOKUPS)
}

/// Return an announce with a ticket.
fn request(ticket: &str) -> Vec<u8> {
    let target =
        format!("/{ticket}/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=6881&left=1");
    format!("GET {target} HTTP/1.1\r\nHost: n\r\n\r\n").into_bytes()
}

/// Return a ticket that names `key`.
fn ticket(key: &SigningKey, user: String) -> Ticket {
    Ticket {
        key: key.public().id(),
        user: User::try_from(user.as_str()).expect("a short name"),
        until: UnixSeconds(WALL.0 + 30 * 86_400),
        number: TicketNumber::at(WALL),
        addresses: 1,
    }
}

fn flood() {
    let key = SigningKey::of_seed([7; 32]).expect("a seed");
    let other = SigningKey::of_seed([8; 32]).expect("a seed");
    let mut tracker = tracker(4096);
    tracker.set_ticket_rules(TicketRules { keys: vec![key.public()], ..TicketRules::default() });
    tracker.retire(Running::from_seconds(1), Some(WALL), drop);
    let customers: Vec<Vec<u8>> =
        (0..CUSTOMERS).map(|number| request(&key.sign("", &ticket(&key, format!("customer-{number}"))))).collect();
    // With the name of the known key, so that only the signature is wrong.
    let forged: Vec<Vec<u8>> =
        (0..256).map(|number| request(&other.sign("", &ticket(&key, format!("forger-{number}"))))).collect();
    let verified = cost_of_a_signature(&key, &other);
    let mut out = vec![0; MAX_RESPONSE_OCTETS];
    let mut answer = |now, from: IpAddr, request: &[u8]| -> bool {
        let answered = tracker.answer_request(now, SocketAddr::new(from, 50_001), request, &mut out);
        matches!(answered, Answer::Response { written, .. } if out[..written].windows(7).any(|octets| octets == b"5:peers"))
    };
    // The customers come before the flood, a few in each second.
    for (number, request) in customers.iter().enumerate() {
        assert!(answer(Running::from_seconds(10 + number as u64), v4(number as u32), request), "a valid ticket");
    }
    let (mut of_flood, mut served, mut source) = (Duration::ZERO, 0, 0_u32);
    for second in 0..SECONDS {
        let now = Running::from_seconds(1_000 + second);
        let start = Instant::now();
        for number in 0..FORGED_A_SECOND {
            source = source.wrapping_add(1);
            let from = IpAddr::from((0xc000_0000 | source.wrapping_mul(0x0101_0101) >> 4).to_be_bytes());
            assert!(!answer(now, from, &forged[number as usize % forged.len()]), "a forged ticket");
        }
        of_flood += start.elapsed();
        served +=
            customers.iter().enumerate().filter(|(number, request)| answer(now, v4(*number as u32), request)).count();
    }
    let counters = tracker.counters;
    println!(
        "{FORGED_A_SECOND} forged tickets a second: {:.2} % of the core; {} signatures verified ({:.0} a second, {verified:?} \
         each), {} answered with \"try again later\"",
        100.0 * of_flood.as_secs_f64() / SECONDS as f64,
        counters.tickets_forged,
        counters.tickets_forged as f64 / SECONDS as f64,
        counters.tickets_try_later,
    );
    println!("  {served} of {} announces of customers were served meanwhile", SECONDS * u64::from(CUSTOMERS));
}

fn cost_of_a_signature(key: &SigningKey, other: &SigningKey) -> Duration {
    let text = other.sign("", &ticket(key, "forger".into()));
    let parsed = nakodo::ticket::parse(text.as_bytes()).expect("a ticket");
    let signature = parsed.signature().expect("a signature");
    let start = Instant::now();
    for _ in 0..1000 {
        black_box(key.public().has_signed("", black_box(parsed.unsigned), &signature));
    }
    start.elapsed() / 1000
}
