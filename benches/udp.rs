//! The cost of a UDP request, compared with other trackers and with the cost of the system itself:
//! `cargo bench --bench udp`. The defaults are `-- --rounds 5 --seconds 3 --fill 2000000`.
//!
//! aquatic_udp and opentracker take part if they are on the PATH. Quote the ratios to the ceiling, a program that
//! answers with fixed bytes: it measures the cost of the system's calls on this machine at this time.

#![allow(clippy::panic, reason = "a bench that cannot continue panics with the reason")]

mod common;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{process, thread};

use common::arguments::Arguments;
use common::contestants::Contestant;
use common::cores::Cores;
use common::field::{Field, Load};
use common::mix::{Kind, Mix};
use common::table::thousands;
use common::turn::{Turn, latencies, latency_table, lost, malformed};
use common::udp::ceiling;
use common::udp::load::{Load as UdpLoad, SOCKETS};
use common::whitelist_writer::{Change, WhitelistWriter};

/// Number of whitelist entries that end together, and of peers that leave with them.
const ENDING: u32 = 10_000;
const LEAVING: usize = 100_000;

/// Time between two changes of the whitelist while entries end.
const BETWEEN_CHANGES: Duration = Duration::from_millis(50);

/// Network of the measured clients, and of the clients with peers that expire or leave during the measurement.
const MEASURED_NET: u8 = 0;
const EXPIRING_NET: u8 = 1;

fn main() {
    ceiling::run_if_asked();
    let arguments = Arguments::or(5, 3.0, usize::MAX);
    let cores = Cores::choose();
    let mut failures = Vec::new();
    let mixes = [
        (Kind::Aquatic, "mix of aquatic_udp_load_test: 50 connects, 50 announces, 1 scrape, of 1,000,000 torrents"),
        (Kind::Skewed, "announces to realistic swarms: 100,000 torrents by Zipf's law, 50 peers wanted"),
    ];
    for (kind, name) in mixes {
        println!("\n{name}");
        let mut field = field(cores, kind, arguments);
        let rate = field.saturate::<UdpLoad>(MEASURED_NET, |_| true, arguments);
        field.at_half::<UdpLoad>(MEASURED_NET, |_| true, rate / 2.0, arguments);
        failures.append(&mut field.failures);
        let mut mix = field.mix;
        drop(field.contestants);
        if kind == Kind::Skewed {
            disturbed(cores, &mut mix, rate, arguments, &mut failures);
        }
    }
    failures.iter().for_each(|failure| eprintln!("FAILED: {failure}"));
    process::exit(i32::from(!failures.is_empty()));
}

/// Start all contestants and announce the peers. The ceiling's replies are as large as those of nakodo with all peers.
fn field(cores: Cores, kind: Kind, arguments: Arguments) -> Field {
    let mut mix = Mix::new(kind, SOCKETS);
    let nakodo = Contestant::nakodo(cores, "");
    let octets = announce_octets(cores, &nakodo, &mut mix, arguments);
    println!(
        "replies to announces have {octets} bytes; {} peers were announced",
        thousands(arguments.fill.min(kind.peers()) as f64)
    );
    let ceiling = Contestant::ceiling(cores, ceiling::ARGUMENT, octets);
    let others = [Contestant::aquatic_udp(cores), Contestant::opentracker(cores, kind.torrents())];
    let mut field = Field::new(cores, vec![ceiling, nakodo], mix);
    others.into_iter().flatten().for_each(|other| field.enter::<UdpLoad>(other, MEASURED_NET, arguments));
    field
}

fn load(cores: Cores, contestant: &Contestant) -> UdpLoad {
    UdpLoad::of(cores, contestant, MEASURED_NET)
}

/// Announce the peers to nakodo, and return the mean length of its announce replies, rounded to whole peers.
fn announce_octets(cores: Cores, nakodo: &Contestant, mix: &mut Mix, arguments: Arguments) -> usize {
    let mut load = load(cores, nakodo);
    load.fill(&mut mix.each_once(arguments.fill), &nakodo.program).expect("nakodo answers");
    load.saturate(mix, Some(Duration::from_millis(500)), &nakodo.program);
    20 + ((load.announce_octets() - 20.0) / 6.0).round() as usize * 6
}

/// Print nakodo's latencies at half its maximum rate while it does other work.
fn disturbed(cores: Cores, mix: &mut Mix, rate: f64, arguments: Arguments, failures: &mut Vec<String>) {
    let mut table = latency_table(rate / 2.0);
    let mut notes = Vec::new();
    for (name, measure) in [
        ("nakodo, peers expiring", while_peers_expire as Measure),
        ("nakodo, whitelist written", while_whitelist_is_written),
        ("nakodo, entries ending", while_entries_end),
    ] {
        let (turns, note) = measure(cores, mix, rate, arguments);
        table.row(latencies(name, &turns));
        notes.push(note);
        failures.extend(malformed(name, &turns));
        failures.extend(lost(name, &turns));
    }
    table.print();
    notes.iter().for_each(|note| println!("  {note}"));
}

type Measure = fn(Cores, &mut Mix, f64, Arguments) -> (Vec<Turn>, String);

fn while_peers_expire(cores: Cores, mix: &mut Mix, rate: f64, arguments: Arguments) -> (Vec<Turn>, String) {
    let peers = arguments.fill.min(Kind::Skewed.peers());
    // The timeout must be long enough to announce all peers before the first ones expire, even on a busy machine.
    let timeout = (peers as f64 / rate * 2.0).ceil().max(4.0);
    let config = format!("announce.interval = \"{}s\"\nannounce.peer_timeout = \"{timeout}s\"", (timeout / 1.2) as u64);
    let nakodo = Contestant::nakodo(cores, &config);
    let mut expiring = UdpLoad::of(cores, &nakodo, EXPIRING_NET);
    let began = Instant::now();
    expiring.fill(&mut mix.each_once(peers), &nakodo.program).expect("nakodo answers");
    let announcing = began.elapsed();
    thread::sleep(Duration::from_secs_f64(timeout).saturating_sub(announcing));
    let mut load = load(cores, &nakodo);
    let before = nakodo.counter("peers_expired");
    // A pass of the sweeper takes a twentieth of the timeout, so measure that much longer.
    let time = announcing + Duration::from_secs_f64(timeout / 20.0);
    let turn = load.at_rate(mix, (rate / 2.0, time), &nakodo.program, &mut || {});
    let expired = nakodo.counter("peers_expired") - before;
    let note = format!("{} peers expired in {:.1} s", thousands(expired as f64), time.as_secs_f64());
    (vec![turn], note)
}

fn while_whitelist_is_written(cores: Cores, mix: &mut Mix, rate: f64, arguments: Arguments) -> (Vec<Turn>, String) {
    let nakodo = Contestant::nakodo(cores, "");
    load(cores, &nakodo).fill(&mut mix.each_once(arguments.fill), &nakodo.program).expect("nakodo answers");
    let mut writer = WhitelistWriter::new(nakodo.control_socket(), Duration::ZERO, Change::one_of_a_thousand);
    let turns = (0..arguments.rounds).map(|_| {
        let mut load = load(cores, &nakodo);
        load.at_rate(mix, (rate / 2.0, arguments.turn), &nakodo.program, &mut || writer.go_on())
    });
    let turns: Vec<Turn> = turns.collect();
    let seconds: f64 = turns.iter().map(|turn| turn.elapsed.as_secs_f64()).sum();
    let note =
        format!("{:.0} changes of the whitelist a second reached the disk", writer.acknowledged as f64 / seconds);
    (turns, note)
}

fn while_entries_end(cores: Cores, mix: &mut Mix, rate: f64, arguments: Arguments) -> (Vec<Turn>, String) {
    let nakodo = Contestant::nakodo(cores, "access.lan = \"whitelist\"\naccess.capacity = 65536");
    let socket = || nakodo.control_socket();
    let allow_both = |number: u32| {
        let net = [MEASURED_NET, EXPIRING_NET][number as usize % 2];
        Change::allow(&format!("127.0.{net}.0/24"), None)
    };
    WhitelistWriter::new(socket(), Duration::ZERO, allow_both).make(2);
    load(cores, &nakodo).fill(&mut mix.each_once(arguments.fill), &nakodo.program).expect("nakodo answers");
    let mut leaving = UdpLoad::of(cores, &nakodo, EXPIRING_NET);
    leaving.fill(&mut mix.each_once(arguments.fill.min(LEAVING)), &nakodo.program).expect("nakodo answers");
    let quiet = load(cores, &nakodo).at_rate(mix, (rate / 2.0, arguments.turn), &nakodo.program, &mut || {});

    let end = let_entries_end(&nakodo);
    thread::sleep((UNIX_EPOCH + end).duration_since(SystemTime::now()).expect("all are in before they end"));
    let changes = |number: u32| {
        if number.is_multiple_of(2) { Change::allow("192.0.2.1", None) } else { Change::revoke("192.0.2.1") }
    };
    let mut writer = WhitelistWriter::new(socket(), BETWEEN_CHANGES, changes);
    let before = nakodo.counter("peers_revoked");
    let turn = load(cores, &nakodo).at_rate(mix, (rate / 2.0, arguments.turn), &nakodo.program, &mut || writer.go_on());
    writer.finish();
    let left = nakodo.counter("peers_revoked") - before;
    let note = format!(
        "{} entries ended together, and {} peers left; meanwhile `allow` took at most {:.1} ms, `revoke` {:.1} ms; p99.9 \
         was {:.0} µs before",
        thousands(f64::from(ENDING)),
        thousands(left as f64),
        writer.longest_allow.as_secs_f64() * 1e3,
        writer.longest_revoke.as_secs_f64() * 1e3,
        quiet.latency.quantile(0.999).as_secs_f64() * 1e6
    );
    (vec![turn], note)
}

/// Add entries that end together, some of them with peers. Return their end, as the time since 1970.
fn let_entries_end(nakodo: &Contestant) -> Duration {
    const REHEARSAL: u32 = 200;
    let make = |changes: u32, until: Option<u64>| {
        let began = Instant::now();
        let change = move |number: u32| match number {
            0 => Change::allow(&format!("127.0.{EXPIRING_NET}.0/24"), until),
            _ => Change::allow(&Ipv4Addr::from(0x0a00_0000 + number * 7).to_string(), until),
        };
        WhitelistWriter::new(nakodo.control_socket(), Duration::ZERO, change).make(u64::from(changes));
        began.elapsed()
    };
    let all = make(REHEARSAL, None) * (ENDING / REHEARSAL);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
    let end = Duration::from_secs((now + all * 2).as_secs() + 2);
    make(ENDING, Some(end.as_secs()));
    end
}
