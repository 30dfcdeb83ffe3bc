//! Pairs that are stored as two columns, so that the small halves of all pairs of a line stand side by side and can be
//! looked at eight at a time.

use core::fmt::Debug;

use heapless::Vec;

/// What is stored in two columns: a large half that is compared and copied, and a small one that is counted.
pub(crate) trait Pair: Copy {
    type First: Copy + Debug;
    type Second: Copy + Debug;

    /// What stands in the second column where there is no pair.
    const VACANT: Self::Second;

    fn split(self) -> (Self::First, Self::Second);
    fn join(first: Self::First, second: Self::Second) -> Self;
}

/// Up to `N` pairs, in no order that is kept.
///
/// Invariant: `metas` is [`Pair::VACANT`] from `endpoints.len()` on.
#[derive(Clone, Debug)]
pub(crate) struct Columns<P: Pair, const N: usize> {
    endpoints: Vec<P::First, N, u8>,
    pub(super) metas: [P::Second; N],
}

/// [`Columns`] of any capacity.
pub(crate) trait Items {
    type Item: Pair;

    const CAPACITY: usize;

    /// The first halves of the items there are.
    fn endpoints(&self) -> &[<Self::Item as Pair>::First];
    fn get(&self, slot: usize) -> Option<Self::Item>;
    /// Put `item` in the place of the one at `slot`, which is returned.
    fn replace(&mut self, slot: usize, item: Self::Item) -> Option<Self::Item>;
    /// Add `item` behind the others; false, and nothing has changed, when there is no room.
    fn push(&mut self, item: Self::Item) -> bool;
    fn pop(&mut self) -> Option<Self::Item>;

    fn len(&self) -> usize {
        self.endpoints().len()
    }

    fn is_empty(&self) -> bool {
        self.endpoints().is_empty()
    }

    /// Remove and return the item at `slot`; the last one takes its place.
    fn swap_remove(&mut self, slot: usize) -> Option<Self::Item> {
        let removed = self.get(slot)?;
        let last = self.pop()?;
        // It may have been the last itself.
        let _ = self.replace(slot, last);
        Some(removed)
    }

    fn iter(&self) -> impl Iterator<Item = Self::Item> {
        (0..self.len()).filter_map(|slot| self.get(slot))
    }
}

impl<P: Pair, const N: usize> Columns<P, N> {
    pub(super) const fn new() -> Self {
        Self { endpoints: Vec::new(), metas: [P::VACANT; N] }
    }
}

impl<P: Pair, const N: usize> Items for Columns<P, N> {
    type Item = P;

    const CAPACITY: usize = N;

    #[inline]
    fn endpoints(&self) -> &[P::First] {
        &self.endpoints
    }

    #[inline]
    fn get(&self, slot: usize) -> Option<P> {
        Some(P::join(*self.endpoints.get(slot)?, *self.metas.get(slot)?))
    }

    #[inline]
    fn replace(&mut self, slot: usize, item: P) -> Option<P> {
        let (first, second) = (self.endpoints.get_mut(slot)?, self.metas.get_mut(slot)?);
        let replaced = P::join(*first, *second);
        (*first, *second) = item.split();
        Some(replaced)
    }

    fn push(&mut self, item: P) -> bool {
        let (first, second) = item.split();
        let slot = self.endpoints.len();
        if self.endpoints.push(first).is_err() {
            return false;
        }
        self.metas[slot] = second;
        true
    }

    fn pop(&mut self) -> Option<P> {
        let first = self.endpoints.pop()?;
        let second = core::mem::replace(&mut self.metas[self.endpoints.len()], P::VACANT);
        Some(P::join(first, second))
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::{Indexed, LineIndex};
    use super::*;

    fn item(number: usize) -> Indexed {
        Indexed { swarm: LineIndex::new(number), tag: number as u8 }
    }

    fn is_vacant_beyond_its_items<const N: usize>(columns: &Columns<Indexed, N>) -> bool {
        columns.metas[columns.len()..].iter().all(|second| *second == Indexed::VACANT)
    }

    #[test]
    fn what_is_put_in_comes_out_and_what_is_left_is_vacant() {
        let mut columns = Columns::<Indexed, 3>::new();
        assert!(columns.is_empty() && columns.pop().is_none() && columns.get(0).is_none());
        for number in 1..=3 {
            assert!(columns.push(item(number)));
        }
        assert!(!columns.push(item(4)), "full");
        assert_eq!(columns.iter().collect::<std::vec::Vec<_>>(), [1, 2, 3].map(item));
        assert_eq!(columns.replace(1, item(9)), Some(item(2)));
        assert_eq!(columns.replace(3, item(9)), None);
        assert_eq!(columns.swap_remove(0), Some(item(1)));
        assert_eq!(columns.iter().collect::<std::vec::Vec<_>>(), [3, 9].map(item));
        assert!(is_vacant_beyond_its_items(&columns));
        assert_eq!(columns.swap_remove(1), Some(item(9)), "the last one itself");
        assert_eq!(columns.pop(), Some(item(3)));
        assert!(columns.is_empty() && is_vacant_beyond_its_items(&columns));
    }
}
