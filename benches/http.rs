//! The cost of an announce over HTTP, compared with other trackers and with the cost of the system itself:
//! `cargo bench --bench http`. The defaults are `-- --rounds 5 --seconds 3 --fill 1000000`.
//!
//! It measures a new connection for each announce, as clients use it, and kept connections. aquatic_http and
//! opentracker take part if they are on the PATH. Quote the CPU a reply relative to the ceiling, a program that answers
//! any request with fixed bytes and so measures the cost of the system's calls.

#![allow(clippy::panic, reason = "a bench that cannot continue panics with the reason")]

mod common;

use std::process;
use std::time::Duration;

use common::arguments::Arguments;
use common::contestants::{Contestant, NAKODO};
use common::cores::Cores;
use common::http::ceiling;
use common::http::load::{CONNECTIONS, Load};
use common::mix::{Kind, Mix};
use common::table::median;
use common::turn::{Turn, latencies, latency_table, lost, malformed, saturated, saturated_table};

fn main() {
    ceiling::run_if_asked();
    let arguments = Arguments::or(5, 3.0, usize::MAX);
    let cores = Cores::choose();
    println!("announces to 100,000 torrents by Zipf's law, 50 peers wanted, {CONNECTIONS} at a time");
    let mut field = Field::enter(cores, arguments);
    for keep in [false, true] {
        println!("\n{}", if keep { "kept connections" } else { "a new connection for each announce" });
        let rate = field.saturate(keep, arguments);
        field.at_half(keep, rate / 2.0, arguments);
    }
    field.failures.iter().for_each(|failure| eprintln!("FAILED: {failure}"));
    let failed = !field.failures.is_empty();
    drop(field);
    process::exit(i32::from(failed));
}

/// All contestants, with the same peers.
struct Field {
    cores: Cores,
    contestants: Vec<Contestant>,
    mix: Mix,
    failures: Vec<String>,
}

impl Field {
    /// Start all contestants and announce the peers. The ceiling's responses are as large as those of nakodo with all
    /// peers.
    fn enter(cores: Cores, arguments: Arguments) -> Self {
        let mut mix = Mix::new(Kind::Skewed, CONNECTIONS);
        let nakodo = Contestant::nakodo(cores, "");
        let mut load = load(cores, &nakodo, true);
        load.fill(&mut mix.each_once(arguments.fill), &nakodo.program).expect("nakodo answers");
        let turn = load.saturate(&mut mix, Some(Duration::from_millis(500)), &nakodo.program);
        let octets = turn.octets / turn.replies.max(1);
        println!("responses have {octets} bytes");
        let ceiling = Contestant::ceiling(cores, ceiling::ARGUMENT, octets as usize);
        let others = [Contestant::aquatic_http(cores), Contestant::opentracker(cores, Kind::Skewed.torrents())];
        let mut field = Self { cores, contestants: vec![ceiling, nakodo], mix, failures: Vec::new() };
        for other in others.into_iter().flatten() {
            match Load::connect(cores, other.port, keeps(&other)) {
                Ok(mut load) => {
                    let filled = load.fill(&mut field.mix.each_once(arguments.fill), &other.program);
                    field.failures.extend(filled.err().map(|reason| other.silent(&reason)));
                    field.contestants.push(other);
                }
                Err(reason) => field.failures.push(other.silent(&reason)),
            }
        }
        field
    }

    /// Print the maximum rate of each contestant, and return nakodo's responses a second.
    fn saturate(&mut self, keep: bool, arguments: Arguments) -> f64 {
        let Self { cores, contestants, mix, failures } = self;
        for contestant in contestants.iter().filter(|contestant| keep && !keeps(contestant)) {
            println!("{} closes every connection: left out", contestant.name);
        }
        let mut rows = taking_part(contestants, keep);
        for _ in 0..arguments.rounds {
            for (contestant, turns) in &mut rows {
                let mut load = load(*cores, contestant, keep);
                turns.push(load.saturate(mix, Some(arguments.turn), &contestant.program));
            }
        }
        let mut table = saturated_table("saturated");
        for (contestant, turns) in &rows {
            table.row(saturated(contestant, turns, &rows[0].1));
            failures.extend(malformed(&contestant.name, turns));
        }
        table.print();
        let (_, turns) = rows.iter().find(|(contestant, _)| contestant.name == NAKODO).expect("nakodo");
        median(turns.iter().map(Turn::replies_a_second))
    }

    /// Print the latencies of all contestants at half of nakodo's maximum rate.
    fn at_half(&mut self, keep: bool, per_second: f64, arguments: Arguments) {
        let Self { cores, contestants, mix, failures } = self;
        let mut rows = taking_part(contestants, keep);
        for _ in 0..arguments.rounds {
            for (contestant, turns) in &mut rows {
                let mut load = load(*cores, contestant, keep);
                turns.push(load.at_rate(mix, (per_second, arguments.turn), &contestant.program));
            }
        }
        let mut table = latency_table(per_second);
        for (Contestant { name, .. }, turns) in &rows {
            table.row(latencies(name, turns));
            failures.extend(malformed(name, turns));
            failures.extend(lost(name, turns).filter(|_| name == NAKODO));
        }
        table.print();
    }
}

/// Select the contestants of a table, each with an empty list of turns. With kept connections, leave out those that
/// close every connection.
fn taking_part(contestants: &[Contestant], keep: bool) -> Vec<(&Contestant, Vec<Turn>)> {
    contestants
        .iter()
        .filter(|contestant| !keep || keeps(contestant))
        .map(|contestant| (contestant, Vec::new()))
        .collect()
}

/// opentracker closes every connection.
fn keeps(contestant: &Contestant) -> bool {
    contestant.name != "opentracker"
}

fn load(cores: Cores, contestant: &Contestant, keep: bool) -> Load {
    Load::connect(cores, contestant.port, keep).unwrap_or_else(|reason| panic!("{}", contestant.silent(&reason)))
}
