//! What a contestant did in a turn, and the rows of the tables that come of several.

use std::time::Duration;

use super::contestants::Contestant;
use super::latency::Latency;
use super::program::{Program, Schedule};
use super::table::{Table, mebibytes, median, micros, thousands};

/// Of what nakodo is asked at half its rate, it may lose this share before the bench fails: the sockets hold what comes in
/// some milliseconds, and a virtual machine whose host takes its core away for a tenth of a second loses that much.
const LOST_AT_MOST: f64 = 0.2;

/// Where the tracker and the load waited for their cores for a larger share of the time, it is the machine that loses: then
/// nakodo only has to answer at all.
const WAITED_AT_MOST: f64 = 0.02;
const LOST_AT_MOST_IN_NOISE: f64 = 0.9;

/// Of what anybody answers, this share may not be what was asked for.
const MALFORMED_AT_MOST: f64 = 0.01;

/// A contestant's turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn {
    pub(crate) asked: u64,
    /// Right ones, and their octets.
    pub(crate) replies: u64,
    pub(crate) octets: u64,
    /// Not what was asked for, refusals among them.
    pub(crate) malformed: u64,
    pub(crate) lost: u64,
    pub(crate) elapsed: Duration,
    /// What the contestant's threads ran.
    pub(crate) run_nanos: u64,
    /// For how long they and the load waited for their cores, because something else had them.
    pub(crate) waited_nanos: u64,
    pub(crate) latency: Latency,
}

/// What the contestant and the load have run when a turn begins.
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
    /// The turn has ended: enter how long it took.
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

/// The table of what contestants reach. "Waited" is the share of the time in which the load, or a thread of the tracker,
/// could have run and did not: what other programs took, or one thread of the tracker from the other.
pub(crate) fn saturated_table(title: &str) -> Table {
    Table::new(&[
        title,
        "replies/s",
        "in ceilings",
        "CPU a reply",
        "in ceilings",
        "busy",
        "waited",
        "octets a reply",
        "lost",
        "RSS",
    ])
}

/// Medians of a contestant's turns, and of their ratios to those of the ceiling.
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

/// The table of how long replies take.
pub(crate) fn latency_table(per_second: f64) -> Table {
    let title = format!("at {} requests/s", thousands(per_second));
    Table::new(&[&title, "p50", "p99", "p99.9", "lost", "asked", "waited"])
}

/// Medians of what each turn's replies took.
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

/// That a contestant did not answer, or not what it was asked.
pub(crate) fn malformed(name: &str, turns: &[Turn]) -> Option<String> {
    let (malformed, replies) = (sum(turns, |turn| turn.malformed), sum(turns, |turn| turn.replies));
    (malformed as f64 > replies as f64 * MALFORMED_AT_MOST || replies == 0)
        .then(|| format!("{name}: {replies} right replies, and {malformed} that are not"))
}

/// That a contestant lost too much, in turns that the machine was quiet in, or most of what it was asked.
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
