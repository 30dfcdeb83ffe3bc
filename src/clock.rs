//! The two clocks, as plain numbers that the outer layers pass to the core.
//!
//! All timeouts, idle times and connection ids use [`Running`] time, because a router has no clock battery: it boots in
//! 1970, and its wall clock jumps by decades when NTP answers. The wall clock is used only for end dates, and only
//! while it is sane.

use core::fmt;
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

impl fmt::Display for UnixSeconds {
    /// Write the date and the time to the minute, as `2027-01-31 18:00 UTC`. The calendar is the proleptic Gregorian one,
    /// computed in eras of 400 years that begin with March.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, minutes) = (self.0 / 86_400 + 719_468, self.0 % 86_400 / 60);
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + u64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
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
    fn a_date_is_that_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_793_491_200, "2026-11-01 00:00 UTC"),
            (1_801_418_399, "2027-01-31 17:59 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(UnixSeconds(seconds).to_string(), text);
        }
    }

    #[test]
    fn a_clock_that_booted_in_1970_is_not_sane() {
        assert_eq!(UnixSeconds(86_400).if_sane(), None);
        assert_eq!(UnixSeconds::EARLIEST_SANE.if_sane(), Some(UnixSeconds::EARLIEST_SANE));
    }
}
