//! Chains of lines: every line except the head is full, so that a chain wastes half a line on average, however long it
//! is.

use super::family::{ItemOf, ItemsOf, Kind};
use super::line::{Line, LineIndex};
use super::lines::Lines;

/// The place of an item in a chain: its line, and its slot in that line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) line: LineIndex,
    pub(super) slot: usize,
}

/// Walk a chain from `head` (which may be `NONE`) to `end`, the index that its last line stores as the next line.
pub(super) fn walk<K: Kind>(
    lines: &Lines,
    head: LineIndex,
    end: LineIndex,
) -> impl Iterator<Item = (LineIndex, ItemsOf<'_, K>)> {
    let mut at = head;
    core::iter::from_fn(move || {
        if at == end {
            return None;
        }
        let line = at;
        let (items, next) = K::items(lines.get(line)?)?;
        at = next;
        Some((line, items))
    })
}

/// Add `item` at the head of a chain and return the head, which is a new line if the old one was full. Return `None` if
/// all lines are in use; then the chain is unchanged.
pub(super) fn push<K: Kind>(lines: &mut Lines, head: LineIndex, end: LineIndex, item: ItemOf<K>) -> Option<LineIndex> {
    if let Some(head) = head.some()
        && K::items_mut(&mut lines[head]).is_some_and(|mut items| items.push(item).is_some())
    {
        return Some(head);
    }
    let mut line = K::line(if head.is_none() { end } else { head });
    K::items_mut(&mut line)?.push(item);
    lines.take(line)
}

/// Remove the last item of the head. Return the item, and the new head of the chain.
pub(super) fn pop<K: Kind>(lines: &mut Lines, head: LineIndex, end: LineIndex) -> Option<(ItemOf<K>, LineIndex)> {
    let mut items = K::items_mut(&mut lines[head.some()?])?;
    let item = items.pop()?;
    if !items.is_empty() {
        return Some((item, head));
    }
    let (_, next) = K::items(&lines[head])?;
    lines.give_back(head);
    Some((item, if next == end { LineIndex::NONE } else { next }))
}

/// Remove the item at `place`, move the last item of the head into its slot, and return the new head of the chain.
pub(super) fn swap_remove<K: Kind>(lines: &mut Lines, head: LineIndex, end: LineIndex, place: Place) -> LineIndex {
    let Some((last, new_head)) = pop::<K>(lines, head, end) else { return head };
    // If the removed item was the last item of the head, `pop` has removed it already.
    if !matches!(lines[place.line], Line::Free { .. })
        && let Some(mut items) = K::items_mut(&mut lines[place.line])
    {
        let _ = items.replace(place.slot, last);
    }
    new_head
}

#[cfg(test)]
mod tests {
    use super::super::family::Buckets;
    use super::super::line::{Indexed, SWARMS_PER_BUCKET};
    use super::*;

    const END: LineIndex = LineIndex::NONE;

    fn item(number: usize) -> Indexed {
        Indexed { endpoint: LineIndex::new(number), meta: number as u8 }
    }

    fn numbers(lines: &Lines, head: LineIndex) -> Vec<usize> {
        let mut all: Vec<_> = walk::<Buckets>(lines, head, END)
            .flat_map(|(_, items)| items.iter())
            .map(|item| item.endpoint.get())
            .collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn every_line_of_a_chain_except_its_head_stays_full() {
        let mut lines = Lines::reserve(4).expect("four lines");
        let mut head = LineIndex::NONE;
        let capacity = 4 * SWARMS_PER_BUCKET;
        for number in 0..capacity {
            head = push::<Buckets>(&mut lines, head, END, item(number)).expect("room");
        }
        assert_eq!(push::<Buckets>(&mut lines, head, END, item(999)), None, "the budget is used up");
        let mut left: Vec<_> = (0..capacity).collect();
        let mut random = fastrand::Rng::with_seed(7);
        while !left.is_empty() {
            let gone = left.swap_remove(random.usize(..left.len()));
            let place = walk::<Buckets>(&lines, head, END)
                .find_map(|(line, items)| {
                    items.iter().position(|i| i.endpoint.get() == gone).map(|slot| Place { line, slot })
                })
                .expect("it was put there");
            head = swap_remove::<Buckets>(&mut lines, head, END, place);
            let mut expected = left.clone();
            expected.sort_unstable();
            assert_eq!(numbers(&lines, head), expected);
            let not_full =
                walk::<Buckets>(&lines, head, END).skip(1).filter(|(_, items)| items.len() < SWARMS_PER_BUCKET);
            assert_eq!(not_full.count(), 0);
            lines.check().expect("consistent");
        }
        assert!(head.is_none() && lines.in_use() == 0);
    }
}
