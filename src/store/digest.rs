//! The digest of a list, to compare the two copies. A change adds to it and subtracts from it, so no list is read again.

use core::fmt;

use crate::access::{Entry, write_entry};
use crate::clock::Running;

/// The sum of the CRC-32s of all entries as text, modulo 2^32. It depends neither on their order nor on the times of
/// their last announces, which the copies do not share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest(u32);

impl Digest {
    /// Return the digest of a list.
    pub(super) fn of<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Self {
        let mut digest = Self::default();
        entries.into_iter().for_each(|entry| digest.add(entry));
        digest
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        self.0 = self.0.wrapping_add(checksum(entry));
    }

    pub(super) fn subtract(&mut self, entry: &Entry) {
        self.0 = self.0.wrapping_sub(checksum(entry));
    }

    /// Parse the form of `Display`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_whole = text.len() == 8 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_whole.then(|| u32::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

fn checksum(entry: &Entry) -> u32 {
    let mut line = String::new();
    // A write to a string cannot fail.
    let _ = write_entry(&mut line, &Entry { last_seen: Running::default(), ..entry.clone() });
    crc32fast::hash(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{User, prefix};

    #[test]
    fn a_digest_is_of_the_list_and_not_of_the_order_of_its_changes() {
        let entry = |text: &str| Entry::new(prefix::parse(text).expect(text));
        let [a, b] = [entry("192.0.2.1"), entry("2001:db8::/64")];
        let c = Entry { user: User::try_from("ann").expect("short"), ..a.clone() };
        let mut digest = Digest::of([&a, &b]);
        assert_eq!(digest, Digest::of([&b, &a]));
        assert_eq!(digest, Digest::of([&b, &Entry { last_seen: Running::from_seconds(7), ..a.clone() }]));
        assert_ne!(digest, Digest::of([&b, &c]));
        digest.subtract(&a);
        digest.add(&c);
        assert_eq!(digest, Digest::of([&b, &c]));
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        for bad in ["", "put", "1234567", "123456789", "1234567g", "+1234567"] {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }
}
