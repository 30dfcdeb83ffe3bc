//! Flash wear and the size of the data directory, over simulated days and years. `NAKODO_DAYS=3650` selects ten years.

use std::time::Duration;

use super::*;
use crate::access::{Moved, Retired, Whitelist};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// Number of days in the short run.
const DAYS: u64 = 60;

/// Most bytes that a day of a thousand customers may write.
const DAY_OCTETS: u64 = 1 << 20;

/// A tracker's whitelist and its store, with the clock of a simulation.
struct House {
    dir: TempDir,
    store: Store,
    whitelist: Whitelist,
    /// Seconds of running time.
    now: u64,
    /// Bytes written by earlier runs.
    written_before: u64,
}

impl House {
    fn new() -> Self {
        let dir = TempDir::new();
        let opened = open(&dir);
        let whitelist = Whitelist::with_capacity(4096, Duration::from_secs(30 * DAY)).expect("memory");
        Self { dir, store: opened.store, whitelist, now: 0, written_before: 0 }
    }

    fn allow(&mut self, number: u32) {
        let last_seen = Running::from_seconds(self.now);
        let entry = Entry { last_seen, until: None, retire: Retire::Default, ..numbered(number) };
        put(&self.store, &entry);
        self.whitelist.put(entry).expect("room");
    }

    fn announce(&mut self, number: u32) -> bool {
        self.whitelist.touch(numbered(number).prefix.addr(), Running::from_seconds(self.now))
    }

    /// Save and retire as the tracker does every hour.
    fn pass_an_hour(&mut self) {
        self.now += HOUR;
        let now = Running::from_seconds(self.now);
        let mut retired = Vec::new();
        // One call visits a part of the list.
        for _ in 0..=self.whitelist.len() / 100 {
            self.whitelist.retire(now, None, |gone| match gone {
                Retired::Removed(entry) | Retired::Suspended(entry) => retired.push(entry.prefix),
            });
        }
        if !retired.is_empty() {
            smol::block_on(self.store.remove(&retired)).expect("on the disk");
        }
        let moved = self.whitelist.take_moved(Moved::WorthAWrite, 0..usize::MAX).collect();
        smol::block_on(self.store.save(now, moved)).expect("on the disk");
    }

    fn written(&self) -> u64 {
        self.written_before + self.store.meter.written.load(Ordering::Relaxed)
    }

    /// Start again, and compare the list with that in memory.
    fn restart(&mut self) {
        let moved = self.whitelist.take_moved(Moved::AtAll, 0..usize::MAX).collect();
        smol::block_on(self.store.close(Running::from_seconds(self.now), moved)).expect("on the disk");
        self.written_before = self.written();
        // The store must be closed before it is opened again.
        let other = TempDir::new();
        self.store = open(&other).store;
        let opened = open(&self.dir);
        assert_eq!(sorted(opened.entries), sorted(self.whitelist.entries().cloned().collect()));
        assert_eq!(opened.running, Running::from_seconds(self.now));
        assert_eq!(opened.store.health().recovered, None);
        self.store = opened.store;
    }

    /// Return the size in bytes of the data directory, and of the list as text.
    fn sizes(&self) -> (u64, u64) {
        (size(self.dir.path()), fs::metadata(self.dir.file("whitelist.export")).map_or(0, |export| export.len()))
    }
}

/// Return the number of bytes that the files below a directory take on the disk.
fn size(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let files = fs::read_dir(dir).expect("a folder").flatten().map(|file| file.path());
    files.map(|path| if path.is_dir() { size(&path) } else { fs::metadata(path).expect("a file").blocks() * 512 }).sum()
}

#[test]
fn a_day_of_a_thousand_customers_writes_little() {
    let mut house = House::new();
    (0..1000).for_each(|number| house.allow(number));
    house.pass_an_hour();
    let before = house.written();
    for _ in 0..24 {
        // Each client announces every half hour.
        (0..1000).for_each(|number| assert!(house.announce(number)));
        house.pass_an_hour();
    }
    let written = house.written() - before;
    println!("1,000 customers in a day: {written} bytes written");
    assert!(written <= DAY_OCTETS, "{written} bytes");
}

#[test]
fn an_idle_tracker_without_a_list_writes_nothing() {
    let mut house = House::new();
    let before = house.written();
    (0..48).for_each(|_| house.pass_an_hour());
    assert_eq!(house.written(), before);
}

/// Let a list live: each day some customers join, as many go quiet, and all others announce every hour. Once a month
/// the tracker is restarted. Compare the list with a model.
fn live(customers: u32, joining_a_day: u32) {
    let days = std::env::var("NAKODO_DAYS").map_or(DAYS, |days| days.parse().expect("a number"));
    let mut house = House::new();
    let mut rng = fastrand::Rng::with_seed(u64::from(customers));
    // The customers that announce, and those that are quiet, each with the time of the last announce.
    let (mut active, mut quiet, mut next) = (Vec::<(u32, u64)>::new(), Vec::<(u32, u64)>::new(), 0);
    let mut largest = 0.0_f64;
    for day in 0..days {
        for _ in 0..if day == 0 { customers } else { joining_a_day } {
            house.allow(next);
            active.push((next, house.now));
            next += 1;
        }
        while active.len() > customers as usize {
            quiet.push(active.swap_remove(rng.usize(..active.len())));
        }
        for _ in 0..24 {
            for (number, last) in &mut active {
                assert!(house.announce(*number), "day {day}: {number} was retired");
                *last = house.now;
            }
            house.pass_an_hour();
        }
        quiet.retain(|(_, last)| house.now - last <= 30 * DAY);
        assert_eq!(house.whitelist.len(), active.len() + quiet.len(), "day {day}");
        if day % 30 == 29 {
            house.restart();
            let (directory, list) = house.sizes();
            largest = largest.max(directory as f64 / list as f64);
        }
    }
    house.restart();
    let (directory, list) = house.sizes();
    println!(
        "{days} days of {customers} customers, {joining_a_day} new ones a day: {} entries, {} bytes written a day; \
         {directory} bytes on the disk for a list of {list}, at most {largest:.1} times: nothing lost",
        house.whitelist.len(),
        house.written() / days
    );
}

#[test]
fn the_list_of_a_distributor_stays_as_the_model_says() {
    live(500, 5);
}

#[test]
fn the_list_of_a_household_stays_as_the_model_says() {
    live(8, 0);
}
