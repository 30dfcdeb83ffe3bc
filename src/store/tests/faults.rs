//! Faults in any one file of the data directory: nothing acknowledged is lost, and damage is reported.

use std::os::unix::fs::{FileExt as _, symlink};

use super::*;

/// Number of faults in the short run. `NAKODO_FAULTS=3000` selects a long run.
const FAULTS: u32 = 300;

/// The part of a file that a fault hits.
const PARTS: [&str; 3] = ["begin", "middle", "end"];

/// A fault in a file, at an offset.
type Fault = fn(&Path, u64, &mut fastrand::Rng);

/// The kinds of faults, and whether they have an offset.
const KINDS: [(&str, bool, Fault); 9] = [
    ("one bit flipped", true, |path, at, rng| {
        let mut bytes = fs::read(path).expect("a file");
        bytes[at as usize] ^= 1 << rng.u8(..8);
        fs::write(path, bytes).expect("written");
    }),
    ("cut short", true, |path, at, _| cut(path, at)),
    ("a sector of zeros", true, |path, at, rng| fill_sector(path, at, rng, |_| 0)),
    ("a sector of ones", true, |path, at, rng| fill_sector(path, at, rng, |_| 0xff)),
    ("a sector of garbage", true, |path, at, rng| fill_sector(path, at, rng, |rng| rng.u8(..))),
    ("all of it garbage", false, |path, _, rng| overwrite(path, 0, length(path), rng.u64(..))),
    ("missing", false, |path, _, _| fs::remove_file(path).expect("removed")),
    ("a folder", false, |path, _, _| {
        fs::remove_file(path).and_then(|()| fs::create_dir(path)).expect("a folder");
    }),
    ("a link", false, |path, _, _| {
        fs::remove_file(path).and_then(|()| symlink("/dev/null", path)).expect("a link");
    }),
];

/// Overwrite the 512-byte sector of a file at an offset.
fn fill_sector(path: &Path, at: u64, rng: &mut fastrand::Rng, byte: fn(&mut fastrand::Rng) -> u8) {
    let at = at / 512 * 512;
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
    let mut table = std::collections::BTreeMap::<(String, &str, &str), [u32; 4]>::new();
    for fault in 0..faults {
        let file = &files[fault as usize % files.len()];
        let (kind, has_offset, damage) = KINDS[fault as usize / files.len() % KINDS.len()];
        let part = rng.usize(..PARTS.len());
        let context = format!("fault {fault}, {}: {kind}", file.display());
        let dir = TempDir::new();
        copy(intact.path(), dir.path());
        let path = dir.file(file.to_str().expect("UTF-8"));
        if length(&path) == 0 && !matches!(kind, "missing" | "a folder") {
            continue;
        }
        let third = length(&path) / PARTS.len() as u64;
        damage(&path, part as u64 * third + rng.u64(..third.max(1)), &mut rng);
        if file.ends_with("lock") && matches!(kind, "a folder" | "a link") {
            let refused = Store::open(dir.path()).expect_err("the lock is unusable").to_string();
            assert!(refused.contains("/lock: "), "{context}: {refused}");
            continue;
        }
        let (panics, is_reported) = start(&dir, &context);
        let again = open(&dir);
        let found = sorted(again.entries);
        let lost = expected.iter().filter(|entry| !found.contains(entry)).count() as u32;
        assert_eq!(found, expected, "{context}");
        assert_eq!(again.store.health().recovered, None, "{context}: both copies are whole again");
        let name =
            if file.to_string_lossy().contains("snap.") { "whitelist/snap".into() } else { file.display().to_string() };
        let row = table.entry((name, kind, if has_offset { PARTS[part] } else { "all" })).or_default();
        for (sum, more) in row.iter_mut().zip([1, u32::from(is_reported), panics, lost]) {
            *sum += more;
        }
    }
    println!("{:18} {:20} {:6} tries  reported  panics  lost", "file", "fault", "part");
    for ((file, kind, part), [tries, reported, panics, lost]) in &table {
        println!("{file:18} {kind:20} {part:6} {tries:5}  {reported:8}  {panics:6} {lost:5}");
    }
    let sum = |column: usize| table.values().map(|row| row[column]).sum::<u32>();
    println!("{} faults, {} reported, {} panics of the library: {} entries lost", sum(0), sum(1), sum(2), sum(3));
}

/// Return the text of a file, without the zeros after the journal's last line.
fn text_of(path: &Path) -> String {
    fs::read_to_string(path).expect("text").trim_end_matches('\0').to_owned()
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
    journal.append(&journal::Numbered { number: number + 1, entries, digest: None, change }).expect("written");
}

#[test]
fn a_change_that_is_only_in_the_journal_is_made_in_the_database() {
    let (dir, entries) = intact();
    journal(&dir, journal::Change::Put(vec![numbered(80)]), 69);
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
fn a_text_copy_with_another_list_is_made_anew_and_reported() {
    let (dir, entries) = intact();
    let text = text_of(&dir.file("whitelist.journal"));
    let (earlier, last) = text.trim_end().rsplit_once('\n').expect("lines");
    let last = super::checked_line::unseal(last).expect("a checksum");
    let digest = last.split(' ').nth(2).expect("a digest");
    let mut other = last.replacen(digest, "12345678", 1);
    super::checked_line::seal(&mut other);
    fs::write(dir.file("whitelist.journal"), format!("{earlier}\n{other}")).expect("written");
    let opened = open(&dir);
    assert!(recovered(&opened).contains("its list is another one"), "{}", recovered(&opened));
    assert_eq!(sorted(opened.entries), entries);
    drop(opened.store);
    assert_eq!(recovered(&open(&dir)), "");
}

#[test]
fn a_database_without_its_last_changes_gets_them_from_the_journal() {
    let (dir, entries) = intact();
    journal(&dir, journal::Change::Put(vec![numbered(80)]), 69);
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
    let text = text_of(&dir.file("whitelist.journal"));
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

/// Return the content of every file below a directory.
fn contents(dir: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).expect("a file"));
        }
    }
    found
}

#[test]
fn the_data_of_a_later_version_is_refused_and_stays_unchanged() {
    let append = |path: PathBuf| {
        let mut line = "format=2 and its words".to_owned();
        super::checked_line::seal(&mut line);
        let text = text_of(&path) + &line;
        fs::write(path, text).expect("written");
    };
    let later_conf = |path: PathBuf| {
        let text = b"segment_size: 65536\nuse_compression: false\nversion: 1.0\n";
        fs::write(path, [&text[..], &crc32fast::hash(text).to_le_bytes()].concat()).expect("written");
    };
    let changes: [(&str, &dyn Fn(PathBuf)); 3] =
        [("whitelist.export", &append), ("whitelist.journal", &append), ("whitelist/conf", &later_conf)];
    for (file, change) in changes {
        let (dir, _) = intact();
        change(dir.file(file));
        let before = contents(dir.path());
        let refused = Store::open(dir.path()).expect_err(file).to_string();
        assert!(
            refused.ends_with("a later version of nakodo wrote it; use that version, or move the data away"),
            "{file}: {refused}"
        );
        assert_eq!(contents(dir.path()), before, "{file}");
    }
}
