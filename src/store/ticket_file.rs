//! The keys and revocations of tickets on disk: a small text, written anew with each change, in two files. Either is
//! enough.
//!
//! ```text
//! tickets changes=3 lines=3 #0b0d7a3c
//! own SECRET #5f2c1e07
//! other PUBLIC #1f0c9a5e
//! revoked ann 0 gz400 1796000000 #7d40c2b1
//! ```
//! A line ends with a checksum ([`super::checked_line`]). `own` has the secret of a signing key, `other` the public key of
//! another signer. `revoked` has a user, the first and the last number, and the time at which the last of these tickets
//! ends; 0 if the clock was not set.

use std::fs::Permissions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::checked_line::{seal, unseal};
use super::data_dir::DataDir;
use super::{StoreError, no_links};
use crate::access::{TicketNumber, User};
use crate::clock::UnixSeconds;
use crate::ticket::{Book, KEYS, Key, PublicKey, REVOCATIONS, Revocation, SigningKey};

const HEADER: &str = "# The ticket keys and revocations of nakodo. Keep this file secret: `own` keys sign tickets.\n";

/// Maximum size of the file in bytes: a line has at most 100.
const MAX_BYTES: u64 = (KEYS + REVOCATIONS) as u64 * 100 + 1000;

/// Read the book, from the file with the later change. Return it with a description of the damage, if any.
///
/// # Errors
/// When a later version wrote it.
pub(super) fn read(data_dir: &DataDir) -> Result<(Book, Option<String>), StoreError> {
    let mut texts = Vec::new();
    for path in data_dir.tickets().iter().rev() {
        texts.extend(read_file(path)?);
    }
    let whole = texts.iter().filter(|text| text.is_whole).count();
    // The best one is the last, and of two equal ones the first file.
    texts.sort_by_key(|text| (text.is_whole, text.book.changes));
    let Some(best) = texts.pop() else { return Ok((Book::default(), None)) };
    let damage = match whole {
        2 => None,
        // A power cut may have come between the first writes of the two.
        1 if texts.is_empty() && best.book.changes <= 1 => None,
        1 => Some(
            "one of the two files of ticket keys was damaged or missing, and the other was complete; nothing is lost",
        ),
        _ => Some(
            "BOTH FILES OF TICKET KEYS WERE DAMAGED: check `nakodo key list`, and repeat the revocations of tickets",
        ),
    };
    Ok((merged(best, texts.pop()), damage.map(String::from)))
}

/// Return the book of `text`; if it is damaged too, with the lines of the other.
fn merged(text: Text, other: Option<Text>) -> Book {
    let mut book = text.book;
    if !text.is_whole
        && let Some(other) = other
    {
        for key in other.book.keys {
            if !book.has(key.public().id()) {
                book.keys.push(key);
            }
        }
        for revocation in other.book.revocations.iter() {
            book.revocations.add(revocation.clone());
        }
    }
    book
}

/// Write the book to both files, and make it durable.
pub(super) fn write(data_dir: &DataDir, book: &Book) -> Result<(), StoreError> {
    let text = text_of(book);
    for path in data_dir.tickets() {
        data_dir
            .replace(&path, &mut |file| {
                file.set_permissions(Permissions::from_mode(0o600))?;
                file.write_all(text.as_bytes()).map(|()| text.len() as u64)
            })
            .map_err(StoreError::of("write", &path))?;
    }
    Ok(())
}

/// A file as it was read.
struct Text {
    book: Book,
    /// Whether all of its lines were read.
    is_whole: bool,
}

/// Read a file; `None` if it is missing. A file that cannot be read counts as damaged.
fn read_file(path: &Path) -> Result<Option<Text>, StoreError> {
    let mut text = Vec::new();
    match no_links::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) => return Ok(Some(Text { book: Book::default(), is_whole: false })),
        Ok(_) => {}
    }
    let (mut book, mut lines, mut said, mut damaged) = (Book::default(), 0, None, 0);
    for line in text.split(|octet| *octet == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")) {
        let Some(line) = std::str::from_utf8(line).ok().and_then(unseal) else {
            damaged += 1;
            continue;
        };
        if let Some((changes, count)) = parse_date(line) {
            (book.changes, said) = (changes, Some(count));
        } else if parse_line(line, &mut book).is_some() {
            lines += 1;
        } else {
            return Err(StoreError::later_version(path));
        }
    }
    Ok(Some(Text { book, is_whole: damaged == 0 && said == Some(lines) }))
}

fn parse_date(line: &str) -> Option<(u64, u32)> {
    let (changes, lines) = line.strip_prefix("tickets changes=")?.split_once(" lines=")?;
    Some((changes.parse().ok()?, lines.parse().ok()?))
}

fn parse_line(line: &str, book: &mut Book) -> Option<()> {
    match line.split_once(' ')? {
        ("own", secret) => book.keys.push(Key::Own(SigningKey::parse(secret).ok()?)),
        ("other", public) => book.keys.push(Key::Other(PublicKey::parse(public).ok()?)),
        ("revoked", rest) => {
            let mut words = rest.split(' ');
            let mut word = || words.next();
            let revocation = Revocation {
                // A name that an earlier version took stays one.
                user: User::try_from(word()?).ok()?,
                first: TicketNumber::parse(word()?).ok()?,
                last: TicketNumber::parse(word()?).ok()?,
                until: Some(UnixSeconds(word()?.parse().ok()?)).filter(|until| until.0 > 0),
            };
            book.revocations.add(revocation);
        }
        _ => return None,
    }
    Some(())
}

fn text_of(book: &Book) -> String {
    let mut lines =
        vec![format!("tickets changes={} lines={}", book.changes, book.keys.len() + book.revocations.iter().len())];
    lines.extend(book.keys.iter().map(|key| match key {
        Key::Own(key) => format!("own {}", key.secret()),
        Key::Other(key) => format!("other {key}"),
    }));
    lines.extend(book.revocations.iter().map(|revocation| {
        let Revocation { user, first, last, until } = revocation;
        format!("revoked {user} {first} {last} {}", until.map_or(0, |until| until.0))
    }));
    let mut text = HEADER.to_owned();
    for mut line in lines {
        seal(&mut line);
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::testing::TempDir;

    fn book() -> Book {
        let mut book = Book { changes: 3, ..Book::default() };
        book.keys.push(Key::Own(SigningKey::of_seed([7; 32]).expect("a seed")));
        book.keys.push(Key::Other(SigningKey::of_seed([8; 32]).expect("a seed").public()));
        let user = User::try_from("ann").expect("a name");
        book.revocations.add(Revocation {
            user,
            first: TicketNumber(0),
            last: TicketNumber(9),
            until: Some(UnixSeconds(1_796_000_000)),
        });
        book
    }

    fn written() -> (TempDir, DataDir) {
        let dir = TempDir::new();
        let data_dir = DataDir::new(dir.path());
        write(&data_dir, &book()).expect("a directory");
        (dir, data_dir)
    }

    #[test]
    fn a_written_book_reads_back_and_is_secret() {
        let (_dir, data_dir) = written();
        let (read, damage) = read(&data_dir).expect("files");
        assert_eq!((text_of(&read), damage), (text_of(&book()), None));
        for path in data_dir.tickets() {
            assert_eq!(fs::metadata(path).expect("a file").mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn either_file_is_enough() {
        for damaged in 0..2 {
            let (_dir, data_dir) = written();
            let path = &data_dir.tickets()[damaged];
            let whole = fs::read(path).expect("a file");
            let bits = (HEADER.len() * 8..whole.len() * 8).step_by(3);
            let mut versions: Vec<Vec<u8>> = bits
                .map(|bit| {
                    let mut changed = whole.clone();
                    changed[bit / 8] ^= 1 << (bit % 8);
                    changed
                })
                .collect();
            versions.extend([Vec::new(), whole[..whole.len() / 2].to_vec(), vec![0xff; 100]]);
            for version in versions {
                fs::write(path, &version).expect("a file");
                let (read, _) = read(&data_dir).expect("files");
                assert_eq!(text_of(&read), text_of(&book()), "{}", version.escape_ascii());
            }
            fs::remove_file(path).expect("a file");
            let (read, _) = read(&data_dir).expect("files");
            assert_eq!(text_of(&read), text_of(&book()));
            fs::create_dir(path).expect("a directory");
            let (_, damage) = self::read(&data_dir).expect("files");
            assert!(damage.is_some_and(|damage| damage.contains("the other was complete")));
        }
    }

    #[test]
    fn if_both_are_damaged_the_lines_of_both_count_and_the_loss_is_reported() {
        let (_dir, data_dir) = written();
        for (path, line) in data_dir.tickets().iter().zip(["own ", "other "]) {
            let text = fs::read_to_string(path).expect("a file");
            fs::write(path, text.replace(line, &line.to_uppercase())).expect("a file");
        }
        let (read, damage) = read(&data_dir).expect("files");
        assert_eq!((read.keys.len(), read.revocations.iter().len()), (2, 1));
        assert!(damage.is_some_and(|damage| damage.contains("BOTH")));
    }

    #[test]
    fn after_a_cut_between_the_two_files_the_later_change_counts() {
        let (_dir, data_dir) = written();
        let later = Book { changes: 4, ..Book::default() };
        data_dir
            .replace(&data_dir.tickets()[0], &mut |file| file.write_all(text_of(&later).as_bytes()).map(|()| 0))
            .expect("written");
        let (read, damage) = read(&data_dir).expect("files");
        assert_eq!((text_of(&read), damage), (text_of(&later), None));
    }

    #[test]
    fn a_file_of_a_later_version_is_refused() {
        let (_dir, data_dir) = written();
        let path = &data_dir.tickets()[1];
        let mut line = "quantum key".to_owned();
        seal(&mut line);
        fs::write(path, fs::read_to_string(path).expect("a file") + &line).expect("a file");
        let error = read(&data_dir).expect_err("unknown content").to_string();
        assert!(error.contains("a later version"), "{error}");
    }
}
