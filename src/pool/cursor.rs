//! The position at which the next selection in a swarm with forks starts.

/// A position in the circle of a tree's peers: a leaf, by the first hash that belongs to it, and a number of its lines
/// and of the peers after them to skip. If the leaf has fewer peers, skip peers of the next leaf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The top 20 bits of the hash, and the number of lines. The leaves of a swarm of up to 50 million peers start at
    /// such hashes.
    leaf_and_lines: [u8; 3],
    peers: u8,
}

impl Cursor {
    const LINES_BITS: u32 = 4;
    const SHIFT: u32 = u64::BITS - 24;

    /// Return a cursor at the leaf that starts with `hash`, or at the next leaf whose position can be stored.
    pub(super) fn new(hash: u64, lines: usize, peers: usize) -> Self {
        let cell = hash.div_ceil(1 << (Self::SHIFT + Self::LINES_BITS)) << Self::LINES_BITS;
        let is_exact = hash.trailing_zeros() >= Self::SHIFT + Self::LINES_BITS;
        let (lines, peers) = if is_exact { (lines, peers) } else { (0, 0) };
        let [a, b, c, ..] = (cell | lines.min((1 << Self::LINES_BITS) - 1) as u64).to_le_bytes();
        Self { leaf_and_lines: [a, b, c], peers: u8::try_from(peers).unwrap_or(u8::MAX) }
    }

    fn packed(self) -> u64 {
        let [a, b, c] = self.leaf_and_lines;
        u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0])
    }

    pub(super) fn hash(self) -> u64 {
        self.packed() >> Self::LINES_BITS << (Self::SHIFT + Self::LINES_BITS)
    }

    pub(super) fn lines(self) -> usize {
        self.packed() as usize % (1 << Self::LINES_BITS)
    }

    pub(super) fn peers(self) -> usize {
        self.peers.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_keeps_its_position_or_moves_on() {
        for hash in [0, 1 << 44, 0xabcd_e000_0000_0000, 0xffff_f000_0000_0000] {
            let cursor = Cursor::new(hash, 11, 7);
            assert_eq!((cursor.hash(), cursor.lines(), cursor.peers()), (hash, 11, 7));
            let cursor = Cursor::new(hash, 100, 1000);
            assert_eq!((cursor.hash(), cursor.lines(), cursor.peers()), (hash, 15, 255));
        }
        assert_eq!(Cursor::new((1 << 44) + 1, 3, 7), Cursor::new(2 << 44, 0, 0));
        assert_eq!(Cursor::new(u64::MAX, 3, 7), Cursor::default(), "after the last leaf comes the first");
    }
}
