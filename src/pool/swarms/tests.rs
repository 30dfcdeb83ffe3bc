//! The pool compared with a slow twin: a map of all announces, which every check walks.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::pool::age::LIFETIME_TICKS;
use crate::pool::{Asker, SLACK};

const TIMEOUT: Duration = Duration::from_secs(40 * 60);

fn pool(octets: usize) -> Pool {
    Pool::reserve(octets, TickLength::of_lifetime(TIMEOUT), HashKey(11, 13), 17).expect("memory")
}

fn endpoint<const N: usize>(number: u32) -> [u8; N] {
    let mut endpoint = [0x20; N];
    endpoint[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    endpoint[N - 2..].copy_from_slice(&(1024 + number as u16 % 5000).to_be_bytes());
    endpoint
}

fn info_hash(number: u8) -> InfoHash {
    InfoHash([number; 20])
}

const ROLES: [Role; 3] = [Role::Leecher, Role::PartialSeed, Role::Seeder];

/// The peers of the twin: swarm, whether IPv6, and number, with the role and the tick of the last announce.
type Twin = BTreeMap<(u8, bool, u32), (Role, u64)>;

struct Model {
    pool: Pool,
    twin: Twin,
    now: Running,
}

impl Model {
    fn new(octets: usize) -> Self {
        let (mut pool, now) = (pool(octets), Running::from_seconds(1_000));
        pool.advance_to(now);
        Self { pool, twin: Twin::new(), now }
    }

    fn tick(&self) -> Tick {
        self.pool.tick_length.tick(self.now)
    }

    fn upsert(&mut self, swarm: u8, v6: bool, number: u32, role: Role) -> Stored {
        let tick = self.tick();
        let Some(line) = self.pool.find_or_add_swarm(&info_hash(swarm), horizon(swarm), tick) else {
            return Stored::Full;
        };
        let stored = if v6 {
            self.pool.upsert_in::<V6>(line, horizon(swarm), endpoint(number), role, tick)
        } else {
            self.pool.upsert_in::<V4>(line, horizon(swarm), endpoint(number), role, tick)
        };
        let (stored, place) = stored;
        if stored != Stored::Full {
            let expected = if v6 {
                self.pool.place_of::<V6>(line, &endpoint(number))
            } else {
                self.pool.place_of::<V4>(line, &endpoint(number))
            };
            assert_eq!(place, expected, "the returned place");
            self.twin.insert((swarm, v6, number), (role, self.pool.tick_length.count(self.now)));
        }
        stored
    }

    fn remove(&mut self, swarm: u8, v6: bool, number: u32) -> bool {
        let tick = self.tick();
        let known = self.alive(swarm).any(|peer| (peer.0, peer.1) == (v6, number));
        self.twin.remove(&(swarm, v6, number));
        let Some(line) = self.pool.find(&info_hash(swarm), horizon(swarm)) else {
            assert!(!known, "the swarm of a living peer is gone");
            return false;
        };
        let removed = if v6 {
            self.pool.remove::<V6>(line, &endpoint(number), tick)
        } else {
            self.pool.remove::<V4>(line, &endpoint(number), tick)
        };
        assert!(removed || !known, "a living peer is gone");
        removed
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        while self.now < end {
            self.now = self.now.after(self.pool.sweep_wait()).min(end);
            self.pool.sweep(self.now);
        }
    }

    fn alive(&self, swarm: u8) -> impl Iterator<Item = (bool, u32, Role)> + '_ {
        let ticks = self.pool.tick_length.count(self.now);
        let of_swarm = self.twin.iter().filter(move |((of, ..), _)| *of == swarm);
        of_swarm
            .filter(move |(_, (_, seen))| ticks - seen < u64::from(LIFETIME_TICKS))
            .map(|((_, v6, number), (role, _))| (*v6, *number, *role))
    }

    fn select(&mut self, swarm: LineIndex, asker: &Asker<V4>, wanted: usize) -> Vec<[u8; 6]> {
        let tick = self.tick();
        let mut out = vec![[0; 6]; wanted + SLACK];
        let selected = self.pool.select::<V4>(swarm, asker, tick, &mut out, wanted);
        assert!(selected <= wanted);
        out.truncate(selected);
        out
    }

    /// Check that all living peers are stored, and that no other peers are selected.
    fn compare(&mut self) {
        self.pool.check_invariants().expect("the invariants hold");
        let tick = self.tick();
        for swarm in 0..4 {
            let alive: Vec<_> = self.alive(swarm).collect();
            let Some(line) = self.pool.find(&info_hash(swarm), horizon(swarm)) else {
                assert!(alive.is_empty(), "swarm {swarm} is gone, its peers are not");
                continue;
            };
            let counts = self.pool.counts(line, tick);
            let with_role = |role| alive.iter().filter(|peer| peer.2 == role).count() as u32;
            if !matches!(tree::swarm_at(&self.pool.lines, line), Some(Swarm { inline: Inline::Forked(_), .. })) {
                assert_eq!(counts.seeders, with_role(Role::Seeder));
                assert_eq!(counts.partial_seeds, with_role(Role::PartialSeed));
                assert_eq!(counts.leechers, with_role(Role::Leecher) + with_role(Role::PartialSeed));
            }
            let selected = self.select(line, &stranger(), 4000);
            let handed_out: BTreeSet<[u8; 6]> = selected.iter().copied().collect();
            assert_eq!(handed_out.len(), selected.len(), "no peer is selected twice");
            let known: BTreeSet<_> = alive.iter().filter(|peer| !peer.0).map(|peer| endpoint(peer.1)).collect();
            assert!(handed_out.is_subset(&known), "only living peers are selected");
            assert!(handed_out.len() >= known.len().min(400), "{} of {}", handed_out.len(), known.len());
        }
    }
}

fn horizon(swarm: u8) -> Horizon {
    if swarm == 3 { Horizon::Lan } else { Horizon::Wan }
}

/// Return an asker that may receive every peer.
fn stranger() -> Asker<V4> {
    Asker {
        endpoint: [0; 6],
        stored: None,
        horizon: Horizon::Lan,
        reach: Reach::Host,
        complete: false,
        external: None,
        host: None,
    }
}

#[test]
fn the_pool_agrees_with_its_slow_twin_in_small_and_large_swarms_over_days() {
    for seed in 0..4 {
        let mut model = Model::new(4 << 20);
        let mut random = fastrand::Rng::with_seed(seed);
        for step in 0..12_000_u32 {
            // Swarm 0 is large, the others are small; one peer in five has IPv6.
            let swarm = random.u8(..8) % 5 % 4;
            let number = random.u32(..if swarm == 0 { 3000 } else { 12 });
            let (v6, role) = (random.u8(..5) == 0, ROLES[random.usize(..3)]);
            match random.u8(..10) {
                0 => {
                    model.remove(swarm, v6, number);
                }
                1 if step % 200 == 1 => model.pass(Duration::from_secs(random.u64(..1200))),
                _ => assert_ne!(model.upsert(swarm, v6, number, role), Stored::Full),
            }
            if step % 500 == 0 {
                model.compare();
            }
        }
        model.compare();
        model.pass(TIMEOUT * 3);
        model.compare();
        assert_eq!((model.pool.peers.all().total(), model.pool.lines.in_use()), (0, 0), "all lines were given back");
    }
}

#[test]
fn a_growing_swarm_gets_forks_and_a_shrinking_one_becomes_a_chain_again() {
    let mut model = Model::new(4 << 20);
    for number in 0..20_000 {
        model.upsert(0, false, number, Role::Leecher);
        model.upsert(0, true, number % 2000, Role::Seeder);
    }
    model.pool.check_invariants().expect("grown");
    let octets = model.pool.lines.in_use() * LINE_OCTETS;
    assert!(octets < 20_000 * 9 + 2000 * 24, "{octets} bytes for 20,000 and 2,000 peers");
    for number in 10..20_000 {
        model.remove(0, false, number);
        model.remove(0, true, number % 2000);
    }
    model.pass(Duration::from_secs(300));
    model.compare();
    assert!(model.pool.lines.in_use() <= 4, "{} lines for ten peers", model.pool.lines.in_use());
}

#[test]
fn a_full_pool_keeps_active_peers_and_evicts_stale_ones() {
    let mut model = Model::new(64 * 64);
    let mut number = 0;
    while model.upsert(0, false, number, Role::Leecher) != Stored::Full {
        number += 1;
    }
    model.pool.check_invariants().expect("full");
    let stale_after = 30;
    let tick = model.tick();
    assert_eq!(model.pool.make_room(tick, &[9, 9, 9, 9], stale_after), Default::default(), "all are fresh");
    model.pass(TIMEOUT * 31 / 40);
    for fresh in 0..number / 2 {
        model.upsert(0, false, fresh, Role::Leecher);
    }
    model.pool.barren = 0;
    let tick = model.tick();
    let evicted = model.pool.make_room(tick, &[9, 9, 9, 9], stale_after);
    assert!(evicted.stale > 0 && evicted.greedy == 0, "{evicted:?}");
    model.pool.check_invariants().expect("after eviction");
    assert!(
        (0..number / 2).all(|fresh| matches!(model.upsert(0, false, fresh, Role::Leecher), Stored::Refreshed { .. }))
    );
}

#[test]
fn an_address_that_holds_most_of_the_pool_makes_room_for_others() {
    let mut model = Model::new(64 * 64);
    let tick = model.tick();
    let line = model.pool.find_or_add_swarm(&info_hash(0), Horizon::Wan, tick).expect("room");
    for port in 1.. {
        let [high, low] = u16::to_be_bytes(port);
        if model.pool.upsert_in::<V4>(line, Horizon::Wan, [6, 6, 6, 6, high, low], Role::Leecher, tick).0
            == Stored::Full
        {
            break;
        }
    }
    assert_eq!(
        model.pool.make_room(tick, &[6, 6, 6, 6], 60),
        Default::default(),
        "its own peers are not evicted for it"
    );
    model.pool.barren = 0;
    let evicted = model.pool.make_room(tick, &[7, 7, 7, 7], 60);
    assert!(evicted.greedy > 0 && evicted.stale == 0, "{evicted:?}");
    assert!(model.pool.lines.available() > 0);
    model.pool.check_invariants().expect("after eviction");
}

#[test]
fn a_full_pool_of_both_families_stays_consistent() {
    for lines in 3..90 {
        let mut model = Model::new(lines * 66);
        let mut random = fastrand::Rng::with_seed(lines as u64);
        for _ in 0..900 {
            let (swarm, v6) = (random.u8(..4), random.bool());
            let (number, role) = (random.u32(..300), ROLES[random.usize(..3)]);
            if random.u8(..4) == 0 {
                model.remove(swarm, v6, number);
            } else {
                model.upsert(swarm, v6, number, role);
            }
        }
        model.pool.check_invariants().expect("consistent");
        model.pass(TIMEOUT * 2);
        assert_eq!(model.pool.lines.in_use(), 0);
    }
}

#[test]
fn dead_peers_stay_dead_after_the_process_stood_still_for_hours() {
    let mut model = Model::new(1 << 20);
    // 64 ticks after an announce, its tick would look new again.
    for ticks in [63, 64, 65, 100, 1000] {
        for number in 0..500 {
            model.upsert(0, number % 3 == 0, number, Role::Leecher);
        }
        model.now = model.now.after(model.pool.tick_length.length() * ticks);
        model.pool.advance_to(model.now);
        model.compare();
        assert_eq!(model.pool.peers.all().total(), 0, "after {ticks} ticks");
    }
    for number in 0..500 {
        model.upsert(0, false, number, Role::Leecher);
    }
    model.now = model.now.after(model.pool.tick_length.length() * 30);
    model.pool.advance_to(model.now);
    model.compare();
    assert_eq!(model.pool.peers.all().total(), 500, "peers live longer than half an hour");
}

#[test]
fn many_peers_that_die_at_once_are_removed_in_small_steps_and_in_time() {
    let mut model = Model::new(4 << 20);
    for number in 0..30_000 {
        model.upsert(0, false, number, Role::Leecher);
    }
    let died = model.now.after(TIMEOUT);
    let tick_length = model.pool.tick_length.length();
    while model.pool.peers.all().total() > 0 {
        let before = model.pool.peers.all().total();
        let wait = model.pool.sweep_wait();
        model.now = model.now.after(wait);
        model.pool.sweep(model.now);
        let removed = before - model.pool.peers.all().total();
        // A removal moves another peer of the chain into the line. If that peer is dead too, the same step removes it.
        assert!(removed < 128 + 12 * 8, "{removed} in one step");
        assert!(model.now < died.after(tick_length * 4), "dead peers are still stored");
    }
    model.compare();
}

#[test]
fn a_sweeper_that_is_seldom_called_catches_up() {
    let mut model = Model::new(4 << 20);
    let tick_length = model.pool.tick_length.length();
    for _ in 0..40 {
        for number in 0..20_000 {
            model.upsert(0, false, number, Role::Leecher);
        }
        // These calls are far too rare for the few removals of a call.
        for _ in 0..60 {
            model.now = model.now.after(tick_length);
            model.pool.sweep(model.now);
        }
        assert_eq!(model.pool.peers.all().total(), 0, "20 ticks after their death");
        model.now = model.now.after(tick_length / 3);
    }
}

#[test]
fn rule_08_the_asker_is_never_among_its_peers_and_seeders_get_leechers_only() {
    let mut model = Model::new(4 << 20);
    for number in 0..3000 {
        model.upsert(0, false, number, ROLES[number as usize % 3]);
    }
    let line = model.pool.find(&info_hash(0), Horizon::Wan).expect("stored");
    let leechers: BTreeSet<_> = (0..3000).filter(|n| n % 3 == 0).map(endpoint::<6>).collect();
    for number in 0..3000 {
        let complete = number % 3 != 0;
        // Half of the askers know their place; the pool looks up the place of the others.
        let place = model.pool.place_of::<V4>(line, &endpoint(number)).expect("stored");
        let stored = (number % 2 == 0).then_some((line, place));
        let asker = Asker { endpoint: endpoint(number), stored, complete, ..stranger() };
        let selected: BTreeSet<[u8; 6]> = model.select(line, &asker, 50).into_iter().collect();
        assert!(!selected.contains(&endpoint(number)) && selected.len() == 50);
        assert!(!complete || selected.is_subset(&leechers));
    }
}

#[test]
fn every_peer_of_a_swarm_is_selected_in_the_long_run() {
    for size in [10, 60, 2000] {
        let mut model = Model::new(1 << 20);
        for number in 0..size {
            model.upsert(0, false, number, Role::Leecher);
        }
        let line = model.pool.find(&info_hash(0), Horizon::Wan).expect("stored");
        let mut selected = BTreeMap::<[u8; 6], u32>::new();
        let asks = 40 * size;
        for _ in 0..asks {
            model
                .select(line, &stranger(), 5)
                .into_iter()
                .for_each(|endpoint| *selected.entry(endpoint).or_default() += 1);
        }
        // 200 times each on average: every peer is selected, and no peer far too often.
        assert_eq!(selected.len(), size as usize, "of {size}");
        let (least, most) = (selected.values().min().copied(), selected.values().max().copied());
        assert!(least >= Some(20) && most <= Some(800), "of {size}: {least:?} to {most:?} times");
    }
}
