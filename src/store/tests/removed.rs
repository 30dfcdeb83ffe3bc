//! Files that are removed or replaced, under a running store and before a start.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// Remove something under a running store with three entries. Check that a change is not acknowledged, that a rebuild
/// makes everything anew, and that a second tracker stays locked out.
fn removed_while_it_runs(name: &str) {
    let dir = TempDir::new();
    let data_dir = dir.file("data");
    let opened = Store::open(&data_dir).expect("a store");
    let entries: Vec<Entry> = (0..3).map(numbered).collect();
    entries.iter().for_each(|entry| put(&opened.store, entry));
    let path = data_dir.join(name);
    if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.expect("removed");

    let refused = smol::block_on(opened.store.put(vec![numbered(3)])).expect_err("it would be lost");
    assert_eq!(refused.outcome(), Outcome::Unchanged);
    assert!(refused.to_string().contains("the file was removed or replaced"), "{refused}");
    smol::block_on(opened.store.rebuild(Running::from_seconds(9), entries.clone())).expect("a new copy");
    assert!(matches!(Store::open(&data_dir), Err(OpenError::InUse(_))), "{name:?}: it is still locked");
    put(&opened.store, &numbered(3));
    drop(opened);
    let again = (0..200).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        Store::open(&data_dir).ok()
    });
    let found = sorted(again.expect("a store").entries);
    assert_eq!(found, sorted([entries, vec![numbered(3)]].concat()), "{name:?}");
}

#[test]
fn a_database_that_is_removed_while_the_tracker_runs_is_made_anew() {
    ["", "whitelist", "whitelist/db"].into_iter().for_each(removed_while_it_runs);
}

#[test]
fn a_removed_export_is_written_again() {
    let dir = TempDir::new();
    let opened = open(&dir);
    put(&opened.store, &numbered(1));
    let save = |seconds| smol::block_on(opened.store.save(Running::from_seconds(seconds), Vec::new())).expect("saved");
    save(600);
    fs::remove_file(dir.file("whitelist.export")).expect("it was written");
    save(601);
    assert!(dir.file("whitelist.export").exists());
}

#[test]
fn links_in_the_data_directory_are_not_followed() {
    let elsewhere = TempDir::new();
    fill(&elsewhere, 5);
    let target = elsewhere.file("target");
    for name in ["whitelist", "whitelist/db", "whitelist/conf", "whitelist.export", "opening-panics", "whitelist.probe"]
    {
        let dir = TempDir::new();
        fill(&dir, 3);
        fs::write(&target, "192.0.2.77\n").expect("written");
        let at = dir.file(name);
        let _ = fs::remove_dir_all(&at).or_else(|_| fs::remove_file(&at));
        symlink(if name == "whitelist" { elsewhere.file("whitelist") } else { target.clone() }, &at).expect("a link");
        let opened = open(&dir);
        assert!(opened.entries.iter().all(|entry| entry.prefix != numbered(4).prefix), "{name}");
        assert!(!opened.entries.contains(&entry("192.0.2.77")), "{name}");
        put(&opened.store, &numbered(9));
        smol::block_on(opened.store.close(Running::from_seconds(600), Vec::new())).expect("saved");
        assert_eq!(fs::read_to_string(&target).expect("a file"), "192.0.2.77\n", "{name}");
    }
    let locked = TempDir::new();
    symlink(&target, locked.file("lock")).expect("a link");
    assert!(matches!(Store::open(locked.path()), Err(OpenError::Unusable(_))));
    drop(open(&elsewhere));
}

#[test]
fn a_directory_that_all_users_may_write_is_refused() {
    let dir = TempDir::new();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("changed");
    let error = Store::open(dir.path()).expect_err("others may write").to_string();
    let path = dir.path().display();
    let expected =
        format!("cannot use the data directory {path}: all users may write there; run `chmod o-w {path}`, or");
    assert!(error.starts_with(&expected), "{error}");
}
