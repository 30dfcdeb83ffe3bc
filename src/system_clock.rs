//! The clocks of the system.
//!
//! They are read with 64-bit calls. On 32-bit systems with musl, `SystemTime::now` of the standard library uses a 32-bit
//! call, which fails after January 2038.

use core::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::clock::UnixSeconds;

/// Return the time of the wall clock, if it is plausible.
pub fn wall() -> Option<UnixSeconds> {
    let seconds = u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).ok()?;
    UnixSeconds(seconds).if_sane()
}

/// Return the total time for which the system has been suspended since its boot. A suspended system does not run, so
/// the running clock excludes this time.
pub fn suspended() -> Duration {
    // In this order, the time between the two calls makes the result shorter.
    let with = clock_gettime(ClockId::Boottime);
    duration(with).saturating_sub(duration(clock_gettime(ClockId::Monotonic)))
}

fn duration(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_wall_clock_is_that_of_the_standard_library() {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let (before, wall, after) = (now(), wall(), now());
        match wall {
            Some(wall) => assert!((before..=after).contains(&wall.0), "{before} {wall:?} {after}"),
            None => assert!(before < UnixSeconds::EARLIEST_SANE.0),
        }
    }

    #[test]
    fn a_system_that_runs_is_not_suspended_meanwhile() {
        let before = suspended();
        std::thread::sleep(Duration::from_millis(30));
        assert!(suspended().abs_diff(before) < Duration::from_millis(20));
    }
}
