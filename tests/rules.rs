//! The rules of the tracker protocols that implementations often get wrong, tested through bytes: each test name has
//! the number of its rule. Tests for parsing and writing single packets are beside `wire`.

mod common;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::{Announce, BOTH, DEFAULT_PEERS, Event, MAX_PEERS, Site, http, info_hash, ip, socket, udp};
use nakodo::clock::Running;
use nakodo::tracker::{Admission, Answer, External, Networks, Sender};
use nakodo::wire::Transport;

/// Pairs of clients of each family and on each side; the second one requests after the first. Their source ports differ
/// from all announced ports.
const PAIRS: [(&str, &str); 4] = [
    ("192.168.1.2:50001", "192.168.1.3:50002"),
    ("203.0.113.2:50001", "203.0.113.3:50002"),
    ("[fd00::2]:50001", "[fd00::3]:50002"),
    ("[2001:db8::2]:50001", "[2001:db8:1::3]:50002"),
];

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(socket(address).ip(), port)
}

fn each_pair_over_both(mut test: impl FnMut(Transport, &str, &str)) {
    for transport in BOTH {
        for (first, second) in PAIRS {
            test(transport, first, second);
        }
    }
}

/// Build a site with `v4` IPv4 and `v6` IPv6 leechers on the WAN in swarm 1, at port 6881.
fn crowd(v4: u16, v6: u16) -> Site {
    let mut site = Site::open();
    for number in 0..v4 {
        let [high, low] = number.to_be_bytes();
        site.told(Transport::Http, &format!("198.51.{high}.{low}:1"), Announce::leecher(1, 6881));
    }
    for number in 0..v6 {
        site.told(Transport::Http, &format!("[2001:db8:{number:x}::1]:1"), Announce::leecher(1, 6881));
    }
    site
}

#[test]
fn rule_01_the_swarms_of_a_hybrid_torrent_stay_apart() {
    each_pair_over_both(|transport, first, second| {
        let mut site = Site::open();
        let (v1, v2) = (Announce::seeder(1, 6881), Announce::leecher(2, 6881));
        site.told(transport, first, v1);
        site.told(transport, first, v2);
        let of_v1 = site.told(transport, second, Announce { info_hash: v1.info_hash, ..Announce::leecher(0, 6882) });
        assert_eq!((of_v1.counts(), of_v1.peers), ((1, 1), vec![at(first, 6881)]));
        assert_eq!(site.scrape(transport, second, 2), (0, 0, 1), "the other swarm is unchanged");
        assert_eq!(site.scrape(transport, second, 3), (0, 0, 0));
    });
}

#[test]
fn rule_01_a_swarm_is_the_same_over_both_transports() {
    for (first, second) in PAIRS {
        let mut site = Site::open();
        site.told(Transport::Udp, first, Announce::seeder(1, 6881));
        assert_eq!(site.told(Transport::Http, second, Announce::leecher(1, 6882)).peers, [at(first, 6881)]);
        assert_eq!(site.told(Transport::Udp, first, Announce::seeder(1, 6881)).peers, [at(second, 6882)]);
    }
}

#[test]
fn rule_02_left_is_64_bit_and_only_zero_is_a_seeder() {
    each_pair_over_both(|transport, first, _| {
        for left in [1, 1 << 31, 4_294_967_295, 4_294_967_296, 1 << 33, 1 << 63, u64::MAX] {
            let told = Site::open().told(transport, first, Announce { left, ..Announce::leecher(1, 6881) });
            assert_eq!(told.counts(), (0, 1), "left={left}");
        }
        assert_eq!(Site::open().told(transport, first, Announce::seeder(1, 6881)).counts(), (1, 0));
    });
}

#[test]
fn rule_02_missing_or_absurd_left_is_a_leecher_and_non_numeric_left_is_an_error() {
    let start = format!("/announce?info_hash={}&port=6881", http::escape(&info_hash(1)));
    for left in ["", "&left=99999999999999999999999999", "&left=-1"] {
        let told = Site::open().request(ip("203.0.113.2"), &http::get(&format!("{start}{left}"))).told();
        assert_eq!(told.expect("a leecher").counts(), (0, 1), "{left:?}");
    }
    for left in ["&left=zero", "&left=0x0", "&left=0%20"] {
        let mut site = Site::open();
        let told = site.request(ip("203.0.113.2"), &http::get(&format!("{start}{left}"))).told();
        assert_eq!(told.expect_err(left).reason, "left is not a number");
        assert_eq!(site.tracker.usage().lines_in_use, 0, "nothing is stored");
        assert_eq!(site.tracker.counters.http_bad_parameters, 1);
    }
}

#[test]
fn rule_03_numwant_has_a_default_and_a_cap_and_zero_is_none() {
    let mut site = crowd(300, 0);
    for transport in BOTH {
        for (num_want, peers) in [
            (None, DEFAULT_PEERS),
            (Some(-1), DEFAULT_PEERS),
            (Some(i32::MIN), DEFAULT_PEERS),
            (Some(0), 0),
            (Some(1), 1),
            (Some(7), 7),
            (Some(199), 199),
            (Some(1000), MAX_PEERS),
            (Some(i32::MAX), MAX_PEERS),
        ] {
            // A started event, because an early update gets fewer peers.
            let announce = Announce { num_want, ..Announce::leecher(1, 6882).with(Event::Started) };
            let told = site.told(transport, "203.0.113.2:50001", announce);
            assert_eq!(told.peers.len(), peers, "{num_want:?} over {transport:?}");
        }
    }
}

#[test]
fn rule_04_port_0_is_accepted_for_stopped_only() {
    each_pair_over_both(|transport, first, second| {
        let mut site = Site::open();
        for event in [Event::Update, Event::Started, Event::Completed, Event::Paused] {
            let refused = site.refused(transport, first, Announce::leecher(1, 0).with(event));
            assert!(refused.reason.contains("port 0"), "{}", refused.reason);
        }
        assert_eq!(site.tracker.counters.refused_port_zero, 4);
        assert_eq!(site.scrape(transport, second, 1), (0, 0, 0));
        let told = site.told(transport, first, Announce::leecher(1, 0).with(Event::Stopped));
        assert_eq!((told.counts(), told.peers), ((0, 0), vec![]));
    });
}

#[test]
fn rule_04_datagrams_from_port_0_are_dropped_and_counted() {
    let mut site = Site::open();
    for address in ["192.168.1.2:0", "203.0.113.2:0", "[2001:db8::2]:0"] {
        assert_eq!(site.datagram(socket(address), &udp::connect(1)), None);
    }
    assert_eq!(site.tracker.counters.udp_source_port_zero, 3);
    assert_eq!(site.tracker.counters.connects_udp, 0);
}

#[test]
fn rule_05_an_address_in_the_request_is_ignored_and_not_an_error() {
    let mut site = Site::open();
    let from = socket("203.0.113.2:50001");
    let id = site.connect(from);
    let mut datagram = udp::announce(id, 1, &Announce::seeder(1, 6881));
    datagram[84..88].copy_from_slice(&[198, 51, 100, 99]);
    site.datagram(from, &datagram).expect("an answer");
    for claim in ["ip=192.168.0.9", "ip=2001:db8::9", "ipv4=198.51.100.99", "ipv6=%5B::1%5D:80", "ip=nonsense"] {
        let target = http::announce_target(&Announce::seeder(1, 6882));
        site.request(ip("203.0.113.4"), &http::get(&format!("{target}&{claim}"))).told().expect(claim);
    }
    let mut peers = site.told(Transport::Udp, "203.0.113.3:50002", Announce::leecher(1, 6883)).peers;
    peers.sort();
    assert_eq!(peers, [socket("203.0.113.2:6881"), socket("203.0.113.4:6882")], "source addresses");
}

#[test]
fn rule_06_stopped_removes_and_returns_no_peers() {
    each_pair_over_both(|transport, first, second| {
        let mut site = Site::open();
        site.told(transport, first, Announce::leecher(1, 6881));
        site.told(transport, second, Announce::leecher(1, 6882));
        let told = site.told(transport, first, Announce::leecher(1, 6881).with(Event::Stopped).wanting(50));
        assert_eq!((told.counts(), told.peers), ((0, 1), vec![]));
        let told = site.told(transport, second, Announce::leecher(1, 6882).with(Event::Started));
        assert_eq!((told.counts(), told.peers), ((0, 1), vec![]), "the peer is removed");
    });
}

#[test]
fn rule_06_an_unknown_peer_may_stop() {
    each_pair_over_both(|transport, first, second| {
        let mut site = Site::open();
        let stopped = Announce::leecher(1, 6881).with(Event::Stopped);
        assert_eq!(site.told(transport, first, stopped).counts(), (0, 0), "in an unknown swarm");
        assert_eq!(site.tracker.usage().lines_in_use, 0, "the unknown swarm is not created");
        site.told(transport, second, Announce::seeder(1, 6882));
        assert_eq!(site.told(transport, first, stopped).counts(), (1, 0), "in a known one");
        let other_port = Announce::seeder(1, 6883).with(Event::Stopped);
        assert_eq!(site.told(transport, second, other_port).counts(), (1, 0), "at another port it is another peer");
    });
}

#[test]
fn rule_07_completed_counts_once_and_only_for_a_known_leecher() {
    each_pair_over_both(|transport, first, second| {
        let mut site = Site::open();
        let completed = Announce::seeder(1, 6881).with(Event::Completed);
        site.told(transport, first, completed);
        assert_eq!(site.scrape(transport, second, 1), (1, 0, 0), "the peer was not a leecher before");
        site.told(transport, second, Announce::leecher(1, 6882));
        site.told(transport, second, Announce::leecher(1, 6882).with(Event::Completed));
        assert_eq!(site.scrape(transport, first, 1), (1, 0, 1), "the announce has left > 0");
        for _ in 0..3 {
            site.told(transport, second, Announce { port: 6882, ..completed });
            assert_eq!(site.scrape(transport, first, 1), (2, 1, 0), "repeated events count once");
        }
        assert_eq!(site.tracker.counters.downloads_completed, 1);
        site.told(transport, second, Announce::leecher(2, 6882));
        site.told(transport, second, Announce { info_hash: info_hash(3), port: 6882, ..completed });
        assert_eq!(site.scrape(transport, first, 3), (1, 0, 0), "the peer was a leecher in another swarm only");
    });
}

#[test]
fn rule_07_a_download_stays_counted_after_all_peers_leave() {
    let mut site = Site::open();
    site.told(Transport::Udp, "203.0.113.2:1", Announce::leecher(1, 6881));
    site.told(Transport::Udp, "203.0.113.2:1", Announce::seeder(1, 6881).with(Event::Completed));
    site.told(Transport::Udp, "203.0.113.2:1", Announce::seeder(1, 6881).with(Event::Stopped));
    assert_eq!(site.scrape(Transport::Http, "203.0.113.2:1", 1), (0, 1, 0));
    site.pass(common::PEER_TIMEOUT * 2);
    assert_eq!(site.tracker.usage().lines_in_use, 0, "until the swarm expires");
}

#[test]
fn rule_07_unknown_events_are_updates() {
    let mut site = Site::open();
    for (number, event) in ["", "empty", "Started", "completed%00", "%73topped0", "paused,stopped"].iter().enumerate() {
        let port = 6881 + number as u16;
        let target = http::announce_target(&Announce::leecher(1, port));
        site.request(ip("203.0.113.2"), &http::get(&format!("{target}&event={event}"))).told().expect(event);
        assert_eq!(site.tracker.usage().leechers, number + 1, "{event:?} is stored");
    }
    assert_eq!(site.tracker.counters.announces_started + site.tracker.counters.announces_stopped, 0);
}

#[test]
fn rule_07_paused_is_a_partial_seed_and_scrape_reports_downloaders() {
    each_pair_over_both(|transport, first, second| {
        let mut site = Site::open();
        let partial = Announce::leecher(1, 6881).with(Event::Paused);
        assert_eq!(site.told(transport, first, partial).counts(), (0, 1), "still incomplete");
        site.told(transport, second, Announce::leecher(1, 6882));
        let response = site.request(socket(second).ip(), &http::scrape(&[info_hash(1)])).dictionary();
        let file = response.get(b"files").and_then(|files| files.get(&info_hash(1))).expect("the swarm");
        assert_eq!((file.integer("incomplete"), file.integer("downloaders")), (Some(2), Some(1)));
        let told = site.told(transport, first, partial);
        assert_eq!(told.peers, [at(second, 6882)], "a partial seed gets downloaders");
        let told = site.told(transport, second, Announce::seeder(1, 6882));
        assert_eq!(told.peers, [], "a seeder does not get a partial seed");
    });
}

#[test]
fn rule_08_the_requester_is_counted_and_not_listed() {
    each_pair_over_both(|transport, first, second| {
        let mut site = Site::open();
        for announce in [Announce::leecher(1, 6881).with(Event::Started), Announce::leecher(1, 6881)] {
            let told = site.told(transport, first, announce);
            assert_eq!((told.counts(), told.peers), ((0, 1), vec![]));
        }
        site.told(transport, second, Announce::leecher(1, 6881));
        assert_eq!(site.told(transport, first, Announce::leecher(1, 6881)).peers, [at(second, 6881)]);
        let other_port = site.told(transport, first, Announce::leecher(1, 6882));
        assert!(other_port.peers.contains(&at(first, 6881)), "one address may be many peers");
    });
}

#[test]
fn rule_08_the_requester_is_counted_even_if_it_is_not_stored() {
    for transport in BOTH {
        let mut site = Site::new(nakodo::tracker::Settings { memory_octets: 64 * 8, ..common::settings() });
        let mut number = 0;
        while site.tracker.counters.peers_not_stored == 0 {
            number += 1;
            let told = site.told(transport, &format!("203.0.113.{number}:1"), Announce::seeder(number, 6881));
            assert_eq!(told.counts(), (1, 0), "in a swarm of its own");
        }
        number += 1;
        let told = site.told(transport, &format!("203.0.113.{number}:1"), Announce::leecher(1, 6881));
        let stored = site.tracker.counters.peers_not_stored == 1;
        assert!(stored || told.counts() == (1, 1), "{:?} in a swarm that has one seeder", told.counts());
    }
}

#[test]
fn rule_08_a_lan_peer_with_the_requesters_external_address_is_not_listed() {
    let mut settings = common::settings();
    settings.policy.external = External { v4: Some([203, 0, 113, 9].into()), ..External::default() };
    let mut site = Site::new(settings);
    site.told(Transport::Udp, "192.168.1.2:1", Announce::leecher(1, 6881));
    for transport in BOTH {
        assert_eq!(site.told(transport, "203.0.113.9:1", Announce::leecher(1, 6881)).peers, []);
    }
}

#[test]
fn rule_09_a_v4_mapped_address_is_the_v4_address() {
    let mut settings = common::settings();
    settings.policy.wan = Admission::Whitelist;
    let mut site = Site::new(settings);
    site.allow("203.0.113.2/32");
    let (mapped, plain) = ("[::ffff:203.0.113.2]:50001", "203.0.113.2:50001");
    for transport in BOTH {
        site.told(transport, mapped, Announce::seeder(1, 6881));
        let told = site.told(transport, plain, Announce::leecher(1, 6882));
        assert_eq!(told.peers, [socket("203.0.113.2:6881")], "whitelisted and stored as IPv4");
        let told = site.told(transport, "[::ffff:192.168.1.9]:50001", Announce::leecher(1, 6883));
        assert_eq!(told.peers.len(), 2, "the mapped address is on the LAN, which needs no whitelist entry");
    }
    let id = site.connect(socket(mapped));
    let reply = site.datagram(socket(plain), &udp::scrape(id, 1, &[info_hash(1)])).expect("an answer");
    assert_eq!(udp::Reply::parse(&reply, socket(plain), 1), udp::Reply::Scrape(vec![(1, 0, 2)]), "one connection id");
    let response = site.request(ip("::ffff:203.0.113.2"), &http::announce(&Announce::leecher(1, 6882)));
    assert_eq!(response.dictionary().bytes("external ip"), Some(&[203, 0, 113, 2][..]));
}

#[test]
fn rule_10_both_families_over_http_and_the_packets_family_over_udp() {
    let mut site = crowd(3, 4);
    for (from, same, other) in [("203.0.113.2:1", 3, 4), ("[2001:db8:ffff::2]:1", 4, 3)] {
        let announce = Announce::leecher(1, 6882).with(Event::Started);
        let told = site.told(Transport::Http, from, announce);
        let own = told.peers.iter().filter(|peer| peer.is_ipv4() == socket(from).is_ipv4()).count();
        assert_eq!((own, told.peers.len() - own), (same, other), "over HTTP");
        let told = site.told(Transport::Udp, from, announce);
        assert_eq!(told.peers.len(), same, "over UDP");
        assert!(told.peers.iter().all(|peer| peer.is_ipv4() == socket(from).is_ipv4()));
        site.told(Transport::Udp, from, announce.with(Event::Stopped));
    }
}

#[test]
fn rule_10_peers6_is_omitted_without_ipv6_peers() {
    let mut site = crowd(2, 0);
    for (from, swarm, octets) in [("203.0.113.2", 1, 12), ("203.0.113.2", 2, 0), ("2001:db8::2", 3, 0)] {
        let reply = site.request(ip(from), &http::announce(&Announce::leecher(swarm, 6882))).dictionary();
        assert_eq!((reply.bytes("peers").map(<[u8]>::len), reply.bytes("peers6")), (Some(octets), None), "for {from}");
    }
}

#[test]
fn rule_11_intervals_have_a_jitter_of_a_tenth_at_most() {
    for transport in BOTH {
        let mut site = Site::open();
        let intervals: Vec<_> = (0..200_u16)
            .map(|port| site.told(transport, "203.0.113.2:50001", Announce::leecher(1, 7000 + port)).interval)
            .collect();
        assert!(intervals.iter().all(|interval| (1800..=1980).contains(interval)), "{intervals:?}");
        let (least, most) = (intervals.iter().min(), intervals.iter().max());
        assert!(least < Some(&1830) && most > Some(&1950), "the intervals are spread: {least:?} to {most:?}");
    }
    let response = Site::open().request(ip("203.0.113.2"), &http::announce(&Announce::leecher(1, 6881)));
    assert_eq!(response.dictionary().integer("min interval"), Some(300));
}

#[test]
fn rule_11_an_early_announce_is_counted_and_gets_few_peers() {
    for transport in BOTH {
        let mut site = crowd(100, 0);
        let announce = Announce::leecher(1, 6882).wanting(100);
        assert_eq!(site.told(transport, "203.0.113.2:1", announce.with(Event::Started)).peers.len(), 100);
        site.pass(Duration::from_secs(60));
        let told = site.told(transport, "203.0.113.2:1", announce);
        assert_eq!((told.peers.len(), told.counts()), (8, (0, 101)), "few peers, but correct counts");
        assert_eq!(site.tracker.counters.announces_early, 1);
        assert_eq!(site.told(transport, "203.0.113.2:1", announce.wanting(0)).peers.len(), 0);
        let completed = Announce { left: 0, ..announce.with(Event::Completed) };
        assert_eq!(site.told(transport, "203.0.113.2:1", completed).peers.len(), 100, "an event is never early");
        site.pass(common::MIN_INTERVAL);
        assert_eq!(site.told(transport, "203.0.113.2:1", Announce { left: 0, ..announce }).peers.len(), 100);
        assert_eq!(site.tracker.counters.announces_early, 2);
    }
}

#[test]
fn rule_12_sizes_are_minima() {
    let mut site = Site::open();
    let from = socket("203.0.113.2:50001");
    let id = site.connect(from);
    let requests = [
        udp::connect(1).to_vec(),
        udp::announce(id, 1, &Announce::leecher(1, 6881)).to_vec(),
        udp::scrape(id, 1, &[info_hash(1)]),
    ];
    for request in &requests {
        for length in 0..request.len() {
            let malformed = site.tracker.counters.udp_malformed;
            assert_eq!(site.datagram(from, &request[..length]), None, "{length} of {}", request.len());
            assert_eq!(site.tracker.counters.udp_malformed, malformed + 1);
        }
        for extra in [1, 2, 19, 300] {
            let longer = [&request[..], &vec![2; extra]].concat();
            let reply = site.datagram(from, &longer).expect("longer is fine");
            assert_ne!(reply[..4], [0, 0, 0, 3], "{extra} more bytes are not an error");
        }
    }
    assert_eq!(site.tracker.usage().leechers, 1, "announced once");
}

#[test]
fn rule_13_an_id_is_valid_for_two_minutes_and_invalid_after_five() {
    for address in ["203.0.113.2", "192.168.1.2", "2001:db8::2"] {
        let (from, other_port) = (SocketAddr::new(ip(address), 50_001), SocketAddr::new(ip(address), 50_002));
        for (age, good) in [(0, true), (1, true), (60, true), (119, true), (120, true), (300, false), (301, false)] {
            let mut site = Site::open();
            let id = site.connect(from);
            site.pass(Duration::from_secs(age));
            for from in [from, other_port] {
                assert_eq!(is_accepted(&mut site, from, id), good, "{age} s old, from {from}");
            }
        }
        // The time of issue has 16 bits on the wire: an old id must not become valid again when they wrap.
        let mut site = Site::open();
        let id = site.connect(from);
        site.pass(Duration::from_secs(65_536));
        assert!(!is_accepted(&mut site, from, id));
    }
}

#[test]
fn rule_13_an_id_is_bound_to_its_address_and_to_its_run() {
    let mut site = Site::open();
    let from = socket("203.0.113.2:50001");
    let id = site.connect(from);
    for other in ["203.0.113.3:50001", "192.168.1.2:50001", "[2001:db8::2]:50001", "[::203.0.113.2]:50001"] {
        assert!(!is_accepted(&mut site, socket(other), id), "from {other}");
    }
    for bit in 0..64 {
        assert!(!is_accepted(&mut site, from, id ^ (1 << bit)), "bit {bit}");
    }
    assert!(is_accepted(&mut site, from, id));
    assert_eq!(site.tracker.counters.udp_bad_connection_id, 68 * 2);
    site.tracker.renew_connection_ids(nakodo::hash_key::HashKey(1, 2));
    assert!(!is_accepted(&mut site, from, id), "issued before a suspension of the system");
    let id = site.connect(from);
    assert!(is_accepted(&mut site, from, id));
    assert!(!is_accepted(&mut Site::seeded(common::settings(), 99), from, id), "another run, another key");
}

/// Is an id accepted? Announce and scrape must agree.
fn is_accepted(site: &mut Site, from: SocketAddr, id: u64) -> bool {
    let announce = udp::announce(id, 5, &Announce::leecher(1, 6881)).to_vec();
    let accepted = [announce, udp::scrape(id, 5, &[info_hash(1)])].map(|request| {
        let reply = site.datagram(from, &request).expect("an answer");
        !matches!(udp::Reply::parse(&reply, from, 5), udp::Reply::Error(_))
    });
    assert_eq!(accepted[0], accepted[1]);
    accepted[0]
}

#[test]
fn rule_14_nothing_is_amplified_before_an_id_is_verified() {
    let mut random = fastrand::Rng::with_seed(14);
    let mut site = crowd(100, 100);
    let (mut answered, before) = (0, site.tracker.usage());
    for address in ["203.0.113.2:50001", "192.168.1.2:50001", "[2001:db8::2]:50001"] {
        for length in 0..=1500 {
            for action in 0..5_u32 {
                let mut datagram: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
                if let Some(word) = datagram.get_mut(8..12) {
                    word.copy_from_slice(&action.to_be_bytes());
                }
                if let Some(id) = datagram.get_mut(..8).filter(|_| action == 0) {
                    id.copy_from_slice(&udp::connect(0)[..8]);
                }
                let reply = site.datagram(socket(address), &datagram).unwrap_or_default();
                assert!(reply.len() <= length, "{} bytes in reply to {length}", reply.len());
                answered += usize::from(!reply.is_empty());
            }
        }
    }
    assert!(answered > 3 * 1400 * 3, "connects, announces and scrapes are answered");
    assert_eq!(site.tracker.usage(), before, "nothing is stored");
}

#[test]
fn rule_15_event_and_action_are_whole_words() {
    let mut site = Site::open();
    let from = socket("203.0.113.2:50001");
    let id = site.connect(from);
    site.told(Transport::Udp, "203.0.113.2:50001", Announce::leecher(1, 6881));
    for event in [0x0300_0000_u32, 0x0003_0000, 0x0000_0300, 0x0100_0003, 0x0001_0003, 0x0000_0103] {
        let mut datagram = udp::announce(id, 1, &Announce::leecher(1, 6881));
        datagram[80..84].copy_from_slice(&event.to_be_bytes());
        site.datagram(from, &datagram).expect("an update");
        assert_eq!(site.tracker.usage().leechers, 1, "{event:#010x} does not stop");
    }
    for action in [0x0100_0001_u32, 0x0001_0001, 0x0000_0101, 0x0100_0000] {
        let mut datagram = udp::announce(id, 1, &Announce::leecher(2, 6881));
        datagram[8..12].copy_from_slice(&action.to_be_bytes());
        assert_eq!(site.datagram(from, &datagram), None, "{action:#010x} is not an action");
    }
    assert_eq!(site.tracker.counters.udp_malformed, 4);
}

#[test]
fn rule_16_a_udp_scrape_keeps_order_count_and_duplicates() {
    let mut site = Site::open();
    for (number, announce) in [Announce::seeder(1, 6881), Announce::leecher(2, 6881)].iter().enumerate() {
        site.told(Transport::Http, &format!("203.0.113.{number}:1"), *announce);
    }
    let from = socket("203.0.113.2:50001");
    let id = site.connect(from);
    for asked in [&[1][..], &[2, 1], &[2, 9, 2, 1, 1, 9, 2], &[9; 74], &[1; 74]] {
        let hashes: Vec<_> = asked.iter().map(|&number| info_hash(number)).collect();
        let expected: Vec<_> =
            asked.iter().map(|number| (u32::from(*number == 1), 0, u32::from(*number == 2))).collect();
        let reply = site.datagram(from, &udp::scrape(id, 1, &hashes)).expect("an answer");
        assert_eq!(udp::Reply::parse(&reply, from, 1), udp::Reply::Scrape(expected));
    }
    let reply = site.datagram(from, &udp::scrape(id, 1, &[info_hash(1); 90])).expect("an answer");
    assert_eq!(udp::Reply::parse(&reply, from, 1), udp::Reply::Scrape(vec![(1, 0, 0); 74]), "up to 74");
}

#[test]
fn rule_17_the_announced_port_is_listed_and_never_the_source_port() {
    each_pair_over_both(|transport, first, second| {
        let mut site = Site::open();
        site.told(transport, first, Announce::leecher(1, 6881));
        site.told(transport, first, Announce::leecher(1, 6882));
        let mut peers = site.told(transport, second, Announce::leecher(1, 6883)).peers;
        peers.sort();
        assert_eq!(peers, [at(first, 6881), at(first, 6882)]);
    });
}

#[test]
fn rule_18_a_udp_reply_fits_1400_octets() {
    let mut site = crowd(300, 300);
    for (address, peers, octets) in [("203.0.113.2:1", 200, 1220), ("[2001:db8:ffff::2]:1", 74, 1352)] {
        let from = socket(address);
        let id = site.connect(from);
        let announce = Announce::leecher(1, 6882).with(Event::Started).wanting(i32::MAX);
        let reply = site.datagram(from, &udp::announce(id, 1, &announce)).expect("an answer");
        assert_eq!(reply.len(), octets);
        let told = udp::Reply::parse(&reply, from, 1).told().expect("admitted");
        assert_eq!(told.peers.len(), peers);
        let mut unique = told.peers.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), peers, "no peer twice");
    }
}

#[test]
fn rule_20_errors_are_200_and_unknown_paths_are_404() {
    let mut site = Site::open();
    let from = ip("203.0.113.2");
    for target in ["/announce", "/announce?port=1", "/announce?info_hash=short&port=1", "/scrape?info_hash=%zz"] {
        let refused = site.request(from, &http::get(target)).told().expect_err(target);
        assert!(!refused.reason.is_empty());
    }
    assert_eq!(site.tracker.counters.http_bad_parameters, 4);
    for target in ["/nothing", "/announce//", "/announcement", "/a", "/Announce", "/stats", "//announce?x=1"] {
        let response = site.request(from, &http::get(target));
        assert_eq!((response.status, response.body.last()), (404, Some(&b'\n')), "{target}");
        assert_eq!(response.body.iter().filter(|&&byte| byte == b'\n').count(), 1, "a plain line");
    }
    assert_eq!(site.tracker.counters.http_not_found, 7);
}

#[test]
fn rule_20_head_gets_the_head_and_other_methods_405() {
    let mut site = Site::open();
    let get = http::announce(&Announce::leecher(1, 6881));
    let head = [b"HEAD", &get[3..]].concat();
    let response = site.request(ip("203.0.113.2"), &head);
    assert!(response.body.is_empty() && response.content_length > 0 && response.status == 200);
    let post = [b"POST", &get[3..]].concat();
    assert_eq!(site.request(ip("203.0.113.2"), &post).status, 405);
    assert_eq!(site.tracker.counters.http_bad_requests, 1);
}

#[test]
fn rule_21_peers_is_always_present_and_external_ip_is_raw() {
    let mut site = crowd(2, 2);
    for (from, octets) in [("203.0.113.2", 4), ("2001:db8::2", 16)] {
        for announce in [
            Announce::leecher(1, 6882),
            Announce::leecher(1, 6882).wanting(0),
            Announce::leecher(1, 6882).with(Event::Stopped),
            Announce::leecher(7, 6882),
        ] {
            // The test's parser rejects unsorted and duplicate keys.
            let reply = site.request(ip(from), &http::announce(&announce)).dictionary();
            assert!(reply.bytes("peers").is_some(), "{announce:?}");
            assert_eq!(reply.bytes("external ip").map(<[u8]>::len), Some(octets));
        }
    }
}

#[test]
fn rule_22_compact_is_advisory() {
    for compact in ["", "&compact=1", "&compact=0", "&compact=", "&compact=no", "&no_peer_id=0"] {
        let mut site = crowd(2, 0);
        let target = http::announce_target(&Announce::leecher(1, 6882)) + compact;
        let reply = site.request(ip("203.0.113.2"), &http::get(&target)).dictionary();
        assert_eq!(reply.bytes("peers").map(<[u8]>::len), Some(12), "{compact:?}");
    }
}

#[test]
fn rule_23_an_http_scrape_lists_each_swarm_once_and_sorted() {
    let mut site = Site::open();
    site.told(Transport::Http, "203.0.113.2:1", Announce::seeder(5, 6881));
    let asked = [9, 5, 5, 1, 9, 200].map(info_hash);
    let response = site.request(ip("203.0.113.3"), &http::scrape(&asked));
    let reply = response.dictionary();
    let files = reply.get(b"files").expect("files");
    assert_eq!(files.keys(), [1, 5, 9, 200].map(info_hash), "sorted, each once");
    assert_eq!(response.scraped(&info_hash(5)), (1, 0, 0));
    assert_eq!(response.scraped(&info_hash(9)), (0, 0, 0), "unknown swarms have zeros");
    assert_eq!(site.tracker.usage().swarms, 1, "unknown swarms are not created");
}

#[test]
fn rule_23_a_scrape_of_everything_is_refused() {
    let mut site = crowd(3, 0);
    for target in ["/scrape", "/scrape?", "/scrape?hash=1", "/scrape?info_hash="] {
        site.request(ip("203.0.113.3"), &http::get(target)).told().expect_err(target);
    }
}

#[test]
fn rule_24_a_request_may_come_in_any_number_of_pieces() {
    let mut site = crowd(3, 0);
    let requests = [
        http::announce(&Announce::leecher(1, 6882)),
        http::scrape(&[info_hash(1)]),
        http::get("/nothing"),
        b"GET / HTTP/1.0\n\n".to_vec(),
        b"\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    for request in &requests {
        let counters = site.tracker.counters;
        for octets in 0..request.len() {
            assert_eq!(site.answer(ip("203.0.113.2"), &request[..octets]), Answer::Incomplete, "{octets} octets");
        }
        assert_eq!(site.tracker.counters, counters, "incomplete requests are not counted");
        site.request(ip("203.0.113.2"), request);
    }
}

#[test]
fn rule_24_several_requests_may_come_at_once() {
    let mut site = Site::open();
    let first = http::announce(&Announce::seeder(1, 6881));
    let second = http::scrape(&[info_hash(1)]);
    let third = http::announce(&Announce::leecher(1, 6882));
    let mut received = [&first[..], &second, &third[..40]].concat();
    for request in [&first, &second] {
        let Answer::Response { consumed, written, keep_alive: true, ok: true } =
            site.answer(ip("203.0.113.2"), &received)
        else {
            unreachable!("a request is answered and the connection stays");
        };
        assert_eq!(consumed, request.len(), "exactly one request is consumed");
        assert_eq!(site.written(written).status, 200);
        received.drain(..consumed);
    }
    assert_eq!(site.answer(ip("203.0.113.2"), &received), Answer::Incomplete);
    received.extend(&third[40..]);
    let told = site.request(ip("203.0.113.2"), &received).told().expect("admitted");
    assert_eq!((told.counts(), told.peers), ((1, 1), vec![socket("203.0.113.2:6881")]));
}

#[test]
fn rule_24_the_connection_stays_as_asked() {
    for (version, header, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "connection: Keep-Alive\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Content-Length: 5\r\n", false),
    ] {
        for target in [http::announce_target(&Announce::leecher(1, 6881)), "/nothing".into(), "/scrape".into()] {
            let request = format!("GET {target} HTTP/{version}\r\n{header}\r\n");
            let response = Site::open().request(ip("203.0.113.2"), request.as_bytes());
            assert_eq!(response.keep_alive, stays, "{version} {header:?} {target}");
        }
    }
}

#[test]
fn rule_24_many_headers_are_fine_and_too_many_get_431() {
    let mut site = Site::open();
    let with_headers = |headers: usize| {
        let target = http::announce_target(&Announce::leecher(1, 6881));
        format!("GET {target} HTTP/1.1\r\n{}\r\n", "X-Padding: 0123456789\r\n".repeat(headers)).into_bytes()
    };
    assert_eq!(site.request(ip("203.0.113.2"), &with_headers(100)).told().expect("fine").counts(), (0, 1));
    let response = site.request(ip("203.0.113.2"), &with_headers(500));
    assert_eq!((response.status, response.keep_alive), (431, false));
    // A head that is too long for the shell's buffer is answered without parsing.
    let endless = [b"GET /announce?", &[b'a'; 8192][..]].concat();
    assert_eq!(site.answer(ip("203.0.113.2"), &endless), Answer::Incomplete);
    let mut out = vec![0; 1024];
    let Answer::Response { consumed, written, keep_alive, ok: false } =
        site.tracker.answer_long_head(&endless, &mut out)
    else {
        unreachable!("a long head is answered");
    };
    assert_eq!((consumed, keep_alive), (endless.len(), false));
    assert_eq!(http::Response::parse(&out[..written]).status, 431);
    assert_eq!(site.tracker.counters.http_bad_requests, 2);
}

/// Announce through a proxy, with these `X-Forwarded-For` headers.
fn behind_a_proxy(site: &mut Site, from: &str, forwarded_for: &[&str], port: u16) -> http::Response {
    let headers: String = forwarded_for.iter().map(|value| format!("X-Forwarded-For: {value}\r\n")).collect();
    let target = http::announce_target(&Announce::seeder(1, port));
    site.request(ip(from), format!("GET {target} HTTP/1.1\r\n{headers}\r\n").as_bytes())
}

fn site_with_a_proxy() -> Site {
    let mut settings = common::settings();
    settings.policy.proxies = vec!["10.0.0.1/32".parse().expect("a prefix"), "fd00::1/128".parse().expect("a prefix")];
    Site::new(settings)
}

#[test]
fn rule_25_the_last_hop_is_used_if_the_sender_is_a_proxy() {
    for (from, forwarded_for, seen) in [
        ("10.0.0.1", &["203.0.113.7"][..], "203.0.113.7"),
        ("10.0.0.1", &["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["nonsense,203.0.113.7:4711 "], "203.0.113.7"),
        ("10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7"),
        ("fd00::1", &["[2001:db8::7]:4711"], "2001:db8::7"),
        ("::ffff:10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
        ("203.0.113.8", &["198.51.100.1"], "203.0.113.8"),
        ("203.0.113.8", &["nonsense"], "203.0.113.8"),
        ("203.0.113.8", &[], "203.0.113.8"),
    ] {
        let mut site = site_with_a_proxy();
        behind_a_proxy(&mut site, from, forwarded_for, 6881).told().expect("admitted");
        let told = site.told(Transport::Http, "198.51.100.200:1", Announce::leecher(1, 6882));
        assert_eq!(told.peers, [SocketAddr::new(ip(seen), 6881)], "{from} says {forwarded_for:?}");
    }
}

#[test]
fn rule_25_a_proxy_without_a_valid_client_address_gets_an_error() {
    for forwarded_for in [&[][..], &[""], &["nonsense"], &["203.0.113.7,"], &["203.0.113.7, unknown"], &["1.2.3"]] {
        let mut site = site_with_a_proxy();
        let refused = behind_a_proxy(&mut site, "10.0.0.1", forwarded_for, 6881).told().expect_err("refused");
        assert!(refused.reason.contains("X-Forwarded-For"), "{}", refused.reason);
        assert_eq!(site.tracker.counters.http_bad_forwarded_for, 1);
        assert_eq!(site.tracker.usage().lines_in_use, 0, "nothing is stored");
    }
}

#[test]
fn rule_25_a_client_behind_a_proxy_is_classified_by_its_own_address() {
    let mut settings = common::settings();
    settings.policy.wan = Admission::Whitelist;
    settings.policy.proxies = vec!["10.0.0.1/32".parse().expect("a prefix")];
    let mut site = Site::new(settings);
    behind_a_proxy(&mut site, "10.0.0.1", &["203.0.113.7"], 6881)
        .told()
        .expect_err("a client that is not on the whitelist, behind a proxy on the LAN");
    behind_a_proxy(&mut site, "10.0.0.1", &["192.168.1.7"], 6881).told().expect("at home");
}

/// Build a site with a whitelist for the WAN: 203.0.113.2 and 2001:db8:0:1::/64 may announce.
fn whitelisting() -> Site {
    let mut settings = common::settings();
    settings.policy.wan = Admission::Whitelist;
    let mut site = Site::new(settings);
    site.allow("203.0.113.2/32");
    site.allow("2001:db8:0:1::/64");
    site
}

#[test]
fn rule_26_a_v6_customer_is_a_64_prefix() {
    for transport in BOTH {
        let mut site = whitelisting();
        for customer in ["[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff:ffff:ffff:ffff]:1", "[2001:db8:0:1:1234::9]:1"] {
            site.told(transport, customer, Announce::leecher(1, 6881));
        }
        for stranger in ["[2001:db8::1]:1", "[2001:db8:0:2::1]:1", "[2001:db8:0:101::1]:1"] {
            site.refused(transport, stranger, Announce::leecher(1, 6881));
        }
        assert_eq!(site.tracker.usage().leechers, 3);
        let prefix = "2001:db8:0:1::/64".parse().expect("a prefix");
        assert_eq!(site.tracker.revoke(&[prefix]), 1, "one entry is removed");
        site.forget();
        let revoked = site.tracker.counters.peers_revoked;
        assert_eq!((site.tracker.usage().leechers, revoked), (0, 3), "the peers of all its addresses are removed");
    }
}

#[test]
fn rule_26_many_peers_behind_one_v4_address_are_many_peers() {
    for transport in BOTH {
        let mut site = whitelisting();
        for port in 7000..7100 {
            site.told(transport, "203.0.113.2:50001", Announce::leecher(1, port));
        }
        let told = site.told(transport, "203.0.113.2:50001", Announce::leecher(1, 7100).wanting(200));
        assert_eq!((told.peers.len(), told.counts()), (100, (0, 101)));
    }
}

#[test]
fn a_refusal_contains_the_reason_and_the_retry_time() {
    let mut site = whitelisting();
    for transport in BOTH {
        let refused = site.refused(transport, "203.0.113.3:50001", Announce::leecher(1, 6881));
        assert!(refused.reason.contains("whitelist"), "{}", refused.reason);
        assert_eq!(refused.retry_in, (transport == Transport::Http).then_some(60), "minutes (BEP 31)");
    }
    let response = site.request(ip("203.0.113.3"), &http::scrape(&[info_hash(1)]));
    assert!(response.told().is_err(), "scrapes are refused, too");
    assert_eq!(site.tracker.counters.refused_not_whitelisted, 3);
    assert_eq!(site.tracker.usage().lines_in_use, 0, "refused peers are not stored");
}

#[test]
fn a_reply_contains_only_addresses_that_the_requester_can_reach() {
    let lan: [IpAddr; 3] = ["192.168.1.2", "127.0.0.1", "fd00::2"].map(ip);
    let wan = ["198.51.100.2", "2001:db8::2"].map(ip);
    for (external, for_wan) in [
        (External::default(), &[][..]),
        (
            External { v4: Some([203, 0, 113, 1].into()), ..External::default() },
            &["203.0.113.1:6881", "203.0.113.1:6882"][..],
        ),
    ] {
        let mut settings = common::settings();
        settings.policy.external = external;
        let mut site = Site::new(settings);
        for address in lan.iter().chain(&wan) {
            let port = if address.is_loopback() { 6882 } else { 6881 };
            site.request(*address, &http::announce(&Announce::leecher(1, port))).told().expect("open");
        }
        let told = site.told(Transport::Http, "198.51.100.9:1", Announce::leecher(1, 6883));
        let outside = wan.map(|address| SocketAddr::new(address, 6881));
        let mut expected: Vec<_> = for_wan.iter().map(|text| socket(text)).chain(outside).collect();
        expected.sort();
        let mut peers = told.peers.clone();
        peers.sort();
        assert_eq!(peers, expected, "for the WAN");
        let told = site.told(Transport::Http, "192.168.1.9:1", Announce::leecher(1, 6884).wanting(1));
        assert_eq!(told.peers, [socket("192.168.1.2:6881"), socket("[fd00::2]:6881")], "LAN peers first");
    }
}

#[test]
fn private_addresses_are_never_sent_to_the_internet() {
    let mut settings = common::settings();
    settings.lan = vec!["192.168.0.0/16".parse().expect("a prefix")];
    let mut site = Site::new(settings);
    // Addresses that are neither on the LAN nor on the internet: behind the carrier's NAT, or in the provider's
    // network.
    for private in ["100.64.3.4:1", "10.9.8.7:1", "[fd12::1]:1"] {
        site.told(Transport::Http, private, Announce::leecher(1, 6881));
    }
    for asker in ["203.0.113.2:1", "[2001:db8::2]:1"] {
        let told = site.told(Transport::Http, asker, Announce::leecher(1, 6882));
        assert_eq!(told.leechers, if asker.starts_with('[') { 5 } else { 4 }, "private peers are counted");
        assert!(told.peers.iter().all(|peer| *peer == socket("203.0.113.2:6882")), "{:?}", told.peers);
    }
    let told = site.told(Transport::Udp, "100.64.3.5:1", Announce::leecher(1, 6882).with(Event::Started));
    assert!(told.peers.contains(&socket("100.64.3.4:6881")), "a client in the same network gets them");
}

#[test]
fn rule_25_only_hops_that_proxies_have_written_count() {
    let mut settings = common::settings();
    settings.policy.wan = Admission::Whitelist;
    settings.policy.proxies = ["127.0.0.1/32", "172.18.0.0/16"].map(|proxy| proxy.parse().expect(proxy)).to_vec();
    for (forwarded_for, at_home) in [
        (&["203.0.113.7, 172.18.0.5"][..], false),
        (&["192.168.1.5, 203.0.113.7, 172.18.0.5"], false),
        (&["192.168.1.5", "203.0.113.7, 172.18.0.5"], false),
        // 192.168.1.5 may be a client that forged the hop, or a proxy that is not in the configuration.
        (&["203.0.113.7, 192.168.1.5, 172.18.0.5"], false),
        (&["203.0.113.7", "192.168.1.5, 172.18.0.5"], false),
        (&["unknown, 192.168.1.5"], false),
        (&["192.168.1.6, 192.168.1.5"], true),
        (&["172.18.0.6, 192.168.1.5"], true),
        (&["192.168.1.5, 172.18.0.5, 172.18.0.6"], true),
        (&["172.18.0.6, 172.18.0.5"], false),
        (&["192.168.1.5, unknown, 172.18.0.5"], false),
    ] {
        let mut site = Site::new(settings.clone());
        let told = behind_a_proxy(&mut site, "127.0.0.1", forwarded_for, 6881).told();
        assert_eq!(told.is_ok(), at_home, "{forwarded_for:?}: {told:?}");
    }
}

#[test]
fn rule_25_a_forgotten_proxy_fails_closed() {
    let mut settings = common::settings();
    settings.policy.wan = Admission::Whitelist;
    let target = http::announce_target(&Announce::seeder(1, 6881));
    for (from, header, admitted) in [
        ("127.0.0.1", "X-Forwarded-For: 203.0.113.7", false),
        ("192.168.1.2", "X-Forwarded-For: 203.0.113.7", false),
        ("fd00::2", "Forwarded: for=203.0.113.7", false),
        ("::1", "X-Real-IP: 2001:db8::7", false),
        ("127.0.0.1", "CF-Connecting-IP: 203.0.113.7", false),
        ("127.0.0.1", "X-Forwarded-For: 192.168.1.5, 203.0.113.7", false),
        ("127.0.0.1", "X-Forwarded-For: 203.0.113.7, 192.168.1.5", false),
        ("127.0.0.1", "X-Forwarded-For: unknown", false),
        ("127.0.0.1", "X-Forwarded-For: 192.168.1.5", true),
        ("127.0.0.1", "X-Forwarded-For:", true),
        ("192.168.1.2", "Via: 1.1 squid", true),
        ("203.0.113.8", "X-Forwarded-For: 192.168.1.5", false),
    ] {
        let mut site = Site::new(settings.clone());
        let request = format!("GET {target} HTTP/1.1\r\n{header}\r\n\r\n");
        let told = site.request(ip(from), request.as_bytes()).told();
        assert_eq!(told.is_ok(), admitted, "{from}, {header}: {told:?}");
        if !admitted && from != "203.0.113.8" {
            let refused = told.expect_err("refused");
            assert!(refused.reason.contains("network.proxies"), "{}", refused.reason);
            assert_eq!(site.tracker.counters.http_forgotten_proxy, 1);
            let suspects: Vec<_> = site.tracker.suspects().map(|suspect| suspect.to_string()).collect();
            assert!(suspects[0].starts_with(from), "{suspects:?}");
            let mut policy = settings.policy.clone();
            policy.proxies = vec![format!("{from}/{}", if from.contains(':') { 128 } else { 32 }).parse().expect(from)];
            site.tracker.set_policy(policy);
            assert_eq!(site.tracker.suspects().count(), 0, "it is in the configuration now");
        }
        assert_eq!(site.tracker.usage().lines_in_use == 0, !admitted, "a refused client is not stored");
    }
}

#[test]
fn rule_25_no_header_of_a_client_changes_its_side() {
    let mut settings = common::settings();
    settings.policy.wan = Admission::Whitelist;
    settings.policy.proxies = vec!["10.0.0.1/32".parse().expect("a prefix")];
    let mut random = fastrand::Rng::with_seed(25);
    let names = ["X-Forwarded-For", "x-real-ip", "CF-Connecting-IP", "Forwarded", "Via", "X-Client-IP"];
    let values = ["192.168.1.5", "for=192.168.1.5", "10.0.0.1", "127.0.0.1, ::1", "\"", "for=\"", "unknown", ",", ""];
    let target = http::announce_target(&Announce::seeder(1, 6881));
    for _ in 0..2_000 {
        let forged: String = (0..random.usize(..5))
            .map(|_| format!("{}: {}\r\n", names[random.usize(..names.len())], values[random.usize(..values.len())]))
            .collect();
        for (from, added) in [("203.0.113.8", ""), ("10.0.0.1", "X-Forwarded-For: 203.0.113.8\r\n")] {
            let mut site = Site::new(settings.clone());
            let request = format!("GET {target} HTTP/1.1\r\n{forged}{added}\r\n");
            site.request(ip(from), request.as_bytes()).told().expect_err(&request);
        }
    }
}

#[test]
fn rule_25_udp_from_a_proxy_is_refused() {
    let mut site = site_with_a_proxy();
    for from in ["10.0.0.1:50001", "[fd00::1]:50001"] {
        let refused = site.refused(Transport::Udp, from, Announce::leecher(1, 6881));
        assert!(refused.reason.contains("proxy"), "{}", refused.reason);
        let from = socket(from);
        let id = site.connect(from);
        let reply = site.datagram(from, &udp::scrape(id, 5, &[info_hash(1)])).expect("an answer");
        assert!(matches!(udp::Reply::parse(&reply, from, 5), udp::Reply::Error(_)), "a scrape, too");
    }
    assert_eq!(site.tracker.counters.refused_udp_from_proxy, 4);
    assert_eq!(site.tracker.usage().lines_in_use, 0, "nothing is stored");
    site.told(Transport::Udp, "192.168.1.2:1", Announce::leecher(1, 6881));
}

#[test]
fn rule_27_a_nat_is_reported_with_its_effect_on_the_whitelist() {
    for (lan, wan, from, effect) in [
        (Admission::Open, Admission::Whitelist, "172.17.0.1", true),
        (Admission::Whitelist, Admission::Whitelist, "172.17.0.1", false),
        (Admission::Open, Admission::Open, "203.0.113.8", false),
    ] {
        let mut settings = common::settings();
        (settings.policy.lan, settings.policy.wan) = (lan, wan);
        let mut site = Site::new(settings);
        site.allow(&format!("{from}/32"));
        site.allow("203.0.113.9/32");
        for port in 1..=200 {
            site.told(Transport::Http, &format!("{from}:1"), Announce::leecher(1, port));
            if port % 50 == 0 {
                site.told(Transport::Http, "203.0.113.9:1", Announce::leecher(1, port));
            }
        }
        let suspects: Vec<_> = site.tracker.suspects().map(|suspect| suspect.to_string()).collect();
        assert!(suspects[0].contains(from), "{suspects:?}");
        assert_eq!(suspects[0].contains("the whitelist is off"), effect, "{suspects:?}");
    }
}

#[test]
fn rule_28_a_parameter_that_is_empty_is_not_given() {
    let hash = http::escape(&info_hash(1));
    let optional = "&left=&uploaded=&downloaded=&numwant=&event=&compact=&key=";
    let told = Site::open()
        .request(ip("203.0.113.2"), &http::get(&format!("/announce?info_hash={hash}&port=6881{optional}")))
        .told();
    assert_eq!(told.expect("admitted").counts(), (0, 1), "a magnet link has no size yet");
    for (target, named) in [
        (format!("/announce?info_hash={hash}&port="), "port"),
        ("/announce?info_hash=&port=6881".into(), "info_hash"),
        ("/scrape?info_hash=".into(), "info_hash"),
    ] {
        let refused = Site::open().request(ip("203.0.113.2"), &http::get(&target)).told().expect_err(&target);
        assert!(refused.reason.starts_with(named), "{target}: {}", refused.reason);
    }
}

#[test]
fn rule_29_an_announce_at_another_path_names_the_right_url() {
    let from = ip("203.0.113.2");
    let announce = http::announce_target(&Announce::leecher(1, 6881));
    let (_, query) = announce.split_once('?').expect("a query");
    for path in ["/announce", "/announce/"] {
        let told = Site::open().request(from, &http::get(&format!("{path}?{query}"))).told();
        assert_eq!(told.expect(path).counts(), (0, 1));
    }
    Site::open().request(from, &http::get(&format!("/scrape/?{query}"))).dictionary().get(b"files").expect("files");
    for path in ["/", "/announce.php", "/tracker/announce", "/a", "/Announce", "//announce", "/scrape.php"] {
        let mut site = Site::open();
        let refused = site.request(from, &http::get(&format!("{path}?{query}"))).told().expect_err(path);
        assert!(refused.reason.contains("http://tracker.example:6969/announce"), "{path}: {}", refused.reason);
        assert_eq!(site.tracker.counters.http_not_found, 1);
        assert_eq!(site.tracker.usage().lines_in_use, 0, "nothing is stored");
    }
    let long = format!("GET /?{query} HTTP/1.1\r\nHost: {}\r\n\r\n", "h".repeat(4_000));
    let refused = Site::open().request(from, long.as_bytes()).told().expect_err("a wrong path");
    assert!(refused.reason.contains("http://HOST:PORT/announce"), "{}", refused.reason);
    let page = Site::open().request(from, &http::get("/"));
    assert_eq!((page.status, page.body.first()), (200, Some(&b'T')), "a browser gets a page");
}

#[test]
fn rule_30_a_refusal_carries_its_interval_twice() {
    let refused = |settings, target: &str| {
        let reply = Site::new(settings).request(ip("203.0.113.3"), &http::get(target)).dictionary();
        assert!(reply.bytes("failure reason").is_some(), "{target}");
        (reply.integer("interval"), reply.integer("min interval"))
    };
    let with = |wan| {
        let mut settings = common::settings();
        settings.policy.wan = wan;
        settings
    };
    let announce = http::announce_target(&Announce::leecher(1, 6881));
    let scrape = format!("/scrape?info_hash={}", http::escape(&info_hash(1)));
    for target in [&announce, &scrape] {
        assert_eq!(refused(with(Admission::Whitelist), target), (Some(3_600), Some(3_600)), "as `retry in`");
        assert_eq!(refused(with(Admission::Closed), target), (Some(86_400), Some(86_400)), "once a day");
    }
    for target in ["/announce", "/scrape", "/?info_hash=a", &announce.replace("port=6881", "port=0")] {
        assert_eq!(refused(with(Admission::Open), target), (Some(1_800), Some(1_800)), "{target}");
    }
}

#[test]
fn rule_31_an_id_is_valid_for_all_addresses_of_its_64_prefix() {
    let mut site = Site::open();
    let id = site.connect(socket("[2001:db8:1:2::3]:50001"));
    for (other, expected) in [
        ("[2001:db8:1:2:aaaa::4]:50001", true),
        ("[2001:db8:1:2::3]:7", true),
        ("[2001:db8:1:3::3]:50001", false),
        ("203.0.113.2:50001", false),
    ] {
        assert_eq!(is_accepted(&mut site, socket(other), id), expected, "{other}");
    }
}

#[test]
fn rule_33_downloaders_are_in_a_scrape_only_if_they_differ_from_incomplete() {
    let mut site = Site::open();
    site.told(Transport::Http, "203.0.113.2:1", Announce::leecher(1, 6881));
    let file = |site: &mut Site| {
        let reply = site.request(ip("203.0.113.3"), &http::scrape(&[info_hash(1)])).dictionary();
        let file = reply.get(b"files").and_then(|files| files.get(&info_hash(1))).expect("the swarm");
        (file.integer("incomplete"), file.integer("downloaders"))
    };
    assert_eq!(file(&mut site), (Some(1), None));
    site.told(Transport::Http, "203.0.113.3:1", Announce::leecher(1, 6882).with(Event::Paused));
    assert_eq!(file(&mut site), (Some(2), Some(1)));
}

#[test]
fn options_is_answered_with_204() {
    let mut site = Site::open();
    let mut out = vec![0; 1024];
    for (target, version, stays) in [("*", "1.1", true), ("/", "1.0", false), ("/announce", "1.1", true)] {
        let request = format!("OPTIONS {target} HTTP/{version}\r\n\r\n");
        let answer =
            site.tracker.answer_request(Running::from_seconds(0), ip("10.0.0.1"), request.as_bytes(), &mut out);
        let Answer::Response { consumed, written, keep_alive, ok: true } = answer else { unreachable!("{target}") };
        assert_eq!((consumed, keep_alive), (request.len(), stays));
        assert!(out[..written].starts_with(b"HTTP/1.1 204 No Content\r\n") && out[..written].ends_with(b"\r\n\r\n"));
    }
    assert_eq!(site.tracker.counters.http_bad_requests, 0);
}

#[test]
fn a_peer_on_the_trackers_host_is_listed_under_the_address_at_which_the_asker_reached_the_tracker() {
    let mut settings = common::settings();
    settings.policy.external = External {
        v4: Some([203, 0, 113, 1].into()),
        v6: None,
        host_v6: Some("2001:db8:2::4".parse().expect("an address")),
    };
    let mut site = Site::new(settings);
    site.told(Transport::Http, "127.0.0.1:1", Announce::seeder(1, 6881));
    site.told(Transport::Http, "[::1]:1", Announce::seeder(1, 6881));
    site.told(Transport::Http, "[fd00::9]:1", Announce::seeder(1, 6889));
    for (asker, reached_at, expected) in [
        ("192.168.1.5:1", Some("192.168.1.4"), &["192.168.1.4:6881", "[fd00::9]:6889"][..]),
        ("192.168.1.5:1", None, &["[fd00::9]:6889"]),
        ("192.168.1.5:1", Some("127.0.0.1"), &["[fd00::9]:6889"]),
        ("[fd00::5]:1", Some("fd00::4"), &["[fd00::4]:6881", "[fd00::9]:6889"]),
        ("127.0.0.1:1", Some("127.0.0.1"), &["[::1]:6881", "[fd00::9]:6889"]),
        ("198.51.100.7:1", Some("192.168.1.4"), &["203.0.113.1:6881", "[2001:db8:2::4]:6881"]),
        ("[2001:db8:7::7]:1", Some("2001:db8:2::4"), &["203.0.113.1:6881", "[2001:db8:2::4]:6881"]),
    ] {
        let asker = socket(asker);
        let sender = Sender::new(asker, reached_at.map(ip));
        // The port of the first peer: so that the asker on this host is that peer, and never listed to itself.
        let port = if asker.ip().is_loopback() { 6881 } else { 6882 };
        let request = http::announce(&Announce::leecher(1, port).with(Event::Started));
        let mut out = vec![0; 4096];
        let answer = site.tracker.answer_request(site.now, sender, &request, &mut out);
        let Answer::Response { written, .. } = answer else { unreachable!("{asker}") };
        let mut peers = http::Response::parse(&out[..written]).told().expect("admitted").peers;
        let stop = http::announce(&Announce::leecher(1, port).with(Event::Stopped));
        if !asker.ip().is_loopback() {
            site.request(asker.ip(), &stop);
        }
        peers.sort();
        let mut expected: Vec<_> = expected.iter().map(|text| socket(text)).collect();
        expected.sort();
        assert_eq!(peers, expected, "{asker} at {reached_at:?}");
    }
}

#[test]
fn a_link_local_neighbour_of_the_wan_is_no_local_client() {
    let mut settings = common::settings();
    settings.policy.wan = Admission::Whitelist;
    let mut site = Site::new(settings.clone());
    site.tracker.set_networks(Networks::local(&settings.lan).with_wan_links(&[3]));
    let mut out = vec![0; 4096];
    for (link, admitted) in [(2, true), (3, false)] {
        let address = SocketAddr::V6(std::net::SocketAddrV6::new("fe80::5".parse().expect("an address"), 1, 0, link));
        let request = http::announce(&Announce::seeder(1, 6881));
        let answer = site.tracker.answer_request(site.now, Sender::from(address), &request, &mut out);
        let Answer::Response { written, .. } = answer else { unreachable!("{address}") };
        assert_eq!(http::Response::parse(&out[..written]).told().is_ok(), admitted, "{address}");
    }
}
