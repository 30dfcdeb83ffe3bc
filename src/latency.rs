//! The time that requests spend in the tracker, as a histogram.
//!
//! A turn of the server answers a batch of requests. Its length is measured once and counted for each of them, so the clock
//! is read once a turn and not once a request. No request was in the tracker for longer than its turn.

use core::time::Duration;

/// Upper limits of the buckets in microseconds: powers of four.
pub const LIMITS_MICROSECONDS: [u64; 8] = [16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144];

/// The histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Number of requests in each bucket, without those of the buckets before it. The last one has no limit.
    pub buckets: [u64; LIMITS_MICROSECONDS.len() + 1],
    /// Sum over all requests, in nanoseconds.
    pub sum_nanoseconds: u64,
}

impl Latency {
    /// Count the requests of a turn.
    pub fn add(&mut self, requests: u64, turn: Duration) {
        let limit = LIMITS_MICROSECONDS.partition_point(|limit| turn > Duration::from_micros(*limit));
        self.buckets[limit] += requests;
        let nanoseconds = u64::try_from(turn.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanoseconds = self.sum_nanoseconds.saturating_add(nanoseconds.saturating_mul(requests));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_of_a_turn_is_in_the_bucket_of_its_length() {
        let mut latency = Latency::default();
        for (requests, microseconds, bucket) in
            [(3, 0, 0), (1, 16, 0), (2, 17, 1), (5, 262_144, 7), (4, 262_145, 8), (1, u64::MAX / 1000, 8)]
        {
            let before = latency.buckets[bucket];
            latency.add(requests, Duration::from_micros(microseconds));
            assert_eq!(latency.buckets[bucket], before + requests, "{microseconds}");
        }
        assert_eq!(latency.buckets.iter().sum::<u64>(), 16);
        let mut latency = Latency::default();
        latency.add(2, Duration::from_micros(10));
        assert_eq!(latency.sum_nanoseconds, 20_000);
    }
}
