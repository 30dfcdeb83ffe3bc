//! The cost of the page and of the metrics for the peers: `cargo bench --bench watched`. The defaults are
//! `-- --rounds 6 --seconds 10`.
//!
//! One tracker answers announces over UDP, in turns: alone, and while a program asks as the open page does and scrapes the
//! metrics each second. Quote the ratios; the turns are side by side.

#![allow(clippy::panic, reason = "a bench that cannot continue panics with the reason")]

mod common;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::arguments::Arguments;
use common::contestants::Contestant;
use common::cores::Cores;
use common::field::Load as _;
use common::mix::{Kind, Mix};
use common::table::median;
use common::turn::Turn;
use common::udp::ceiling;
use common::udp::load::{Load, SOCKETS};

/// The requests of the open page: the status every two seconds, the lists and the plots every ten.
const EACH_SECOND: [&str; 1] = ["/metrics"];
const EVERY_TWO: [&str; 1] = ["/v1/status"];
const EVERY_TEN: [&str; 8] = [
    "/v1/whitelist?limit=50",
    "/v1/explain/127.0.0.1",
    "/v1/explain/127.0.0.2",
    "/v1/explain/203.0.113.7",
    "/v1/explain/2001:db8::7",
    "/v1/refused",
    "/v1/swarms?limit=200",
    "/v1/history",
];

fn main() {
    ceiling::run_if_asked();
    let arguments = Arguments::or(6, 10.0, 100_000);
    let cores = Cores::choose();
    let mut mix = Mix::new(Kind::Skewed, SOCKETS);
    let nakodo = Contestant::nakodo(cores, "");
    Load::of(cores, &nakodo, 0).fill(&mut mix.each_once(arguments.fill), &nakodo.program).expect("nakodo answers");
    let mut saturated = [Vec::new(), Vec::new()];
    let mut at_half = [Vec::new(), Vec::new()];
    let alone_rss = nakodo.program.rss();
    let watcher = Watcher::start(nakodo.control_socket());
    thread::sleep(Duration::from_millis(10_500));
    watcher.stop();
    println!("resident memory, watched for ten seconds: {} KiB more", (nakodo.program.rss() - alone_rss) / 1024);
    for round in 0..arguments.rounds {
        // Alternate which comes first, so that a drift of the machine favours neither.
        for order in 0..2 {
            let watched = (round + order) % 2;
            let watcher = (watched == 1).then(|| Watcher::start(nakodo.control_socket()));
            let turn = Load::of(cores, &nakodo, 0).saturate(&mut mix, Some(arguments.turn), &nakodo.program);
            let rate = turn.replies_a_second() / 2.0;
            saturated[watched].push(turn);
            let half = (rate, arguments.turn);
            at_half[watched].push(Load::of(cores, &nakodo, 0).at_rate(&mut mix, half, &nakodo.program, &mut || {}));
            if let Some(watcher) = watcher {
                watcher.stop();
            }
        }
    }
    let rate = |turns: &[Turn]| median(turns.iter().map(Turn::replies_a_second));
    let late = |turns: &[Turn]| median(turns.iter().map(|turn| turn.latency.quantile(0.999).as_secs_f64()));
    println!("replies a second, watched relative to alone: {:.3}", rate(&saturated[1]) / rate(&saturated[0]));
    println!(
        "p99.9 at half the rate, watched relative to alone: {:.3} ({:.0} and {:.0} µs)",
        late(&at_half[1]) / late(&at_half[0]),
        late(&at_half[1]) * 1e6,
        late(&at_half[0]) * 1e6
    );
}

/// A thread that asks as the open page and a scraper do.
struct Watcher {
    ends: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Watcher {
    /// Start one. Its first second has all requests.
    fn start(socket: PathBuf) -> Self {
        let (ends, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stop, count) = (Arc::clone(&ends), Arc::clone(&answered));
        let thread = thread::spawn(move || {
            // An open page also listens to events.
            let _events = ask(&socket, "/v1/events");
            for second in 0.. {
                let begin = Instant::now();
                let of = |every: u32, paths: &'static [&'static str]| {
                    if u32::is_multiple_of(second, every) { paths } else { &[] }
                };
                let paths = of(1, &EACH_SECOND).iter().chain(of(2, &EVERY_TWO)).chain(of(10, &EVERY_TEN));
                for path in paths {
                    let mut answer = String::new();
                    ask(&socket, path).read_to_string(&mut answer).expect("an answer");
                    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{path}: {answer}");
                    count.fetch_add(1, Ordering::Relaxed);
                }
                while begin.elapsed() < Duration::from_secs(1) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    thread::sleep(Duration::from_millis(10));
                }
            }
        });
        Self { ends, answered, thread }
    }

    fn stop(self) {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watcher");
        assert!(self.answered.load(Ordering::Relaxed) >= 10, "the first second has all requests");
    }
}

fn ask(socket: &Path, path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("the tracker listens");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: n\r\n\r\n").as_bytes()).expect("a request");
    stream
}
