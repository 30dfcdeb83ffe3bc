//! Tests with real files, and with processes that crash.

#![allow(clippy::panic)] // The helper functions panic on failure.

mod failing_disk;
mod faults;
mod formats;
mod removed;
mod restarts;
mod wear;

use std::fs::File;
use std::process::{Command, Output};

use super::*;
use crate::access::{Retire, User, prefix};
use crate::clock::UnixSeconds;
use crate::testing::{self, TempDir};

impl TempDir {
    fn db(&self) -> PathBuf {
        self.file("whitelist/db")
    }
}

fn entry(text: &str) -> Entry {
    Entry { last_seen: Running::from_seconds(5), ..Entry::new(prefix::parse(text).expect(text)) }
}

/// Return the entry with this number. Different numbers give different entries.
fn numbered(number: u32) -> Entry {
    let octets = number.to_be_bytes();
    let text = if number.is_multiple_of(3) {
        format!("2001:db8:{:x}:{:x}::/64", number >> 16, number & 0xffff)
    } else {
        format!("10.{}.{}.{}", octets[1], octets[2], octets[3])
    };
    Entry {
        user: User::try_from(format!("user {number}").as_str()).expect("a short name"),
        retire: [Retire::Default, Retire::After(number), Retire::Never][number as usize % 3],
        until: number.is_multiple_of(2).then_some(UnixSeconds(1_793_491_200 + u64::from(number))),
        last_seen: Running::from_seconds(u64::from(number)),
        ..entry(&text)
    }
}

/// Open the store. The library's threads keep the file open, and so locked, for a moment after the database is dropped.
#[track_caller]
fn open(dir: &TempDir) -> Opened {
    for _ in 0..200 {
        match Store::open(dir.path()) {
            Ok(opened) => return opened,
            Err(OpenError::Unusable(error)) if error.cause.contains("acquire lock") => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the lock was not released");
}

fn put(store: &Store, entry: &Entry) {
    smol::block_on(store.put(vec![entry.clone()])).expect("on the disk");
}

fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(|entry| entry.prefix);
    entries
}

/// Run the test `child_process` in a process of its own. It follows `order`, and may crash.
fn child(dir: &TempDir, order: &str) -> Output {
    child_command(dir, order).output().expect("a process")
}

fn child_command(dir: &TempDir, order: &str) -> Command {
    let mut command = testing::this_program();
    command
        .args(["--exact", "store::tests::child_process", "--nocapture", "--test-threads=1"])
        .env("NAKODO_TEST_STORE", dir.path())
        .env("NAKODO_TEST_ORDER", order);
    command
}

/// Not a real test: the code of `child`. Without an order it does nothing.
#[test]
fn child_process() {
    let (Ok(path), Ok(order)) = (std::env::var("NAKODO_TEST_STORE"), std::env::var("NAKODO_TEST_ORDER")) else {
        return;
    };
    let opened = match Store::open(Path::new(&path)) {
        Ok(opened) => opened,
        Err(error) => {
            println!("ERROR {error}");
            return;
        }
    };
    println!("ENTRIES {}", opened.entries.len());
    println!("ASIDE {}", opened.moved_aside.is_some());
    println!("RECOVERED {}", opened.store.health().recovered.is_some());
    if order == "put and die" {
        (1000..1100).for_each(|number| put(&opened.store, &numbered(number)));
        smol::block_on(opened.store.remove(&[numbered(1099).prefix])).expect("on the disk");
        std::process::abort();
    }
}

/// Return the text that a child printed after `word`.
fn said(output: &Output, word: &str) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    // The test harness prints the name of the test on the same line.
    text.lines().find_map(|line| Some(line.split_once(word)?.1.trim().to_owned()))
}

fn fill(dir: &TempDir, count: u32) -> Vec<Entry> {
    let opened = open(dir);
    let entries: Vec<Entry> = (0..count).map(numbered).collect();
    entries.iter().for_each(|entry| put(&opened.store, entry));
    sorted(entries)
}

#[test]
fn stored_entries_survive_a_restart() {
    let dir = TempDir::new();
    let opened = open(&dir);
    assert_eq!((opened.entries.len(), opened.running, opened.moved_aside), (0, Running::default(), None));
    let entries: Vec<Entry> = (0..40).map(numbered).collect();
    entries.iter().for_each(|entry| put(&opened.store, entry));
    let replaced = Entry { user: User::new(), ..numbered(7) };
    put(&opened.store, &replaced);
    smol::block_on(opened.store.remove(&[
        numbered(3).prefix,
        numbered(4).prefix,
        numbered(4).prefix,
        numbered(99).prefix,
    ]))
    .expect("on the disk");
    smol::block_on(opened.store.remove(&[])).expect("nothing to do");
    drop(opened.store);

    let expected: Vec<Entry> = (0..40).filter(|number| !matches!(number, 3 | 4)).map(numbered).collect();
    let expected =
        expected.into_iter().map(|entry| if entry.prefix == replaced.prefix { replaced.clone() } else { entry });
    let opened = open(&dir);
    assert_eq!(sorted(opened.entries), sorted(expected.collect()));
    assert_eq!((opened.moved_aside, opened.unreadable_records), (None, 0));
    assert!(!dir.file("opening-panics").exists());
}

#[test]
fn acknowledged_changes_survive_a_crash() {
    let dir = TempDir::new();
    let before = fill(&dir, 20);
    let died = child(&dir, "put and die");
    assert!(!died.status.success());
    assert_eq!(said(&died, "ENTRIES").as_deref(), Some("20"));
    let opened = open(&dir);
    let expected = [before, (1000..1099).map(numbered).collect()].concat();
    assert_eq!(sorted(opened.entries), sorted(expected));
    assert_eq!(opened.moved_aside, None);
}

#[test]
fn a_thousand_entries_need_no_blobs() {
    let dir = TempDir::new();
    let opened = open(&dir);
    let entries: Vec<Entry> = (0..1000).map(numbered).collect();
    smol::block_on(async {
        for entry in &entries {
            opened.store.put(vec![entry.clone()]).await.expect("on the disk");
        }
    });
    drop(opened.store);
    assert_eq!(fs::read_dir(dir.file("whitelist/blobs")).expect("a folder").count(), 0, "they would not be synced");
    assert_eq!(sorted(open(&dir).entries), sorted(entries));
}

#[test]
fn a_second_tracker_on_the_directory_is_refused_and_harms_nothing() {
    let dir = TempDir::new();
    fill(&dir, 3);
    let first = open(&dir);
    let error = Store::open(dir.path()).expect_err("it is in use");
    assert!(matches!(error, OpenError::InUse(_)));
    assert!(error.to_string().starts_with("another nakodo is running on /"), "{error}");
    for _ in 0..3 {
        let other = child(&dir, "open");
        assert!(said(&other, "ERROR").is_some_and(|error| error.starts_with("another nakodo is running on")));
    }
    put(&first.store, &numbered(3));
    drop(first);
    let opened = open(&dir);
    assert_eq!((opened.entries.len(), opened.moved_aside), (4, None));
}

#[test]
fn the_error_for_an_unusable_directory_names_it() {
    let dir = TempDir::new();
    fs::write(dir.file("file"), "").expect("a file");
    let error = Store::open(&dir.file("file/data")).expect_err("there is a file in the way").to_string();
    assert!(error.starts_with("cannot create the data directory /") && error.contains("--data-dir"), "{error}");
}

#[test]
fn idle_times_and_the_running_clock_are_saved_in_batches() {
    let dir = TempDir::new();
    let opened = open(&dir);
    (0..3).for_each(|number| put(&opened.store, &Entry { last_seen: Running::default(), ..numbered(number) }));
    smol::block_on(opened.store.remove(&[numbered(2).prefix])).expect("on the disk");
    let hour = Running::from_seconds(3600);
    let moved = [1, 2].map(|number| Seen { prefix: numbered(number).prefix, last_seen: hour });
    smol::block_on(opened.store.save(hour, moved.to_vec())).expect("on the disk");
    drop(opened.store);
    let opened = open(&dir);
    assert_eq!(opened.running, hour);
    let expected = [Entry { last_seen: Running::default(), ..numbered(0) }, Entry { last_seen: hour, ..numbered(1) }];
    assert_eq!(sorted(opened.entries), sorted(expected.to_vec()), "the one that was removed stays removed");

    // A clock that goes back is an error of the caller. It must change neither the saved clock nor the idle times.
    smol::block_on(opened.store.close(Running::default(), Vec::new())).expect("on the disk");
    drop(opened.store);
    assert_eq!(open(&dir).running, hour);
}

#[test]
fn the_history_of_the_wall_clock_lasts_over_a_restart() {
    let dir = TempDir::new();
    let opened = open(&dir);
    assert_eq!(opened.clock_history, None);
    let hour = Running::from_seconds(3600);
    let history = ClockHistory { since: hour, earliest: Some(UnixSeconds(1_800_000_000)), complete: None };
    smol::block_on(opened.store.save_clock_history(history, true)).expect("on the disk");
    drop(opened.store);
    // The running clock was not saved, so the stretch begins with this run.
    let opened = open(&dir);
    assert_eq!(opened.clock_history, Some(ClockHistory { since: Running::default(), ..history }));
    smol::block_on(opened.store.close(hour, Vec::new())).expect("on the disk");
    drop(opened.store);
    assert_eq!(open(&dir).clock_history, Some(history));
}

#[test]
fn a_batch_with_nothing_due_writes_nothing() {
    let dir = TempDir::new();
    let opened = open(&dir);
    put(&opened.store, &numbered(1));
    let save = |minutes: u64| {
        let before = opened.store.meter.written.load(Ordering::Relaxed);
        smol::block_on(opened.store.save(Running::from_seconds(minutes * 60), Vec::new())).expect("on the disk");
        opened.store.meter.written.load(Ordering::Relaxed) != before
    };
    let wrote: Vec<u64> = (1..=30).map(|tens| tens * 10).filter(|&minutes| save(minutes)).collect();
    assert_eq!(wrote, [10, 20, 40, 80, 140, 200, 260]);
    assert!(opened.store.flash_octets_written() >= opened.store.meter.written.load(Ordering::Relaxed));
}

#[test]
fn records_of_a_later_version_are_left_alone() {
    let dir = TempDir::new();
    fill(&dir, 3);
    database::tests::write_raw(&dir.file("whitelist"), &[4, 32, 192, 0, 2, 200], &[2, 1, 2, 3]);
    for _ in 0..2 {
        let opened = open(&dir);
        assert_eq!((opened.entries.len(), opened.unreadable_records, opened.moved_aside), (3, 1, None));
        put(&opened.store, &numbered(2));
    }
    database::tests::write_raw(&dir.file("whitelist"), &record::STATE_KEY, &[2, 1, 2, 3]);
    let opened = open(&dir);
    assert_eq!((opened.entries.len(), opened.unreadable_records, opened.moved_aside), (3, 2, None));
    assert_eq!(opened.running, Running::from_seconds(2), "no less than the last-seen times of the entries");
}

/// The result of a start on a damaged database.
#[derive(Debug, PartialEq, Eq)]
struct Aftermath {
    entries: usize,
    moved_aside: bool,
    deaths: usize,
}

/// Number of entries, enough for several segments of the log.
const COUNT: u32 = 1000;

/// Return a database to be damaged, with or without an export. A second open makes the library write a snapshot.
fn intact(export: bool) -> TempDir {
    let dir = TempDir::new();
    fill(&dir, COUNT);
    let opened = open(&dir);
    if export {
        smol::block_on(opened.store.close(Running::from_seconds(600), Vec::new())).expect("on the disk");
    }
    dir
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for name in fs::read_dir(from).expect("a directory").flatten() {
        let (from, to) = (name.path(), to.join(name.file_name()));
        if from.is_dir() { copy(&from, &to) } else { fs::copy(&from, &to).map(drop).expect("copied") }
    }
}

/// Damage a copy of a database, and start it until it runs, as a supervisor would.
fn damaged(name: &str, intact: &TempDir, damage: impl Fn(&TempDir)) -> Aftermath {
    let dir = TempDir::new();
    copy(intact.path(), dir.path());
    damage(&dir);
    for deaths in 0..3 {
        let started = child(&dir, "open");
        if let Some(entries) = said(&started, "ENTRIES") {
            let moved_aside = said(&started, "ASIDE").as_deref() == Some("true");
            let again = open(&dir);
            assert_eq!((again.entries.len().to_string(), again.moved_aside), (entries.clone(), None), "{name}");
            put(&again.store, &numbered(5000));
            return Aftermath { entries: entries.parse().expect("a number"), moved_aside, deaths };
        }
        assert_eq!(said(&started, "ERROR"), None, "{name}");
    }
    panic!("{name}: it does not start");
}

fn overwrite(path: &Path, from: u64, octets: u64, seed: u64) {
    use std::os::unix::fs::FileExt;
    let mut rng = fastrand::Rng::with_seed(seed);
    let garbage: Vec<u8> = (0..octets).map(|_| rng.u8(..)).collect();
    let file = File::options().write(true).open(path).expect("a file");
    file.write_all_at(&garbage, from).expect("written");
}

fn cut(path: &Path, octets: u64) {
    File::options().write(true).open(path).and_then(|file| file.set_len(octets)).expect("cut");
}

/// Fill the second half with zeros.
fn cut_and_grow(path: &Path) {
    let whole = length(path);
    cut(path, whole / 2);
    cut(path, whole);
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).expect("a file").len()
}

fn dir_with(name: &'static str) -> impl Fn(&TempDir) {
    move |dir| fs::write(dir.file(name), "half").expect("written")
}

/// Copy the last segment of the log over the second one: the library panics on that.
fn repeat_the_last_segment(path: &Path) {
    use std::os::unix::fs::FileExt;
    let file = File::options().read(true).write(true).open(path).expect("a file");
    let mut last = Vec::new();
    let begins = (length(path) - 1) / 65_536 * 65_536;
    let octets = length(path) - begins;
    last.resize(octets as usize, 0);
    file.read_exact_at(&mut last, begins).expect("read");
    file.write_all_at(&last, 65_536).expect("written");
}

type Damage = fn(&TempDir);

const DAMAGE: &[(&str, Damage)] = &[
    ("cut in half", |dir| cut(&dir.db(), length(&dir.db()) / 2)),
    ("the last bytes gone", |dir| cut(&dir.db(), length(&dir.db()) - 777)),
    ("ten bytes left", |dir| cut(&dir.db(), 10)),
    ("nothing left", |dir| cut(&dir.db(), 0)),
    ("log gone", |dir| fs::remove_file(dir.db()).expect("removed")),
    ("log is a folder", |dir| fs::remove_file(dir.db()).and_then(|()| fs::create_dir(dir.db())).expect("made")),
    ("garbage at the start", |dir| overwrite(&dir.db(), 0, 64, 1)),
    ("garbage in the middle", |dir| overwrite(&dir.db(), length(&dir.db()) / 2, 5000, 2)),
    ("the first segment is garbage", |dir| overwrite(&dir.db(), 0, 65_536, 6)),
    ("the second segment is garbage", |dir| overwrite(&dir.db(), 65_536, 65_536, 7)),
    ("the third segment is garbage", |dir| overwrite(&dir.db(), 131_072, 65_536, 8)),
    ("garbage in each page", |dir| {
        (0..length(&dir.db()) / 4096).for_each(|page| overwrite(&dir.db(), page * 4096 + 2000, 100, page));
    }),
    ("the last segment is there twice", |dir| repeat_the_last_segment(&dir.db())),
    ("the second half is zeros", |dir| cut_and_grow(&dir.db())),
    ("garbage at the end", |dir| overwrite(&dir.db(), length(&dir.db()) - 500, 500, 3)),
    ("nothing but garbage", |dir| overwrite(&dir.db(), 0, length(&dir.db()), 4)),
    ("conf is garbage", |dir| overwrite(&dir.file("whitelist/conf"), 0, 60, 5)),
    ("conf is of another database", |dir| {
        let text = "segment_size: 131072\nuse_compression: false\nversion: 0.34\nxxxx";
        fs::write(dir.file("whitelist/conf"), text).expect("written");
    }),
    ("database is a file", |dir| {
        fs::remove_dir_all(dir.file("whitelist")).expect("removed");
        fs::write(dir.file("whitelist"), "something").expect("written");
    }),
];

#[test]
fn a_damaged_database_is_restored_from_the_export_and_never_refuses_to_start() {
    let intact = intact(true);
    let outcomes: Vec<Aftermath> = DAMAGE.iter().map(|(name, damage)| damaged(name, &intact, damage)).collect();
    for (outcome, (name, _)) in outcomes.iter().zip(DAMAGE) {
        assert_eq!(outcome.entries, COUNT as usize, "{name}: {outcome:?}");
        assert!(outcome.moved_aside || outcome.deaths == 0, "{name}: {outcome:?}");
    }
    let deaths: usize = outcomes.iter().map(|outcome| outcome.deaths).sum();
    assert!(deaths > 0, "the library panics on some of it, or this tests nothing");
}

#[test]
fn a_damaged_database_without_an_export_starts_from_what_could_be_read() {
    let intact = intact(false);
    for (name, damage) in DAMAGE {
        let outcome = damaged(name, &intact, damage);
        assert!(outcome.entries <= COUNT as usize, "{name}: {outcome:?}");
    }
}

#[test]
fn damage_that_the_log_repairs_loses_nothing() {
    let snapshot = |dir: &TempDir| {
        let names = fs::read_dir(dir.file("whitelist")).expect("a folder").flatten();
        names.map(|name| name.path()).find(|path| path.to_string_lossy().contains("snap.")).expect("a snapshot")
    };
    let intact = intact(false);
    let reopened = |damage: &dyn Fn(&TempDir)| damaged("snapshot", &intact, damage);
    let whole = Aftermath { entries: COUNT as usize, moved_aside: false, deaths: 0 };
    assert_eq!(reopened(&|dir| overwrite(&snapshot(dir), 0, 20, 1)), whole);
    assert_eq!(reopened(&|dir| cut(&snapshot(dir), 5)), whole);
    assert_eq!(reopened(&|dir| fs::remove_file(snapshot(dir)).expect("removed")), whole);
    // A power cut during the write of a snapshot leaves this file, which the library takes for the newest one.
    let half_written = dir_with("whitelist/snap.7FFFFFFFFFFFFFFF.generating");
    assert_eq!(reopened(&half_written), whole);
    assert_eq!(reopened(&|dir| cut(&dir.file("whitelist/conf"), 0)), whole, "conf was not synced");
}

#[test]
fn the_store_opens_with_damage_at_any_place() {
    let (mut lost, mut aside) = (0, 0);
    let intact = intact(true);
    for seed in 0..20 {
        let outcome = damaged(&format!("seed {seed}"), &intact, |dir| {
            let mut rng = fastrand::Rng::with_seed(seed);
            overwrite(&dir.db(), rng.u64(..length(&dir.db()) - 64), rng.u64(1..64), seed);
        });
        lost += COUNT as usize - outcome.entries;
        aside += u32::from(outcome.moved_aside);
    }
    assert_eq!(lost, 0);
    assert!(aside > 0, "some of the damage was in live data");
}

#[test]
fn without_a_database_the_last_export_is_read() {
    let dir = TempDir::new();
    let entries = fill(&dir, 10);
    let opened = open(&dir);
    smol::block_on(opened.store.close(Running::from_seconds(1234), Vec::new())).expect("on the disk");
    drop(opened.store);
    fs::remove_dir_all(dir.file("whitelist")).expect("removed");
    let opened = open(&dir);
    assert_eq!((sorted(opened.entries), opened.running), (entries, Running::from_seconds(1234)));
    assert_eq!(opened.moved_aside, None);
    drop(opened.store);

    fs::remove_dir_all(dir.file("whitelist")).expect("removed");
    fs::write(dir.file("whitelist.export"), "192.0.2.1 user=x\nnonsense\n192.0.2.1 user=y last-seen=7")
        .expect("written");
    let opened = open(&dir);
    let expected =
        Entry { user: User::try_from("y").expect("short"), last_seen: Running::from_seconds(7), ..entry("192.0.2.1") };
    assert_eq!((opened.entries, opened.running), (vec![expected], Running::from_seconds(7)));
}

#[test]
fn the_export_is_written_after_changes_only_and_not_too_often() {
    let dir = TempDir::new();
    let opened = open(&dir);
    let exported =
        || fs::read_to_string(dir.file("whitelist.export")).map_or(0, |text| text.matches("last-seen").count());
    let save = |seconds| {
        smol::block_on(opened.store.save(Running::from_seconds(seconds), Vec::new())).expect("on the disk");
        exported()
    };
    assert_eq!(save(600), 0);
    assert!(!dir.file("whitelist.export").exists(), "an empty list that was never changed");
    (0..100).for_each(|number| put(&opened.store, &numbered(number)));
    assert_eq!(save(1200), 100);
    let octets = length(&dir.file("whitelist.export"));
    smol::block_on(opened.store.remove(&[numbered(5).prefix])).expect("on the disk");
    let due = 1200 + octets / 10;
    assert_eq!(save(due - 1), 100);
    assert_eq!(save(due), 99);
    put(&opened.store, &numbered(5));
    assert_eq!(save(due + 1), 99);
    smol::block_on(opened.store.close(Running::from_seconds(due + 2), Vec::new())).expect("on the disk");
    assert_eq!(exported(), 100);
}

#[test]
fn the_kernel_count_of_written_bytes_is_parsed() {
    let io = "rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 12288\ncancelled_write_bytes: 4096\n";
    assert_eq!(written_by_kernel(io), Some(8192));
    assert_eq!(written_by_kernel("rchar: 1\n"), None);
}
