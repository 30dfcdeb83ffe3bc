//! Random and mutated bytes: they never make the tracker panic, and never fill it.

mod common;

use common::{Announce, Event, Site, http, info_hash, socket, udp};
use nakodo::tracker::{Answer, Usage};

const MOST_OCTETS: usize = 2048;
const FROM: [&str; 4] = ["203.0.113.2:50001", "192.168.1.2:50001", "[2001:db8::2]:50001", "[::ffff:203.0.113.9]:50001"];

/// Checks that only added peers let the pool grow, by one each.
struct Watch {
    usage: Usage,
    added: u64,
}

impl Watch {
    fn new(site: &Site) -> Self {
        Self { usage: site.tracker.usage(), added: site.tracker.counters.peers_added }
    }

    fn check(&mut self, site: &Site, sent: &[u8]) {
        let now = Self::new(site);
        let peers = |usage: &Usage| usage.seeders + usage.leechers;
        let grown = peers(&now.usage).saturating_sub(peers(&self.usage)) as u64;
        assert!(grown <= now.added - self.added, "{} grew the pool", sent.escape_ascii());
        assert!(now.added > self.added || now.usage.lines_in_use <= self.usage.lines_in_use);
        assert_eq!(now.usage.whitelist_entries, 0);
        *self = now;
    }
}

fn noise(random: &mut fastrand::Rng, octets: usize) -> Vec<u8> {
    (0..octets).map(|_| random.u8(..)).collect()
}

#[test]
fn datagrams_of_noise_of_every_length_store_nothing() {
    let mut site = Site::open();
    let mut random = fastrand::Rng::with_seed(1);
    let empty = site.tracker.usage();
    for octets in 0..=MOST_OCTETS {
        for from in FROM {
            let mut datagram = noise(&mut random, octets);
            // Half of the datagrams have an action below 5.
            if let Some(action) = datagram.get_mut(8..12).filter(|_| random.bool()) {
                action.copy_from_slice(&random.u32(..5).to_be_bytes());
            }
            let reply = site.datagram(socket(from), &datagram).unwrap_or_default();
            assert!(reply.len() <= octets, "{} bytes in reply to {octets}", reply.len());
        }
    }
    assert_eq!(site.tracker.usage(), empty);
    assert!(site.tracker.counters.udp_malformed > 1000 && site.tracker.counters.udp_bad_connection_id > 1000);
}

#[test]
fn requests_of_noise_of_every_length_store_nothing() {
    let mut site = Site::open();
    let mut random = fastrand::Rng::with_seed(2);
    let empty = site.tracker.usage();
    let mut complete = 0;
    for octets in 0..=MOST_OCTETS {
        for (from, start) in FROM.iter().zip(["", "GET /announce?", "GET /scrape?info_hash=", "\r\nHEAD /"]) {
            let request = [start.as_bytes(), &noise(&mut random, octets)].concat();
            if let Answer::Response { consumed, written, .. } = site.answer(socket(from).ip(), &request) {
                assert!(consumed <= request.len() && consumed > 0);
                site.written(written);
                complete += 1;
            }
        }
    }
    assert_eq!(site.tracker.usage(), empty);
    assert!(complete > 1000, "{complete} were answered");
}

/// Return `original` with a few bytes changed, removed or added.
fn mutated(random: &mut fastrand::Rng, original: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..random.u8(1..4) {
        let at = random.usize(..bytes.len().max(1));
        match random.u8(..4) {
            0 => bytes.truncate(at),
            1 => {
                let extra = random.usize(..MOST_OCTETS);
                bytes.extend(noise(random, extra));
            }
            2 if at < bytes.len() => {
                bytes.remove(at);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.u8(..8);
                }
            }
        }
    }
    bytes
}

const EVENTS: [Event; 5] = [Event::Update, Event::Completed, Event::Started, Event::Stopped, Event::Paused];

#[test]
fn mutated_datagrams_grow_the_pool_by_valid_announces_only() {
    let mut site = Site::open();
    let mut random = fastrand::Rng::with_seed(3);
    let mut watch = Watch::new(&site);
    for round in 0..20_000 {
        let from = socket(FROM[round % 4]);
        let id = site.connect(from);
        let announce = Announce::leecher(random.u8(..3), 6881).with(EVENTS[random.usize(..5)]);
        let original = match round % 3 {
            0 => udp::announce(id, 1, &announce).to_vec(),
            1 => udp::scrape(id, 1, &[info_hash(1); 5]),
            _ => udp::connect(1).to_vec(),
        };
        let datagram = mutated(&mut random, &original);
        site.datagram(from, &datagram);
        watch.check(&site, &datagram);
        if round % 500 == 0 {
            site.tracker.check_invariants().expect("the invariants hold");
        }
    }
    site.tracker.check_invariants().expect("the invariants hold");
    assert!(watch.added > 100, "{} were still valid", watch.added);
}

#[test]
fn mutated_requests_grow_the_pool_by_valid_announces_only() {
    let mut site = Site::open();
    let mut random = fastrand::Rng::with_seed(4);
    let mut watch = Watch::new(&site);
    for round in 0..20_000 {
        let announce = Announce::leecher(random.u8(..3), 6881).with(EVENTS[random.usize(..5)]);
        let original = match round % 3 {
            0 | 1 => http::announce(&announce),
            _ => http::scrape(&[info_hash(1), info_hash(2)]),
        };
        let request = mutated(&mut random, &original);
        if let Answer::Response { consumed, written, .. } = site.answer(socket(FROM[round % 4]).ip(), &request) {
            assert!(consumed <= request.len());
            site.written(written);
        }
        watch.check(&site, &request);
    }
    site.tracker.check_invariants().expect("the invariants hold");
    assert!(watch.added > 100, "{} were still valid", watch.added);
}
