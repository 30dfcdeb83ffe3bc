//! `nakodo check --data`: the state of both copies of the whitelist, without a change of them.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::process::{CONFIG, Daemon, Folder, Ran};

/// Return a folder with the data of a tracker that was killed after `changes` changes.
fn data(changes: u32) -> Folder {
    let folder = Folder::new("check-data");
    let daemon = Daemon::configured(&folder, "listen = [\"127.0.0.1:0\"]\n");
    (0..changes).for_each(|change| daemon.allow(&[&format!("192.0.2.{change}")]));
    daemon.kill();
    folder
}

/// Return the content of every file of the data.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(dir).expect("a folder").flatten().map(|file| file.path()) {
        if file.is_dir() {
            found.extend(contents(&file));
        } else if file.is_file() {
            found.insert(file.clone(), fs::read(&file).expect("a file"));
        }
    }
    found
}

/// Check the data. Return the exit code and the part of the output about the data.
fn check(folder: &Folder) -> (Option<i32>, String) {
    let before = contents(&folder.path("data"));
    let Ran { code, out, err } = folder.run(&["check", "--data", CONFIG[0], CONFIG[1]]);
    assert_eq!(contents(&folder.path("data")), before, "nothing is changed");
    assert_eq!(err, "", "{out}");
    (code, out.split_once("data in data\n").expect(&out).1.to_owned())
}

#[test]
fn whole_data_is_reported_as_whole() {
    let folder = data(5);
    let expected =
        "text copy  change 5, 5 entries\ndatabase   change 5, 5 entries\nboth copies are whole, and the same\n";
    assert_eq!(check(&folder), (Some(0), expected.into()));
    let daemon = Daemon::again(&folder);
    let expected = "text copy  change 5, 5 entries\n\
        database   in use by a running tracker: `nakodo status` reports its state\n";
    assert_eq!(check(&folder), (Some(0), expected.into()));
    daemon.stop();
    let empty = data(0);
    fs::remove_dir_all(empty.path("data/whitelist")).expect("removed");
    fs::remove_file(empty.path("data/whitelist.journal")).expect("removed");
    assert_eq!(check(&empty), (Some(0), "there is no whitelist yet\n".into()));
}

#[test]
fn damage_is_reported_with_its_consequence() {
    let journal = |folder: &Folder| folder.path("data/whitelist.journal");
    let spoil = |path: PathBuf, at: usize| {
        let mut bytes = fs::read(&path).expect("a file");
        bytes[at] ^= 1;
        fs::write(path, bytes).expect("written");
    };
    // Zeros follow the journal's last line.
    let text_of =
        |folder: &Folder| fs::read_to_string(journal(folder)).expect("a journal").trim_end_matches('\0').to_owned();
    let folder = data(5);
    spoil(journal(&folder), text_of(&folder).len() - 30);
    let (code, out) = check(&folder);
    assert_eq!(code, Some(65));
    assert!(out.contains("damaged    whitelist.journal: 1 of its lines cannot be read"), "{out}");
    assert!(out.ends_with("the next start recovers 5 entries; no change is lost\n"), "{out}");

    let folder = data(5);
    spoil(folder.path("data/whitelist/conf"), 3);
    let (code, out) = check(&folder);
    assert_eq!(code, Some(65));
    assert!(out.contains("damaged    the database: its file conf was damaged"), "{out}");

    let folder = data(5);
    fs::remove_dir_all(folder.path("data/whitelist")).expect("removed");
    let (code, out) = check(&folder);
    assert_eq!(code, Some(65));
    assert_eq!(
        out,
        "text copy  change 5, 5 entries\ndamaged    the database is missing\n\
        the next start recovers 5 entries; no change is lost\n"
    );

    // Both copies: the last change is in neither.
    let text = text_of(&folder);
    let without: String = text.lines().filter(|line| !line.starts_with("3 ")).map(|line| format!("{line}\n")).collect();
    fs::write(journal(&folder), without).expect("written");
    let (code, out) = check(&folder);
    assert_eq!(code, Some(65));
    assert!(out.contains("SOME CHANGES ARE LOST (numbers 3)"), "{out}");
}
