//! Peers move between the steps of a walk. The walk removes all peers that must go, and no others.

use core::time::Duration;
use std::collections::BTreeSet;

use ipnet::IpNet;

use super::super::columns::ColumnsRef;
use super::super::line::{Inline, Swarm};
use super::super::meta_word::MetaWord;
use super::super::sweep::owner;
use super::super::tree::LEAF_LINES;
use super::*;
use crate::access::{Entry, Retire};
use crate::clock::UnixSeconds;
use crate::testing;
use crate::tracker::{Admission, Tracker};
use crate::wire::{Announce, Event, InfoHash, Transport};

/// Maximum number of peers in a line.
const PEERS_A_LINE: usize = 8;

/// Number of customers, each with an IPv4 address and an IPv6 prefix of its own.
const CUSTOMERS: u8 = 100;

/// Whether the peer is on the LAN side, the line of its swarm, and its endpoint.
type Stored = (bool, usize, Vec<u8>);

struct World {
    tracker: Tracker,
    random: fastrand::Rng,
    now: Running,
    wall: UnixSeconds,
    next_sweep: Running,
}

impl World {
    fn new(memory_octets: usize, lan: Admission, seed: u64) -> Self {
        let mut settings = testing::settings(2 * CUSTOMERS as usize);
        settings.memory_octets = memory_octets;
        settings.policy.lan = lan;
        let now = Running::from_seconds(10_000);
        let wall = UnixSeconds(UnixSeconds::EARLIEST_SANE.0 + 1000);
        let random = fastrand::Rng::with_seed(seed);
        let mut world = Self { tracker: testing::tracker(settings), random, now, wall, next_sweep: now };
        (0..CUSTOMERS).for_each(|customer| world.allow(customer, None));
        world
    }

    /// Return the prefixes of a customer; every fourth customer is on the LAN.
    fn prefixes(customer: u8) -> [IpNet; 2] {
        let v4 = if customer.is_multiple_of(4) { [192, 168, 1, customer] } else { [203, 0, 113, customer] };
        let v6 = [0x2001, 0xdb8, 0, customer.into(), 0, 0, 0, 0];
        [IpNet::from(IpAddr::from(v4)), IpNet::new(IpAddr::from(v6), 64).expect("a length")]
    }

    fn allow(&mut self, customer: u8, until: Option<UnixSeconds>) {
        for prefix in Self::prefixes(customer) {
            let entry = Entry { retire: Retire::Never, until, last_seen: self.now, ..Entry::new(prefix) };
            self.tracker.whitelist().put(entry).expect("room");
        }
    }

    /// Start, update or stop a random peer of a random customer; most peers are in one giant swarm.
    fn announce(&mut self, may_stop: bool) {
        let [v4, v6] = Self::prefixes(self.random.u8(..CUSTOMERS));
        let address = match (self.random.u8(..4), v6.addr()) {
            (0, IpAddr::V6(network)) => {
                IpAddr::from((network.to_bits() | u128::from(self.random.u8(..4))).to_be_bytes())
            }
            _ => v4.addr(),
        };
        let swarm = if self.random.u8(..4) > 0 { 0 } else { self.random.u8(1..30) };
        let event = if may_stop && self.random.u8(..3) == 0 { Event::Stopped } else { Event::Update };
        let port = self.random.u16(1024..1100);
        let announce = Announce { info_hash: InfoHash([swarm; 20]), port, left: 1, event, num_want: Some(0) };
        let _ = self.tracker.announce(self.now, address, Transport::Udp, &announce);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        while self.next_sweep <= end {
            self.now = self.next_sweep;
            self.next_sweep = self.now.after(self.tracker.sweep(self.now));
        }
        self.now = end;
    }

    /// Make a random change between two steps of a walk.
    fn happen(&mut self) {
        let customer = self.random.u8(..CUSTOMERS);
        match self.random.u8(..100) {
            0 => drop(self.tracker.revoke(&Self::prefixes(customer))),
            1 | 2 => self.allow(customer, None),
            3 => self.allow(customer, Some(UnixSeconds(self.wall.0 + 1))),
            4 => {
                self.wall.0 += 1;
                self.tracker.retire(self.now, Some(self.wall), drop);
            }
            5 => {
                let seconds = self.random.u64(..400);
                self.pass(Duration::from_secs(seconds));
            }
            _ => (0..self.random.u8(..40)).for_each(|_| self.announce(true)),
        }
    }

    /// Return all peers: those that stay, and those that must go.
    fn stored(&self) -> (BTreeSet<Stored>, BTreeSet<Stored>) {
        let (mut stay, mut go) = (BTreeSet::new(), BTreeSet::new());
        let lines = &self.tracker.pool().lines;
        for line in (0..lines.touched()).map(LineIndex::new) {
            let endpoints: Vec<Vec<u8>> = match &lines[line] {
                Line::Peers4(chained) => endpoints(chained.items.read()),
                Line::Peers6(chained) => endpoints(chained.items.read()),
                Line::Swarm(Swarm { inline: Inline::Peers4(inline), .. }) => endpoints(inline.read()),
                Line::Swarm(Swarm { inline: Inline::Peers6(inline), .. }) => endpoints(inline.read()),
                _ => continue,
            };
            let swarm = owner(lines, line).expect("each line of peers is a swarm's");
            let horizon = tree::swarm_at(lines, swarm).expect("it is a swarm").horizon;
            let policy = self.tracker.policy();
            let admission = if horizon == Horizon::Lan { policy.lan } else { policy.wan };
            for endpoint in endpoints {
                let address = ip_address(&endpoint[..endpoint.len() - 2]);
                let stays = admission != Admission::Whitelist || self.tracker.whitelisted().covers(address);
                let of_kind = if stays { &mut stay } else { &mut go };
                of_kind.insert((horizon == Horizon::Lan, swarm.get(), endpoint));
            }
        }
        (stay, go)
    }

    /// Make a step. Check that it is bounded and removes only peers that must go.
    fn step(&mut self) {
        let (stay, go) = self.stored();
        let step = self.tracker.forget(self.now);
        let leaf = LEAF_LINES + 1;
        assert!(step.visited < LINES_A_STEP + leaf, "{step:?}");
        assert!(step.passed <= PASSED_A_STEP && step.removed < REMOVALS_A_STEP + leaf * PEERS_A_LINE, "{step:?}");
        self.tracker.check_invariants().expect("the invariants hold");
        let (stay_after, go_after) = self.stored();
        assert_eq!(stay_after, stay, "admitted peers stay");
        assert!(go_after.is_subset(&go) && go_after.len() + step.removed == go.len(), "{step:?}");
    }

    fn has_forgotten(&self) -> bool {
        self.tracker.has_forgotten(self.tracker.forgetting_ends())
    }
}

fn endpoints<E: Copy + AsRef<[u8]>>(peers: ColumnsRef<'_, E, MetaWord>) -> Vec<Vec<u8>> {
    peers.iter().map(|peer| peer.endpoint.as_ref().to_vec()).collect()
}

fn walk_while_things_happen(memory_octets: usize, lan: Admission, seed: u64, peers: u32) {
    let mut world = World::new(memory_octets, lan, seed);
    (0..peers).for_each(|_| world.announce(false));
    let mut walks = 0;
    while walks < 2 {
        let customers: Vec<u8> = (0..world.random.u8(1..30)).map(|_| world.random.u8(..CUSTOMERS)).collect();
        let prefixes: Vec<IpNet> = customers.iter().flat_map(|customer| World::prefixes(*customer)).collect();
        world.tracker.revoke(&prefixes);
        let end = world.tracker.forgetting_ends();
        let mut steps = 0;
        while !world.has_forgotten() {
            world.step();
            steps += 1;
            // Stop the removals after a while, so that the walk ends.
            if steps < 150 { world.happen() } else { (0..9).for_each(|_| world.announce(true)) }
        }
        assert!(world.tracker.has_forgotten(end));
        assert_eq!(world.stored().1, BTreeSet::new(), "seed {seed}: some peers are left after {steps} steps");
        walks += 1;
        (0..peers / 4).for_each(|_| world.announce(false));
        (0..CUSTOMERS).for_each(|customer| world.allow(customer, None));
    }
    assert!(world.tracker.counters.peers_revoked > 0);
}

#[test]
fn peers_that_move_between_two_steps_are_not_missed() {
    for seed in 0..2 {
        // First with room for all peers, then with so little that lines run short and peers are evicted.
        walk_while_things_happen(128 << 10, Admission::Open, seed, 2500);
        walk_while_things_happen(12 << 10, Admission::Whitelist, seed, 800);
    }
}

#[test]
fn a_giant_swarm_is_visited_leaf_by_leaf() {
    let mut world = World::new(1 << 20, Admission::Whitelist, 7);
    for _ in 0..20_000 {
        world.announce(false);
    }
    let prefixes: Vec<IpNet> = (0..CUSTOMERS).flat_map(World::prefixes).collect();
    world.tracker.revoke(&prefixes[..100]);
    world.tracker.revoke(&prefixes[100..]);
    let lines = world.tracker.pool().lines.in_use();
    let (mut visited, mut passed) = (0, 0);
    while !world.has_forgotten() {
        let step = world.tracker.forget(world.now);
        (visited, passed) = (visited + step.visited, passed + step.passed);
    }
    assert!(visited <= lines + lines / 4 && passed <= lines, "{visited} visited, {passed} passed of {lines}");
    assert_eq!(world.tracker.pool().peers.all().total(), 0);
    world.tracker.check_invariants().expect("the invariants hold");
}

#[test]
fn many_removals_at_once_need_only_one_round() {
    let lines_for = |customers: u8| {
        let mut world = World::new(128 << 10, Admission::Whitelist, 1);
        (0..4000).for_each(|_| world.announce(false));
        let prefixes: Vec<IpNet> = (0..customers).flat_map(World::prefixes).collect();
        for two in prefixes.chunks(2) {
            assert_eq!(world.tracker.revoke(two), 2);
        }
        let mut lines = 0;
        while !world.has_forgotten() {
            let step = world.tracker.forget(world.now);
            lines += step.visited + step.passed;
        }
        assert_eq!(world.stored().1, BTreeSet::new());
        lines
    };
    let (one, fifty) = (lines_for(1), lines_for(50));
    assert!(fifty <= one * 5 / 4, "{fifty} lines for fifty customers, {one} for one");
}

#[test]
fn a_removal_during_a_walk_extends_it_to_a_full_round_from_there() {
    let mut world = World::new(128 << 10, Admission::Whitelist, 2);
    (0..4000).for_each(|_| world.announce(false));
    assert_eq!(world.tracker.revoke(&World::prefixes(1)), 2);
    let first = world.tracker.forgetting_ends();
    for _ in 0..20 {
        world.step();
    }
    assert!(!world.tracker.has_forgotten(first));
    assert_eq!(world.tracker.revoke(&World::prefixes(2)), 2);
    let second = world.tracker.forgetting_ends();
    assert!(second > first && second.round == first.round);
    while !world.tracker.has_forgotten(first) {
        world.step();
    }
    let has_address_1 = |(_, _, endpoint): &Stored| endpoint.starts_with(&[203, 0, 113, 1]);
    assert!(!world.stored().1.iter().any(has_address_1), "the peers of the first removal are gone by then");
    while !world.tracker.has_forgotten(second) {
        world.step();
    }
    assert_eq!(world.stored().1, BTreeSet::new());
    assert_eq!(world.tracker.forget(world.now), ForgetStep::default(), "the walk has ended");
}
