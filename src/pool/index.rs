//! The index from info-hashes to swarms: linear hashing over lines of the pool.
//!
//! The directory grows by one bucket whenever the buckets hold more than [`SWARMS_PER_BUCKET_WANTED`] swarms on
//! average: one bucket is split in two. So the index never pauses to rehash, and it touches memory in proportion to the
//! swarms stored, not to the swarms that the pool could store.

use std::collections::TryReserveError;

use super::chain::{self, Place};
use super::columns::ColumnsRef;
use super::family::Buckets;
use super::impossible::impossible;
use super::line::{Indexed, Line, LineIndex};
use super::lines::Lines;
use crate::hash_key::HashKey;
use crate::horizon::Horizon;
use crate::wire::InfoHash;

/// Mean number of swarms per bucket at which the next bucket is split. The buckets that are split first in a round then
/// hold half as many; those that are split last hold twice as many before that, and may need a second line.
const SWARMS_PER_BUCKET_WANTED: usize = 9;

/// Minimum number of buckets: a power of two.
const FIRST_BUCKETS: usize = 4;

/// Number of lines that a split may need while it runs: a head for each half, before the first line of the old bucket
/// is empty.
const LINES_FOR_A_SPLIT: usize = 2;

/// The end marker of a bucket's chain.
const END: LineIndex = LineIndex::NONE;

/// The keyed hash of an info-hash on one side of the horizon: the LAN and the WAN have separate swarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SwarmHash(u64);

impl SwarmHash {
    const fn new(info_hash: u64, horizon: Horizon) -> Self {
        Self(match horizon {
            Horizon::Wan => info_hash,
            Horizon::Lan => info_hash.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15,
        })
    }

    const fn tag(self) -> u8 {
        (self.0 >> 56) as u8
    }

    /// Return the bucket of this hash in a directory of `buckets` buckets. Linear hashing: a bucket that does not exist
    /// yet is replaced by the bucket that will be split to create it.
    const fn bucket(self, buckets: usize) -> usize {
        let round = buckets.next_power_of_two();
        let bucket = self.0 as usize & (round - 1);
        if bucket < buckets { bucket } else { bucket & (round / 2 - 1) }
    }
}

/// The directory: the head of each bucket's chain of lines.
///
/// Invariants: a swarm is stored only in the bucket that its hash and the number of buckets select; the memory of the
/// directory is reserved at the start.
#[derive(Debug)]
pub(crate) struct Index {
    buckets: Vec<LineIndex>,
    swarms: usize,
    key: HashKey,
    /// Info-hashes of prefetched announces, each in the place that its first byte selects.
    remembered: Box<[Remembered; REMEMBERED]>,
}

/// The results of a prefetch for one info-hash.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    info_hash: InfoHash,
    hash: u64,
    /// The line of its swarm on one side of the horizon: only a hint, which may be out of date.
    swarm: LineIndex,
}

/// Number of info-hashes that the index remembers from a prefetch.
const REMEMBERED: usize = 256;

const fn remembered_at(info_hash: &InfoHash) -> usize {
    info_hash.0[0] as usize
}

impl Index {
    /// Return the maximum number of buckets in a budget of `lines`, for the case that all lines are swarms.
    pub(super) const fn directory_len(lines: usize) -> usize {
        lines / SWARMS_PER_BUCKET_WANTED + FIRST_BUCKETS
    }

    /// Size of a directory entry in bytes.
    pub(super) const ENTRY_OCTETS: usize = size_of::<LineIndex>();

    pub(super) fn reserve(lines: usize, key: HashKey) -> Result<Self, TryReserveError> {
        let mut buckets = Vec::new();
        buckets.try_reserve_exact(Self::directory_len(lines))?;
        buckets.extend([LineIndex::NONE; FIRST_BUCKETS]);
        let unused = InfoHash([0; InfoHash::OCTETS]);
        let unused = Remembered { info_hash: unused, hash: key.hash(&unused.0), swarm: LineIndex::NONE };
        Ok(Self { buckets, swarms: 0, key, remembered: Box::new([unused; REMEMBERED]) })
    }

    pub(super) fn hash(&self, info_hash: &InfoHash, horizon: Horizon) -> SwarmHash {
        let remembered = &self.remembered[remembered_at(info_hash)];
        let hash = if remembered.info_hash == *info_hash { remembered.hash } else { self.key.hash(&info_hash.0) };
        SwarmHash::new(hash, horizon)
    }

    /// Return the hash and remember it, because the announce of this info-hash follows soon.
    pub(super) fn hash_ahead(&mut self, info_hash: &InfoHash, horizon: Horizon) -> SwarmHash {
        let hash = self.key.hash(&info_hash.0);
        self.remembered[remembered_at(info_hash)] = Remembered { info_hash: *info_hash, hash, swarm: LineIndex::NONE };
        SwarmHash::new(hash, horizon)
    }

    /// Remember the probable line of a swarm, for an info-hash that was passed to [`Index::hash_ahead`].
    pub(super) fn remember(&mut self, info_hash: &InfoHash, swarm: LineIndex) {
        self.remembered[remembered_at(info_hash)].swarm = swarm;
    }

    pub(super) fn swarms(&self) -> usize {
        self.swarms
    }

    /// Return the line of a swarm.
    #[inline]
    pub(super) fn find(&self, lines: &Lines, info_hash: &InfoHash, horizon: Horizon) -> Option<LineIndex> {
        // The remembered line may be out of date: use it only if it still holds this swarm.
        let remembered = self.remembered[remembered_at(info_hash)].swarm;
        if is_swarm(lines, remembered, info_hash, horizon) {
            return Some(remembered);
        }
        self.find_by_hash(lines, info_hash, horizon)
    }

    #[inline(never)]
    fn find_by_hash(&self, lines: &Lines, info_hash: &InfoHash, horizon: Horizon) -> Option<LineIndex> {
        let hash = self.hash(info_hash, horizon);
        chain::walk::<Buckets>(lines, self.bucket_of(hash), END)
            .flat_map(|(_, items)| items.tagged(hash.tag()))
            .find(|line| is_swarm(lines, *line, info_hash, horizon))
    }

    /// Return the first line of the bucket for `hash`, or `NONE`.
    pub(super) fn bucket_of(&self, hash: SwarmHash) -> LineIndex {
        self.buckets[hash.bucket(self.buckets.len())]
    }

    /// Return the first swarm of the bucket with the tag of `hash`, or `NONE`. Compare tags only, so that the swarm
    /// itself is not read.
    pub(super) fn candidate(&self, lines: &Lines, hash: SwarmHash) -> LineIndex {
        let mut tagged = chain::walk::<Buckets>(lines, self.bucket_of(hash), END)
            .filter_map(|(_, items)| items.tagged(hash.tag()).next());
        tagged.next().unwrap_or(LineIndex::NONE)
    }

    /// Add `swarm`, which must not be in the index yet. Return `None` if all lines are in use; then the index is
    /// unchanged.
    pub(super) fn insert(&mut self, lines: &mut Lines, hash: SwarmHash, swarm: LineIndex) -> Option<()> {
        let bucket = hash.bucket(self.buckets.len());
        let item = Indexed { endpoint: swarm, meta: hash.tag() };
        self.buckets[bucket] = chain::push::<Buckets>(lines, self.buckets[bucket], END, item)?;
        self.swarms += 1;
        if self.swarms > self.buckets.len() * SWARMS_PER_BUCKET_WANTED {
            self.split_next(lines);
        }
        Some(())
    }

    /// Remove `swarm` from the index.
    pub(super) fn remove(&mut self, lines: &mut Lines, hash: SwarmHash, swarm: LineIndex) {
        let bucket = hash.bucket(self.buckets.len());
        let head = self.buckets[bucket];
        let place = chain::walk::<Buckets>(lines, head, END).find_map(|(line, items)| {
            items.endpoints.iter().position(|other| *other == swarm).map(|slot| Place { line, slot })
        });
        if let Some(place) = place.or_else(|| impossible("a swarm that is not in the index")) {
            self.buckets[bucket] = chain::swap_remove::<Buckets>(lines, head, END, place);
            self.swarms -= 1;
        }
    }

    /// Split the next bucket in turn, if enough lines are free.
    fn split_next(&mut self, lines: &mut Lines) {
        if self.buckets.len() == self.buckets.capacity() || lines.available() < LINES_FOR_A_SPLIT {
            return;
        }
        let new = self.buckets.len();
        let old = new - new.next_power_of_two() / if new.is_power_of_two() { 1 } else { 2 };
        self.buckets.push(LineIndex::NONE);
        let mut whole = core::mem::replace(&mut self.buckets[old], LineIndex::NONE);
        while let Some((item, rest)) = chain::pop::<Buckets>(lines, whole, END) {
            whole = rest;
            let Line::Swarm(swarm) = &lines[item.endpoint] else {
                impossible::<()>("an item of the index that is no swarm");
                continue;
            };
            let bucket = self.hash(&swarm.info_hash, swarm.horizon).bucket(new + 1);
            debug_assert!(bucket == old || bucket == new);
            let head = chain::push::<Buckets>(lines, self.buckets[bucket], END, item);
            if let Some(head) = head.or_else(|| impossible("no line for a split that was checked to fit")) {
                self.buckets[bucket] = head;
            }
        }
    }

    /// Return the lines of the index itself, for the pool's `check_invariants`.
    pub(super) fn bucket_lines(&self, lines: &Lines) -> impl Iterator<Item = LineIndex> {
        self.buckets.iter().flat_map(|&head| chain::walk::<Buckets>(lines, head, END).map(|(line, _)| line))
    }

    /// Return every swarm in the index, for the pool's `check_invariants`. Check that each swarm is in the bucket that
    /// its hash selects.
    pub(super) fn check(&self, lines: &Lines) -> Result<Vec<LineIndex>, String> {
        let mut swarms = Vec::new();
        for (bucket, &head) in self.buckets.iter().enumerate() {
            for item in chain::walk::<Buckets>(lines, head, END).flat_map(|(_, items)| items.iter()) {
                let Line::Swarm(swarm) = &lines[item.endpoint] else { return Err(format!("{item:?} is no swarm")) };
                let hash = SwarmHash::new(self.key.hash(&swarm.info_hash.0), swarm.horizon);
                if hash.bucket(self.buckets.len()) != bucket || hash.tag() != item.meta {
                    return Err(format!("{item:?} is in the wrong bucket"));
                }
                if self.find(lines, &swarm.info_hash, swarm.horizon) != Some(item.endpoint) {
                    return Err(format!("{item:?} stands in the index twice"));
                }
                swarms.push(item.endpoint);
            }
        }
        if swarms.len() != self.swarms {
            return Err(format!("{} swarms counted, {} in the index", self.swarms, swarms.len()));
        }
        Ok(swarms)
    }
}

/// Return whether `line` holds this swarm.
#[inline]
fn is_swarm(lines: &Lines, line: LineIndex, info_hash: &InfoHash, horizon: Horizon) -> bool {
    matches!(lines.get(line), Some(Line::Swarm(swarm))
        if swarm.info_hash == *info_hash && swarm.horizon == horizon)
}

impl<'a> ColumnsRef<'a, LineIndex, u128> {
    /// Return the swarms with this tag. More than one is rare, and the first is usually the right one.
    #[inline]
    fn tagged(self, tag: u8) -> impl Iterator<Item = LineIndex> + use<'a> {
        let mut equal = slots_equal(self.metas, tag);
        let endpoints = self.endpoints;
        core::iter::from_fn(move || {
            while equal != 0 {
                let slot = equal.trailing_zeros() as usize / 8;
                equal &= equal - 1;
                // Vacant slots have tags too: skip them.
                if let Some(swarm) = endpoints.get(slot) {
                    return Some(*swarm);
                }
            }
            None
        })
    }
}

/// Return a mask with the top bit of each byte that equals `tag`.
#[inline]
const fn slots_equal(tags: u128, tag: u8) -> u128 {
    const EACH: u128 = u128::MAX / 0xff;
    const BELOW_TOP: u128 = EACH * 0x7f;
    let difference = tags ^ (EACH * tag as u128);
    // The sum carries into the top bit unless the other bits of the byte are zero. It never carries into the next byte.
    !(((difference & BELOW_TOP) + BELOW_TOP) | difference | BELOW_TOP)
}

#[cfg(test)]
mod tests {
    use super::super::age::Tick;
    use super::super::line::Swarm;
    use super::*;

    fn info_hash(number: u32) -> InfoHash {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        InfoHash(bytes)
    }

    fn add(index: &mut Index, lines: &mut Lines, number: u32, horizon: Horizon) -> Option<LineIndex> {
        let swarm = lines.take(Line::Swarm(Swarm::new(info_hash(number), horizon, Tick::of_count(0))))?;
        let hash = index.hash(&info_hash(number), horizon);
        if index.insert(lines, hash, swarm).is_none() {
            lines.give_back(swarm);
            return None;
        }
        Some(swarm)
    }

    #[test]
    fn each_bucket_splits_into_itself_and_the_new_one() {
        for buckets in FIRST_BUCKETS..200 {
            for seed in 0..200_u64 {
                let hash = SwarmHash(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let (before, after) = (hash.bucket(buckets), hash.bucket(buckets + 1));
                assert!(after == before || after == buckets, "{before} of {buckets} went to {after}");
            }
        }
    }

    #[test]
    fn exactly_the_bytes_that_equal_a_tag_are_found() {
        let mut random = fastrand::Rng::with_seed(8);
        for _ in 0..10_000 {
            // A few values, some of which differ in one bit or by one.
            let tags: [u8; 16] = core::array::from_fn(|_| random.choice([0, 1, 0x7f, 0x80, 0x81, 0xff]).unwrap_or(0));
            for tag in [0, 1, 0x7f, 0x80, 0x81, 0xff, 2] {
                let expected: u128 = (0..16).filter(|slot| tags[*slot] == tag).map(|slot| 0x80 << (8 * slot)).sum();
                assert_eq!(slots_equal(u128::from_le_bytes(tags), tag), expected, "{tag} in {tags:?}");
            }
        }
    }

    #[test]
    fn a_remembered_line_is_checked_before_use() {
        let mut lines = Lines::reserve(30).expect("lines");
        let mut index = Index::reserve(30, HashKey(1, 2)).expect("directory");
        let here = add(&mut index, &mut lines, 1, Horizon::Wan).expect("room");
        let there = add(&mut index, &mut lines, 2, Horizon::Wan).expect("room");
        for wrong in [there, index.bucket_of(index.hash(&info_hash(1), Horizon::Wan)), LineIndex::NONE, here] {
            index.hash_ahead(&info_hash(1), Horizon::Wan);
            index.remember(&info_hash(1), wrong);
            assert_eq!(index.find(&lines, &info_hash(1), Horizon::Wan), Some(here));
            assert_eq!(index.find(&lines, &info_hash(1), Horizon::Lan), None);
        }
        index.remove(&mut lines, index.hash(&info_hash(1), Horizon::Wan), here);
        lines.give_back(here);
        assert_eq!(index.find(&lines, &info_hash(1), Horizon::Wan), None, "the remembered swarm was removed");
    }

    #[test]
    fn a_remembered_hash_equals_a_computed_one() {
        let mut index = Index::reserve(100, HashKey(1, 2)).expect("directory");
        let fresh = Index::reserve(100, HashKey(1, 2)).expect("directory");
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..1000 {
            let info_hash = info_hash(random.u32(..) & 0x0f00_00ff);
            for horizon in [Horizon::Lan, Horizon::Wan] {
                if random.bool() {
                    assert_eq!(index.hash_ahead(&info_hash, horizon), fresh.hash(&info_hash, horizon));
                }
                assert_eq!(index.hash(&info_hash, horizon), fresh.hash(&info_hash, horizon));
            }
        }
    }

    #[test]
    fn swarms_are_found_until_removed_and_the_two_horizons_stay_apart() {
        let mut lines = Lines::reserve(3000).expect("lines");
        let mut index = Index::reserve(3000, HashKey(1, 2)).expect("directory");
        let mut stored = Vec::new();
        for number in 0..1000 {
            for horizon in [Horizon::Lan, Horizon::Wan] {
                stored.push((number, horizon, add(&mut index, &mut lines, number, horizon).expect("room")));
            }
        }
        assert_eq!(index.check(&lines).map(|swarms| swarms.len()), Ok(2000));
        fastrand::Rng::with_seed(3).shuffle(&mut stored);
        while let Some((number, horizon, line)) = stored.pop() {
            let hash = index.hash(&info_hash(number), horizon);
            assert_eq!(index.find(&lines, &info_hash(number), horizon), Some(line));
            index.remove(&mut lines, hash, line);
            lines.give_back(line);
            assert_eq!(index.find(&lines, &info_hash(number), horizon), None);
            if stored.len().is_multiple_of(97) {
                index.check(&lines).expect("consistent");
            }
        }
        assert_eq!(lines.in_use(), 0, "the buckets gave their lines back");
    }

    #[test]
    fn a_full_pool_refuses_a_swarm_and_changes_nothing() {
        let mut lines = Lines::reserve(40).expect("lines");
        let mut index = Index::reserve(40, HashKey(1, 2)).expect("directory");
        let added = (0..100).filter(|&number| add(&mut index, &mut lines, number, Horizon::Wan).is_some()).count();
        assert!((30..40).contains(&added), "{added} swarms in 40 lines");
        assert_eq!(index.check(&lines).map(|swarms| swarms.len()), Ok(added));
        lines.check().expect("consistent");
    }
}
