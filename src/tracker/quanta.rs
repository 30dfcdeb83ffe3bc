//! Time as the pool's records keep it: quanta, of which 6 bits are stored.
//!
//! A peer lives for [`LIFETIME_QUANTA`], which is `peer_timeout`; so its stamp tells its age to a fortieth of that. The
//! sweeper passes every line within [`SWEEP_QUANTA`]. Were a pass ever later than the 64 values of a stamp allow, a dead
//! peer would look alive again: see [`super::sweep`] for how that is prevented.

use core::time::Duration;

use super::line::Stamp;
use crate::clock::Running;

/// Quanta after which a peer that has not announced is dead.
pub(super) const LIFETIME_QUANTA: u8 = 40;

/// Quanta that one pass of the sweeper over all lines takes.
pub(super) const SWEEP_QUANTA: u64 = 2;

/// Quanta by which the sweeper may be late (the process was stopped, the machine slept) before stamps come round.
pub(super) const SLACK_QUANTA: u64 = Stamp::MODULUS - LIFETIME_QUANTA as u64 - 2 * SWEEP_QUANTA;

/// How long a quantum is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quanta {
    millis: u64,
}

impl Quanta {
    /// Divide `peer_timeout` into quanta.
    pub(super) fn of_lifetime(peer_timeout: Duration) -> Self {
        Self { millis: (peer_timeout.as_millis() as u64 / u64::from(LIFETIME_QUANTA)).max(1) }
    }

    /// Quanta since the tracker's first start.
    pub(super) const fn count(self, now: Running) -> u64 {
        now.millis() / self.millis
    }

    pub(super) const fn stamp(self, now: Running) -> Stamp {
        Stamp::of_quantum(self.count(now))
    }

    /// The quantum's length.
    pub(super) const fn length(self) -> Duration {
        Duration::from_millis(self.millis)
    }

    /// Whole quanta in `duration`, rounded up, and at most what a stamp can tell.
    pub(super) fn rounded_up(self, duration: Duration) -> u8 {
        (duration.as_millis() as u64).div_ceil(self.millis).min(Stamp::MODULUS) as u8
    }

    /// Is a record of this age certainly younger than `duration`? Its age is known to one quantum only.
    pub(super) fn surely_younger(self, age: u8, duration: Duration) -> bool {
        (u64::from(age) + 1) * self.millis <= duration.as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(quanta.surely_younger(2, Duration::from_secs(30)));
        assert!(!quanta.surely_younger(3, Duration::from_secs(30)));
        assert_eq!(quanta.rounded_up(Duration::from_secs(31)), 4);
    }
}
