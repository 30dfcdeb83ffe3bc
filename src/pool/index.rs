//! From an info-hash to its swarm: linear hashing over lines of the pool.
//!
//! A directory of buckets grows by one whenever the buckets hold more than [`SWARMS_PER_BUCKET_WANTED`] swarms each, by
//! splitting one bucket in two. So there is never a pause to rehash, and the index touches memory in proportion to the
//! swarms that there are, not to those that there might be.

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

/// Mean load at which the next bucket is split. Just after a round of splits a bucket holds half as many; at twice as
/// many, just before its split, a second line is needed now and then.
const SWARMS_PER_BUCKET_WANTED: usize = 9;

/// Buckets that there always are: a power of two.
const FIRST_BUCKETS: usize = 4;

/// Lines that a split may need while it runs: a head for either half, before the first line of the whole is empty.
const LINES_FOR_A_SPLIT: usize = 2;

/// The end of a bucket's chain.
const END: LineIndex = LineIndex::NONE;

/// The keyed hash of an info-hash seen from one side of the horizon: the LAN's swarm and the WAN's are two.
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

    /// The bucket among `buckets`: linear hashing, where those at and above the last power of two are split already.
    const fn bucket(self, buckets: usize) -> usize {
        let round = buckets.next_power_of_two();
        let bucket = self.0 as usize & (round - 1);
        if bucket < buckets { bucket } else { bucket & (round / 2 - 1) }
    }
}

/// The directory: the head of each bucket's chain of lines.
///
/// Invariants: a swarm stands in the bucket that its hash and the number of buckets tell, and nowhere else; the
/// directory's memory is reserved at once.
#[derive(Debug)]
pub(crate) struct Index {
    buckets: Vec<LineIndex>,
    swarms: usize,
    key: HashKey,
    /// Info-hashes that were looked ahead at, each in the place that its first octet tells.
    remembered: Box<[Remembered; REMEMBERED]>,
}

/// What was found out about an info-hash by looking ahead.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    info_hash: InfoHash,
    hash: u64,
    /// Where its swarm was, on one side of the horizon: worth a look, and no more.
    swarm: LineIndex,
}

/// Info-hashes that are remembered from looking ahead.
const REMEMBERED: usize = 256;

const fn remembered_at(info_hash: &InfoHash) -> usize {
    info_hash.0[0] as usize
}

impl Index {
    /// Buckets that there can ever be in a budget of `lines`, even if all of them were swarms.
    pub(super) const fn directory_len(lines: usize) -> usize {
        lines / SWARMS_PER_BUCKET_WANTED + FIRST_BUCKETS
    }

    /// Octets of an entry of the directory.
    pub(super) const ENTRY_OCTETS: usize = size_of::<LineIndex>();

    pub(super) fn reserve(lines: usize, key: HashKey) -> Result<Self, TryReserveError> {
        let mut buckets = Vec::new();
        buckets.try_reserve_exact(Self::directory_len(lines))?;
        buckets.extend([LineIndex::NONE; FIRST_BUCKETS]);
        let nobodys = InfoHash([0; InfoHash::OCTETS]);
        let nobodys = Remembered { info_hash: nobodys, hash: key.hash(&nobodys.0), swarm: LineIndex::NONE };
        Ok(Self { buckets, swarms: 0, key, remembered: Box::new([nobodys; REMEMBERED]) })
    }

    pub(super) fn hash(&self, info_hash: &InfoHash, horizon: Horizon) -> SwarmHash {
        let remembered = &self.remembered[remembered_at(info_hash)];
        let hash = if remembered.info_hash == *info_hash { remembered.hash } else { self.key.hash(&info_hash.0) };
        SwarmHash::new(hash, horizon)
    }

    /// The same, for an info-hash that will be asked for again soon.
    pub(super) fn hash_ahead(&mut self, info_hash: &InfoHash, horizon: Horizon) -> SwarmHash {
        let hash = self.key.hash(&info_hash.0);
        self.remembered[remembered_at(info_hash)] = Remembered { info_hash: *info_hash, hash, swarm: LineIndex::NONE };
        SwarmHash::new(hash, horizon)
    }

    /// What [`Index::hash_ahead`] was asked for stands at `swarm`, it seems.
    pub(super) fn remember(&mut self, info_hash: &InfoHash, swarm: LineIndex) {
        self.remembered[remembered_at(info_hash)].swarm = swarm;
    }

    pub(super) fn swarms(&self) -> usize {
        self.swarms
    }

    /// The line of a swarm.
    #[inline]
    pub(super) fn find(&self, lines: &Lines, info_hash: &InfoHash, horizon: Horizon) -> Option<LineIndex> {
        // A line that holds this swarm is this swarm, whenever it was that we heard of it.
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

    /// The first line of the bucket for `hash`, or `NONE`.
    pub(super) fn bucket_of(&self, hash: SwarmHash) -> LineIndex {
        self.buckets[hash.bucket(self.buckets.len())]
    }

    /// The first swarm of a bucket that may be the one, without looking at it, or `NONE`.
    pub(super) fn candidate(&self, lines: &Lines, hash: SwarmHash) -> LineIndex {
        let mut tagged = chain::walk::<Buckets>(lines, self.bucket_of(hash), END)
            .filter_map(|(_, items)| items.tagged(hash.tag()).next());
        tagged.next().unwrap_or(LineIndex::NONE)
    }

    /// Enter `swarm`, which must not be in here yet. `None` when there is no line for it; then nothing has changed.
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

    /// Take `swarm` out again.
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

    /// Split the bucket whose turn it is, if there are lines to do it with.
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

    /// The lines that the index itself takes, for the pool's `check_invariants`.
    pub(super) fn bucket_lines(&self, lines: &Lines) -> impl Iterator<Item = LineIndex> {
        self.buckets.iter().flat_map(|&head| chain::walk::<Buckets>(lines, head, END).map(|(line, _)| line))
    }

    /// Every swarm in the index, for the pool's `check_invariants`: each must be where its hash says.
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

/// Is this the line of that swarm?
#[inline]
fn is_swarm(lines: &Lines, line: LineIndex, info_hash: &InfoHash, horizon: Horizon) -> bool {
    matches!(lines.get(line), Some(Line::Swarm(swarm))
        if swarm.info_hash == *info_hash && swarm.horizon == horizon)
}

impl<'a> ColumnsRef<'a, LineIndex, u128> {
    /// The swarms with this tag: hardly ever more than one, and most of them the one that is looked for.
    #[inline]
    fn tagged(self, tag: u8) -> impl Iterator<Item = LineIndex> + use<'a> {
        let mut equal = slots_equal(self.metas, tag);
        let endpoints = self.endpoints;
        core::iter::from_fn(move || {
            while equal != 0 {
                let slot = equal.trailing_zeros() as usize / 8;
                equal &= equal - 1;
                // Beyond the last swarm there are tags of nobody.
                if let Some(swarm) = endpoints.get(slot) {
                    return Some(*swarm);
                }
            }
            None
        })
    }
}

/// The top bit of each octet that equals `tag`.
#[inline]
const fn slots_equal(tags: u128, tag: u8) -> u128 {
    const EACH: u128 = u128::MAX / 0xff;
    const BELOW_TOP: u128 = EACH * 0x7f;
    let difference = tags ^ (EACH * tag as u128);
    // Its sum carries into the top bit unless the octet's other bits are zero; none carries into the next octet.
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
    fn octets_that_equal_a_tag_are_found_and_no_others() {
        let mut random = fastrand::Rng::with_seed(8);
        for _ in 0..10_000 {
            // Inline values, and such that differ in one bit or by one.
            let tags: [u8; 16] = core::array::from_fn(|_| random.choice([0, 1, 0x7f, 0x80, 0x81, 0xff]).unwrap_or(0));
            for tag in [0, 1, 0x7f, 0x80, 0x81, 0xff, 2] {
                let expected: u128 = (0..16).filter(|slot| tags[*slot] == tag).map(|slot| 0x80 << (8 * slot)).sum();
                assert_eq!(slots_equal(u128::from_le_bytes(tags), tag), expected, "{tag} in {tags:?}");
            }
        }
    }

    #[test]
    fn what_is_remembered_of_a_swarm_is_only_a_place_to_look() {
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
        assert_eq!(index.find(&lines, &info_hash(1), Horizon::Wan), None, "it was remembered, and is gone");
    }

    #[test]
    fn a_hash_is_the_same_remembered_or_not() {
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
