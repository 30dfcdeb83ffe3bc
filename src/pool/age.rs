//! The age of the pool's records, in ticks. A record stores the 6 low bits of its tick.
//!
//! A peer lives for [`LIFETIME_TICKS`] ticks, which is `peer_timeout`; so its age is known to a fortieth of that time.
//! The sweeper visits every line within [`SWEEP_TICKS`] ticks. If a pass came later than 64 ticks allow, a dead peer
//! would look alive again: [`super::sweep`] prevents that.

use core::time::Duration;

use crate::clock::Running;

/// Number of ticks after which a peer is dead, unless it announces again.
pub(super) const LIFETIME_TICKS: u8 = 40;

/// Number of ticks that one pass of the sweeper over all lines takes.
pub(super) const SWEEP_TICKS: u64 = 2;

/// Number of ticks by which the sweeper may fall behind, in the case that it would have to pause the tracker to remove
/// all dead peers at once.
pub(super) const LATE_TICKS: u64 = 8;

/// Number of ticks by which the sweeper may be late (the process was stopped, the machine slept) before ticks wrap
/// around.
pub(super) const SLACK_TICKS: u64 = Tick::MODULUS - LIFETIME_TICKS as u64 - 2 * SWEEP_TICKS - LATE_TICKS;

/// A point in time: the number of ticks modulo 64. The tick of a record is only meaningful while the sweeper visits the
/// record at least once before the number wraps around: see [`SWEEP_TICKS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick(u8);

impl Tick {
    pub(super) const MODULUS: u64 = 64;

    pub(super) const fn of_count(ticks: u64) -> Self {
        Self((ticks % Self::MODULUS) as u8)
    }

    /// Return the number, which is below [`Self::MODULUS`].
    #[inline]
    pub(super) const fn get(self) -> u8 {
        self.0
    }

    /// Return the number of ticks since this one, modulo 64.
    #[inline]
    pub(super) const fn age(self, now: Self) -> u8 {
        now.0.wrapping_sub(self.0) % Self::MODULUS as u8
    }
}

/// The length of a tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TickLength {
    millis: u64,
}

impl TickLength {
    /// Divide `peer_timeout` into ticks.
    pub(crate) fn of_lifetime(peer_timeout: Duration) -> Self {
        Self { millis: (peer_timeout.as_millis() as u64 / u64::from(LIFETIME_TICKS)).max(1) }
    }

    /// Return the number of ticks since the tracker's first start.
    pub(super) const fn count(self, now: Running) -> u64 {
        now.millis() / self.millis
    }

    /// Return the tick of `now`.
    pub(super) const fn tick(self, now: Running) -> Tick {
        Tick::of_count(self.count(now))
    }

    /// Return the length as a duration.
    pub(super) const fn length(self) -> Duration {
        Duration::from_millis(self.millis)
    }

    /// Return the number of ticks in `duration`, rounded up, and at most [`Tick::MODULUS`].
    pub(crate) fn rounded_up(self, duration: Duration) -> u8 {
        (duration.as_millis() as u64).div_ceil(self.millis).min(Tick::MODULUS) as u8
    }

    /// Return the number of ticks in `duration`, rounded down, and at most [`Tick::MODULUS`]. A record of a lower age
    /// is certainly younger than `duration`.
    pub(crate) fn rounded_down(self, duration: Duration) -> u8 {
        (duration.as_millis() as u64 / self.millis).min(Tick::MODULUS) as u8
    }
}

/// The current tick and its bounds, so that an announce finds its tick without a division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CurrentTick {
    begins_millis: u64,
    ends_millis: u64,
    tick: Tick,
}

impl CurrentTick {
    pub(super) fn of(tick_length: TickLength, now: Running) -> Self {
        let begins_millis = tick_length.count(now) * tick_length.millis;
        Self { begins_millis, ends_millis: begins_millis + tick_length.millis, tick: tick_length.tick(now) }
    }

    /// Return the tick of `now`, if `now` is within the bounds.
    pub(super) fn tick(&self, now: Running) -> Option<Tick> {
        (now.millis() >= self.begins_millis && now.millis() < self.ends_millis).then_some(self.tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_tick_knows_its_bounds() {
        let tick_length = TickLength::of_lifetime(Duration::from_secs(400));
        let current = CurrentTick::of(tick_length, Running::from_millis(25_000));
        for millis in 0..50_000 {
            let now = Running::from_millis(millis);
            let expected = (20_000..30_000).contains(&millis).then(|| tick_length.tick(now));
            assert_eq!(current.tick(now), expected, "at {millis}");
        }
    }

    #[test]
    fn a_lifetime_is_forty_ticks_and_never_more() {
        let tick_length = TickLength::of_lifetime(Duration::from_secs(45 * 60));
        assert_eq!(tick_length.length(), Duration::from_millis(67_500));
        for start in [0, 1, 67_499, 67_500, 1_000_000_007] {
            let seen = tick_length.tick(Running::from_millis(start));
            let alive = |after| seen.age(tick_length.tick(Running::from_millis(start + after))) < LIFETIME_TICKS;
            assert!(alive(45 * 60_000 - 67_500), "alive until the last tick begins");
            assert!(!alive(45 * 60_000), "dead when the timeout is over");
        }
    }

    #[test]
    fn an_age_below_the_rounded_down_ticks_is_certainly_early() {
        let tick_length = TickLength::of_lifetime(Duration::from_secs(400));
        // A peer is seen in the last millisecond of one tick, and again in the first of the third tick after it: 20 s,
        // and age 3.
        assert_eq!(tick_length.rounded_down(Duration::from_secs(30)), 3);
        assert_eq!(tick_length.rounded_down(Duration::from_secs(29)), 2);
        assert_eq!(tick_length.rounded_up(Duration::from_secs(31)), 4);
    }
}
