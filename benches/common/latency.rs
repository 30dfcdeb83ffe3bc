//! Latencies of replies: a histogram in which the width of a bucket is 1/64 of its value.

use std::time::Duration;

const STEPS: usize = 64;

/// Histogram of durations in nanoseconds, by their highest seven bits.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: vec![0; STEPS * 60], count: 0 }
    }
}

impl Latency {
    pub(crate) fn record(&mut self, nanos: u64) {
        let exponent = (nanos | 1).ilog2().saturating_sub(STEPS.ilog2()) as usize;
        self.buckets[exponent * STEPS + (nanos >> exponent) as usize] += 1;
        self.count += 1;
    }

    /// Return the latency that `share` of all replies did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut left = (self.count as f64 * share).ceil() as u64;
        for (index, count) in self.buckets.iter().enumerate() {
            if *count >= left {
                let exponent = (index / STEPS).saturating_sub(1);
                return Duration::from_nanos(((index - exponent * STEPS) as u64 + 1) << exponent);
            }
            left -= count;
        }
        Duration::ZERO
    }
}
