//! The core under growth, without sockets: `cargo bench --bench growth`. The defaults are `-- --largest 100000000
//! --repeats 5`, which take some minutes.
//!
//! It measures the cost of an announce and of a peer for a thousand to a hundred million peers, as far as memory
//! allows. It also measures the longest pauses of the tracker: while a swarm grows quickly, a million peers expire, an
//! entry of the whitelist is revoked, or thousands of entries end together.

#![allow(clippy::panic, reason = "a bench that cannot go on says so")]

mod common;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use common::arguments::value;
use common::latency::Latency;
use common::mix::info_hash;
use common::table::{Table, median, thousands};
use ipnet::IpNet;
use nakodo::access::{Entry, Retire};
use nakodo::clock::{Running, UnixSeconds};
use nakodo::tracker::{Admission, Ahead, HashKey, LOOK_AHEAD, Policy, Seeds, Settings, Tracker};
use nakodo::wire::{Announce, Event, InfoHash, Transport};

/// Maximum `memory` of the configuration.
const MEMORY_OCTETS: usize = 1 << 30;
/// Maximum share of it that peers fill: the index needs memory too.
const FILLED: f64 = 0.9;

const PEER_TIMEOUT: Duration = Duration::from_secs(2700);
const ROUNDS: usize = 5;
const ANNOUNCES_A_ROUND: u32 = 500_000;
const CROWD: u32 = 200_000;
const EXPIRING: u32 = 1_000_000;
/// Duration above which a call counts as long.
const LONG: Duration = Duration::from_micros(100);

fn main() {
    let largest: u32 = value("--largest").unwrap_or(10_000_000);
    let repeats: usize = value("--repeats").unwrap_or(5);
    sizes(largest);
    flash_crowd(repeats);
    expiry(repeats);
    revocation(repeats);
}

/// Measure a growing number of peers, with one swarm for every ten peers. By Zipf's law a few swarms are large, and
/// half of them have one peer or none.
fn sizes(largest: u32) {
    println!("IPv4 peers in a tenth as many swarms by Zipf's law, 50 peers wanted, in batches of {LOOK_AHEAD}:");
    let mut table = Table::new(&["peers", "swarms", "joining", "announcing again", "bytes of lines a peer"]);
    let memory = MEMORY_OCTETS.min(free_octets() / 2);
    let mut octets_a_peer = 16.0;
    for power in 3..=8 {
        let fit = memory as f64 * FILLED / octets_a_peer;
        let peers = 10_u32.pow(power).min(fit as u32);
        if peers > largest || peers < 10_u32.pow(power - 1) {
            break;
        }
        let mut crowd = Crowd::new(memory);
        let joining = crowd.fill(peers);
        let again = median((0..ROUNDS).map(|_| crowd.announce_again(peers)));
        let usage = crowd.tracker.usage();
        let stored = usage.seeders + usage.leechers;
        assert!(stored >= peers as usize * 999 / 1000, "{stored} of {peers} are stored");
        octets_a_peer = usage.lines_in_use as f64 * 64.0 / stored as f64;
        table.row(vec![
            thousands(stored as f64),
            thousands(usage.swarms as f64),
            format!("{joining:.0} ns"),
            format!("{again:.0} ns"),
            format!("{octets_a_peer:.2}"),
        ]);
    }
    table.print();
}

/// Let peers join one swarm within a minute, one by one, with the tracker's usual sweeps: a growing swarm could cause a
/// pause.
fn flash_crowd(repeats: usize) {
    println!(
        "\n{} peers join one torrent, one by one; of {repeats} runs, the one with the lowest maximum:",
        thousands(CROWD.into())
    );
    let once = |_| {
        let mut crowd = Crowd::new(64 << 20);
        let mut timed = Timed::default();
        let mut sweep_at = crowd.began;
        for peer in 0..CROWD {
            crowd.now = crowd.began.after(Duration::from_millis(u64::from(peer) * 60_000 / u64::from(CROWD)));
            if crowd.now >= sweep_at {
                sweep_at = crowd.now.after(crowd.sweep());
            }
            timed.time(|| black_box(crowd.announce(0, peer)));
        }
        timed
    };
    let best = (0..repeats.max(1)).map(once).min_by_key(|timed| timed.longest).expect("once at least");
    best.print("announce");
}

/// Let a million peers, announced within a minute, expire in the tracker's usual sweeps.
fn expiry(repeats: usize) {
    println!("\n{} peers expire; of {repeats} runs, the one with the lowest maximum:", thousands(EXPIRING.into()));
    let once = |_| {
        let mut crowd = Crowd::new(64 << 20);
        crowd.fill(EXPIRING);
        // Catch up: the tracker sweeps regularly, but the peers were announced without sweeps.
        crowd.sweep();
        let mut timed = Timed::default();
        while crowd.tracker.counters.peers_expired < u64::from(EXPIRING)
            && crowd.now < crowd.began.after(PEER_TIMEOUT * 2)
        {
            let wait = timed.time(|| crowd.sweep());
            crowd.now = crowd.now.after(wait);
        }
        (timed, crowd.tracker.counters.peers_expired)
    };
    let best = (0..repeats.max(1)).map(once).min_by_key(|(timed, _)| timed.longest).expect("once at least");
    assert_eq!(best.1, u64::from(EXPIRING), "all expire");
    best.0.print("sweep");
}

/// End one or many of 62,500 whitelist entries together. Each has 16 of a million peers.
fn revocation(repeats: usize) {
    for ending in [1, 1_000, 10_000] {
        println!(
            "\n{} of {} whitelist entries end together, each with 16 of {} peers; of {repeats} runs, the one with the \
             lowest maximum:",
            thousands(f64::from(ending)),
            thousands(f64::from(EXPIRING / 16)),
            thousands(EXPIRING.into())
        );
        let best = (0..repeats.max(1)).map(|_| end_together(ending)).min_by_key(|ended| ended.forget.longest);
        let Ended { retire, forget, lines, took } = best.expect("once at least");
        retire.print("retiring");
        forget.print("forgetting");
        println!("  {} lines visited, {:.1} ms in all", thousands(lines as f64), took.as_secs_f64() * 1e3);
    }
}

/// Times of retiring entries that ended together, and of forgetting their peers.
struct Ended {
    retire: Timed,
    forget: Timed,
    lines: usize,
    took: Duration,
}

fn end_together(ending: u32) -> Ended {
    let mut crowd = Crowd::new(64 << 20);
    crowd.fill(EXPIRING);
    let end = UnixSeconds(UnixSeconds::EARLIEST_SANE.0 + 1);
    let entries = EXPIRING / 16;
    for entry in 0..entries {
        // Spread the ending entries over the whole list.
        let ends = entry % (entries / ending) == 0 && entry / (entries / ending) < ending;
        crowd.allow(entry * 16, if ends { Some(end) } else { None });
    }
    crowd.tracker.set_policy(Policy { wan: Admission::Whitelist, ..crowd.policy.clone() });
    let (mut ended, mut retired) =
        (Ended { retire: Timed::default(), forget: Timed::default(), lines: 0, took: Duration::ZERO }, 0);
    let began = Instant::now();
    while retired < ending as usize {
        retired += ended.retire.time(|| crowd.tracker.retire(crowd.now, Some(end), |entry| drop(black_box(entry))));
    }
    let (all, mut forgotten) = (crowd.tracker.forgetting_ends(), 0);
    while !crowd.tracker.has_forgotten(all) {
        let step = ended.forget.time(|| crowd.tracker.forget(crowd.now));
        forgotten += step.removed;
        ended.lines += step.visited + step.passed;
    }
    ended.took = began.elapsed();
    assert_eq!(forgotten, ending as usize * 16, "the peers of {ending} entries");
    ended
}

/// Durations of calls. A long one may also be caused by other work on the machine.
#[derive(Clone, Debug, Default)]
struct Timed {
    latency: Latency,
    longest: Duration,
    long: u64,
}

impl Timed {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        let took = started.elapsed();
        self.latency.record(took.as_nanos() as u64);
        self.longest = self.longest.max(took);
        self.long += u64::from(took > LONG);
        done
    }

    fn print(&self, what: &str) {
        let mut table = Table::new(&["a call", "p50", "p99.9", "max", "over 100 µs"]);
        let nanos = |duration: Duration| format!("{} ns", thousands(duration.as_nanos() as f64));
        let quantile = |share: f64| nanos(self.latency.quantile(share));
        table.row(vec![what.to_owned(), quantile(0.5), quantile(0.999), nanos(self.longest), self.long.to_string()]);
        table.print();
    }
}

fn free_octets() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kibibytes.map_or(MEMORY_OCTETS, |kibibytes| kibibytes * 1024)
}

/// A tracker and the peers that announce to it.
struct Crowd {
    tracker: Tracker,
    policy: Policy,
    began: Running,
    now: Running,
    random: fastrand::Rng,
}

impl Crowd {
    fn new(memory_octets: usize) -> Self {
        let policy = Policy { min_interval: Duration::ZERO, wan: Admission::Open, ..Policy::default() };
        let (lan, peer_timeout) = (Vec::new(), PEER_TIMEOUT);
        let settings =
            Settings { memory_octets, whitelist_capacity: 65_536, peer_timeout, lan, policy: policy.clone() };
        let seeds = Seeds { hash: HashKey(1, 2), connection_ids: HashKey(3, 4), random: 5 };
        let tracker = Tracker::new(settings, seeds).expect("memory");
        let now = Running::from_seconds(10);
        Self { tracker, policy, began: now, now, random: fastrand::Rng::with_seed(6) }
    }

    /// Add the /28 prefix (16 addresses) that starts at this peer to the whitelist.
    fn allow(&mut self, peer: u32, until: Option<UnixSeconds>) {
        let prefix = IpNet::new(address(peer), 28).expect("a length");
        let entry = Entry { retire: Retire::Never, until, last_seen: self.now, ..Entry::new(prefix) };
        self.tracker.whitelist().put(entry).expect("room");
    }

    fn sweep(&mut self) -> Duration {
        self.tracker.sweep(self.now)
    }

    fn announce(&mut self, swarm: u32, peer: u32) -> usize {
        let announce = what_is_announced(swarm, peer);
        let reply = self.tracker.announce(self.now, address(peer), Transport::Udp, &announce).expect("open to all");
        reply.peers4.len()
    }

    /// Announce in a batch like the UDP server, which looks ahead at the datagrams of one system call.
    fn announce_batch(&mut self, peers: impl Iterator<Item = u32>, swarms: u32) {
        let who: heapless::Vec<(u32, u32), LOOK_AHEAD> = peers.map(|peer| (swarm_of(peer, swarms), peer)).collect();
        let ahead: heapless::Vec<Ahead, LOOK_AHEAD> =
            who.iter().map(|(swarm, peer)| Ahead::new(address(*peer), &what_is_announced(*swarm, *peer))).collect();
        self.tracker.look_ahead(&ahead);
        for (swarm, peer) in who {
            black_box(self.announce(swarm, peer));
        }
    }

    /// Let all peers join within a minute of the tracker's time. Return the nanoseconds per announce.
    fn fill(&mut self, peers: u32) -> f64 {
        let started = Instant::now();
        for first in (0..peers).step_by(LOOK_AHEAD) {
            let millis = u64::from(first) * 60_000 / u64::from(peers);
            self.now = self.began.after(Duration::from_millis(millis));
            self.announce_batch(first..peers.min(first + LOOK_AHEAD as u32), peers / 10);
        }
        started.elapsed().as_nanos() as f64 / f64::from(peers)
    }

    /// Let random peers announce again. Return the nanoseconds per announce.
    fn announce_again(&mut self, peers: u32) -> f64 {
        let mut random = self.random.clone();
        let started = Instant::now();
        for _ in 0..ANNOUNCES_A_ROUND / LOOK_AHEAD as u32 {
            self.announce_batch((0..LOOK_AHEAD).map(|_| random.u32(..peers)), peers / 10);
        }
        self.random = random;
        started.elapsed().as_nanos() as f64 / f64::from(ANNOUNCES_A_ROUND)
    }
}

fn what_is_announced(swarm: u32, peer: u32) -> Announce {
    let (info_hash, left) = (InfoHash(info_hash(swarm)), u64::from(peer % 4));
    Announce { info_hash, port: 6881, left, event: Event::Update, num_want: Some(50) }
}

fn address(peer: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0100_0000 + peer))
}

/// Compute the swarm of a peer without a table of all peers. The swarm of rank r has the weight 1/r.
fn swarm_of(peer: u32, swarms: u32) -> u32 {
    let random = u64::from(peer).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let random = (random ^ (random >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    (((share * f64::from(swarms + 1).ln()).exp() - 1.0) as u32).min(swarms - 1)
}
