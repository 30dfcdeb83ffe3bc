//! The command line of a bench: `cargo bench --bench udp -- --rounds 5 --seconds 3`.

use std::env;
use std::str::FromStr;
use std::time::Duration;

/// Length and amount of the measurements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments {
    /// Number of turns of each contestant.
    pub(crate) rounds: usize,
    /// Duration of a turn.
    pub(crate) turn: Duration,
    /// Maximum number of peers that are announced before the measurements.
    pub(crate) fill: usize,
}

impl Arguments {
    /// Read the command line; `rounds`, `seconds` and `fill` are the defaults.
    pub(crate) fn or(rounds: usize, seconds: f64, fill: usize) -> Self {
        Self {
            rounds: value("--rounds").unwrap_or(rounds).max(1),
            turn: Duration::from_secs_f64(value("--seconds").unwrap_or(seconds)),
            fill: value("--fill").unwrap_or(fill),
        }
    }
}

/// Return the value after the last `name` on the command line.
pub(crate) fn value<T: FromStr>(name: &str) -> Option<T> {
    let arguments: Vec<String> = env::args().collect();
    let at = arguments.iter().rposition(|argument| argument == name)?;
    let value = arguments.get(at + 1).and_then(|value| value.parse().ok());
    assert!(value.is_some(), "{name} takes a number");
    value
}
