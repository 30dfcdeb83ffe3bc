//! The two clocks, as plain numbers that the outer layers pass to the core.
//!
//! All timeouts, idle times and connection ids use [`Running`] time, because a router has no clock battery: it boots in
//! 1970, and its wall clock jumps by decades when NTP answers. The wall clock is used only for end dates, and only
//! while it is sane.

use core::time::Duration;

/// Time for which the tracker has been running, summed over all its runs, in milliseconds. It never goes back, and it
/// excludes the time while the tracker was off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Running(u64);

impl Running {
    /// Return the running time of `millis` milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Return the running time of `seconds` seconds.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// Return this time in milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Return this time in whole seconds.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Return the duration from `earlier` to this time; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Return the time `duration` after this one.
    pub const fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_millis() as u64))
    }
}

/// Time of the wall clock, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// Earliest time that a correct clock can show: the time of this release (2026-11-01). A clock that shows less is
    /// not yet set by NTP.
    pub const EARLIEST_SANE: Self = Self(1_793_491_200);

    /// Return this time, or `None` if the clock is not sane.
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
