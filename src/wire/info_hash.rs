//! Info-hash: the 20 bytes that identify a swarm.

use core::fmt;

/// The SHA-1 of a torrent's info dictionary, or the first 20 bytes of its SHA-256 (BEP 52, "infohash" in the tracker
/// protocol). The bytes are arbitrary, so they are never converted to UTF-8. A hybrid torrent has one of each, and so
/// two swarms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash(pub [u8; InfoHash::OCTETS]);

impl InfoHash {
    /// Length on the wire in bytes.
    pub const OCTETS: usize = 20;

    /// Parse 40 hexadecimal digits, or 64 of version 2, of which the first 40 count. `None` if `text` is something else.
    pub fn parse(text: &str) -> Option<Self> {
        if !matches!(text.len(), 40 | 64) || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return None;
        }
        let mut octets = [0; Self::OCTETS];
        for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
            *octet = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(octets))
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
    fn an_info_hash_prints_as_hex() {
        let hash = InfoHash(core::array::from_fn(|i| (i * 13) as u8));
        assert_eq!(hash.to_string(), "000d1a2734414e5b6875828f9ca9b6c3d0ddeaf7");
        assert_eq!(InfoHash::parse(&hash.to_string()), Some(hash));
    }
}
