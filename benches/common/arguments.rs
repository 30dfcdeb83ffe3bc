//! The command line of a bench: `cargo bench --bench udp -- --rounds 5 --seconds 3`.

use std::env;
use std::str::FromStr;
use std::time::Duration;

/// How long and how much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments {
    /// How often each contestant has its turn.
    pub(crate) rounds: usize,
    /// How long a turn takes.
    pub(crate) turn: Duration,
    /// Peers that are announced before anything is measured, at most.
    pub(crate) fill: usize,
}

impl Arguments {
    /// Those of this process, where `rounds`, `seconds` and `fill` are not given.
    pub(crate) fn or(rounds: usize, seconds: f64, fill: usize) -> Self {
        Self {
            rounds: value("--rounds").unwrap_or(rounds).max(1),
            turn: Duration::from_secs_f64(value("--seconds").unwrap_or(seconds)),
            fill: value("--fill").unwrap_or(fill),
        }
    }
}

/// What stands after the last `name` on the command line.
pub(crate) fn value<T: FromStr>(name: &str) -> Option<T> {
    let arguments: Vec<String> = env::args().collect();
    let at = arguments.iter().rposition(|argument| argument == name)?;
    let value = arguments.get(at + 1).and_then(|value| value.parse().ok());
    assert!(value.is_some(), "{name} takes a number");
    value
}
