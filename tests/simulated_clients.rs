//! Hundreds of clients over days of a mock clock, through a network that loses, duplicates, delays and reorders
//! packets. Clients and tracker exchange bytes, and every reply is compared with a model of all announces.

mod common;
mod simulation;

use std::net::IpAddr;
use std::time::Duration;

use common::ip;
use nakodo::access::{Entry, Retire};
use nakodo::tracker::{Admission, Counters, External, Settings};
use nakodo::wire::Transport;
use simulation::World;
use simulation::client::{Client, Habit};

const DAY: Duration = Duration::from_secs(86_400);

/// Build settings for a home with a public IPv6 network from its provider.
fn settings() -> Settings {
    let mut settings = common::settings();
    settings.lan.push("2001:db8:77::/64".parse().expect("a prefix"));
    settings
}

/// Return the address of client `number`: at home or on the internet, some of them behind one address.
fn place(number: u16) -> IpAddr {
    let n = number;
    match n % 8 {
        0 => ip(&format!("192.168.{}.{}", n / 250, 1 + n % 250)),
        1 => ip(&format!("fd00::{n:x}")),
        2 => ip(&format!("2001:db8:77::{n:x}")),
        3 | 4 => ip(&format!("198.51.{}.{}", n / 250, 1 + n % 250)),
        5 => ip("203.0.113.200"),
        _ => ip(&format!("2001:db8:{n:x}::{}", n % 3)),
    }
}

fn populate(world: &mut World, clients: u16, swarms: u8) {
    for number in 0..clients {
        let transport = if world.random.bool() { Transport::Udp } else { Transport::Http };
        let sloppy = world.random.u8(..3) == 0;
        world.add(Client::new(place(number), transport, Habit::Restless, swarms, sloppy));
    }
}

/// Let all clients leave and time pass, and check that the pool becomes empty.
fn wind_up(mut world: World) -> Counters {
    world.close();
    world.run(common::PEER_TIMEOUT * 6);
    world.site.tracker.check_invariants().expect("the invariants hold");
    let usage = world.site.tracker.usage();
    assert_eq!((usage.lines_in_use, usage.swarms, usage.seeders, usage.leechers), (0, 0, 0, 0), "the pool is empty");
    world.site.tracker.counters
}

/// Check that a simulation contained enough events of each kind to be meaningful.
fn assert_eventful(counters: &Counters) {
    for (name, count) in [
        ("announces over HTTP", counters.announces_http),
        ("announces over UDP", counters.announces_udp),
        ("stops", counters.announces_stopped),
        ("finished downloads", counters.downloads_completed),
        ("partial seeds", counters.announces_paused),
        ("early announces", counters.announces_early),
        ("scrapes over HTTP", counters.scrapes_http),
        ("scrapes over UDP", counters.scrapes_udp),
        ("refused connection ids", counters.udp_bad_connection_id),
        ("silent crashes", counters.peers_expired),
    ] {
        assert!(count >= 20, "only {count} {name}");
    }
    assert_eq!((counters.udp_malformed, counters.http_bad_requests, counters.http_bad_parameters), (0, 0, 0));
}

fn simulate(settings: Settings, seed: u64, clients: u16, swarms: u8, days: u32, check_every: u64) -> Counters {
    let mut world = World::new(settings, seed, true, check_every);
    populate(&mut world, clients, swarms);
    world.run(DAY * days);
    assert!(world.model.peers_told > 1000, "{} peers in replies", world.model.peers_told);
    let counters = wind_up(world);
    assert_eventful(&counters);
    assert_eq!((counters.peers_not_stored, counters.peers_evicted_stale, counters.peers_evicted_greedy), (0, 0, 0));
    counters
}

#[test]
fn a_small_home_with_every_invariant_checked_after_every_step() {
    simulate(settings(), 1, 60, 3, 2, 1);
}

#[test]
fn hundreds_of_clients_over_days_with_an_unknown_external_address() {
    let counters = simulate(settings(), 2, 400, 6, 3, 61);
    assert!(counters.announces_http + counters.announces_udp > 15_000, "{counters:?}");
}

#[test]
fn hundreds_of_clients_over_days_behind_known_external_addresses() {
    let mut settings = settings();
    settings.policy.external = External {
        v4: Some([203, 0, 113, 1].into()),
        v6: Some("2001:db8:88::1".parse().expect("an address")),
        host_v6: None,
    };
    simulate(settings, 3, 400, 6, 3, 61);
}

#[test]
fn a_swarm_large_enough_to_fork() {
    simulate(settings(), 4, 500, 1, 1, 61);
}

#[test]
fn a_pool_too_small_for_its_clients_answers_all_and_stays_sound() {
    let (mut stale, mut greedy) = (0, 0);
    for (seed, lines) in [(5, 12), (6, 24), (7, 40)] {
        let settings = Settings { memory_octets: 66 * lines, ..settings() };
        let mut world = World::new(settings, seed, false, 7);
        populate(&mut world, 300, 8);
        world.run(DAY);
        assert!(world.model.peers_told > 1000, "{} peers in replies", world.model.peers_told);
        let counters = wind_up(world);
        assert!(counters.peers_not_stored > 100, "{} were answered and not stored", counters.peers_not_stored);
        stale += counters.peers_evicted_stale;
        greedy += counters.peers_evicted_greedy;
    }
    assert!(stale > 100 && greedy > 100, "{stale} stale peers made room, and {greedy} of one that held too much");
}

/// Two prefixes on the WAN are whitelisted: an active customer, and one that stops announcing.
#[test]
fn an_idle_customer_is_retired_and_refused_clients_get_a_retry_time() {
    let (faithful, quiet) = ("198.51.100.7/32", "2001:db8:5:5::/64");
    let mut settings = settings();
    settings.policy.wan = Admission::Whitelist;
    let mut world = World::new(settings, 8, true, 11);
    // The idle customer is retired before its peers expire.
    for (prefix, minutes) in [(faithful, 400), (quiet, 40)] {
        let entry = Entry {
            retire: Retire::After(minutes * 60),
            last_seen: world.site.now.after(Duration::from_secs(3600)),
            ..Entry::new(prefix.parse().expect(prefix))
        };
        world.site.tracker.whitelist().put(entry).expect("room");
    }
    let silence = world.site.now.after(DAY / 2);
    for (address, habit) in [
        ("198.51.100.7", Habit::Steady),
        ("2001:db8:5:5::1", Habit::QuietFrom(silence)),
        ("2001:db8:5:5:9::2", Habit::QuietFrom(silence)),
    ] {
        world.add(Client::new(ip(address), Transport::Http, habit, 2, false));
        world.add(Client::new(ip(address), Transport::Udp, habit, 2, false));
    }
    populate(&mut world, 80, 2);
    world.run(DAY);
    let [(prefix, peers)] = world.retired[..] else { unreachable!("one is retired: {:?}", world.retired) };
    assert_eq!(prefix, quiet.parse().expect(quiet));
    assert!(peers > 0, "its peers are removed at once");
    assert!(world.refusals > 500, "{} announces were refused", world.refusals);
    assert_eq!(world.site.tracker.usage().whitelist_entries, 1);
    let counters = wind_up(world);
    assert!(counters.refused_not_whitelisted > 500 && counters.announces_http > 500, "{counters:?}");
}
