//! Small filter for many prefixes: it quickly rules out most addresses that are in none of them.

use core::net::IpAddr;

use ipnet::IpNet;

use super::prefix_lengths::PrefixLengths;

/// Number of bits in the filter, a power of two. With 10,000 prefixes, one address in thirteen is a false positive.
const BITS: usize = 1 << 17;

/// Number of words that hold the bits.
const WORDS: usize = BITS / u64::BITS as usize;

/// Bloom filter of prefixes, with one bit for each prefix: it answers "no" or "maybe".
///
/// A look-up reads one bit for each prefix length in use. The memory is allocated once.
///
/// Invariants:
/// - the bit of every prefix added since the last [`PrefixFilter::clear`] is set, and its length is in the lengths of
///   its family;
/// - if `is_empty` is true, no bit is set.
#[derive(Debug)]
pub struct PrefixFilter {
    bits: Box<[u64; WORDS]>,
    v4: PrefixLengths,
    v6: PrefixLengths,
    is_empty: bool,
}

impl Default for PrefixFilter {
    fn default() -> Self {
        Self { bits: Box::new([0; WORDS]), v4: PrefixLengths::default(), v6: PrefixLengths::default(), is_empty: true }
    }
}

impl PrefixFilter {
    /// Add a canonical prefix.
    pub fn add(&mut self, prefix: &IpNet) {
        let (length, lengths) = match prefix {
            IpNet::V4(net) => (net.prefix_len(), &mut self.v4),
            IpNet::V6(net) => (net.prefix_len(), &mut self.v6),
        };
        lengths.note(length);
        let (word, bit) = place(prefix.addr(), length);
        self.bits[word] |= bit;
        self.is_empty = false;
    }

    /// Return false if `address` is in none of the prefixes, true if it may be in one. The caller converts a v4-mapped
    /// address to IPv4 first.
    pub fn may_cover(&self, address: IpAddr) -> bool {
        let lengths = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        lengths.longest_first().any(|length| {
            let (word, bit) = place(address, length);
            self.bits[word] & bit != 0
        })
    }

    /// Remove all prefixes.
    pub fn clear(&mut self) {
        if !self.is_empty {
            self.bits.fill(0);
            (self.v4, self.v6, self.is_empty) = (PrefixLengths::default(), PrefixLengths::default(), true);
        }
    }
}

/// Return the index of the word, and the mask of the bit in it, for the first `length` bits of an address.
fn place(address: IpAddr, length: u8) -> (usize, u64) {
    // For length 0 the shift is out of range, and the mask must be 0.
    let bits = match address {
        IpAddr::V4(v4) => {
            u64::from(v4.to_bits() & u32::MAX.checked_shl(u32::BITS - u32::from(length)).unwrap_or_default())
        }
        IpAddr::V6(v6) => {
            let bits = v6.to_bits() & u128::MAX.checked_shl(u128::BITS - u32::from(length)).unwrap_or_default();
            (bits >> 64) as u64 ^ (bits as u64).rotate_left(32)
        }
    };
    // Fibonacci hashing: the factor 2⁶⁴ / golden ratio spreads neighbouring addresses over the top bits.
    let spread = (bits ^ u64::from(length) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (spread >> (u64::BITS - BITS.trailing_zeros())) as usize;
    (number / u64::BITS as usize, 1 << (number % u64::BITS as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect(text)
    }

    #[test]
    fn an_address_in_a_prefix_is_never_ruled_out() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut filter = PrefixFilter::default();
        for _ in 0..2000 {
            let (v4, v6) = (random.u32(..), random.u128(..));
            let (length4, length6) = (random.u8(..=32), random.u8(..=128));
            let prefixes = [
                IpNet::new(IpAddr::from(v4.to_be_bytes()), length4).expect("a length").trunc(),
                IpNet::new(IpAddr::from(v6.to_be_bytes()), length6).expect("a length").trunc(),
            ];
            for prefix in prefixes {
                filter.add(&prefix);
                assert!(filter.may_cover(prefix.addr()) && filter.may_cover(prefix.broadcast()), "{prefix}");
            }
        }
    }

    #[test]
    fn most_other_addresses_are_ruled_out() {
        let mut filter = PrefixFilter::default();
        assert!(!filter.may_cover(net("192.0.2.1/32").addr()), "it is empty");
        for number in 0..10_000_u32 {
            filter.add(&IpNet::from(IpAddr::from((0x0a00_0000 + number).to_be_bytes())));
        }
        let others = (0..100_000_u32).map(|number| IpAddr::from((0x0b00_0000 + number * 7).to_be_bytes()));
        let taken = others.filter(|other| filter.may_cover(*other)).count();
        assert!(taken < 15_000, "{taken} of 100,000 are false positives");
        assert!(!filter.may_cover(net("2001:db8::/64").addr()), "another family");
    }

    #[test]
    fn a_cleared_filter_is_empty() {
        let mut filter = PrefixFilter::default();
        for text in ["0.0.0.0/0", "2001:db8::/32"] {
            filter.add(&net(text));
        }
        assert!(filter.may_cover(net("203.0.113.9/32").addr()) && filter.may_cover(net("2001:db8:1::/48").addr()));
        filter.clear();
        assert!(!filter.may_cover(net("203.0.113.9/32").addr()) && !filter.may_cover(net("2001:db8::/32").addr()));
        assert!(filter.bits.iter().all(|word| *word == 0));
    }
}
