//! `kill -9` at random moments while four writers change the whitelist. After each kill, one more start is killed as
//! well, and two starts are checked: every acknowledged change is present, and revoked entries are absent.
//!
//! `NAKODO_KILLS=1000 cargo test --release --test kills -- --nocapture` is the long run.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::process::{CONFIG, Daemon, Folder};
use nakodo::access::prefix;
use nakodo::api::{Allow, Revoke, Whitelist};
use nakodo::client::{self, Request};

/// Number of kills in a normal run.
const KILLS: u32 = 8;

/// Number of addresses for each list; about half of them are on it.
const SIZES: [u32; 4] = [6, 60, 600, 6000];

/// Number of concurrent writers. Each has its own addresses.
const WRITERS: usize = 4;

const CONFIGURATION: &str = "listen = [\"127.0.0.1:0\"]\n[access]\ncapacity = 8192\n";

/// The user of each address on the list. Every change has a different user.
type List = BTreeMap<String, String>;

/// Counter that provides a new user name for each change.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// A writer and its part of the list, as acknowledged.
#[derive(Default)]
struct Writer {
    list: List,
    /// The change that was pending when the tracker was killed: the address, and its user after the change.
    unsure: Option<(String, Option<String>)>,
    acknowledged: u64,
}

impl Writer {
    /// Make one change. Return whether it was acknowledged.
    fn change(&mut self, socket: &Path, address: String, rng: &mut fastrand::Rng) -> bool {
        let prefix = prefix::parse(&address).expect("an address");
        let is_removal = self.list.contains_key(&address) && rng.bool();
        let user = (!is_removal).then(|| CHANGES.fetch_add(1, Ordering::Relaxed).to_string());
        let request = match &user {
            None => Request::Revoke(Revoke::Prefix(prefix)),
            Some(user) => {
                let user = Some(user.clone());
                let allow = Allow { prefix, user, retire_after_seconds: None, until_unix: None, permanent: false };
                Request::Allow(allow)
            }
        };
        if client::ask(socket, &request, None).is_err() {
            self.unsure = Some((address, user));
            return false;
        }
        self.acknowledged += 1;
        match user {
            Some(user) => self.list.insert(address, user),
            None => self.list.remove(&address),
        };
        true
    }
}

/// A whitelist and its tracker, which is killed repeatedly during changes.
struct Subject<'f> {
    addresses: u32,
    folder: &'f Folder,
    writers: [Writer; WRITERS],
    starts: u64,
}

impl<'f> Subject<'f> {
    fn new(addresses: u32, folder: &'f Folder) -> Self {
        Daemon::configured(folder, CONFIGURATION).stop();
        Self { addresses, folder, writers: Default::default(), starts: 0 }
    }

    fn round(&mut self, rng: &mut fastrand::Rng) {
        let daemon = self.start("before the kill");
        let after = Duration::from_micros(rng.u64(0..200_000));
        self.write_until_killed(daemon, after, rng);
        self.start_and_kill(Duration::from_micros(rng.u64(0..20_000)));
        self.start("after the first restart").kill();
        let daemon = self.start("after the second restart");
        if rng.bool() { daemon.kill() } else { assert_eq!(daemon.stop().0, Some(0)) }
    }

    /// Let all writers make changes until the tracker is killed.
    fn write_until_killed(&mut self, daemon: Daemon<'_>, after: Duration, rng: &mut fastrand::Rng) {
        let (socket, addresses) = (self.folder.path("data/nakodo.sock"), self.addresses);
        let seeds: [u64; WRITERS] = std::array::from_fn(|_| rng.u64(..));
        thread::scope(|scope| {
            for ((number, writer), seed) in self.writers.iter_mut().enumerate().zip(seeds) {
                let (socket, mut rng) = (&socket, fastrand::Rng::with_seed(seed));
                scope.spawn(move || {
                    let mut address = || {
                        let own = rng.u32(0..addresses.div_ceil(WRITERS as u32)) * WRITERS as u32 + number as u32;
                        (format!("10.{}.{}.{}", own >> 16, own >> 8 & 255, own & 255), rng.fork())
                    };
                    loop {
                        let (address, mut rng) = address();
                        if !writer.change(socket, address, &mut rng) {
                            break;
                        }
                    }
                });
            }
            thread::sleep(after);
            daemon.kill();
        });
    }

    /// Start the tracker, and kill it at a random point of the start.
    fn start_and_kill(&mut self, after: Duration) {
        let mut command = self.folder.command(&["serve", CONFIG[0], CONFIG[1]]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary can be run");
        thread::sleep(after);
        child.kill().expect("the process exists");
        child.wait().expect("the process ends");
        self.starts += 1;
    }

    /// Start the tracker and compare the list with the acknowledged changes. The pending change may have been made or
    /// not; after this check its state must not change.
    fn start(&mut self, when: &str) -> Daemon<'f> {
        self.starts += 1;
        let daemon = Daemon::again(self.folder);
        let log = daemon.log();
        assert!(!log.iter().any(|line| line.contains("damaged")), "{when}: {log:?}");
        let socket = self.folder.path("data/nakodo.sock");
        let json = client::ask(&socket, &Request::List { json: true }, None).expect("the list");
        let found: List = serde_json::from_str::<Whitelist>(&json)
            .expect(&json)
            .entries
            .into_iter()
            .map(|entry| (entry.prefix.addr().to_string(), entry.user.unwrap_or_default()))
            .collect();
        for writer in &mut self.writers {
            if let Some((address, user)) = writer.unsure.take()
                && found.get(&address) == user.as_ref()
            {
                match user {
                    Some(user) => writer.list.insert(address, user),
                    None => writer.list.remove(&address),
                };
            }
        }
        let expected: List = self.writers.iter().flat_map(|writer| writer.list.clone()).collect();
        let lost: Vec<_> = expected.iter().filter(|(address, user)| found.get(*address) != Some(user)).collect();
        let back: Vec<_> = found.keys().filter(|address| !expected.contains_key(*address)).collect();
        assert!(lost.is_empty() && back.is_empty(), "{when}: lost {lost:?}, back {back:?}");
        daemon
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kills() {
    let kills = std::env::var("NAKODO_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let mut rng = fastrand::Rng::with_seed(u64::from(kills));
    let folders = SIZES.map(|_| Folder::new("kills"));
    let mut subjects: Vec<Subject<'_>> =
        SIZES.iter().zip(&folders).map(|(addresses, folder)| Subject::new(*addresses, folder)).collect();
    for kill in 0..kills as usize {
        subjects[kill % SIZES.len()].round(&mut rng);
    }
    let sum = |each: fn(&Subject<'_>) -> u64| subjects.iter().map(each).sum::<u64>();
    let acknowledged = sum(|subject| subject.writers.iter().map(|writer| writer.acknowledged).sum());
    let entries: Vec<usize> =
        subjects.iter().map(|subject| subject.writers.iter().map(|w| w.list.len()).sum()).collect();
    println!(
        "{kills} kills among {acknowledged} acknowledged changes, {} starts, lists of {entries:?} entries at the end: \
         0 changes lost, 0 revoked entries back",
        sum(|subject| subject.starts)
    );
    assert!(acknowledged > 0);
}
