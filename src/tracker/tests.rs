//! Prefetching changes no reply.

use super::*;
use crate::wire::{Announce, Event, InfoHash, Transport};

fn tracker() -> Tracker {
    let hour = Duration::from_secs(3600);
    let policy = Policy {
        interval: hour,
        min_interval: Duration::ZERO,
        wan: Admission::Open,
        retire_after: hour,
        retry_in: hour,
        ..Policy::default()
    };
    let (memory_octets, lan) = (1 << 20, vec!["10.0.0.0/8".parse().expect("a prefix")]);
    let settings = Settings { memory_octets, whitelist_capacity: 1, peer_timeout: hour * 2, lan, policy };
    Tracker::new(settings, Seeds { hash: HashKey(1, 2), connection_ids: HashKey(3, 4), random: 5 }).expect("memory")
}

fn numbered_announce(number: u32, swarms: u8) -> (IpAddr, Announce) {
    let from = match number % 3 {
        0 => IpAddr::from([10, 0, (number >> 8) as u8, number as u8]),
        1 => IpAddr::from([11, 0, (number >> 8) as u8, number as u8]),
        _ => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, (number >> 16) as u16, number as u16]),
    };
    let info_hash = InfoHash([(number % u32::from(swarms)) as u8; 20]);
    let (left, event) = (u64::from(number % 4), Event::Update);
    (from, Announce { info_hash, port: 6881, left, event, num_want: Some(200) })
}

#[test]
fn prefetching_affects_only_the_choice_of_peers() {
    for swarms in [1, 7, 100] {
        let (mut plain, mut looking) = (tracker(), tracker());
        for first in (0..6000).step_by(40) {
            let batch: Vec<_> = (first..first + 40).map(|number| numbered_announce(number % 4500, swarms)).collect();
            let ahead: Vec<Ahead> = batch.iter().map(|(from, announce)| Ahead::new(*from, announce)).collect();
            looking.look_ahead(&ahead);
            for (from, mut announce) in batch {
                if first > 5000 {
                    announce.event = Event::Stopped;
                }
                let now = Running::from_seconds(1);
                let [one, other] = [&mut plain, &mut looking].map(|tracker| {
                    let reply = tracker.announce(now, from, Transport::Udp, &announce).expect("open to all");
                    (reply.counts, reply.peers4.len(), reply.peers6.len())
                });
                assert_eq!(one, other);
            }
            looking.check_invariants().expect("the invariants hold");
        }
    }
}
