//! Rule 32: every peer that an asker may receive has the same chance, also after churn.

use core::time::Duration;
use std::collections::BTreeMap;

use super::super::age::TickLength;
use super::super::endpoint::endpoint;
use super::super::family::V6;
use super::super::swarms::Upserted;
use super::*;
use crate::clock::Running;
use crate::hash_key::HashKey;
use crate::wire::InfoHash;

const HASH: InfoHash = InfoHash([7; 20]);
const NOW: Running = Running::from_seconds(100);

/// Number of times that each peer is expected in the replies of a test.
const EXPECTED: usize = 200;

struct World {
    pool: Pool,
    random: fastrand::Rng,
    tick: Tick,
}

impl World {
    fn new(seed: u64) -> Self {
        let tick_length = TickLength::of_lifetime(Duration::from_secs(2700));
        let mut pool = Pool::reserve(1 << 20, tick_length, HashKey(seed, 2), seed).expect("the memory");
        let tick = pool.advance_to(NOW);
        Self { pool, random: fastrand::Rng::with_seed(seed), tick }
    }

    fn put<F: Family>(&mut self, endpoint: F::Endpoint, role: Role) -> Upserted {
        self.pool.note_reach(Horizon::Wan, Reach::Public);
        self.pool.upsert::<F>(&HASH, Horizon::Wan, endpoint, role, self.tick)
    }

    /// Fill the swarm with `peers` peers, of which `leechers` are leechers. Many more join and leave in between.
    fn fill<F: Family>(&mut self, numbered: fn(u32) -> F::Endpoint, peers: u32, leechers: u32) {
        let mut leaving: Vec<u32> = (0..peers).map(|number| 1000 + number).collect();
        let mut staying: Vec<u32> = (0..peers).collect();
        self.random.shuffle(&mut staying);
        self.random.shuffle(&mut leaving);
        for (stays, leaves) in staying.into_iter().zip(leaving) {
            let swarm = self.put::<F>(numbered(leaves), Role::Seeder).swarm.expect("stored");
            self.put::<F>(numbered(stays), if stays < leechers { Role::Leecher } else { Role::Seeder });
            if self.random.bool() {
                assert!(self.pool.remove::<F>(swarm, &numbered(leaves), self.tick));
            }
        }
        let swarm = self.pool.find(&HASH, Horizon::Wan).expect("the swarm");
        for number in 1000..1000 + peers {
            self.pool.remove::<F>(swarm, &numbered(number), self.tick);
        }
        self.pool.check_invariants().expect("the invariants hold");
    }

    /// Ask `asks` times for `wanted` peers, and return how often each was selected.
    fn selected<F: Family>(&mut self, complete: bool, wanted: usize, asks: usize) -> BTreeMap<F::Endpoint, usize> {
        let swarm = self.pool.find(&HASH, Horizon::Wan).expect("the swarm");
        let asker = Asker::<F> {
            endpoint: F::NO_ENDPOINT,
            stored: None,
            horizon: Horizon::Wan,
            reach: Reach::Public,
            complete,
            external: None,
            host: None,
        };
        let mut times = BTreeMap::new();
        let mut out = vec![F::NO_ENDPOINT; wanted + SLACK];
        for _ in 0..asks {
            let selected = self.pool.select::<F>(swarm, &asker, self.tick, &mut out, wanted);
            out[..selected].iter().for_each(|endpoint| *times.entry(*endpoint).or_default() += 1);
        }
        times
    }
}

fn v4(number: u32) -> [u8; 6] {
    endpoint(&(0x0100_0000 + number * 77).to_be_bytes(), 6881)
}

fn v6(number: u32) -> [u8; 18] {
    let mut address = [0x20; 16];
    address[12..].copy_from_slice(&number.to_be_bytes());
    endpoint(&address, 6881)
}

/// Return a value that chi-square with this many degrees of freedom exceeds once in a thousand times (Wilson and
/// Hilferty).
fn chi_square_limit(degrees: f64) -> f64 {
    let ninth = 2.0 / (9.0 * degrees);
    degrees * (1.0 - ninth + 3.09 * ninth.sqrt()).powi(3)
}

/// Check that all of `eligible` peers are selected equally often.
fn assert_uniform<E: Ord>(times: &BTreeMap<E, usize>, eligible: usize, wanted: usize, asks: usize, context: &str) {
    assert_eq!(times.len(), eligible, "{context}: each peer is selected");
    let share = wanted.min(eligible) as f64 / eligible as f64;
    let expected = asks as f64 * share;
    if wanted == 1 && eligible > 1 {
        let chi_square: f64 = times.values().map(|times| (*times as f64 - expected).powi(2) / expected).sum();
        let limit = chi_square_limit(eligible as f64 - 1.0);
        assert!(chi_square <= limit, "{context}: chi-square {chi_square:.1}, at most {limit:.1}");
        return;
    }
    // Neighbours are selected together, so that only the number of each peer by itself is known to be binomial.
    let deviation = (expected * (1.0 - share)).sqrt();
    for times in times.values() {
        assert!((*times as f64 - expected).abs() <= 5.0 * deviation + 1e-9, "{context}: {times} of {expected:.0}");
    }
}

fn every_size_and_number<F: Family>(numbered: fn(u32) -> F::Endpoint, sizes: &[u32], seed: u64) {
    for &peers in sizes {
        for (leechers, complete) in [(peers, false), (0, false), (peers.div_ceil(3), true)] {
            let mut world = World::new(seed + u64::from(peers));
            world.fill::<F>(numbered, peers, leechers);
            let eligible = if complete { leechers } else { peers } as usize;
            for wanted in [1, 2, 10, 50] {
                let asks = (EXPECTED * eligible).div_ceil(wanted.min(eligible));
                let times = world.selected::<F>(complete, wanted, asks);
                let context = format!("{peers} peers, {eligible} eligible, {wanted} wanted");
                assert_uniform(&times, eligible, wanted, asks, &context);
            }
        }
    }
}

#[test]
fn rule_32_every_peer_of_a_chain_has_the_same_chance() {
    every_size_and_number::<V4>(v4, &[2, 3, 7, 12, 30, 60, 95], 1);
    every_size_and_number::<V6>(v6, &[2, 3, 7, 12, 30], 2);
}

#[test]
fn rule_32_a_dead_peer_adds_no_chance_to_its_neighbour() {
    let mut world = World::new(9);
    for number in 0..40 {
        world.tick = world.pool.advance_to(Running::from_seconds(if number % 3 == 0 { 100 } else { 2_700 }));
        world.put::<V4>(v4(number), Role::Leecher);
    }
    world.tick = world.pool.advance_to(Running::from_seconds(3_000));
    let alive = (0..40).filter(|number| number % 3 != 0).count();
    let times = world.selected::<V4>(false, 1, EXPECTED * alive);
    assert_uniform(&times, alive, 1, EXPECTED * alive, "two of three are alive");
}
