//! `nakodo status --watch`: the state of the tracker, again and again, with the rates of its counters.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::exchange::exchange;
use super::fields::Fields;
use super::show;
use crate::api;
use crate::exit::Failure;

/// Time between two states.
const EVERY: Duration = Duration::from_secs(2);

/// The state at an earlier time, for the rates.
#[derive(Debug)]
struct Earlier {
    status: Value,
    at: Instant,
}

/// Pass the state of the tracker that listens on `socket` to `show`, until that returns false. While the tracker does not
/// run, pass the reason.
pub fn watch(socket: &Path, mut show: impl FnMut(&str) -> bool) {
    let mut earlier = None;
    while show(&look(socket, &mut earlier).unwrap_or_else(|failure| format!("{}\n", failure.message))) {
        thread::sleep(EVERY);
    }
}

fn look(socket: &Path, earlier: &mut Option<Earlier>) -> Result<String, Failure> {
    let at = Instant::now();
    let answer = exchange(socket, "GET", api::STATUS, "")?;
    let status: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let fields = Fields::of(&status)?;
    let before = earlier.as_ref().and_then(|earlier| Some((Fields::of(&earlier.status).ok()?, at - earlier.at)));
    // After a restart the counters begin anew.
    let before = before.filter(|(before, _)| before.number("uptime_seconds") <= fields.number("uptime_seconds"));
    let text = show::status_with_rates(fields, before);
    *earlier = Some(Earlier { status, at });
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counters_have_rates_and_those_of_zero_are_left_out() {
        let status =
            |announces: u64| json!({"counters": {"announces_udp": announces, "scrapes_udp": 3, "udp_malformed": 0}});
        let (before, now) = (status(100), status(105));
        let fields = |status| Fields::of(status).expect("an object");
        let text = show::status_with_rates(fields(&now), Some((fields(&before), Duration::from_secs(2))));
        assert!(text.contains("announces\n") && text.contains("  105  2.5/s\n"), "{text}");
        assert!(text.contains("  3\n") && !text.contains("malformed"), "{text}");
        let first = show::status_with_rates(fields(&now), None);
        assert!(first.contains("  105\n"), "{first}");
    }

    #[test]
    fn a_tracker_that_does_not_run_is_a_line_and_no_end() {
        let mut shown = Vec::new();
        watch(Path::new("/nonexistent/nakodo.sock"), |text| {
            shown.push(text.to_owned());
            false
        });
        assert!(shown.len() == 1 && shown[0].starts_with("nakodo is not running"), "{shown:?}");
    }
}
