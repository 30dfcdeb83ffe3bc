//! The budget: all lines, reserved once.

use std::collections::TryReserveError;
use std::ops::{Index, IndexMut};

use prefetch_index::prefetch_index;

use super::impossible::impossible;
use super::line::{Line, LineIndex};

/// All lines. The memory for `limit` of them is reserved at the start and never grows. A page of it is touched only
/// when a line on it is first used, so that an idle tracker occupies only the memory that it uses.
///
/// Invariants: `lines.len() <= limit <= lines.capacity()`; every line below `lines.len()` is either in use, or `Free`
/// and on the free list exactly once; `in_use` is the number of lines in use.
#[derive(Debug)]
pub(crate) struct Lines {
    lines: Vec<Line>,
    limit: usize,
    free: LineIndex,
    in_use: usize,
}

impl Lines {
    /// Reserve `limit` lines, or the maximum number that a [`LineIndex`] can address.
    pub(super) fn reserve(limit: usize) -> Result<Self, TryReserveError> {
        let limit = limit.min(LineIndex::LIMIT);
        let mut lines = Vec::new();
        lines.try_reserve_exact(limit)?;
        Ok(Self { lines, limit, free: LineIndex::NONE, in_use: 0 })
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn in_use(&self) -> usize {
        self.in_use
    }

    pub(super) fn available(&self) -> usize {
        self.limit - self.in_use
    }

    /// Return the number of lines that were ever used: a sweep ends there.
    pub(super) fn touched(&self) -> usize {
        self.lines.len()
    }

    /// Return the line at `index`, or `None` for [`LineIndex::NONE`]. That index is beyond all lines, so one comparison
    /// covers both cases.
    #[inline]
    pub(super) fn get(&self, index: LineIndex) -> Option<&Line> {
        self.lines.get(index.get())
    }

    /// Request the line at `index` from memory, and return it without waiting for it: only its first read waits. Return
    /// `None` for [`LineIndex::NONE`], which is beyond all lines.
    ///
    /// On 32-bit ARM this prefetches nothing: prefetch-index has no implementation for it.
    #[inline]
    pub(super) fn ask_for(&self, index: LineIndex) -> Option<&Line> {
        let line = self.lines.get(index.get())?;
        prefetch_index(&self.lines, index.get());
        Some(line)
    }

    /// Store `line` in a free line and return its index. Return `None` if the budget is used up.
    pub(super) fn take(&mut self, line: Line) -> Option<LineIndex> {
        let index = match self.free.some() {
            Some(index) => {
                let Line::Free { next } = self[index] else {
                    return impossible("a line on the free list that is in use");
                };
                self.free = next;
                self[index] = line;
                index
            }
            None if self.lines.len() < self.limit => {
                self.lines.push(line);
                LineIndex::new(self.lines.len() - 1)
            }
            None => return None,
        };
        self.in_use += 1;
        Some(index)
    }

    pub(super) fn give_back(&mut self, index: LineIndex) {
        debug_assert!(!matches!(self[index], Line::Free { .. }), "given back twice");
        self[index] = Line::Free { next: self.free };
        self.free = index;
        self.in_use -= 1;
    }

    /// Compare the free list with the lines: a part of the pool's `check_invariants`.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut listed = 0;
        let mut at = self.free;
        while let Some(index) = at.some() {
            let Line::Free { next } = self[index] else { return Err(format!("{index:?} on the free list is in use")) };
            listed += 1;
            if listed > self.lines.len() {
                return Err("the free list runs in a circle".into());
            }
            at = next;
        }
        let free = self.lines.iter().filter(|line| matches!(line, Line::Free { .. })).count();
        if free != listed || self.in_use + free != self.lines.len() {
            return Err(format!("{free} free, {listed} listed, {} in use of {}", self.in_use, self.lines.len()));
        }
        Ok(())
    }
}

impl Index<LineIndex> for Lines {
    type Output = Line;

    fn index(&self, index: LineIndex) -> &Line {
        &self.lines[index.get()]
    }
}

impl IndexMut<LineIndex> for Lines {
    fn index_mut(&mut self, index: LineIndex) -> &mut Line {
        &mut self.lines[index.get()]
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::{Buckets, Kind};
    use super::*;

    #[test]
    fn lines_are_taken_given_back_and_never_more_than_the_limit() {
        let mut lines = Lines::reserve(3).expect("three lines");
        let bucket = || Buckets::line(LineIndex::NONE);
        let taken: Vec<_> = (0..3).map(|_| lines.take(bucket()).expect("within the limit")).collect();
        assert_eq!(lines.take(bucket()), None);
        lines.give_back(taken[1]);
        lines.check().expect("one free");
        assert_eq!((lines.available(), lines.touched()), (1, 3));
        assert_eq!(lines.take(bucket()), Some(taken[1]), "the line used last comes first: fewer pages touched");
        lines.check().expect("all in use");
    }

    #[test]
    fn only_lines_that_exist_are_prefetched() {
        let mut lines = Lines::reserve(3).expect("three lines");
        let taken = lines.take(Buckets::line(LineIndex::NONE)).expect("room");
        assert!(matches!(lines.ask_for(taken), Some(Line::Bucket(_))));
        for beyond in [LineIndex::new(1), LineIndex::new(3), LineIndex::NONE] {
            assert!(lines.ask_for(beyond).is_none(), "{beyond:?}");
        }
    }
}
