//! The selection of peers in a swarm with forks: each selection goes on where the one before it ended.
//!
//! The peers of a tree are a circle, in the order of the hashes of their leaves. Consecutive selections take
//! consecutive peers of the circle, so that each peer has the same chance, whatever numbers are wanted (rule 32). Random
//! starting points would not give that: leaves of the same share of the hashes differ in size.
//!
//! Clients announce again and again in the same order. Between two selections, a random number of peers or one leaf may
//! be skipped, independent of the position: so a client does not receive the same peers each time, and the chances stay
//! the same.
//!
//! Complete askers receive leechers only, and have a cursor of their own. Where leechers are rare, each selection reads a
//! part of the tree, and the next one reads the next part.

use super::super::chain;
use super::super::cursor::Cursor;
use super::super::family::Family;
use super::super::line::LineIndex;
use super::super::lines::Lines;
use super::super::tree;
use super::{LINES_LOOKED_AT, Position, Row, Selection};

/// Select from the tree of a swarm from `cursor` on, and return the cursor of the next selection.
pub(super) fn select_in_forks<F: Family>(
    lines: &Lines,
    swarm: LineIndex,
    cursor: Cursor,
    random: &mut fastrand::Rng,
    selection: &mut Selection<'_, F>,
) -> Cursor {
    let (mut leaf, mut hashes) = tree::leaf_of_hash::<F>(lines, swarm, cursor.hash());
    let first_hash = *hashes.start();
    let mut skip = Position { lines: cursor.lines(), peers: cursor.peers() };
    let eligibility = selection.eligibility;
    let mut passes_left = if skip == Position::START { 1 } else { 2 };
    // The leaf and the position of the first peer taken.
    let mut origin = None;
    while selection.wanted > 0 {
        let (hash, start) = (*hashes.start(), skip);
        let back_at = origin.filter(|(origin, _)| *origin == hash);
        let before = back_at.map(|(_, position)| position);
        let rows = chain::walk::<F>(lines, leaf.head, swarm).map(|(line, peers)| {
            let row = Row::of(line, peers);
            (row, eligibility.slots(&row))
        });
        let end = selection.take_rows(rows, &mut skip, before);
        if let Some(end) = end {
            return Cursor::new(hash, end.lines, end.peers + random.usize(..2 + selection.wanted / 8));
        }
        if back_at.is_some() {
            return cursor;
        }
        if origin.is_none() && selection.taken > 0 {
            origin = Some((hash, start));
        }
        (leaf, hashes) = tree::leaf_of_hash::<F>(lines, swarm, hashes.end().wrapping_add(1));
        if origin.is_none() && *hashes.start() == first_hash {
            passes_left -= 1;
            if passes_left == 0 {
                return cursor;
            }
            // The first pass has skipped all eligible peers.
            (skip, selection.lines_left) = (Position::START, LINES_LOOKED_AT);
        }
        if selection.lines_left == 0 {
            return Cursor::new(if random.bool() { *hashes.start() } else { hashes.end().wrapping_add(1) }, 0, 0);
        }
    }
    cursor
}
