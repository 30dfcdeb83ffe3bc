//! Faults in any one file of the data directory: nothing acknowledged is lost, and damage is reported.

use std::os::unix::fs::{FileExt as _, symlink};

use super::*;

/// Number of faults in the short run. `NAKODO_FAULTS=3000` selects a long run.
const FAULTS: u32 = 300;

/// A fault in a file.
type Fault = fn(&Path, &mut fastrand::Rng);

const KINDS: [(&str, Fault); 9] = [
    ("one bit flipped", |path, rng| {
        let mut bytes = fs::read(path).expect("a file");
        let at = rng.usize(..bytes.len());
        bytes[at] ^= 1 << rng.u8(..8);
        fs::write(path, bytes).expect("written");
    }),
    ("cut short", |path, rng| cut(path, rng.u64(..length(path)))),
    ("a sector of zeros", |path, rng| fill_sector(path, rng, |_| 0)),
    ("a sector of ones", |path, rng| fill_sector(path, rng, |_| 0xff)),
    ("a sector of garbage", |path, rng| fill_sector(path, rng, |rng| rng.u8(..))),
    ("all of it garbage", |path, rng| overwrite(path, 0, length(path), rng.u64(..))),
    ("missing", |path, _| fs::remove_file(path).expect("removed")),
    ("a folder", |path, _| fs::remove_file(path).and_then(|()| fs::create_dir(path)).expect("a folder")),
    ("a link", |path, _| {
        fs::remove_file(path).and_then(|()| symlink("/dev/null", path)).expect("a link");
    }),
];

/// Overwrite one of the 512-byte sectors of a file.
fn fill_sector(path: &Path, rng: &mut fastrand::Rng, byte: fn(&mut fastrand::Rng) -> u8) {
    let at = rng.u64(..length(path).div_ceil(512)) * 512;
    let bytes: Vec<u8> = (at..length(path).min(at + 512)).map(|_| byte(rng)).collect();
    File::options().write(true).open(path).and_then(|file| file.write_all_at(&bytes, at)).expect("written");
}

/// Return a directory with a database, a snapshot, an export and a journal after it, and its entries.
fn intact() -> (TempDir, Vec<Entry>) {
    let dir = TempDir::new();
    let opened = open(&dir);
    (0..60).for_each(|number| put(&opened.store, &numbered(number)));
    smol::block_on(opened.store.close(Running::from_seconds(3600), Vec::new())).expect("saved");
    drop(opened);
    let opened = open(&dir);
    (60..70).for_each(|number| put(&opened.store, &numbered(number)));
    put(&opened.store, &Entry { user: User::new(), ..numbered(7) });
    smol::block_on(opened.store.remove(&[numbered(3).prefix, numbered(62).prefix])).expect("on the disk");
    let entries = (0..70).filter(|number| !matches!(number, 3 | 62)).map(numbered);
    let entries = entries
        .map(|entry| if entry.prefix == numbered(7).prefix { Entry { user: User::new(), ..entry } } else { entry });
    let ended = TempDir::new();
    copy(dir.path(), ended.path());
    (ended, sorted(entries.collect()))
}

/// Start on a directory until the tracker runs, as a supervisor would. Return the number of panics of the library, and
/// whether the start reported a recovery.
fn start(dir: &TempDir, context: &str) -> (u32, bool) {
    for panics in 0..3 {
        let started = child(dir, "open");
        if said(&started, "ENTRIES").is_some() {
            return (panics, said(&started, "RECOVERED").as_deref() == Some("true"));
        }
        assert_eq!(said(&started, "ERROR"), None, "{context}");
    }
    panic!("{context}: it does not start");
}

#[test]
fn one_fault_in_any_file_loses_nothing() {
    let (intact, expected) = intact();
    let mut files: Vec<PathBuf> = ["whitelist.export", "whitelist.journal", "lock"].map(PathBuf::from).to_vec();
    let database = fs::read_dir(intact.file("whitelist")).expect("a folder").flatten();
    files.extend(
        database.filter(|file| file.path().is_file()).map(|file| Path::new("whitelist").join(file.file_name())),
    );
    let faults = std::env::var("NAKODO_FAULTS").map_or(FAULTS, |faults| faults.parse().expect("a number"));
    let mut rng = fastrand::Rng::with_seed(14);
    let mut table = std::collections::BTreeMap::<(String, &str), [u32; 3]>::new();
    for fault in 0..faults {
        let file = &files[fault as usize % files.len()];
        let (kind, damage) = KINDS[fault as usize / files.len() % KINDS.len()];
        let context = format!("fault {fault}, {}: {kind}", file.display());
        let dir = TempDir::new();
        copy(intact.path(), dir.path());
        let path = dir.file(file.to_str().expect("UTF-8"));
        if length(&path) == 0 && !matches!(kind, "missing" | "a folder") {
            continue;
        }
        damage(&path, &mut rng);
        if file.ends_with("lock") && matches!(kind, "a folder" | "a link") {
            let refused = Store::open(dir.path()).expect_err("the lock is unusable").to_string();
            assert!(refused.contains("/lock: "), "{context}: {refused}");
            continue;
        }
        let (panics, is_reported) = start(&dir, &context);
        let again = open(&dir);
        assert_eq!(sorted(again.entries), expected, "{context}");
        assert_eq!(again.store.health().recovered, None, "{context}: both copies are whole again");
        let name =
            if file.to_string_lossy().contains("snap.") { "whitelist/snap".into() } else { file.display().to_string() };
        let row = table.entry((name, kind)).or_default();
        row[0] += 1;
        row[1] += u32::from(is_reported);
        row[2] += panics;
    }
    println!("{:20} {:20} tries  reported  panics  lost", "file", "fault");
    for ((file, kind), [tries, reported, panics]) in table {
        println!("{file:20} {kind:20} {tries:5}  {reported:8}  {panics:6}     0");
    }
}

fn recovered(opened: &Opened) -> String {
    opened.store.health().recovered.unwrap_or_default()
}

/// Add a change to the journal, as a tracker does that is killed before it makes the change in the database.
fn journal(dir: &TempDir, change: journal::Change, entries: u32) {
    let data_dir = DataDir::new(dir.path());
    let mut number = 0;
    let scan = journal::read(&data_dir.journal(), |change| number = change.number).expect("a journal");
    let octets = scan.expect("a journal").octets;
    let mut journal = journal::Journal::continued(&data_dir, octets).expect("a journal");
    journal.append(&journal::Numbered { number: number + 1, entries, change }).expect("written");
}

#[test]
fn a_change_that_is_only_in_the_journal_is_made_in_the_database() {
    let (dir, entries) = intact();
    journal(&dir, journal::Change::Put(numbered(80)), 69);
    let expected = sorted([entries, vec![numbered(80)]].concat());
    for _ in 0..2 {
        let opened = open(&dir);
        assert_eq!((recovered(&opened).as_str(), opened.moved_aside), ("", None), "this is no damage");
        assert_eq!(sorted(opened.entries), expected);
    }
    journal(&dir, journal::Change::Remove(vec![numbered(80).prefix, numbered(81).prefix]), 68);
    let opened = open(&dir);
    assert_eq!((recovered(&opened).as_str(), opened.entries.len()), ("", 68));
    put(&opened.store, &numbered(82));
}

#[test]
fn a_database_without_its_last_changes_gets_them_from_the_journal() {
    let (dir, entries) = intact();
    journal(&dir, journal::Change::Put(numbered(80)), 69);
    journal(&dir, journal::Change::Remove(vec![numbered(0).prefix]), 68);
    let opened = open(&dir);
    let report = recovered(&opened);
    assert!(
        report.contains("changes 73 to 74 are missing at its end") && report.ends_with("no change is lost"),
        "{report}"
    );
    let expected = entries.into_iter().filter(|entry| entry.prefix != numbered(0).prefix).chain([numbered(80)]);
    assert_eq!(sorted(opened.entries), sorted(expected.collect()));
}

#[test]
fn damage_of_both_copies_names_the_changes_that_are_lost() {
    let (dir, entries) = intact();
    let text = fs::read_to_string(dir.file("whitelist.journal")).expect("a journal");
    let without_two: Vec<&str> =
        text.lines().filter(|line| !line.starts_with("63 ") && !line.starts_with("64 ")).collect();
    fs::write(dir.file("whitelist.journal"), without_two.join("\n") + "\n").expect("written");
    overwrite(&dir.db(), 0, length(&dir.db()), 1);
    start(&dir, "both damaged");
    let opened = open(&dir);
    let lost = [numbered(62).prefix, numbered(63).prefix];
    let expected = entries.iter().filter(|entry| !lost.contains(&entry.prefix)).cloned().collect();
    assert_eq!(sorted(opened.entries), sorted(expected));

    let (dir, _) = intact();
    fs::write(dir.file("whitelist.journal"), without_two.join("\n") + "\n").expect("written");
    fs::remove_dir_all(dir.file("whitelist")).expect("removed");
    let report = recovered(&open(&dir));
    assert!(report.contains("SOME CHANGES ARE LOST (numbers 63 to 64): make them again"), "{report}");
}

#[test]
fn the_data_of_a_version_without_a_journal_gets_a_second_copy() {
    let (dir, entries) = intact();
    fs::remove_file(dir.file("whitelist.journal")).expect("removed");
    fs::write(dir.file("whitelist.export"), "running=3600 changes=60\n192.0.2.7/32 last-seen=5\n").expect("written");
    let opened = open(&dir);
    assert_eq!((recovered(&opened).as_str(), opened.moved_aside), ("", None));
    assert_eq!(sorted(opened.entries), entries);
    drop(opened.store);
    fs::remove_dir_all(dir.file("whitelist")).expect("removed");
    assert_eq!(sorted(open(&dir).entries), entries, "from the text files");
}

#[test]
fn a_list_from_a_person_makes_nobody_idle() {
    let dir = TempDir::new();
    fs::write(dir.file("whitelist.export"), "running=99999999 changes=3\n192.0.2.7 last-seen=5\n").expect("written");
    let opened = open(&dir);
    assert_eq!((opened.entries.len(), opened.running), (1, Running::from_seconds(5)));
}
