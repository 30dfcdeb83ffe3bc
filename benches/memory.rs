//! The memory of a peer, and the upper bound of all memory: `cargo bench --bench memory`.
//!
//! It sends real announces over UDP to a tracker in its own process, and reads the resident memory from the system.

#![allow(clippy::panic, reason = "a bench that cannot continue panics with the reason")]

mod common;

use common::{Client, Daemon, Peer};

const MILLION: u32 = 1_000_000;

fn main() {
    println!("growth of RSS after a million peers announced over UDP:");
    octets_per_peer("IPv4, 1,000 swarms of 1,000", 1_000, false, 9.5);
    octets_per_peer("IPv4, 100,000 swarms of 10", 100_000, false, 20.0);
    octets_per_peer("IPv6, 1,000 swarms of 1,000", 1_000, true, 24.0);
    bounded();
}

fn octets_per_peer(name: &str, swarms: u32, ipv6: bool, asked: f64) {
    let daemon = Daemon::start("per-peer", "64 MiB", "");
    let mut client = if ipv6 { daemon.client6() } else { daemon.client4() };
    let idle = daemon.rss();
    let of_swarm = MILLION / swarms;
    let peers = (0..of_swarm).flat_map(|peer| (0..swarms).map(move |swarm| (swarm, peer)));
    let answered = client.announce_all(peers.map(|(swarm, peer)| Peer { swarm, port: 1024 + peer as u16, left: 1 }));
    let growth = (daemon.rss() - idle) as f64;
    assert_eq!(answered, u64::from(MILLION), "every announce is answered");
    println!(
        "  {name:28} {:5.2} bytes a peer (required: at most {asked}); idle RSS {:.1} MiB",
        growth / f64::from(MILLION),
        idle as f64 / f64::from(1 << 20)
    );
}

/// Announce ten times the peers and torrents that the budget holds, and check the bound.
fn bounded() {
    let daemon = Daemon::start("bounded", "4 MiB", "");
    let check = daemon.check();
    let (budget, fixed) = (4 << 20, octets_after(&check, "fixed part"));
    let capacity = number_after(&check, "IPv4 peers");
    let newcomers = capacity * 10;
    let quarter = newcomers / 4;
    let peer = |number: u64, swarms: u64| Peer {
        swarm: (number % swarms) as u32,
        port: 1024 + (number / swarms % 60_000) as u16,
        left: number % 2,
    };
    let flood = |mut client: Client, swarms: u64| client.announce_all((0..quarter).map(|number| peer(number, swarms)));
    let answered = flood(daemon.client4(), 100)
        + flood(daemon.client4(), u64::from(u32::MAX))
        + flood(daemon.client6(), 100)
        + flood(daemon.client6(), u64::from(u32::MAX));
    let rss = daemon.rss();
    let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
    println!("memory is bounded, after {} peers and torrents in a budget for {capacity} peers:", quarter * 4);
    println!(
        "  RSS {:.1} MiB; the budget of {:.1} MiB and the fixed part of {:.1} MiB come to {:.1} MiB (required: not exceeded by more than 5 %)",
        mib(rss),
        mib(budget),
        mib(fixed),
        mib(budget + fixed)
    );
    println!("  {answered} of {} announces were answered", quarter * 4);
    assert_eq!(answered, quarter * 4, "every announce is answered");
    assert!(rss * 100 <= (budget + fixed) * 105, "RSS {rss} is more than {budget} + {fixed} and 5 %");
}

fn number_after(check: &str, what: &str) -> u64 {
    let line = check.lines().find(|line| line.trim_end().ends_with(what)).expect(what);
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

fn octets_after(check: &str, what: &str) -> u64 {
    let line = check.lines().find_map(|line| line.trim().strip_prefix(what)).expect(what);
    let mut words = line.split_whitespace();
    let number: f64 = words.next().and_then(|number| number.parse().ok()).expect("a number");
    let unit = match words.next() {
        Some("KiB") => 1 << 10,
        Some("MiB") => 1 << 20,
        other => panic!("{other:?} is not a unit"),
    };
    (number * f64::from(unit)) as u64
}
