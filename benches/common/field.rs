//! The field of a comparing bench: all contestants with the same peers, and the two tables of each measurement.

use std::time::Duration;

use super::arguments::Arguments;
use super::contestants::{Contestant, NAKODO};
use super::cores::Cores;
use super::mix::{Mix, Requests};
use super::program::Program;
use super::table::median;
use super::turn::{Turn, latencies, latency_table, lost, malformed, saturated, saturated_table};

/// Clients of one transport that measure a contestant.
pub(crate) trait Load: Sized {
    /// Difference between the clients of two measurements.
    type Way: Copy;

    /// Create clients of the contestant on `port`.
    ///
    /// # Errors
    /// When the contestant does not answer.
    fn connect(cores: Cores, port: u16, way: Self::Way) -> Result<Self, String>;

    /// Keep enough requests pending to saturate a tracker, for a time or until the requests run out.
    fn saturate(&mut self, requests: &mut impl Requests, time: Option<Duration>, of: &Program) -> Turn;

    /// Send requests at a rate, at random moments. Call `meanwhile` repeatedly.
    fn at_rate(
        &mut self,
        requests: &mut impl Requests,
        rate: (f64, Duration),
        of: &Program,
        meanwhile: &mut dyn FnMut(),
    ) -> Turn;

    /// Send each of these requests once, to store the peers in the tracker.
    ///
    /// # Errors
    /// When the tracker does not answer all of them.
    fn fill(&mut self, requests: &mut impl Requests, of: &Program) -> Result<(), String> {
        let Turn { asked, replies, malformed, lost, .. } = self.saturate(requests, None, of);
        (replies * 100 >= asked * 99).then_some(()).ok_or_else(|| {
            format!("of {asked} peers announced, {replies} were answered, {malformed} wrongly, {lost} not at all")
        })
    }

    /// Create clients of a contestant that is known to answer.
    fn of(cores: Cores, contestant: &Contestant, way: Self::Way) -> Self {
        Self::connect(cores, contestant.port, way).unwrap_or_else(|reason| panic!("{}", contestant.silent(&reason)))
    }
}

/// All contestants, with the same peers.
pub(crate) struct Field {
    pub(crate) cores: Cores,
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) mix: Mix,
    pub(crate) failures: Vec<String>,
}

impl Field {
    /// Create a field of `contestants`, which have the peers of `mix` already.
    pub(crate) fn new(cores: Cores, contestants: Vec<Contestant>, mix: Mix) -> Self {
        Self { cores, contestants, mix, failures: Vec::new() }
    }

    /// Announce the peers to another contestant, and let it take part.
    pub(crate) fn enter<L: Load>(&mut self, contestant: Contestant, way: L::Way, arguments: Arguments) {
        match L::connect(self.cores, contestant.port, way) {
            Ok(mut load) => {
                let filled = load.fill(&mut self.mix.each_once(arguments.fill), &contestant.program);
                self.failures.extend(filled.err().map(|reason| contestant.silent(&reason)));
                self.contestants.push(contestant);
            }
            Err(reason) => self.failures.push(contestant.silent(&reason)),
        }
    }

    /// Print the maximum rate of each contestant that `takes_part`, and return nakodo's replies a second.
    pub(crate) fn saturate<L: Load>(
        &mut self,
        way: L::Way,
        takes_part: fn(&Contestant) -> bool,
        arguments: Arguments,
    ) -> f64 {
        let rows = self.measure(takes_part, arguments, |cores, mix, contestant| {
            L::of(cores, contestant, way).saturate(mix, Some(arguments.turn), &contestant.program)
        });
        let mut table = saturated_table("saturated");
        for (number, turns) in &rows {
            let contestant = &self.contestants[*number];
            table.row(saturated(contestant, turns, &rows[0].1));
            self.failures.extend(malformed(&contestant.name, turns));
        }
        table.print();
        let (_, turns) = rows.iter().find(|(number, _)| self.contestants[*number].name == NAKODO).expect("nakodo");
        median(turns.iter().map(Turn::replies_a_second))
    }

    /// Print the latencies of the same contestants at half of nakodo's maximum rate.
    pub(crate) fn at_half<L: Load>(
        &mut self,
        way: L::Way,
        takes_part: fn(&Contestant) -> bool,
        per_second: f64,
        arguments: Arguments,
    ) {
        let rows = self.measure(takes_part, arguments, |cores, mix, contestant| {
            L::of(cores, contestant, way).at_rate(mix, (per_second, arguments.turn), &contestant.program, &mut || {})
        });
        let mut table = latency_table(per_second);
        for (number, turns) in &rows {
            let name = &self.contestants[*number].name;
            table.row(latencies(name, turns));
            self.failures.extend(malformed(name, turns));
            self.failures.extend(lost(name, turns).filter(|_| name == NAKODO));
        }
        table.print();
    }

    /// Measure the contestants in turns, and return the number of each with its turns.
    fn measure(
        &mut self,
        takes_part: fn(&Contestant) -> bool,
        arguments: Arguments,
        mut measure: impl FnMut(Cores, &mut Mix, &Contestant) -> Turn,
    ) -> Vec<(usize, Vec<Turn>)> {
        let Self { cores, contestants, mix, .. } = self;
        let mut rows: Vec<(usize, Vec<Turn>)> = (0..contestants.len())
            .filter(|number| takes_part(&contestants[*number]))
            .map(|n| (n, Vec::new()))
            .collect();
        for _ in 0..arguments.rounds {
            for (number, turns) in &mut rows {
                turns.push(measure(*cores, mix, &contestants[*number]));
            }
        }
        rows
    }
}
