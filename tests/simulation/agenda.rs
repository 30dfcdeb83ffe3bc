//! The queue of future events, and a network that loses, duplicates, delays and reorders packets.

use std::collections::BTreeMap;
use std::time::Duration;

use nakodo::clock::Running;

/// Events ordered by time; events at the same time are in the order of addition.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    due: BTreeMap<(Running, u64), T>,
    added: u64,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self { due: BTreeMap::new(), added: 0 }
    }

    pub(crate) fn add(&mut self, when: Running, event: T) {
        self.added += 1;
        self.due.insert((when, self.added), event);
    }

    pub(crate) fn next(&mut self) -> Option<(Running, T)> {
        self.due.pop_first().map(|((when, _), event)| (when, event))
    }
}

/// Behaviour of a network, in percent of the packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) lost: u32,
    pub(crate) doubled: u32,
    /// Delayed so long that later packets arrive earlier.
    pub(crate) held_up: u32,
}

impl Network {
    /// Return the delay of each copy of a datagram: no copy, one or two.
    pub(crate) fn deliveries(self, random: &mut fastrand::Rng) -> Vec<Duration> {
        if percent(random, self.lost) {
            return Vec::new();
        }
        let copies = if percent(random, self.doubled) { 2 } else { 1 };
        (0..copies).map(|_| self.delay(random)).collect()
    }

    pub(crate) fn delay(self, random: &mut fastrand::Rng) -> Duration {
        let most = if percent(random, self.held_up) { 40_000 } else { 400 };
        Duration::from_millis(random.u64(5..=most))
    }
}

pub(crate) fn percent(random: &mut fastrand::Rng, of_hundred: u32) -> bool {
    random.u32(..100) < of_hundred
}
