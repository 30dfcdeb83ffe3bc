//! Announces, logins and refusals of the last hour and the last day, in a fixed number of steps.

use core::time::Duration;

use crate::clock::Running;

/// Number of steps of each scale. The last one is in progress.
pub const MINUTES: usize = 60;
/// See [`MINUTES`].
pub const QUARTERS: usize = 96;

/// Maximum number of series: the first two, and the refusals by counter.
pub const SERIES: usize = 24;

/// Names of the first two series.
pub const ANNOUNCES: &str = "announces";
/// See [`ANNOUNCES`].
pub const LOGINS: &str = "logins";

/// A scale: steps of one length, the oldest overwritten by the next.
#[derive(Debug)]
pub struct Scale<const STEPS: usize> {
    step: Duration,
    counts: Box<[[u32; STEPS]; SERIES]>,
    /// The step in progress.
    current: usize,
    /// End of the step in progress.
    ends: Running,
    /// Number of steps that have begun, at most all.
    begun: usize,
}

impl<const STEPS: usize> Scale<STEPS> {
    fn new(step: Duration, now: Running) -> Self {
        Self { step, counts: Box::new([[0; STEPS]; SERIES]), current: 0, ends: now.after(step), begun: 1 }
    }

    fn advance_to(&mut self, now: Running) {
        // After a long pause, one round clears all steps.
        for _ in 0..STEPS {
            if now < self.ends {
                return;
            }
            self.current = (self.current + 1) % STEPS;
            self.begun = (self.begun + 1).min(STEPS);
            self.ends = self.ends.after(self.step);
            for series in self.counts.iter_mut() {
                series[self.current] = 0;
            }
        }
        if now >= self.ends {
            self.ends = now.after(self.step);
        }
    }

    /// Return the length of a step.
    pub const fn step(&self) -> Duration {
        self.step
    }

    /// Return the counts of a series, oldest first; the last step is in progress.
    pub fn counts(&self, series: usize) -> impl Iterator<Item = u32> {
        let oldest = self.current + 1 + STEPS - self.begun;
        let counts = self.counts.get(series);
        (0..self.begun).map(move |step| counts.map_or(0, |counts| counts[(oldest + step) % STEPS]))
    }
}

/// The history of this run.
#[derive(Debug)]
pub struct History {
    names: heapless::Vec<&'static str, SERIES>,
    totals: [u64; SERIES],
    /// The last hour.
    pub hour: Scale<MINUTES>,
    /// The last day.
    pub day: Scale<QUARTERS>,
}

impl History {
    /// Begin at `now`, when all counters are zero.
    pub fn new(now: Running) -> Self {
        Self {
            names: heapless::Vec::new(),
            totals: [0; SERIES],
            hour: Scale::new(Duration::from_secs(60), now),
            day: Scale::new(Duration::from_secs(900), now),
        }
    }

    /// Add the growth of some counters since the last call. Each call passes the same ones in the same order; those that
    /// exceed [`SERIES`] are left out.
    pub fn add(&mut self, now: Running, counters: impl IntoIterator<Item = (&'static str, u64)>) {
        self.hour.advance_to(now);
        self.day.advance_to(now);
        for (series, (name, total)) in counters.into_iter().take(SERIES).enumerate() {
            if series == self.names.len() {
                // There is room: the series are no more than `SERIES`.
                let _ = self.names.push(name);
            }
            let grown = total.saturating_sub(self.totals[series]);
            self.totals[series] = total;
            let grown = u32::try_from(grown).unwrap_or(u32::MAX);
            for count in
                [&mut self.hour.counts[series][self.hour.current], &mut self.day.counts[series][self.day.current]]
            {
                *count = count.saturating_add(grown);
            }
        }
    }

    /// Return the names of the series.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Running {
        Running::from_seconds(seconds)
    }

    fn hour(history: &History, series: usize) -> Vec<u32> {
        history.hour.counts(series).collect()
    }

    #[test]
    fn each_step_has_the_growth_in_its_time() {
        let mut history = History::new(at(100));
        history.add(at(101), [("a", 3), ("b", 0)]);
        history.add(at(159), [("a", 5), ("b", 1)]);
        history.add(at(160), [("a", 9), ("b", 1)]);
        history.add(at(285), [("a", 10), ("b", 1)]);
        assert_eq!(history.names(), ["a", "b"]);
        assert_eq!(hour(&history, 0), [5, 4, 0, 1]);
        assert_eq!(hour(&history, 1), [1, 0, 0, 0]);
        assert_eq!(history.day.counts(0).collect::<Vec<_>>(), [10]);
    }

    #[test]
    fn old_steps_are_overwritten_and_a_long_pause_clears_them() {
        let mut history = History::new(at(0));
        for minute in 0..200 {
            history.add(at(minute * 60), [("a", minute)]);
        }
        let counts = hour(&history, 0);
        assert_eq!((counts.len(), counts.iter().sum::<u32>()), (MINUTES, MINUTES as u32));
        history.add(at(1_000_000), [("a", 205)]);
        let counts = hour(&history, 0);
        assert_eq!((counts.len(), counts.last(), counts.iter().sum::<u32>()), (MINUTES, Some(&6), 6));
        history.add(at(1_000_059), [("a", 206)]);
        assert_eq!(hour(&history, 0).last(), Some(&7), "the step lasts a minute from then on");
    }

    #[test]
    fn counts_do_not_wrap_and_further_series_are_left_out() {
        let mut history = History::new(at(0));
        history.add(at(1), (0..30).map(|_| ("many", u64::MAX)));
        assert_eq!(history.names().len(), SERIES);
        assert_eq!(hour(&history, SERIES - 1), [u32::MAX]);
        assert_eq!(hour(&history, SERIES), [0]);
    }
}
