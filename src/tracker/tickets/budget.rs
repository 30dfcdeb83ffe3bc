//! Limits of the time for signatures: a verification takes a small board some milliseconds.

use core::net::IpAddr;
use core::time::Duration;

use crate::clock::Running;
use crate::hash_key::HashKey;

/// Number of verifications a second, averaged. At 5 ms each, they take a twentieth of the core.
const PER_SECOND: u64 = 10;

/// Number of verifications at once.
const AT_ONCE: u64 = 5;

/// Time after a failed verification in which its address gets no other one.
const AFTER_A_FAILURE: Duration = Duration::from_secs(10);

/// Number of addresses whose failures are remembered.
const FAILURES: usize = 256;

/// The time that is left for signatures, and the addresses that wasted some.
#[derive(Debug)]
pub(super) struct Budget {
    key: HashKey,
    /// Number of verifications left, in thousandths, at the time `counted`.
    left_thousandths: u64,
    counted: Running,
    /// Time of the last failure of each address with the same hash, modulo the length. Two addresses may share a place.
    failures: Box<[Option<Running>]>,
}

impl Budget {
    pub(super) fn new(key: HashKey) -> Self {
        Self {
            key,
            left_thousandths: AT_ONCE * 1000,
            counted: Running::default(),
            failures: vec![None; FAILURES].into_boxed_slice(),
        }
    }

    /// Take a verification for `address`, if there is one.
    pub(super) fn take(&mut self, address: IpAddr, now: Running) -> bool {
        let place = self.place(address);
        if self.failures[place].is_some_and(|failed| now.since(failed) < AFTER_A_FAILURE) {
            return false;
        }
        let gained = now.since(self.counted).as_millis().min(10_000) as u64 * PER_SECOND;
        self.counted = self.counted.max(now);
        self.left_thousandths = (self.left_thousandths + gained).min(AT_ONCE * 1000);
        match self.left_thousandths.checked_sub(1000) {
            None => false,
            Some(left) => {
                self.left_thousandths = left;
                true
            }
        }
    }

    /// Note that a verification for `address` has failed.
    pub(super) fn failed(&mut self, address: IpAddr, now: Running) {
        let place = self.place(address);
        self.failures[place] = Some(now);
    }

    /// Return the place of an address. An IPv6 host has all addresses of its /64.
    fn place(&self, address: IpAddr) -> usize {
        let hash = match address {
            IpAddr::V4(v4) => self.key.hash(&v4.octets()),
            IpAddr::V6(v6) => self.key.hash(&v6.octets()[..8]),
        };
        hash as usize % FAILURES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifications_are_few_and_a_failure_costs_ten_seconds() {
        let mut budget = Budget::new(HashKey(1, 2));
        let address = |number: u32| IpAddr::from(number.to_be_bytes());
        let mut now = Running::from_seconds(1);
        let taken = (0..100).filter(|number| budget.take(address(*number), now)).count();
        assert_eq!(taken as u64, AT_ONCE);
        let mut taken = 0;
        for millis in 0..10_000 {
            now = Running::from_millis(1000 + millis);
            taken += u64::from(budget.take(address(millis as u32), now));
        }
        assert!((99..=101).contains(&taken), "{taken} in 10 s");
        budget.failed(address(7), now);
        let later = |seconds| now.after(Duration::from_secs(seconds));
        assert!(!budget.take(address(7), later(9)));
        assert!(budget.take(address(7), later(10)));
        let v6 = |text: &str| text.parse::<IpAddr>().expect(text);
        budget.failed(v6("2001:db8::1"), later(20));
        assert!(!budget.take(v6("2001:db8::2"), later(25)), "the same /64");
        assert!(budget.take(v6("2001:db8:0:1::1"), later(25)));
    }
}
