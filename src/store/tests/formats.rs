//! Data directories of every format since 0.1.0, in `tests/data`, each with the list that it has in `expected`:
//!
//! | directory | format |
//! |---|---|
//! | `database` | the database, and an export of an earlier time without checksums |
//! | `two-copies` | the database, and the second copy: an export and a journal with checksums |
//! | `digests` | the same, with digests of the list in both text files |
//! | `tickets` | the same, with an entry that a ticket brought, a key that is used nowhere else, and a revocation |

use super::*;

/// Copy the data directory of a format, and return the copy and the lines of its list.
fn of_format(name: &str) -> (TempDir, Vec<String>) {
    let (dir, original) = (TempDir::new(), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name));
    copy(&original, dir.path());
    let expected = fs::read_to_string(dir.file("expected")).expect("text");
    (dir, expected.lines().map(String::from).collect())
}

/// Open a data directory, and return the lines of its list.
fn lines(dir: &TempDir) -> Vec<String> {
    let opened = open(dir);
    let mut lines: Vec<String> = opened
        .entries
        .iter()
        .map(|entry| {
            let mut line = String::new();
            crate::access::write_entry(&mut line, entry).expect("memory");
            line
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn the_data_of_every_format_opens_without_loss() {
    for name in ["database", "two-copies", "digests", "tickets"] {
        let (dir, expected) = of_format(name);
        for start in 0..3 {
            assert_eq!(lines(&dir), expected, "{name}, start {start}");
            assert_eq!(open(&dir).store.health().recovered, None, "{name}, start {start}");
        }
        // The start has made a second copy of the first format too.
        fs::remove_dir_all(dir.file("whitelist")).expect("removed");
        assert_eq!(lines(&dir), expected, "{name}, from the text");
    }
}

#[test]
fn the_keys_and_revocations_of_tickets_are_read() {
    let (dir, _) = of_format("tickets");
    let book = open(&dir).book;
    let public: Vec<_> = book.keys.iter().map(|key| key.public().to_string()).collect();
    assert_eq!(public, [book.signing_key().expect("an own key").public().to_string()]);
    let revoked: Vec<_> = book.revocations.iter().map(|one| (one.user.as_str(), one.first.to_string())).collect();
    assert_eq!(revoked, [("gone", "zz".to_owned())]);
}

#[test]
fn each_of_two_copies_is_enough() {
    for name in ["two-copies", "digests", "tickets"] {
        let (dir, expected) = of_format(name);
        fs::remove_dir_all(dir.file("whitelist")).expect("removed");
        assert_eq!(lines(&dir), expected, "{name}, the text");
        let (dir, expected) = of_format(name);
        for file in ["whitelist.export", "whitelist.journal"] {
            fs::remove_file(dir.file(file)).expect("removed");
        }
        assert_eq!(lines(&dir), expected, "{name}, the database");
    }
}
