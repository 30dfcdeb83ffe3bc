//! The two clocks, as plain numbers that the shell hands to the core.
//!
//! Everything that the tracker measures (timeouts, idle customers, connection ids) is measured in [`Running`] time, for a
//! router has no clock battery: it boots in 1970 and jumps decades when NTP answers. The wall clock only serves to
//! enforce end dates, and only once it is sane.

use core::time::Duration;

/// How long the tracker has been running, summed over all its runs, in milliseconds. It never goes back and does not
/// count the time that the box was off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Running(u64);

impl Running {
    /// The clock when it shows `millis` milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The clock when it shows `seconds` seconds.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// What the clock shows, in milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// What the clock shows, in whole seconds.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The time that passed between `earlier` and now; nothing if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The clock `duration` later.
    pub const fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_millis() as u64))
    }
}

/// Seconds since 1970 by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// No correct clock shows less than when this version was made (2026-11-01): one that does has not heard from NTP.
    pub const EARLIEST_SANE: Self = Self(1_793_491_200);

    /// This time, unless the clock it was read from cannot be right.
    pub fn if_sane(self) -> Option<Self> {
        (self >= Self::EARLIEST_SANE).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_time_never_underflows() {
        let early = Running::from_seconds(3);
        let late = early.after(Duration::from_millis(1500));
        assert_eq!(late.since(early), Duration::from_millis(1500));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.seconds(), 4);
    }

    #[test]
    fn a_clock_that_booted_in_1970_is_not_sane() {
        assert_eq!(UnixSeconds(86_400).if_sane(), None);
        assert_eq!(UnixSeconds::EARLIEST_SANE.if_sane(), Some(UnixSeconds::EARLIEST_SANE));
    }
}
