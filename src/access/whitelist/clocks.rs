//! The clocks of the whitelist, and the time for which the wall clock has stood beyond an end date.
//!
//! One wrong answer of a time server can set the wall clock decades ahead. So an entry past its end is only suspended,
//! and covers addresses again if the clock goes back. It is removed when the clock has shown a later time for a whole
//! day of running time.
//!
//! The earliest time shown is kept for two stretches: the last complete one, of a day, and the current one. Together
//! they cover the last day, and at most two.

use core::time::Duration;

use super::Whitelist;
use crate::clock::{Running, UnixSeconds};

/// Running time for which the wall clock must have stood beyond an end date before the entry is removed.
pub(super) const BEYOND: Duration = Duration::from_secs(86_400);

impl Whitelist {
    /// Return the times that the wall clock has shown; `None` before the first [`Self::retire`].
    pub const fn clock_history(&self) -> Option<ClockHistory> {
        self.clocks.history
    }

    /// Return the wall clock, as it was last passed to [`Self::retire`]; `None` if it is not sane.
    pub const fn wall(&self) -> Option<UnixSeconds> {
        self.clocks.wall
    }

    /// Return whether an entry past its end waits for its removal. An entry counts when `retire` has visited it.
    pub const fn has_suspended(&self) -> bool {
        self.suspended > 0
    }

    /// Continue the history of an earlier run. Call it before the first [`Self::retire`].
    pub const fn continue_clock_history(&mut self, history: ClockHistory) {
        self.clocks.history = Some(history);
    }
}

/// Latest times that callers passed to the table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clocks {
    pub(super) running: Running,
    pub(super) wall: Option<UnixSeconds>,
    /// The times shown until now; `None` before the first.
    history: Option<ClockHistory>,
}

/// The earliest times that the wall clock has shown in the last two stretches of running time. It may span several runs
/// of the tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockHistory {
    /// Beginning of the current stretch.
    pub since: Running,
    /// Earliest wall time in the current stretch; `None` if the clock was not sane.
    pub earliest: Option<UnixSeconds>,
    /// Earliest wall time in the last complete stretch; `None` before the first one, or if the clock was not sane.
    pub complete: Option<UnixSeconds>,
}

impl Clocks {
    /// Note the time of both clocks. A wall clock that is not sane is ignored.
    pub(super) fn advance(&mut self, running: Running, wall: Option<UnixSeconds>) {
        self.running = self.running.max(running);
        self.wall = wall.and_then(UnixSeconds::if_sane);
        let new = ClockHistory { since: self.running, earliest: self.wall, complete: None };
        let history = self.history.get_or_insert(new);
        // A clock that is not sane (`None`) sorts before all times.
        history.earliest = history.earliest.min(self.wall);
        if self.running.since(history.since) >= BEYOND {
            *history = ClockHistory { complete: history.earliest, ..new };
        }
    }

    /// Return whether the wall clock is past `until`.
    pub(super) fn is_past(&self, until: UnixSeconds) -> bool {
        self.wall.is_some_and(|wall| wall >= until)
    }

    /// Return whether the wall clock has been past `until` for a day of running time.
    pub(super) fn has_stood_beyond(&self, until: UnixSeconds) -> bool {
        let earliest = self.history.and_then(|history| history.earliest.min(history.complete));
        earliest.is_some_and(|earliest| earliest >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;
    const END: UnixSeconds = UnixSeconds(UnixSeconds::EARLIEST_SANE.0 + 1000);

    /// Pass hours of running time with a wall clock that shows `wall` at the first of them, and goes on.
    fn pass(clocks: &mut Clocks, hours: u64, wall: Option<u64>) {
        for hour in 0..hours {
            let running = clocks.running.after(Duration::from_secs(HOUR));
            clocks.advance(running, wall.map(|wall| UnixSeconds(wall + hour * HOUR)));
        }
    }

    #[test]
    fn a_date_is_passed_for_good_after_a_day() {
        let mut clocks = Clocks::default();
        clocks.advance(Running::from_seconds(1_000_000), Some(UnixSeconds(END.0 - 1)));
        assert!(!clocks.is_past(END));
        pass(&mut clocks, 24, Some(END.0));
        assert!(clocks.is_past(END) && !clocks.has_stood_beyond(END), "the stretch has a second before the end");
        pass(&mut clocks, 25, Some(END.0 + 24 * HOUR));
        assert!(clocks.has_stood_beyond(END));
    }

    #[test]
    fn a_jump_ahead_passes_no_date_for_good_in_less_than_a_day() {
        let far = END.0 + 40 * 365 * 24 * HOUR;
        for (wrong, back) in [(1, Some(END.0 - 90)), (23, Some(END.0 - 90)), (23, None), (23, Some(0))] {
            let mut clocks = Clocks::default();
            pass(&mut clocks, 30, Some(END.0 - 31 * HOUR));
            pass(&mut clocks, wrong, Some(far));
            assert!(clocks.is_past(END) && !clocks.has_stood_beyond(END), "{wrong} h");
            pass(&mut clocks, 1, back);
            assert!(!clocks.is_past(END) && !clocks.has_stood_beyond(END), "{wrong} h");
            pass(&mut clocks, 23, Some(far));
            assert!(!clocks.has_stood_beyond(END), "{wrong} h: a day begins again");
        }
    }

    #[test]
    fn many_short_jumps_do_not_add_up() {
        let mut clocks = Clocks::default();
        for _ in 0..100 {
            pass(&mut clocks, 20, Some(END.0 + HOUR));
            assert!(!clocks.has_stood_beyond(END));
            pass(&mut clocks, 1, Some(END.0 - HOUR));
        }
    }

    #[test]
    fn a_suspended_system_does_not_begin_the_day_again() {
        let mut clocks = Clocks::default();
        for day in 0..6 {
            pass(&mut clocks, 8, Some(END.0 + day * 24 * HOUR));
        }
        assert!(clocks.has_stood_beyond(END));
    }
}
