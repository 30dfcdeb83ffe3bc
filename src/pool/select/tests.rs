//! Rule 32: every peer that an asker may receive has the same chance, also after churn.

use core::time::Duration;
use std::collections::BTreeMap;

use super::super::age::TickLength;
use super::super::endpoint::endpoint;
use super::super::family::{V4, V6};
use super::super::role::Role;
use super::super::swarms::Upserted;
use super::*;
use crate::clock::Running;
use crate::hash_key::HashKey;
use crate::wire::InfoHash;

const HASH: InfoHash = InfoHash([7; 20]);
const NOW: Running = Running::from_seconds(100);

struct World {
    pool: Pool,
    random: fastrand::Rng,
    tick: Tick,
}

impl World {
    fn new(seed: u64) -> Self {
        let tick_length = TickLength::of_lifetime(Duration::from_secs(2700));
        let mut pool = Pool::reserve(8 << 20, tick_length, HashKey(seed, 2), seed).expect("the memory");
        let tick = pool.advance_to(NOW);
        Self { pool, random: fastrand::Rng::with_seed(seed), tick }
    }

    fn put<F: Family>(&mut self, endpoint: F::Endpoint, role: Role) -> Upserted {
        self.pool.note_reach(Horizon::Wan, Reach::Public);
        self.pool.upsert::<F>(&HASH, Horizon::Wan, endpoint, role, self.tick)
    }

    /// Fill the swarm with `peers` peers, of which `leechers` are leechers. Many more join and leave in between.
    fn fill<F: Family>(&mut self, numbered: fn(u32) -> F::Endpoint, peers: u32, leechers: u32) {
        const LEAVING: u32 = 1 << 20;
        let mut leaving: Vec<u32> = (0..peers).map(|number| LEAVING + number).collect();
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
        for number in LEAVING..LEAVING + peers {
            self.pool.remove::<F>(swarm, &numbered(number), self.tick);
        }
        self.pool.check_invariants().expect("the invariants hold");
    }

    /// Ask `asks` times for `wanted` peers, draw one of the peers in each reply, and return how often each was drawn.
    /// The peers of one reply are neighbours; the draws are independent.
    fn drawn<F: Family>(&mut self, complete: bool, wanted: usize, asks: usize) -> BTreeMap<F::Endpoint, usize> {
        let mut times = BTreeMap::new();
        let mut out = vec![F::NO_ENDPOINT; wanted + SLACK];
        for _ in 0..asks {
            let selected = self.select::<F>(complete, &mut out, wanted);
            *times.entry(out[self.random.usize(..selected)]).or_default() += 1;
        }
        times
    }

    fn select<F: Family>(&mut self, complete: bool, out: &mut [F::Endpoint], wanted: usize) -> usize {
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
        self.pool.select::<F>(swarm, &asker, self.tick, out, wanted)
    }

    /// Check that all of the `eligible` peers have the same chance, with `expected` draws of each.
    fn assert_uniform<F: Family>(&mut self, complete: bool, wanted: usize, eligible: usize, expected: usize) {
        let times = self.drawn::<F>(complete, wanted, expected * eligible);
        let expected = expected as f64;
        let never_drawn = (eligible - times.len()) as f64 * expected;
        let chi_square: f64 = times.values().map(|times| (*times as f64 - expected).powi(2) / expected).sum();
        let (chi_square, limit) = (chi_square + never_drawn, chi_square_limit(eligible as f64 - 1.0));
        assert!(chi_square <= limit, "{eligible} eligible, {wanted} wanted: {chi_square:.1}, at most {limit:.1}");
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
    if degrees == 0.0 {
        return 0.0;
    }
    let ninth = 2.0 / (9.0 * degrees);
    degrees * (1.0 - ninth + 3.09 * ninth.sqrt()).powi(3)
}

fn every_number<F: Family>(numbered: fn(u32) -> F::Endpoint, sizes: &[u32], expected: usize, seed: u64) {
    for &peers in sizes {
        for (leechers, complete) in [(peers, false), (0, false), (peers.div_ceil(3), true)] {
            let mut world = World::new(seed + u64::from(peers));
            world.fill::<F>(numbered, peers, leechers);
            let eligible = if complete { leechers } else { peers } as usize;
            let most = if complete { 30 } else { 100 }; // found within the lines that a selection may read
            for wanted in [1, 2, 10, 30, most] {
                world.assert_uniform::<F>(complete, wanted, eligible, expected);
            }
        }
    }
}

#[test]
fn rule_32_every_peer_of_a_chain_has_the_same_chance() {
    every_number::<V4>(v4, &[2, 3, 7, 12, 30, 60, 95], 200, 1);
    every_number::<V6>(v6, &[2, 3, 7, 12, 30], 200, 2);
}

#[test]
fn rule_32_every_peer_of_a_swarm_with_forks_has_the_same_chance() {
    every_number::<V4>(v4, &[110, 200, 450, 1_300], 100, 13);
    every_number::<V6>(v6, &[50, 90, 300, 700], 100, 4);
}

#[test]
fn rule_32_every_peer_of_a_swarm_of_100_000_has_the_same_chance() {
    for wanted in [1, 50] {
        let mut world = World::new(5);
        world.fill::<V4>(v4, 100_000, 100_000);
        world.assert_uniform::<V4>(false, wanted, 100_000, 5);
        let mut world = World::new(6);
        world.fill::<V6>(v6, 100_000, 100_000);
        world.assert_uniform::<V6>(false, wanted, 100_000, 5);
    }
}

#[test]
fn rule_32_rare_leechers_of_a_large_swarm_have_the_same_chance() {
    const LEECHERS: u32 = 20;
    let mut world = World::new(7);
    world.fill::<V4>(v4, 5_000, LEECHERS);
    let mut out = vec![V4::NO_ENDPOINT; 50 + SLACK];
    let mut times = BTreeMap::<[u8; 6], usize>::new();
    for _ in 0..2_000 {
        let selected = world.select::<V4>(true, &mut out, 50);
        out[..selected].iter().for_each(|endpoint| *times.entry(*endpoint).or_default() += 1);
    }
    let (fewest, most) = (times.values().min().expect("some"), times.values().max().expect("some"));
    assert_eq!(times.len(), LEECHERS as usize);
    assert!(*most <= fewest + fewest / 5, "between {fewest} and {most} times");
}

#[test]
fn rule_32_clients_that_announce_in_turns_receive_different_peers_each_time() {
    const ROUNDS: usize = 20_000;
    let mut world = World::new(8);
    world.fill::<V4>(v4, 200, 200);
    let mut out = vec![V4::NO_ENDPOINT; 50 + SLACK];
    let mut times_of_one = BTreeMap::<[u8; 6], usize>::new();
    for _ in 0..ROUNDS {
        for client in 0..4 {
            let selected = world.select::<V4>(false, &mut out, 50);
            let of_one = out[..selected].iter().filter(|_| client == 0);
            of_one.for_each(|endpoint| *times_of_one.entry(*endpoint).or_default() += 1);
        }
    }
    assert_eq!(times_of_one.len(), 200);
    for times in times_of_one.values() {
        assert!(times.abs_diff(ROUNDS / 4) < ROUNDS / 40, "{times} of {}", ROUNDS / 4);
    }
}

#[test]
fn rule_32_a_dead_peer_adds_no_chance_to_its_neighbour() {
    for peers in [40, 1_000] {
        let mut world = World::new(9);
        for number in 0..peers {
            world.tick = world.pool.advance_to(Running::from_seconds(if number % 3 == 0 { 100 } else { 2_700 }));
            world.put::<V4>(v4(number), Role::Leecher);
        }
        world.tick = world.pool.advance_to(Running::from_seconds(3_000));
        let alive = (0..peers).filter(|number| number % 3 != 0).count();
        world.assert_uniform::<V4>(false, 1, alive, 200);
    }
}
