//! The results of a contestant's turn, and the table rows computed from several turns.

use std::time::Duration;

use super::contestants::Contestant;
use super::latency::Latency;
use super::program::{Program, Schedule};
use super::table::{Table, mebibytes, median, micros, thousands};

/// Maximum share of requests that nakodo may lose at half its rate. The socket buffers hold only the requests of some
/// milliseconds, and a virtual machine loses this share if its host takes its core away for a tenth of a second.
const LOST_AT_MOST: f64 = 0.2;

/// Maximum share of the time that the tracker and the load wait for their cores in a valid turn. Above it, the machine
/// causes the losses, and nakodo only has to answer some of the requests.
const WAITED_AT_MOST: f64 = 0.02;
const LOST_AT_MOST_IN_NOISE: f64 = 0.9;

/// Maximum share of wrong replies of any contestant.
const MALFORMED_AT_MOST: f64 = 0.01;

/// Results of a contestant's turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn {
    pub(crate) asked: u64,
    /// Number of correct replies, and their total size in bytes.
    pub(crate) replies: u64,
    pub(crate) octets: u64,
    /// Number of wrong replies, including refusals.
    pub(crate) malformed: u64,
    pub(crate) lost: u64,
    pub(crate) elapsed: Duration,
    /// Run time of the contestant's threads.
    pub(crate) run_nanos: u64,
    /// Time that these threads and the load waited for cores that other work used.
    pub(crate) waited_nanos: u64,
    pub(crate) latency: Latency,
}

/// Run times of the contestant and of the load at the start of a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    contestant: Schedule,
    load: Schedule,
}

impl Before {
    pub(crate) fn turn_of(contestant: &Program) -> Self {
        Self { contestant: contestant.schedule(), load: Schedule::own() }
    }
}

impl Turn {
    /// Record the times at the end of the turn.
    pub(crate) fn end(&mut self, before: Before, contestant: &Program, elapsed: Duration) {
        let (ran, load) = (contestant.schedule().since(before.contestant), Schedule::own().since(before.load));
        self.elapsed = elapsed;
        self.run_nanos = ran.run_nanos;
        self.waited_nanos = ran.waited_nanos + load.waited_nanos;
    }

    pub(crate) fn replies_a_second(&self) -> f64 {
        self.replies as f64 / self.elapsed.as_secs_f64()
    }

    fn nanos_a_reply(&self) -> f64 {
        self.run_nanos as f64 / self.replies.max(1) as f64
    }

    fn octets_a_reply(&self) -> f64 {
        self.octets as f64 / self.replies.max(1) as f64
    }

    fn busy(&self) -> f64 {
        self.run_nanos as f64 / self.elapsed.as_nanos() as f64
    }

    fn waited(&self) -> f64 {
        self.waited_nanos as f64 / self.elapsed.as_nanos() as f64
    }
}

/// Create the table of the maximum rates. "Waited" is the share of the time in which the load, or a thread of the
/// tracker, was runnable but had no core, because another program or another thread of the tracker used it.
pub(crate) fn saturated_table(title: &str) -> Table {
    Table::new(&[
        title,
        "replies/s",
        "vs. ceiling",
        "CPU a reply",
        "vs. ceiling",
        "busy",
        "waited",
        "bytes a reply",
        "lost",
        "RSS",
    ])
}

/// Compute a row: medians of a contestant's turns, and medians of their ratios to the ceiling's turns.
pub(crate) fn saturated(contestant: &Contestant, turns: &[Turn], ceiling: &[Turn]) -> Vec<String> {
    let of = |measure: fn(&Turn) -> f64| median(turns.iter().map(measure));
    let in_ceilings =
        |measure: fn(&Turn) -> f64| median(turns.iter().zip(ceiling).map(|(own, top)| measure(own) / measure(top)));
    vec![
        contestant.name.clone(),
        thousands(of(Turn::replies_a_second)),
        format!("{:.2}", in_ceilings(Turn::replies_a_second)),
        format!("{} ns", thousands(of(Turn::nanos_a_reply))),
        format!("{:.2}", in_ceilings(Turn::nanos_a_reply)),
        percent(of(Turn::busy)),
        percent(of(Turn::waited)),
        format!("{:.0}", of(Turn::octets_a_reply)),
        sum(turns, |turn| turn.lost).to_string(),
        mebibytes(contestant.program.rss()),
    ]
}

/// Create the table of latencies.
pub(crate) fn latency_table(per_second: f64) -> Table {
    let title = format!("at {} requests/s", thousands(per_second));
    Table::new(&[&title, "p50", "p99", "p99.9", "lost", "asked", "waited"])
}

/// Compute a row: medians of the turns' latencies.
pub(crate) fn latencies(name: &str, turns: &[Turn]) -> Vec<String> {
    let quantile = |share: f64| {
        let seconds = median(turns.iter().map(|turn| turn.latency.quantile(share).as_secs_f64()));
        micros(Duration::from_secs_f64(seconds))
    };
    vec![
        name.to_owned(),
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        sum(turns, |turn| turn.lost).to_string(),
        thousands(sum(turns, |turn| turn.asked) as f64),
        percent(median(turns.iter().map(Turn::waited))),
    ]
}

/// Report a contestant that did not answer or sent too many wrong replies.
pub(crate) fn malformed(name: &str, turns: &[Turn]) -> Option<String> {
    let (malformed, replies) = (sum(turns, |turn| turn.malformed), sum(turns, |turn| turn.replies));
    (malformed as f64 > replies as f64 * MALFORMED_AT_MOST || replies == 0)
        .then(|| format!("{name}: {replies} correct replies and {malformed} wrong ones"))
}

/// Report a contestant that lost too many requests in the turns on a quiet machine, or most requests overall.
pub(crate) fn lost(name: &str, turns: &[Turn]) -> Option<String> {
    let quiet: Vec<Turn> = turns.iter().filter(|turn| turn.waited() <= WAITED_AT_MOST).cloned().collect();
    let too_much = |turns: &[Turn], at_most: f64| {
        let (lost, asked) = (sum(turns, |turn| turn.lost), sum(turns, |turn| turn.asked));
        (lost as f64 > asked as f64 * at_most).then(|| format!("{name} at half its rate: {lost} of {asked} lost"))
    };
    too_much(&quiet, LOST_AT_MOST).or_else(|| too_much(turns, LOST_AT_MOST_IN_NOISE))
}

fn sum(turns: &[Turn], of: fn(&Turn) -> u64) -> u64 {
    turns.iter().map(of).sum()
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
