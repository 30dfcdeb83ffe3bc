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
use common::contestants::Contestant;
use common::cores::Cores;
use common::field::{Field, Load};
use common::http::ceiling;
use common::http::load::{CONNECTIONS, Load as HttpLoad};
use common::mix::{Kind, Mix};

fn main() {
    ceiling::run_if_asked();
    let arguments = Arguments::or(5, 3.0, usize::MAX);
    let cores = Cores::choose();
    println!("announces to 100,000 torrents by Zipf's law, 50 peers wanted, {CONNECTIONS} at a time");
    let mut field = field(cores, arguments);
    for keep in [false, true] {
        println!("\n{}", if keep { "kept connections" } else { "a new connection for each announce" });
        let takes_part = if keep { keeps } else { |_: &Contestant| true };
        for contestant in field.contestants.iter().filter(|contestant| !takes_part(contestant)) {
            println!("{} closes every connection: left out", contestant.name);
        }
        let rate = field.saturate::<HttpLoad>(keep, takes_part, arguments);
        field.at_half::<HttpLoad>(keep, takes_part, rate / 2.0, arguments);
    }
    field.failures.iter().for_each(|failure| eprintln!("FAILED: {failure}"));
    let failed = !field.failures.is_empty();
    drop(field);
    process::exit(i32::from(failed));
}

/// Start all contestants and announce the peers. The ceiling's responses are as large as those of nakodo with all peers.
fn field(cores: Cores, arguments: Arguments) -> Field {
    let mut mix = Mix::new(Kind::Skewed, CONNECTIONS);
    let nakodo = Contestant::nakodo(cores, "");
    let mut load = HttpLoad::of(cores, &nakodo, true);
    load.fill(&mut mix.each_once(arguments.fill), &nakodo.program).expect("nakodo answers");
    let turn = load.saturate(&mut mix, Some(Duration::from_millis(500)), &nakodo.program);
    let octets = turn.octets / turn.replies.max(1);
    println!("responses have {octets} bytes");
    let ceiling = Contestant::ceiling(cores, ceiling::ARGUMENT, octets as usize);
    let others = [Contestant::aquatic_http(cores), Contestant::opentracker(cores, Kind::Skewed.torrents())];
    let mut field = Field::new(cores, vec![ceiling, nakodo], mix);
    for other in others.into_iter().flatten() {
        let keep = keeps(&other);
        field.enter::<HttpLoad>(other, keep, arguments);
    }
    field
}

/// opentracker closes every connection.
fn keeps(contestant: &Contestant) -> bool {
    contestant.name != "opentracker"
}
