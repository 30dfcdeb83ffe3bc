//! Time as the pool's records keep it: quanta, of which 6 bits are stored.
//!
//! A peer lives for [`LIFETIME_QUANTA`], which is `peer_timeout`; so its stamp tells its age to a fortieth of that. The
//! sweeper passes every line within [`SWEEP_QUANTA`]. Were a pass ever later than the 64 values of a stamp allow, a dead
//! peer would look alive again: see [`super::sweep`] for how that is prevented.

use core::time::Duration;

use crate::clock::Running;

/// Quanta after which a peer that has not announced is dead.
pub(super) const LIFETIME_QUANTA: u8 = 40;

/// Quanta that one pass of the sweeper over all lines takes.
pub(super) const SWEEP_QUANTA: u64 = 2;

/// Quanta by which the sweeper lets itself fall behind where so many are dead that removing them at once were a pause.
pub(super) const LATE_QUANTA: u64 = 8;

/// Quanta by which the sweeper may be late (the process was stopped, the machine slept) before stamps come round.
pub(super) const SLACK_QUANTA: u64 = Stamp::MODULUS - LIFETIME_QUANTA as u64 - 2 * SWEEP_QUANTA - LATE_QUANTA;

/// When, counted in quanta of time modulo 64. A record's stamp is only meaningful while the sweeper visits it at least
/// once before the count comes round: see [`SWEEP_QUANTA`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u8);

impl Stamp {
    pub(super) const MODULUS: u64 = 64;

    pub(super) const fn of_quantum(quantum: u64) -> Self {
        Self((quantum % Self::MODULUS) as u8)
    }

    /// Below [`Self::MODULUS`].
    #[inline]
    pub(super) const fn get(self) -> u8 {
        self.0
    }

    /// Quanta that went by since this stamp.
    #[inline]
    pub(super) const fn age(self, now: Self) -> u8 {
        now.0.wrapping_sub(self.0) % Self::MODULUS as u8
    }
}

/// How long a quantum is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quanta {
    millis: u64,
}

impl Quanta {
    /// Divide `peer_timeout` into quanta.
    pub(crate) fn of_lifetime(peer_timeout: Duration) -> Self {
        Self { millis: (peer_timeout.as_millis() as u64 / u64::from(LIFETIME_QUANTA)).max(1) }
    }

    /// Quanta since the tracker's first start.
    pub(super) const fn count(self, now: Running) -> u64 {
        now.millis() / self.millis
    }

    pub(crate) const fn stamp(self, now: Running) -> Stamp {
        Stamp::of_quantum(self.count(now))
    }

    /// The quantum's length.
    pub(super) const fn length(self) -> Duration {
        Duration::from_millis(self.millis)
    }

    /// Whole quanta in `duration`, rounded up, and at most what a stamp can tell.
    pub(crate) fn rounded_up(self, duration: Duration) -> u8 {
        (duration.as_millis() as u64).div_ceil(self.millis).min(Stamp::MODULUS) as u8
    }

    /// The age from which a record may be as old as `duration`, known as ages are to one quantum only: what is younger
    /// than that is so for certain.
    pub(crate) fn rounded_down(self, duration: Duration) -> u8 {
        (duration.as_millis() as u64 / self.millis).min(Stamp::MODULUS) as u8
    }
}

/// The quantum that it is, so that an announce need not divide to know its stamp.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    begins_millis: u64,
    ends_millis: u64,
    stamp: Stamp,
}

impl Moment {
    pub(super) fn of(quanta: Quanta, now: Running) -> Self {
        let begins_millis = quanta.count(now) * quanta.millis;
        Self { begins_millis, ends_millis: begins_millis + quanta.millis, stamp: quanta.stamp(now) }
    }

    /// The stamp for `now`, if this is its quantum.
    pub(crate) fn stamp(&self, now: Running) -> Option<Stamp> {
        (now.millis() >= self.begins_millis && now.millis() < self.ends_millis).then_some(self.stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_knows_its_quantum_and_no_other() {
        let quanta = Quanta::of_lifetime(Duration::from_secs(400));
        let moment = Moment::of(quanta, Running::from_millis(25_000));
        for millis in 0..50_000 {
            let now = Running::from_millis(millis);
            let expected = (20_000..30_000).contains(&millis).then(|| quanta.stamp(now));
            assert_eq!(moment.stamp(now), expected, "at {millis}");
        }
    }

    #[test]
    fn a_lifetime_is_forty_quanta_and_never_more() {
        let quanta = Quanta::of_lifetime(Duration::from_secs(45 * 60));
        assert_eq!(quanta.length(), Duration::from_millis(67_500));
        for start in [0, 1, 67_499, 67_500, 1_000_000_007] {
            let seen = quanta.stamp(Running::from_millis(start));
            let alive = |after| seen.age(quanta.stamp(Running::from_millis(start + after))) < LIFETIME_QUANTA;
            assert!(alive(45 * 60_000 - 67_500), "alive until the last quantum begins");
            assert!(!alive(45 * 60_000), "dead when the timeout is over");
        }
    }

    #[test]
    fn only_what_is_certainly_early_is_early() {
        let quanta = Quanta::of_lifetime(Duration::from_secs(400));
        // Seen in the last millisecond of one quantum and again in the first of the third after it: 20 s, and age 3.
        assert_eq!(quanta.rounded_down(Duration::from_secs(30)), 3);
        assert_eq!(quanta.rounded_down(Duration::from_secs(29)), 2);
        assert_eq!(quanta.rounded_up(Duration::from_secs(31)), 4);
    }
}
