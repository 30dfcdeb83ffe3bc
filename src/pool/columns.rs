//! The items of a line as two columns. The metas are adjacent, so that all of them are read at once.

use core::fmt::Debug;

use heapless::{Vec, VecView};

use super::meta_word::{Meta, MetaWord};

/// An item of a line: an endpoint, which is compared and copied, and a meta, which is counted. In lines of the index
/// the endpoint is the line of a swarm, and the meta is its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item<E, M> {
    pub(super) endpoint: E,
    pub(super) meta: M,
}

/// Up to `N` items, in any order.
///
/// Invariant: from `endpoints.len()` on, `metas` holds the default, which means vacant.
#[derive(Clone, Debug)]
pub(crate) struct Columns<E, M, const N: usize> {
    endpoints: Vec<E, N, u8>,
    metas: [M; N],
}

/// [`Columns`] of any capacity, for reading: the endpoints, and the metas as one word `W`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnsRef<'a, E, W> {
    pub(super) endpoints: &'a [E],
    pub(super) metas: W,
}

/// [`Columns`] of any capacity, for writing.
#[derive(Debug)]
pub(crate) struct ColumnsMut<'a, E, M> {
    endpoints: &'a mut VecView<E, u8>,
    metas: &'a mut [M],
}

impl<E, M: Copy + Default, const N: usize> Columns<E, M, N> {
    pub(super) fn new() -> Self {
        Self { endpoints: Vec::new(), metas: [M::default(); N] }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    #[inline]
    pub(super) fn change(&mut self) -> ColumnsMut<'_, E, M> {
        ColumnsMut { endpoints: &mut self.endpoints, metas: &mut self.metas }
    }
}

impl<E, const N: usize> Columns<E, Meta, N> {
    #[inline]
    pub(super) fn read(&self) -> ColumnsRef<'_, E, MetaWord> {
        ColumnsRef { endpoints: &self.endpoints, metas: MetaWord::new(self.metas) }
    }
}

impl<E, const N: usize> Columns<E, u8, N> {
    #[inline]
    pub(super) fn read(&self) -> ColumnsRef<'_, E, u128> {
        const { assert!(N <= size_of::<u128>()) };
        let mut octets = [0; size_of::<u128>()];
        octets[..N].copy_from_slice(&self.metas);
        ColumnsRef { endpoints: &self.endpoints, metas: u128::from_le_bytes(octets) }
    }
}

impl<E, W> ColumnsRef<'_, E, W> {
    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.endpoints.len()
    }
}

impl<'a, E: Copy> ColumnsRef<'a, E, MetaWord> {
    pub(super) fn get(&self, slot: usize) -> Option<Item<E, Meta>> {
        Some(Item { endpoint: *self.endpoints.get(slot)?, meta: self.metas.get(slot) })
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Item<E, Meta>> + use<'a, E> {
        self.endpoints.iter().enumerate().map(move |(slot, &endpoint)| Item { endpoint, meta: self.metas.get(slot) })
    }
}

impl<'a, E: Copy> ColumnsRef<'a, E, u128> {
    pub(super) fn iter(self) -> impl Iterator<Item = Item<E, u8>> + use<'a, E> {
        self.endpoints.iter().zip(self.metas.to_le_bytes()).map(|(&endpoint, meta)| Item { endpoint, meta })
    }
}

impl<E: Copy, M: Copy + Default> ColumnsMut<'_, E, M> {
    #[inline]
    pub(super) fn endpoints(&self) -> &[E] {
        self.endpoints
    }

    pub(super) fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// Replace the item at `slot` by `item`, and return the old one.
    #[inline]
    pub(super) fn replace(&mut self, slot: usize, item: Item<E, M>) -> Option<Item<E, M>> {
        let (endpoint, meta) = (self.endpoints.get_mut(slot)?, self.metas.get_mut(slot)?);
        let replaced = Item { endpoint: *endpoint, meta: *meta };
        (*endpoint, *meta) = (item.endpoint, item.meta);
        Some(replaced)
    }

    /// Replace the meta at `slot` and return the old one.
    #[inline]
    pub(super) fn replace_meta(&mut self, slot: usize, meta: M) -> Option<M> {
        Some(core::mem::replace(self.metas.get_mut(slot)?, meta))
    }

    /// Add `item` after the others and return its slot. Return `None` if the columns are full; then they are unchanged.
    #[inline]
    pub(super) fn push(&mut self, item: Item<E, M>) -> Option<usize> {
        let slot = self.endpoints.len();
        self.endpoints.push(item.endpoint).ok()?;
        self.metas[slot] = item.meta;
        Some(slot)
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Item<E, M>> {
        let endpoint = self.endpoints.pop()?;
        let meta = core::mem::take(&mut self.metas[self.endpoints.len()]);
        Some(Item { endpoint, meta })
    }

    /// Remove and return the item at `slot`; the last one takes its place.
    pub(super) fn swap_remove(&mut self, slot: usize) -> Option<Item<E, M>> {
        let removed = Item { endpoint: *self.endpoints.get(slot)?, meta: *self.metas.get(slot)? };
        let last = self.pop()?;
        // If the removed item was the last one itself, this does nothing.
        let _ = self.replace(slot, last);
        Some(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(number: usize) -> Item<u16, u8> {
        Item { endpoint: number as u16, meta: number as u8 }
    }

    fn is_vacant_beyond_its_items<const N: usize>(columns: &Columns<u16, u8, N>) -> bool {
        columns.metas[columns.endpoints.len()..].iter().all(|meta| *meta == 0)
    }

    fn items<const N: usize>(columns: &Columns<u16, u8, N>) -> std::vec::Vec<Item<u16, u8>> {
        columns.read().iter().collect()
    }

    #[test]
    fn items_are_stored_and_removed_and_free_slots_are_vacant() {
        let mut columns = Columns::<u16, u8, 3>::new();
        assert!(columns.is_empty() && columns.change().pop().is_none() && columns.read().len() == 0);
        for number in 1..=3 {
            assert_eq!(columns.change().push(item(number)), Some(number - 1));
        }
        assert_eq!(columns.change().push(item(4)), None, "full");
        assert_eq!(items(&columns), [1, 2, 3].map(item));
        assert_eq!(columns.change().replace(1, item(9)), Some(item(2)));
        assert_eq!(columns.change().replace(3, item(9)), None);
        assert_eq!(columns.change().replace_meta(1, 8), Some(9));
        assert_eq!(columns.change().replace_meta(1, 9), Some(8));
        assert_eq!(columns.change().swap_remove(0), Some(item(1)));
        assert_eq!(items(&columns), [3, 9].map(item));
        assert!(is_vacant_beyond_its_items(&columns));
        assert_eq!(columns.change().swap_remove(1), Some(item(9)), "the last one itself");
        assert_eq!(columns.change().pop(), Some(item(3)));
        assert!(columns.is_empty() && is_vacant_beyond_its_items(&columns));
    }
}
