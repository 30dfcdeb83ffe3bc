//! The 20 bytes that name a swarm.

use core::fmt;

/// The SHA-1 of a torrent's info dictionary, or the first 20 bytes of its SHA-256 (BEP 52, "infohash" in the tracker
/// protocol). Arbitrary bytes: it never passes through UTF-8. A hybrid torrent has one of each, and so two swarms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash(pub [u8; InfoHash::OCTETS]);

impl InfoHash {
    /// Its length on the wire.
    pub const OCTETS: usize = 20;

    /// The info-hash at the start of `bytes`, when there are as many as it takes.
    pub fn from_prefix(bytes: &[u8]) -> Option<Self> {
        Some(Self(*bytes.first_chunk()?))
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_as_hex_and_needs_all_its_bytes() {
        let bytes: [u8; 21] = core::array::from_fn(|i| (i * 13) as u8);
        let hash = InfoHash::from_prefix(&bytes).expect("21 bytes are enough");
        assert_eq!(hash.to_string(), "000d1a2734414e5b6875828f9ca9b6c3d0ddeaf7");
        assert_eq!(InfoHash::from_prefix(&bytes[..19]), None);
    }
}
