//! Prefix lengths in use. A look-up searches only for these.

/// Greatest prefix length of any address family, in bits.
const LONGEST: u8 = 128;

/// Number of entries of one address family with each prefix length.
///
/// Invariant: bit `n % 64` of word `n / 64` of `used` is set if and only if `counts[n]` is not zero.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PrefixLengths {
    counts: [u32; LONGEST as usize + 1],
    used: [u64; LONGEST as usize / 64 + 1],
}

impl Default for PrefixLengths {
    fn default() -> Self {
        Self { counts: [0; LONGEST as usize + 1], used: [0; LONGEST as usize / 64 + 1] }
    }
}

impl PrefixLengths {
    pub(super) fn add(&mut self, length: u8) {
        self.counts[usize::from(length)] += 1;
        self.used[usize::from(length / 64)] |= 1 << (length % 64);
    }

    pub(super) fn remove(&mut self, length: u8) {
        self.counts[usize::from(length)] -= 1;
        if self.counts[usize::from(length)] == 0 {
            self.used[usize::from(length / 64)] &= !(1 << (length % 64));
        }
    }

    /// Mark a length as in use, without counting entries.
    pub(super) fn note(&mut self, length: u8) {
        if self.counts[usize::from(length)] == 0 {
            self.add(length);
        }
    }

    /// Iterate over the lengths in use, in bits, from the longest to the shortest.
    pub(super) fn longest_first(&self) -> impl Iterator<Item = u8> + '_ {
        (0..self.used.len()).rev().flat_map(|word| {
            let mut bits = self.used[word];
            core::iter::from_fn(move || {
                let bit = bits.checked_ilog2()?;
                bits &= !(1 << bit);
                Some((word * 64) as u8 + bit as u8)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_in_use_come_longest_first_and_each_once() {
        let mut lengths = PrefixLengths::default();
        for length in [0, 24, 128, 64, 24, 63, 127] {
            lengths.add(length);
        }
        assert_eq!(lengths.longest_first().collect::<Vec<_>>(), [128, 127, 64, 63, 24, 0]);
        for length in [24, 128, 0] {
            lengths.remove(length);
        }
        assert_eq!(lengths.longest_first().collect::<Vec<_>>(), [127, 64, 63, 24]);
        lengths.remove(24);
        assert_eq!(lengths.longest_first().collect::<Vec<_>>(), [127, 64, 63]);
    }
}
