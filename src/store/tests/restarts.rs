//! Restarts, after an orderly stop and after `kill -9`, each checked against a model of the acknowledged changes.

use std::collections::BTreeMap;

use super::*;

/// Sizes of the list: from one leaf of the database to many.
const SIZES: [u32; 4] = [3, 10, 100, 400];

/// Number of changes of each list. The log reuses segments from about the seven hundredth on.
const CHANGES: u32 = 6000;

/// Number of changes between two checks of restarts, and of power cuts, in the short run. `NAKODO_RESTARTS_EVERY=60`
/// selects the long run of both.
const RESTARTS_EVERY: u32 = 600;
const CUTS_EVERY: u32 = 190;

/// Return `NAKODO_RESTARTS_EVERY`, or the number for the short run.
fn every(by_day: u32) -> u32 {
    std::env::var("NAKODO_RESTARTS_EVERY").map_or(by_day, |every| every.parse().expect("a number"))
}

/// A store and its acknowledged entries.
struct Changed {
    dir: TempDir,
    opened: Opened,
    expected: BTreeMap<IpNet, Entry>,
    changes: u32,
    rng: fastrand::Rng,
}

/// The end of a tracker before the next start.
#[derive(Clone, Copy, Debug)]
enum End {
    Orderly,
    Killed,
}

impl Changed {
    fn new(seed: u64) -> Self {
        let dir = TempDir::new();
        let opened = open(&dir);
        Self { dir, opened, expected: BTreeMap::new(), changes: 0, rng: fastrand::Rng::with_seed(seed) }
    }

    /// Change an entry of a list of about `size`: add one, replace one or remove one.
    fn change(&mut self, size: u32) {
        self.changes += 1;
        let entry = Entry { added: Some(UnixSeconds(u64::from(self.changes))), ..numbered(self.rng.u32(0..size)) };
        let is_full = self.expected.len() as u32 >= size.div_ceil(2);
        if is_full && self.rng.bool() && self.expected.contains_key(&entry.prefix) {
            smol::block_on(self.opened.store.remove(&[entry.prefix])).expect("on the disk");
            self.expected.remove(&entry.prefix);
        } else {
            put(&self.opened.store, &entry);
            self.expected.insert(entry.prefix, entry);
        }
    }

    /// Change a list of about `size` until the next check, every so many changes. Return false after the last one.
    fn change_until_a_check(&mut self, size: u32, every: u32) -> bool {
        while self.changes < CHANGES {
            self.change(size);
            if self.changes.is_multiple_of(every) {
                return true;
            }
        }
        false
    }

    /// Return a copy of the files, as `kill -9` would leave them at this moment, and the acknowledged entries.
    fn killed_now(&self) -> (TempDir, BTreeMap<IpNet, Entry>) {
        let dir = TempDir::new();
        copy(self.dir.path(), dir.path());
        (dir, self.expected.clone())
    }

    /// Start on `dir`, and check that it has exactly the acknowledged entries.
    fn started(dir: TempDir, expected: BTreeMap<IpNet, Entry>, context: &str) -> Self {
        let opened = open(&dir);
        assert_eq!(opened.moved_aside, None, "{context}: taken for damaged");
        let found: BTreeMap<IpNet, Entry> = opened.entries.iter().map(|entry| (entry.prefix, entry.clone())).collect();
        assert_eq!(found.len(), expected.len(), "{context}: the number of entries");
        assert!(found == expected, "{context}: other entries than those acknowledged");
        Self { dir, opened, expected, changes: 1_000_000, rng: fastrand::Rng::with_seed(7) }
    }

    fn ended(self, end: End) -> (TempDir, BTreeMap<IpNet, Entry>) {
        match end {
            End::Killed => self.killed_now(),
            End::Orderly => {
                let running = self.opened.running;
                smol::block_on(self.opened.store.close(running, Vec::new())).expect("on the disk");
                (self.dir, self.expected)
            }
        }
    }
}

#[test]
fn restarts_after_any_number_of_changes_lose_nothing_and_bring_nothing_back() {
    let (every, mut starts) = (every(RESTARTS_EVERY), 0);
    for size in SIZES {
        let mut changed = Changed::new(u64::from(size));
        while changed.change_until_a_check(size, every) {
            for end in [End::Killed, End::Orderly] {
                for changes_between in [0, 2] {
                    let (mut dir, mut expected) = changed.killed_now();
                    for start in 1..=3 {
                        let context = format!(
                            "{size} entries, {} changes, start {start}, {changes_between} changes after each, {end:?}",
                            changed.changes
                        );
                        let mut again = Changed::started(dir, expected, &context);
                        (0..changes_between).for_each(|_| again.change(size));
                        (dir, expected) = again.ended(end);
                        starts += 1;
                    }
                }
            }
        }
    }
    println!("{starts} starts, nothing lost");
}

/// A database before and after an open, in which the library has written a snapshot and then overwritten segments of
/// the log.
struct Reopened {
    before: TempDir,
    after: TempDir,
    expected: BTreeMap<IpNet, Entry>,
}

impl Reopened {
    /// Open a copy of the database; `None` if the open made no new snapshot.
    fn from(changed: &Changed) -> Option<Self> {
        let (before, expected) = changed.killed_now();
        let again = TempDir::new();
        copy(before.path(), again.path());
        let opened = Changed::started(again, expected.clone(), "before the cuts");
        let (after, expected) = opened.killed_now();
        let reopened = Self { before, after, expected };
        (reopened.snapshot_before() != Some(reopened.snapshot())).then_some(reopened)
    }

    fn snapshot_before(&self) -> Option<String> {
        snapshot(&self.before)
    }

    fn snapshot(&self) -> String {
        snapshot(&self.after).expect("the library writes one")
    }

    /// Return the files after a power cut: each segment of the log with its old or its new content, according to
    /// `is_new`, and the first `bytes` bytes of the new snapshot under one of its two names. The rename removes the old
    /// snapshot.
    fn cut(&self, is_new: impl Fn(usize) -> bool, snapshot_name: Option<&str>, bytes: usize) -> TempDir {
        let dir = TempDir::new();
        copy(self.before.path(), dir.path());
        let (old, new) = (read(&self.before.db()), read(&self.after.db()));
        let mut log = old.clone();
        log.resize(old.len().max(new.len()), 0);
        for (number, segment) in new.chunks(65_536).enumerate().filter(|(number, _)| is_new(*number)) {
            log[number * 65_536..][..segment.len()].copy_from_slice(segment);
        }
        fs::write(dir.db(), &log).expect("written");
        if let Some(name) = snapshot_name {
            let content = read(&self.after.file(&format!("whitelist/{}", self.snapshot())));
            let content = &content[..bytes.min(content.len())];
            fs::write(dir.file(&format!("whitelist/{name}")), content).expect("written");
            if let Some(old) = self.snapshot_before().filter(|_| name == self.snapshot()) {
                fs::remove_file(dir.file(&format!("whitelist/{old}"))).expect("removed");
            }
        }
        dir
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("a file")
}

/// Return the name of the database's only snapshot.
fn snapshot(dir: &TempDir) -> Option<String> {
    let names = fs::read_dir(dir.file("whitelist")).expect("a folder").flatten();
    names.map(|name| name.file_name().to_string_lossy().into_owned()).find(|name| name.starts_with("snap."))
}

#[test]
fn a_power_cut_while_the_database_is_opened_loses_nothing() {
    let (every, mut cuts) = (every(CUTS_EVERY), 0);
    for size in SIZES {
        let mut changed = Changed::new(u64::from(size));
        while changed.change_until_a_check(size, every) {
            // A restart from time to time, as in normal use, so that an older snapshot exists.
            if changed.changes.is_multiple_of(every * 5) {
                let (dir, expected) = changed.killed_now();
                let changes = changed.changes;
                changed = Changed { changes, ..Changed::started(dir, expected, "a start now and then") };
                (0..3).for_each(|_| changed.change(size));
            }
            let Some(reopened) = Reopened::from(&changed) else { continue };
            let name = reopened.snapshot();
            let unfinished = format!("{name}.generating");
            let whole = usize::MAX;
            let mut rng = fastrand::Rng::with_seed(u64::from(changed.changes));
            let some: Vec<bool> = (0..10_000).map(|_| rng.bool()).collect();
            let left = [
                ("the first name, empty", reopened.cut(|_| false, Some(&unfinished), 0)),
                ("the first name, half", reopened.cut(|_| false, Some(&unfinished), 40)),
                ("the first name, whole", reopened.cut(|_| false, Some(&unfinished), whole)),
                ("renamed, nothing overwritten", reopened.cut(|_| false, Some(&name), whole)),
                ("renamed, some overwritten", reopened.cut(|number| some[number], Some(&name), whole)),
                ("renamed, all overwritten", reopened.cut(|_| true, Some(&name), whole)),
                ("the first name, some overwritten", reopened.cut(|number| some[number], Some(&unfinished), whole)),
                ("the first name, all overwritten", reopened.cut(|_| true, Some(&unfinished), whole)),
            ];
            for (cut, dir) in left {
                let context = format!("{size} entries, {} changes, {cut}", changed.changes);
                let mut again = Changed::started(dir, reopened.expected.clone(), &context);
                cuts += 1;
                if rng.u8(..4) == 0 {
                    (0..2).for_each(|_| again.change(size));
                    let (dir, expected) = again.ended(End::Killed);
                    Changed::started(dir, expected, &format!("{context}, and a second start"));
                }
            }
        }
    }
    assert!(cuts > 100, "{cuts} cuts");
    println!("{cuts} power cuts, nothing lost");
}

#[test]
fn a_start_that_is_killed_while_it_opens_the_database_loses_nothing() {
    let dir = intact(false);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut killed = 0;
    for _ in 0..20 {
        for _ in 0..3 {
            let mut start = child_command(&dir, "open").stdout(std::process::Stdio::null()).spawn().expect("a process");
            std::thread::sleep(std::time::Duration::from_micros(rng.u64(0..15_000)));
            start.kill().expect("it is there");
            killed += u32::from(!start.wait().expect("it ends").success());
        }
        let opened = open(&dir);
        assert_eq!((opened.entries.len(), opened.moved_aside), (COUNT as usize, None));
    }
    assert!(killed > 0, "some ended before their end");
}
