//! Table-driven tests, and a comparison with a slow twin that scans its whole list.

use super::removal::RETIRE_STEPS;
use super::saving::least_worth_a_write;
use super::*;
use crate::access::User;
use crate::clock::UnixSeconds;

const DAY: u64 = 86_400;
const SANE: UnixSeconds = UnixSeconds(UnixSeconds::EARLIEST_SANE.0 + 1_000_000);

fn net(text: &str) -> IpNet {
    prefix::parse(text).expect(text)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn entry(text: &str) -> Entry {
    Entry::new(net(text))
}

fn entry_of(text: &str, user: &str) -> Entry {
    Entry { user: User::try_from(user).expect("a short name"), ..entry(text) }
}

fn list(capacity: usize) -> Whitelist {
    Whitelist::with_capacity(capacity, Duration::from_secs(30 * DAY)).expect("memory")
}

fn list_of(entries: &[Entry]) -> Whitelist {
    let mut list = list(entries.len());
    for entry in entries {
        assert_eq!(list.put(entry.clone()), Ok(Put::Added));
        list.check_invariants();
    }
    list
}

/// Call `retire` once, and return the removed and the suspended prefixes.
fn retire_both(list: &mut Whitelist, now: Running, wall: Option<UnixSeconds>) -> (Vec<IpNet>, Vec<IpNet>) {
    let (mut removed, mut suspended) = (Vec::new(), Vec::new());
    let count = list.retire(now, wall, |retired| match retired {
        Retired::Removed(entry) => removed.push(entry.prefix),
        Retired::Suspended(entry) => suspended.push(entry.prefix),
    });
    assert_eq!(count, removed.len() + suspended.len());
    list.check_invariants();
    (removed, suspended)
}

/// Call `retire` once, and return the removed prefixes.
fn retire(list: &mut Whitelist, now: Running, wall: Option<UnixSeconds>) -> Vec<IpNet> {
    retire_both(list, now, wall).0
}

#[test]
fn an_entry_that_contains_a_prefix_covers_all_of_it() {
    let list = list_of(&[entry("10.0.0.0/8"), entry("10.1.0.0/16"), entry("10.1.2.3"), entry("2001:db8::/32")]);
    for (prefix, expected) in [
        ("10.1.2.3", Some("10.1.2.3")),
        ("10.1.2.0/24", Some("10.1.0.0/16")),
        ("10.1.0.0/16", Some("10.1.0.0/16")),
        ("10.0.0.0/15", Some("10.0.0.0/8")),
        ("10.0.0.0/7", None),
        ("2001:db8:1::/64", Some("2001:db8::/32")),
        ("::ffff:10.1.2.4/128", Some("10.1.0.0/16")),
    ] {
        let found = list.containing(&net(prefix)).map(|entry| entry.prefix);
        assert_eq!(found, expected.map(net), "{prefix}");
    }
}

#[test]
fn the_longest_prefix_counts() {
    let mut list = list_of(&[entry("10.0.0.0/8"), entry("10.1.0.0/16"), entry("10.1.2.3"), entry("2001:db8::/32")]);
    let now = Running::from_seconds(100);
    for (address, prefix) in [
        ("10.1.2.3", Some("10.1.2.3")),
        ("10.1.2.4", Some("10.1.0.0/16")),
        ("10.2.0.1", Some("10.0.0.0/8")),
        ("11.0.0.1", None),
        ("2001:db8:1::1", Some("2001:db8::/32")),
        ("2001:db9::1", None),
        ("::10.1.2.3", None),
    ] {
        let before: Vec<Entry> = list.slots.iter().map(|slot| slot.entry.clone()).collect();
        assert_eq!(list.covers(ip(address)), prefix.is_some(), "{address}");
        assert_eq!(list.touch(ip(address), now), prefix.is_some(), "{address}");
        for old in before {
            let touched = prefix.map(net) == Some(old.prefix) || old.last_seen == now;
            let expected = if touched { now } else { Running::default() };
            assert_eq!(list.get(&old.prefix).map(|entry| entry.last_seen), Some(expected), "{address} {}", old.prefix);
        }
    }
}

#[test]
fn rule_26_a_v6_customer_is_keyed_on_the_64() {
    let mut list = list_of(&[Entry { prefix: prefix::of(ip("2001:db8:1:2:aaaa::1")), ..entry("::") }]);
    assert!(list.touch(ip("2001:db8:1:2:bbbb:cccc:dddd:eeee"), Running::default()));
    assert!(!list.touch(ip("2001:db8:1:3:aaaa::1"), Running::default()));
}

#[test]
fn rule_09_a_v4_mapped_address_is_found_as_v4() {
    let mapped: IpNet = "::ffff:192.0.2.0/120".parse().expect("a prefix");
    let mut list = list_of(&[Entry { prefix: mapped, ..entry("::") }]);
    assert!(list.touch(ip("::ffff:192.0.2.7"), Running::default()));
    assert!(list.covers(ip("192.0.2.7")));
    assert_eq!(list.get(&mapped).map(|entry| entry.prefix), Some(net("192.0.2.0/24")));
    assert_eq!(list.remove(&mapped).map(|entry| entry.prefix), Some(net("192.0.2.0/24")));
    list.check_invariants();
}

#[test]
fn a_prefix_of_no_bits_covers_its_family_only() {
    let list = list_of(&[entry("0.0.0.0/0")]);
    assert!(list.covers(ip("203.0.113.9")));
    assert!(!list.covers(ip("2001:db8::1")));
}

#[test]
fn a_full_list_refuses_new_entries_and_keeps_existing_ones() {
    let mut list = list_of(&[entry("192.0.2.1"), entry("192.0.2.2")]);
    let full = Full { capacity: 2 };
    assert_eq!(list.can_put(&net("192.0.2.3")), Err(full));
    assert_eq!(list.put(entry("192.0.2.3")), Err(full));
    list.check_invariants();
    assert_eq!(list.len(), 2);
    assert!(!list.covers(ip("192.0.2.3")));

    assert_eq!(list.can_put(&net("192.0.2.2")), Ok(()));
    assert_eq!(list.put(entry_of("192.0.2.2", "eve")), Ok(Put::Replaced(entry("192.0.2.2"))));
    assert!(list.remove(&net("192.0.2.1")).is_some());
    assert_eq!(list.put(entry("192.0.2.3")), Ok(Put::Added));
    list.check_invariants();
    assert!(full.to_string().contains("room for 2 entries"));
}

#[test]
fn a_list_of_capacity_zero_works() {
    let mut list = list(0);
    assert_eq!(list.put(entry("192.0.2.1")), Err(Full { capacity: 0 }));
    assert!(!list.touch(ip("192.0.2.1"), Running::default()));
    assert_eq!(retire(&mut list, Running::default(), None), []);
    assert_eq!(list.after(None), None);
    list.check_invariants();
}

#[test]
fn a_failed_allocation_is_an_error() {
    assert!(Whitelist::with_capacity(usize::MAX, Duration::ZERO).is_err());
}

#[test]
fn idle_time_is_measured_in_running_time() {
    let mut list = list_of(&[entry("192.0.2.1")]);
    let decades_later = Some(UnixSeconds(SANE.0 + 30 * 365 * DAY));
    assert_eq!(retire(&mut list, Running::from_seconds(30 * DAY), decades_later), []);
    assert!(list.covers(ip("192.0.2.1")));
    let due = Running::from_millis(30 * DAY * 1000 + 1);
    assert_eq!(retire(&mut list, due, None), [net("192.0.2.1")]);
    list.check_invariants();
}

#[test]
fn an_entry_that_announces_is_not_retired() {
    let mut list = list_of(&[entry("192.0.2.1"), entry("192.0.2.2")]);
    assert!(list.touch(ip("192.0.2.1"), Running::from_seconds(29 * DAY)));
    let now = Running::from_seconds(31 * DAY);
    assert_eq!(retire(&mut list, now, None), [net("192.0.2.2")]);
    assert_eq!(retire(&mut list, now, None), []);
}

#[test]
fn an_entry_that_is_due_covers_nothing_before_its_removal() {
    let mut list = list_of(&[entry("10.0.0.0/8"), Entry { retire: Retire::After(60), ..entry("10.1.2.3") }]);
    assert!(list.touch(ip("10.9.9.9"), Running::from_seconds(61)));
    // The /32 is due. The /8 is not: it covers the address and is touched.
    assert!(list.touch(ip("10.1.2.3"), Running::from_seconds(70)));
    assert_eq!(list.get(&net("10.0.0.0/8")).map(|entry| entry.last_seen), Some(Running::from_seconds(70)));
    assert_eq!(list.get(&net("10.1.2.3")).map(|entry| entry.last_seen), Some(Running::default()));
    list.remove(&net("10.0.0.0/8"));
    assert!(!list.touch(ip("10.1.2.3"), Running::from_seconds(70)));
    assert!(!list.covers(ip("10.1.2.3")));
}

#[test]
fn each_entry_can_set_its_own_idle_time() {
    let mut list = list_of(&[
        entry("192.0.2.1"),
        Entry { retire: Retire::After(60), ..entry("192.0.2.2") },
        Entry { retire: Retire::Never, ..entry("192.0.2.3") },
    ]);
    let retire = |list: &mut Whitelist, seconds| retire(list, Running::from_seconds(seconds), None);
    assert_eq!(retire(&mut list, 60), []);
    assert_eq!(retire(&mut list, 61), [net("192.0.2.2")]);
    assert_eq!(retire(&mut list, 30 * DAY), []);
    list.set_retire_after(Duration::from_secs(DAY));
    assert_eq!(retire(&mut list, 30 * DAY), [net("192.0.2.1")]);
    assert_eq!(retire(&mut list, 30_000 * DAY), []);
    assert_eq!(list.len(), 1);
}

#[test]
fn end_dates_are_ignored_until_the_clock_is_sane() {
    let mut list = list_of(&[Entry { until: Some(SANE), retire: Retire::Never, ..entry("192.0.2.1") }]);
    let now = Running::from_seconds(1);
    for wall in [None, Some(UnixSeconds(0)), Some(UnixSeconds(SANE.0 - 1))] {
        assert_eq!(retire(&mut list, now, wall), [], "{wall:?}");
        assert!(list.covers(ip("192.0.2.1")), "{wall:?}");
    }
    assert_eq!(retire_both(&mut list, now, Some(SANE)), (vec![], vec![net("192.0.2.1")]));

    // This end is long before the earliest sane time: only a sane clock may suspend the entry.
    let long_ago = Some(UnixSeconds(1_000_000_000));
    assert_eq!(list.put(Entry { until: long_ago, ..entry("192.0.2.2") }), Err(Full { capacity: 1 }));
    assert!(list.remove(&net("192.0.2.1")).is_some());
    assert_eq!(list.put(Entry { until: long_ago, ..entry("192.0.2.2") }), Ok(Put::Added));
    retire(&mut list, now, Some(UnixSeconds(1_000_000_001)));
    assert!(list.covers(ip("192.0.2.2")), "the clock is not sane");
    assert_eq!(retire_both(&mut list, now, Some(SANE)).1.len(), 1);
    assert!(!list.covers(ip("192.0.2.2")));
}

#[test]
fn an_entry_past_its_end_is_suspended_at_once_and_removed_after_a_day() {
    let (ends, stays) = (Entry { until: Some(SANE), retire: Retire::Never, ..entry("192.0.2.1") }, entry("192.0.2.2"));
    let mut list = list_of(&[ends, stays]);
    let second = |second: u64| (Running::from_seconds(second), Some(UnixSeconds(SANE.0 + second)));
    for hour in 0..48 {
        let (now, wall) = second(hour * 3600);
        let expected = if hour == 0 { vec![net("192.0.2.1")] } else { vec![] };
        assert_eq!(retire_both(&mut list, now, wall), (vec![], expected), "reported once; hour {hour}");
        assert!(!list.covers(ip("192.0.2.1")) && list.covers(ip("192.0.2.2")));
        assert!(list.get(&net("192.0.2.1")).is_some_and(|entry| list.has_ended(entry)));
        if hour == 23 {
            // The clock was decades ahead, and is right again.
            let (now, _) = second(hour * 3600 + 1);
            assert_eq!(retire_both(&mut list, now, Some(UnixSeconds(SANE.0 - 1))), (vec![], vec![]));
            assert!(list.covers(ip("192.0.2.1")), "nobody is retired by one jump");
            let (now, wall) = second(hour * 3600 + 2);
            assert_eq!(retire_both(&mut list, now, wall), (vec![], vec![net("192.0.2.1")]));
        }
    }
    let (now, wall) = second(72 * 3600);
    assert_eq!(retire_both(&mut list, now, wall), (vec![net("192.0.2.1")], vec![]));
    assert_eq!(list.len(), 1);
}

#[test]
fn the_day_beyond_the_end_may_pass_in_several_runs() {
    let ends = Entry { until: Some(SANE), retire: Retire::Never, ..entry("192.0.2.1") };
    let mut history = None;
    // Three hours each evening.
    let removed_on = (0..30_u64).find(|evening| {
        let mut list = list_of(std::slice::from_ref(&ends));
        if let Some(history) = history {
            list.continue_clock_history(history);
        }
        let removed = (0..=3 * 60).any(|minute| {
            let now = Running::from_seconds((evening * 3 * 60 + minute) * 60);
            let wall = UnixSeconds(SANE.0 + (evening * 24 * 60 + minute) * 60);
            let (removed, suspended) = retire_both(&mut list, now, Some(wall));
            assert_eq!(suspended.is_empty(), minute > 0 || !removed.is_empty(), "reported once in each run");
            list.check_invariants();
            !removed.is_empty()
        });
        assert_eq!(list.has_suspended(), !removed);
        history = list.clock_history();
        removed
    });
    assert_eq!(removed_on, Some(7), "eight evenings are a day");
}

#[test]
fn an_entry_past_its_end_covers_nothing_before_its_removal() {
    let mut list = list_of(&[entry("192.0.2.1"), Entry { until: Some(SANE), ..entry("192.0.2.2") }]);
    assert_eq!(list.put(entry("192.0.2.1")), Ok(Put::Replaced(entry("192.0.2.1"))));
    assert_eq!(retire_both(&mut list, Running::default(), Some(SANE)).1.len(), 1);
    assert_eq!(list.remove(&net("192.0.2.2")).map(|entry| entry.prefix), Some(net("192.0.2.2")));
    assert_eq!(list.put(Entry { until: Some(SANE), ..entry("192.0.2.2") }), Ok(Put::Added));
    assert!(!list.touch(ip("192.0.2.2"), Running::default()));
}

#[test]
fn a_long_list_is_retired_in_bounded_steps() {
    let mut list = list(RETIRE_STEPS * 3);
    for number in 0..RETIRE_STEPS as u32 * 3 {
        let prefix = IpNet::from(IpAddr::from(number.to_be_bytes()));
        let retire = if number as usize == RETIRE_STEPS * 2 + 7 { Retire::After(1) } else { Retire::Never };
        assert_eq!(list.put(Entry { prefix, retire, ..entry("::") }), Ok(Put::Added));
    }
    let now = Running::from_seconds(10);
    assert_eq!(retire(&mut list, now, None), []);
    assert_eq!(retire(&mut list, now, None), []);
    assert_eq!(retire(&mut list, now, None).len(), 1);
    list.check_invariants();
}

#[test]
fn many_due_entries_are_removed_within_one_pass_over_the_list() {
    for (seed, share_percent) in [(1, 1), (2, 15), (3, 50), (4, 99), (5, 100)] {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut list, mut left) = (list(5000), Vec::new());
        for number in 0..5000_u32 {
            let prefix = IpNet::from(IpAddr::from(number.wrapping_mul(0x9e37_79b1).to_be_bytes()));
            let is_due = rng.u32(..100) < share_percent;
            let entry = Entry { prefix, retire: if is_due { Retire::After(1) } else { Retire::Never }, ..entry("::") };
            assert_eq!(list.put(entry), Ok(Put::Added));
            left.extend((!is_due).then_some(prefix));
        }
        let (now, due) = (Running::from_seconds(10), 5000 - left.len());
        let (mut calls, mut retired) = (0, 0);
        // Each call either finishes its part of the list or removes the maximum number of entries.
        while retired < due {
            retired += self::retire(&mut list, now, None).len();
            calls += 1;
        }
        assert!(calls <= 5000 / RETIRE_STEPS + 1 + due / REMOVALS_A_CALL, "{calls} calls for {due} of 5,000");
        left.sort_by(compare);
        let mut cursor = None;
        for prefix in left {
            cursor = Some(list.after(cursor.as_ref()).map(|entry| entry.prefix).expect("it stays"));
            assert_eq!(cursor, Some(prefix));
        }
        assert_eq!(retire(&mut list, now, None), []);
    }
}

#[test]
fn iteration_survives_changes_of_the_list() {
    let mut list = list(6);
    for text in ["192.0.2.9", "10.0.0.0/8", "2001:db8::/48", "192.0.2.1", "2001:db8::1"] {
        assert_eq!(list.put(entry(text)), Ok(Put::Added));
    }
    let mut cursor = None;
    let mut seen = Vec::new();
    while let Some(entry) = list.after(cursor.as_ref()) {
        cursor = Some(entry.prefix);
        seen.push(entry.prefix.to_string());
        if seen.len() == 2 {
            list.remove(&net("192.0.2.1"));
            list.remove(&net("10.0.0.0/8"));
            assert!(list.put(entry_of("192.0.2.5", "late")).is_ok());
        }
    }
    assert_eq!(seen, ["10.0.0.0/8", "192.0.2.1/32", "192.0.2.5/32", "192.0.2.9/32", "2001:db8::/48", "2001:db8::/64"]);
}

#[test]
fn the_entries_of_a_user_are_found() {
    let list = list_of(&[
        entry_of("192.0.2.1", "ann"),
        entry_of("192.0.2.2", "anna"),
        entry("192.0.2.3"),
        entry_of("2001:db8::", "ann"),
    ]);
    let of = |user| list.of_user(user, 0..usize::MAX).map(|entry| entry.prefix.to_string()).collect::<Vec<_>>();
    assert_eq!(of("ann"), ["192.0.2.1/32", "2001:db8::/64"]);
    assert_eq!(of("bob"), [""; 0]);
    assert_eq!(of(""), [""; 0]);
}

#[test]
fn only_entries_with_newer_announces_are_saved_and_only_once() {
    let a_day = |text| Entry { retire: Retire::After(DAY as u32), ..entry(text) };
    let mut list = list_of(&[a_day("192.0.2.1"), a_day("192.0.2.2"), a_day("192.0.2.3")]);
    list.touch(ip("192.0.2.1"), Running::from_seconds(3600));
    list.touch(ip("192.0.2.2"), Running::from_seconds(3601));
    let moved = |list: &mut Whitelist| list.take_moved(Moved::WorthAWrite, 0..usize::MAX).collect::<Vec<_>>();
    assert_eq!(moved(&mut list), [Seen { prefix: net("192.0.2.2"), last_seen: Running::from_seconds(3601) }]);
    assert_eq!(moved(&mut list), []);
    list.touch(ip("192.0.2.2"), Running::from_seconds(7201));
    assert_eq!(moved(&mut list), []);
    list.touch(ip("192.0.2.2"), Running::from_seconds(7202));
    assert_eq!(moved(&mut list).len(), 1);
    assert_eq!(
        list.take_moved(Moved::AtAll, 0..usize::MAX).count(),
        1,
        "at shutdown: the entry that is newer by exactly one hour"
    );
}

#[test]
fn a_change_is_worth_a_write_by_its_share_of_the_idle_time() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    for (idle_time, expected) in [
        (Some(hours(1)), hours(1)),
        (Some(hours(24)), hours(1)),
        (Some(hours(30 * 24)), hours(30 * 24) / 32),
        (Some(hours(365 * 24)), hours(24)),
        (None, hours(24)),
    ] {
        assert_eq!(least_worth_a_write(idle_time), expected, "{idle_time:?}");
    }
}

#[test]
fn entries_that_could_not_be_saved_are_returned_again() {
    let mut list = list_of(&[entry("192.0.2.1"), entry("192.0.2.2")]);
    list.touch(ip("192.0.2.2"), Running::from_seconds(DAY));
    let moved: Vec<Seen> = list.take_moved(Moved::WorthAWrite, 0..usize::MAX).collect();
    assert_eq!(moved.len(), 1);
    list.not_saved(&moved);
    assert_eq!(list.take_moved(Moved::WorthAWrite, 0..usize::MAX).collect::<Vec<_>>(), moved);
    assert_eq!(list.take_moved(Moved::WorthAWrite, 0..usize::MAX).count(), 0);
    // An entry removed meanwhile is not returned.
    list.remove(&net("192.0.2.2"));
    list.not_saved(&moved);
    assert_eq!(list.take_moved(Moved::WorthAWrite, 0..usize::MAX).count(), 0);
}

/// Simple model of the whitelist: a list without an index.
struct Twin {
    entries: Vec<(Entry, Running)>,
    capacity: usize,
    retire_after: Duration,
    now: Running,
    wall: Option<UnixSeconds>,
    /// All times of both clocks that `retire` was called with.
    shown: Vec<(Running, Option<UnixSeconds>)>,
}

impl Twin {
    fn is_live(&self, entry: &Entry) -> bool {
        !self.is_idle(entry) && !self.has_ended(entry, self.wall)
    }

    fn is_idle(&self, entry: &Entry) -> bool {
        let idle = self.now.since(entry.last_seen);
        match entry.retire {
            Retire::Default => idle > self.retire_after,
            Retire::After(seconds) => idle > Duration::from_secs(seconds.into()),
            Retire::Never => false,
        }
    }

    fn has_ended(&self, entry: &Entry, wall: Option<UnixSeconds>) -> bool {
        wall.is_some_and(|wall| entry.until.is_some_and(|until| until <= wall))
    }

    /// Return whether the wall clock has shown only times past the entry's end for `days` of running time.
    fn has_ended_for(&self, entry: &Entry, days: u64) -> bool {
        let is_recent = |running: Running| self.now.since(running) < Duration::from_secs(days * DAY);
        let first_is_old = self.shown.first().is_some_and(|(running, _)| !is_recent(*running));
        first_is_old && self.shown.iter().all(|(running, wall)| !is_recent(*running) || self.has_ended(entry, *wall))
    }

    fn covering(&self, address: IpAddr) -> Option<usize> {
        let address = address.to_canonical();
        let covers = |entry: &Entry| entry.prefix.contains(&address) && self.is_live(entry);
        (0..self.entries.len())
            .filter(|&index| covers(&self.entries[index].0))
            .max_by_key(|&index| self.entries[index].0.prefix.prefix_len())
    }

    fn put(&mut self, entry: Entry) -> Result<Put, Full> {
        let saved = entry.last_seen;
        if let Some(old) = self.entries.iter_mut().find(|(old, _)| old.prefix == entry.prefix) {
            return Ok(Put::Replaced(core::mem::replace(old, (entry, saved)).0));
        }
        if self.entries.len() == self.capacity {
            return Err(Full { capacity: self.capacity });
        }
        self.entries.push((entry, saved));
        Ok(Put::Added)
    }

    fn remove(&mut self, prefix: &IpNet) -> Option<Entry> {
        let index = self.entries.iter().position(|(entry, _)| entry.prefix == *prefix)?;
        Some(self.entries.remove(index).0)
    }
}

fn any_address(rng: &mut fastrand::Rng) -> IpAddr {
    // Few distinct bytes, so that prefixes are nested and often cover an address.
    let byte = |rng: &mut fastrand::Rng| [0u8, 1, 128, 255][rng.usize(..4)];
    match rng.u8(..5) {
        0 | 1 => IpAddr::from([10, byte(rng), byte(rng), byte(rng)]),
        2 => IpAddr::from([
            0,
            0,
            0,
            0,
            0,
            0xffff,
            0x0a00 | u16::from(byte(rng)),
            u16::from_be_bytes([byte(rng), byte(rng)]),
        ]),
        _ => {
            IpAddr::from([0x2001, 0xdb8, byte(rng).into(), byte(rng).into(), byte(rng).into(), 0, 0, byte(rng).into()])
        }
    }
}

fn any_prefix(rng: &mut fastrand::Rng) -> IpNet {
    let address = any_address(rng).to_canonical();
    let lengths: &[u8] =
        if address.is_ipv4() { &[0, 8, 9, 16, 17, 24, 31, 32] } else { &[0, 32, 48, 63, 64, 65, 127, 128] };
    prefix::cut(address, lengths[rng.usize(..lengths.len())])
}

fn any_entry(rng: &mut fastrand::Rng, now: Running) -> Entry {
    let retire = [Retire::Default, Retire::After(rng.u32(..100)), Retire::Never][rng.usize(..3)];
    let until = rng.bool().then(|| UnixSeconds(SANE.0 + rng.u64(..300)));
    Entry { prefix: any_prefix(rng), retire, until, last_seen: now, ..entry_of("::", ["", "a", "b"][rng.usize(..3)]) }
}

fn step(list: &mut Whitelist, twin: &mut Twin, rng: &mut fastrand::Rng) {
    match rng.u8(..10) {
        0..=2 => {
            let entry = any_entry(rng, twin.now);
            let room = list.can_put(&entry.prefix).is_ok();
            let done = list.put(entry.clone());
            assert_eq!(done.is_ok(), room);
            assert_eq!(done, twin.put(entry));
        }
        3 => {
            let prefix = any_prefix(rng);
            assert_eq!(list.remove(&prefix), twin.remove(&prefix));
            let prefixes: Vec<IpNet> = (0..rng.usize(..5)).map(|_| any_prefix(rng)).collect();
            list.remove_all(&prefixes, |entry| assert_eq!(twin.remove(&entry.prefix), Some(entry)));
            assert_eq!(prefixes.iter().find(|prefix| twin.remove(prefix).is_some()), None);
        }
        4..=6 => {
            twin.now = twin.now.after(Duration::from_secs(rng.u64(..10)));
            let address = any_address(rng);
            let index = twin.covering(address);
            if let Some(index) = index {
                twin.entries[index].0.last_seen = twin.now;
            }
            assert_eq!(list.touch(address, twin.now), index.is_some(), "{address}");
        }
        7 => {
            let address = any_address(rng);
            assert_eq!(list.covers(address), twin.covering(address).is_some(), "{address}");
        }
        8 => {
            twin.wall = if rng.u8(..50) == 0 { None } else { Some(UnixSeconds(SANE.0 + rng.u64(..900))) };
            if rng.u8(..4) == 0 {
                twin.now = twin.now.after(Duration::from_secs(rng.u64(..DAY)));
            }
            let (now, wall) = (twin.now, twin.wall);
            twin.shown.push((now, wall));
            let retired = |retired: Retired| match retired {
                Retired::Removed(entry) => {
                    assert!(twin.is_idle(&entry) || twin.has_ended_for(&entry, 1));
                    assert_eq!(twin.remove(&entry.prefix), Some(entry));
                }
                Retired::Suspended(entry) => assert!(twin.has_ended(&entry, wall) && !twin.is_idle(&entry)),
            };
            list.retire(now, wall, retired);
            assert!(twin.entries.iter().all(|(entry, _)| !twin.is_idle(entry) && !twin.has_ended_for(entry, 3)));
        }
        _ => {
            let (kind, least) =
                [(Moved::AtAll, Duration::ZERO), (Moved::WorthAWrite, least_worth_a_write(Some(twin.retire_after)))]
                    [rng.usize(..2)];
            let mut moved: Vec<Seen> = list.take_moved(kind, 0..usize::MAX).collect();
            moved.sort_by(|left, right| compare(&left.prefix, &right.prefix));
            let mut expected = Vec::new();
            for (entry, saved) in &mut twin.entries {
                let is_permanent = kind == Moved::WorthAWrite && entry.retire == Retire::Never;
                let least = if is_permanent { least_worth_a_write(None) } else { least };
                if entry.last_seen.since(*saved) > least {
                    *saved = entry.last_seen;
                    expected.push(Seen { prefix: entry.prefix, last_seen: entry.last_seen });
                }
            }
            expected.sort_by(|left, right| compare(&left.prefix, &right.prefix));
            assert_eq!(moved, expected);
        }
    }
}

fn same(list: &Whitelist, twin: &Twin) {
    let mut expected: Vec<&Entry> = twin.entries.iter().map(|(entry, _)| entry).collect();
    expected.sort_by(|left, right| compare(&left.prefix, &right.prefix));
    let mut cursor = None;
    for entry in expected {
        let found = list.after(cursor.as_ref());
        assert_eq!(found, Some(entry));
        cursor = Some(entry.prefix);
    }
    assert_eq!(list.after(cursor.as_ref()), None);
}

#[test]
fn the_whitelist_behaves_like_its_slow_twin() {
    for seed in 0..40 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let capacity = [1, 2, 5, 17][seed as usize % 4];
        let retire_after = Duration::from_secs(50);
        let mut list = Whitelist::with_capacity(capacity, retire_after).expect("memory");
        let mut twin = Twin {
            entries: Vec::new(),
            capacity,
            retire_after,
            now: Running::default(),
            wall: None,
            shown: Vec::new(),
        };
        for _ in 0..1000 {
            step(&mut list, &mut twin, &mut rng);
            list.check_invariants();
            same(&list, &twin);
        }
    }
}
