//! Tests of a disk that fails, and works again.

use super::*;

/// Return a store of five entries on a disk that fails from now on, and the entries.
fn failing(dir: &TempDir) -> (Opened, Vec<Entry>) {
    let entries = fill(dir, 5);
    let opened = open(dir);
    opened.store.break_disk();
    (opened, entries)
}

fn refused(store: &Store, entry: &Entry) -> StoreError {
    smol::block_on(store.put(vec![entry.clone()])).expect_err("the disk fails")
}

fn rebuild(opened: &Opened, entries: &[Entry]) {
    smol::block_on(opened.store.rebuild(Running::from_seconds(9000), entries.to_vec())).expect("on the disk");
}

/// Return the entries that a restart finds, and check that it finds no damage. It runs on a copy, because a failed
/// database may stay locked until the process ends.
fn found_after_a_restart(dir: &TempDir) -> Vec<Entry> {
    let ended = TempDir::new();
    copy(dir.path(), ended.path());
    let opened = open(&ended);
    assert_eq!((opened.moved_aside, opened.unreadable_records), (None, 0));
    sorted(opened.entries)
}

#[test]
fn after_a_failure_changes_are_refused_until_the_list_is_rewritten() {
    let dir = TempDir::new();
    let (opened, entries) = failing(&dir);
    let store = &opened.store;
    assert_eq!(store.health(), Health::default());
    assert_eq!(refused(store, &numbered(100)).outcome(), Outcome::Unknown);
    for _ in 0..3 {
        let again = refused(store, &numbered(101));
        assert_eq!(again.outcome(), Outcome::Unchanged);
        assert!(again.to_string().contains(": the disk failed earlier: cannot write the whitelist in /"), "{again}");
        let remove = smol::block_on(store.remove(&[entries[0].prefix])).expect_err("the disk fails");
        assert_eq!(remove.outcome(), Outcome::Unchanged);
    }
    let health = store.health();
    assert!(health.failing.is_some_and(|why| why.contains("Invalid argument")));
    assert_eq!((health.failures, health.rebuilds), (1, 0));

    rebuild(&opened, &entries);
    assert_eq!(store.health(), Health { failures: 1, rebuilds: 1, ..Health::default() });
    put(store, &numbered(102));
    smol::block_on(store.remove(&[entries[0].prefix])).expect("on the disk");
    drop(opened);
    let expected = [&entries[1..], &[numbered(102)]].concat();
    assert_eq!(found_after_a_restart(&dir), sorted(expected));
}

#[test]
fn a_refused_change_stays_refused_after_a_rewrite() {
    let dir = TempDir::new();
    let (opened, entries) = failing(&dir);
    assert_eq!(refused(&opened.store, &numbered(100)).outcome(), Outcome::Unknown);
    rebuild(&opened, &entries);
    // As after `kill -9`, and after an orderly stop.
    assert_eq!(found_after_a_restart(&dir), entries);
    smol::block_on(opened.store.close(Running::from_seconds(9001), Vec::new())).expect("on the disk");
    drop(opened);
    assert_eq!(found_after_a_restart(&dir), entries);
}

#[test]
fn a_removal_that_was_refused_stays_refused() {
    let dir = TempDir::new();
    let (opened, entries) = failing(&dir);
    let error = smol::block_on(opened.store.remove(&[entries[0].prefix])).expect_err("the disk fails");
    assert_eq!(error.outcome(), Outcome::Unknown);
    rebuild(&opened, &entries);
    drop(opened);
    assert_eq!(found_after_a_restart(&dir), entries);
}

#[test]
fn no_refused_change_is_written_at_the_end() {
    let dir = TempDir::new();
    let (opened, entries) = failing(&dir);
    refused(&opened.store, &numbered(100));
    let unsaved = smol::block_on(opened.store.close(Running::from_seconds(9000), Vec::new())).expect_err("it fails");
    assert!(unsaved.export.is_some() && unsaved.idle_times.is_some(), "{unsaved:?}");
    assert!(!dir.file("whitelist.export").exists(), "it would have the refused entry");
    // The first write reached the file before its sync failed. The outcome was unknown, so both results are correct.
    let found = found_after_a_restart(&dir);
    assert!(found == entries || found == sorted([&entries[..], &[numbered(100)]].concat()), "{found:?}");
}

#[test]
fn records_outside_the_whitelist_survive_a_rewrite() {
    let dir = TempDir::new();
    fill(&dir, 6);
    let (key, value) = ([4, 32, 192, 0, 2, 200], [2, 1, 2, 3]);
    database::tests::write_raw(&dir.file("whitelist"), &key, &value);
    let opened = open(&dir);
    // The whitelist has room for two. Of the others, one is replaced and one is removed later.
    let (listed, left_out) = (vec![numbered(0), numbered(1)], (2..6).map(numbered).collect::<Vec<_>>());
    opened.store.keep(&left_out).expect("records");
    let replaced = Entry { user: User::new(), ..numbered(2) };
    put(&opened.store, &replaced);
    smol::block_on(opened.store.remove(&[numbered(3).prefix])).expect("on the disk");
    opened.store.break_disk();
    refused(&opened.store, &numbered(100));
    rebuild(&opened, &[&listed[..], std::slice::from_ref(&replaced)].concat());
    drop(opened);
    let opened = open(&dir);
    let expected = [&listed[..], &[replaced, numbered(4), numbered(5)]].concat();
    assert_eq!((sorted(opened.entries), opened.unreadable_records), (sorted(expected), 1));
}

#[test]
fn a_rewritten_list_is_newer_than_any_export() {
    let dir = TempDir::new();
    let (opened, entries) = failing(&dir);
    refused(&opened.store, &numbered(100));
    rebuild(&opened, &entries[..4]);
    smol::block_on(opened.store.save(Running::from_seconds(100_000), Vec::new())).expect("on the disk");
    let export = fs::read_to_string(dir.file("whitelist.export")).expect("an export");
    assert_eq!(export.matches("last-seen").count(), 4);
    drop(opened);
    assert_eq!(found_after_a_restart(&dir), entries[..4]);
}

#[test]
fn an_error_names_the_directory_that_a_new_database_was_moved_to() {
    let dir = TempDir::new();
    let opened = open(&dir);
    opened.store.break_disk();
    let error = refused(&opened.store, &numbered(100)).to_string();
    assert!(error.contains("/whitelist: "), "{error}");
}

#[test]
fn a_disk_that_fails_again_and_again_takes_bounded_memory() {
    let dir = TempDir::new();
    let (opened, entries) = failing(&dir);
    let failures = (1..100).find(|_| {
        refused(&opened.store, &numbered(100));
        let rebuilt = smol::block_on(opened.store.rebuild(Running::from_seconds(9000), entries.clone()));
        if rebuilt.is_ok() {
            opened.store.break_disk();
        }
        rebuilt.is_err_and(|error| error.to_string().contains("restart nakodo"))
    });
    assert_eq!(failures, Some(8));
    // The outcome of the last refused change stays unknown.
    let found = found_after_a_restart(&dir);
    assert!(found == entries || found == sorted([&entries[..], &[numbered(100)]].concat()), "{found:?}");
}

#[test]
fn a_failed_export_does_not_prevent_other_writes() {
    let dir = TempDir::new();
    let entries = fill(&dir, 2);
    let opened = open(&dir);
    let _ = fs::remove_file(dir.file("whitelist.export"));
    fs::create_dir(dir.file("whitelist.export")).expect("a folder in the way");
    put(&opened.store, &entries[1]);
    let (hour, two) = (Running::from_seconds(3600), Running::from_seconds(7200));
    let seen = |last_seen| vec![Seen { prefix: entries[0].prefix, last_seen }];
    let save = smol::block_on(opened.store.save(hour, seen(hour))).expect_err("the export fails");
    let close = smol::block_on(opened.store.close(two, seen(two))).expect_err("the export fails");
    for unsaved in [save, close] {
        assert!(unsaved.idle_times.is_none(), "{unsaved:?}");
        let error = unsaved.export.expect("it fails").to_string();
        assert!(error.starts_with("cannot write /") && error.contains("whitelist.export: "), "{error}");
    }
    assert!(opened.store.health().export_failing.is_some() && opened.store.health().failing.is_none());
    assert!(!dir.file("whitelist.new").exists(), "the attempt leaves no file");
    drop(opened);
    let opened = open(&dir);
    assert_eq!(opened.running, two);
    let last_seen = opened.entries.iter().find(|entry| entry.prefix == entries[0].prefix).map(|entry| entry.last_seen);
    assert_eq!(last_seen, Some(two));
}
