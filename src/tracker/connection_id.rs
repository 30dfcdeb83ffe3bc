//! Connection ids: proof that a UDP client receives packets at its source address (BEP 15, "UDP connections /
//! spoofing").
//!
//! Nothing is stored. An id is the second of issue (16 bits) and a keyed MAC of that second and the address (48 bits).
//! The MAC does not include the port, because some clients use a different port for each request. Of an IPv6 address it
//! includes the /64 only (rule 31): a client uses one id with all its temporary addresses, and who receives packets at
//! one address of a link can receive those at any other.
//!
//! The MAC includes the whole second. A check restores it from the 16 bits: no valid id is older than
//! [`LIFETIME_SECONDS`], so it is the last second with these bits. An id does not become valid again when its 16 bits
//! repeat, after 65,536 seconds.

use core::net::IpAddr;

use siphasher::sip::SipHasher24;
use subtle::ConstantTimeEq;

use crate::clock::Running;
use crate::hash_key::HashKey;

/// Number of seconds for which an id is valid. BEP 15 lets a client use an id for one minute, and requires the tracker
/// to accept it for two minutes. Some clients use it for longer.
const LIFETIME_SECONDS: u64 = 240;

/// Number of bits of the MAC in an id.
const MAC_BITS: u32 = 48;
const MAC_MASK: u64 = (1 << MAC_BITS) - 1;

/// Issuer and verifier of connection ids, with a secret key of this run.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionIds {
    key: HashKey,
}

impl ConnectionIds {
    /// Create an issuer with `key`, which must stay secret.
    pub const fn new(key: HashKey) -> Self {
        Self { key }
    }

    /// Return the id for a client at `address`.
    pub fn issue(&self, now: Running, address: IpAddr) -> u64 {
        let second = now.seconds();
        (second << MAC_BITS) | self.mac(second, address)
    }

    /// Return whether `id` was issued to `address` within the last `LIFETIME_SECONDS`. The MAC is compared in
    /// constant time.
    pub fn verify(&self, now: Running, address: IpAddr, id: u64) -> bool {
        let age = u64::from((now.seconds() as u16).wrapping_sub((id >> MAC_BITS) as u16));
        let Some(second) = now.seconds().checked_sub(age) else { return false };
        age <= LIFETIME_SECONDS && bool::from(self.mac(second, address).ct_eq(&(id & MAC_MASK)))
    }

    fn mac(&self, second: u64, address: IpAddr) -> u64 {
        let hasher = SipHasher24::new_with_keys(self.key.0, self.key.1);
        let time = second.to_be_bytes();
        // The messages of the two families differ in length, so no id is valid for addresses of both.
        let mac = match address {
            IpAddr::V4(v4) => {
                let mut message = [0; 12];
                message[..8].copy_from_slice(&time);
                message[8..].copy_from_slice(&v4.octets());
                hasher.hash(&message)
            }
            IpAddr::V6(v6) => {
                let mut message = [0; 16];
                message[..8].copy_from_slice(&time);
                message[8..].copy_from_slice(&v6.octets()[..8]);
                hasher.hash(&message)
            }
        };
        mac & MAC_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: ConnectionIds = ConnectionIds::new(HashKey(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908));

    fn at(second: u64) -> Running {
        Running::from_seconds(second)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn rule_13_an_id_is_valid_for_exactly_four_minutes_and_one_address() {
        for start in [0, 1, 59, 240, 65_535, 65_536, 65_537, 1 << 40] {
            for text in ["192.0.2.1", "2001:db8::1"] {
                let id = IDS.issue(at(start), address(text));
                for age in [0, 1, 60, 119, 120, 239, 240] {
                    assert!(IDS.verify(at(start + age), address(text), id), "{age} s after {start}");
                }
                for age in [241, 300, 301, 65_535, 65_536, 65_537, 65_536 + 240, 1 << 33] {
                    assert!(!IDS.verify(at(start + age), address(text), id), "{age} s after {start}");
                }
                for other in ["192.0.2.2", "2001:db8:0:1::1", "2001:db9::1", "::", "::192.0.2.1"] {
                    assert!(!IDS.verify(at(start), address(other), id), "from {other}");
                }
                assert!(start == 0 || !IDS.verify(at(start - 1), address(text), id), "from the future");
            }
        }
        const { assert!(LIFETIME_SECONDS >= 120 && LIFETIME_SECONDS <= 300) };
    }

    #[test]
    fn rule_31_an_id_is_valid_for_all_addresses_of_its_64_prefix() {
        let id = IDS.issue(at(7), address("2001:db8:1:2:3:4:5:6"));
        for (other, expected) in [
            ("2001:db8:1:2::", true),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1:3:3:4:5:6", false),
            ("2001:db8:0:2:3:4:5:6", false),
        ] {
            assert_eq!(IDS.verify(at(8), address(other), id), expected, "{other}");
        }
    }

    #[test]
    fn rule_13_every_bit_of_an_id_is_checked_and_ids_depend_on_the_key() {
        let (now, from) = (at(100_000), address("203.0.113.9"));
        let id = IDS.issue(now, from);
        for bit in 0..64 {
            assert!(!IDS.verify(now, from, id ^ (1 << bit)), "bit {bit}");
        }
        let other = ConnectionIds::new(HashKey(1, 2));
        assert!(!other.verify(now, from, id));
        assert!(!IDS.verify(now, from, 0) && !IDS.verify(now, from, u64::MAX));
    }

    #[test]
    fn rule_13_ids_match_golden_values() {
        // Calculated by an independent SipHash-2-4 from second and address, with the key of the SipHash paper.
        for (second, text, id) in GOLDEN {
            assert_eq!(IDS.issue(at(second), address(text)), id, "{text} at {second}: {id:#018x}");
        }
    }

    const GOLDEN: [(u64, &str, u64); 3] = [
        (0, "192.0.2.1", 0x0000_1827_9617_b713),
        (4_660, "192.0.2.1", 0x1234_ed8a_615b_d954),
        (65_537, "2001:db8::1", 0x0001_854d_fee3_ea86),
    ];
}
