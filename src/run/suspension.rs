//! Suspension of the system: connection ids that were issued before it end with it.
//!
//! The running clock does not advance meanwhile, so that no whitelist entry becomes idle. A connection id would not age
//! either, and would be valid for hours or days.

use core::time::Duration;

use log::{info, warn};

use crate::shared::Shared;
use crate::system_clock;
use crate::tracker::HashKey;

/// Shortest suspension that counts. A shorter one leaves an id valid for less than the five minutes of rule 13.
const LEAST: Duration = Duration::from_secs(60);

/// The time for which the system was suspended until the last look.
pub(super) struct Suspension(Duration);

impl Suspension {
    pub(super) fn new() -> Self {
        Self(system_clock::suspended())
    }

    /// Invalidate all connection ids if the system was suspended since the last look.
    pub(super) fn look(&mut self, shared: &Shared) {
        let Some(lasted) = self.ended(system_clock::suspended()) else { return };
        info!("the system was suspended for {} s; UDP clients connect again", lasted.as_secs());
        match random_key() {
            Ok(key) => shared.tracker.borrow_mut().renew_connection_ids(key),
            Err(error) => warn!("connection ids from before the suspension stay valid: {error}"),
        }
    }

    /// Return the duration of a suspension that has ended, given the total of all.
    fn ended(&mut self, total: Duration) -> Option<Duration> {
        let lasted = total.saturating_sub(self.0);
        if lasted < LEAST {
            return None;
        }
        self.0 = total;
        Some(lasted)
    }
}

/// Return a secret key.
///
/// # Errors
/// When the system has no random numbers.
pub(super) fn random_key() -> Result<HashKey, getrandom::Error> {
    Ok(HashKey(getrandom::u64()?, getrandom::u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_suspension_of_a_minute_counts_once() {
        let seconds = Duration::from_secs;
        let mut suspension = Suspension(seconds(1000));
        // The two clocks are read one after the other, so their difference varies.
        for total in [1000, 1001, 999, 1059] {
            assert_eq!(suspension.ended(seconds(total)), None, "{total}");
        }
        assert_eq!(suspension.ended(seconds(1060)), Some(seconds(60)));
        assert_eq!(suspension.ended(seconds(1060)), None);
        assert_eq!(suspension.ended(seconds(9060)), Some(seconds(8000)));
    }
}
