//! Detection of addresses that hold more than their share of the HTTP connections.

use core::net::IpAddr;

/// An address with more than one part in `SHARE` of all connections counts as greedy.
const SHARE: usize = 8;

/// Number of hashed counters. Two addresses may collide: one that collides with a greedy address can lose a slow
/// connection early, and only while all slots are taken.
const COUNTERS: usize = 256;

/// Number of connections of each address, or of each /64 for IPv6 (rule 26).
#[derive(Debug)]
pub(super) struct ConnectionCounts {
    counters: [u16; COUNTERS],
}

impl ConnectionCounts {
    /// Count the connections of these addresses.
    pub(super) fn by(addresses: impl Iterator<Item = IpAddr>) -> Self {
        let mut counters = [0_u16; COUNTERS];
        for address in addresses {
            let counter = &mut counters[counter_of(address)];
            *counter = counter.saturating_add(1);
        }
        Self { counters }
    }

    /// Return whether `address` has more than its share of `connections`. Every address may have one.
    pub(super) fn is_greedy(&self, address: IpAddr, connections: usize) -> bool {
        usize::from(self.counters[counter_of(address)]) > (connections / SHARE).max(1)
    }
}

fn counter_of(address: IpAddr) -> usize {
    let network = match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    };
    // The top byte of the product depends on all bytes of the address.
    (network.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % COUNTERS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(addresses: &[(&str, usize)]) -> ConnectionCounts {
        let each = addresses.iter().map(|(address, times)| (address.parse().expect("an address"), *times));
        ConnectionCounts::by(each.flat_map(|(address, times)| core::iter::repeat_n(address, times)))
    }

    #[test]
    fn more_than_an_eighth_is_greedy() {
        let held = held(&[("192.0.2.1", 17), ("192.0.2.2", 16), ("2001:db8::1", 10), ("2001:db8::2", 7)]);
        for (address, greedy) in [
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("192.0.2.2", false),
            ("2001:db8::3", true),
            ("2001:db8:0:1::1", false),
        ] {
            assert_eq!(held.is_greedy(address.parse().expect("an address"), 128), greedy, "{address}");
        }
    }

    #[test]
    fn one_connection_is_never_too_many() {
        let held = held(&[("192.0.2.1", 1), ("192.0.2.2", 2)]);
        for connections in 1..8 {
            assert!(!held.is_greedy(IpAddr::from([192, 0, 2, 1]), connections));
            assert!(held.is_greedy(IpAddr::from([192, 0, 2, 2]), connections));
        }
    }

    #[test]
    fn as_many_as_there_can_be_are_counted() {
        let held = held(&[("192.0.2.1", 70_000)]);
        assert!(held.is_greedy(IpAddr::from([192, 0, 2, 1]), 4096));
    }

    #[test]
    fn neighbours_seldom_have_a_counter_in_common() {
        let counters: std::collections::BTreeSet<usize> =
            (0..=255).map(|last| counter_of(IpAddr::from([192, 0, 2, last]))).collect();
        assert!(counters.len() > 128, "{} counters for 256 addresses", counters.len());
    }
}
