//! The journal: each change of the whitelist as a line of text, durable before the change is acknowledged. With the
//! export before it, it is the second copy of the whitelist.
//!
//! ```text
//! 13 41 5b1f0a77 put 192.0.2.7/32 last-seen=860000 user=ann #1f0c9a5e
//! 14 39 90d2e3c8 remove 192.0.2.7/32 2001:db8:1:2::/64 #7d40c2b1
//! 15 41 1c5d09aa put 192.0.2.8/32 last-seen=860000 | 192.0.2.9/32 last-seen=860000 #53e1f0c4
//! ```
//! A line has the number of the change, the number of entries after it, their digest ([`super::digest`]; a short-lived
//! format had none), the change, and a checksum ([`super::checked_line`]). After the last line follow zeros: the file grows
//! in steps, because a change of its size would cost another write of the file system for each change.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::StoreError;
use super::checked_line::{seal, unseal};
use super::data_dir::DataDir;
use super::digest::Digest;
use super::no_links::{self, Identity};
use crate::access::{Entry, parse_entry, prefix, write_entry};

const HEADER: &str = "\
# The changes of the whitelist after those in whitelist.export. nakodo reads them if the database is damaged.
";

/// Size in bytes up to which the journal grows before a new export replaces it, if the export is smaller.
const SMALL_OCTETS: u64 = 64 * 1024;

/// Longest line in bytes: more than 10,000 entries with the longest names and numbers. A line of garbage must not take
/// all memory.
const LONGEST_LINE_OCTETS: u64 = 3 << 20;

/// Separator of entries that were put by the same change. No word of an entry is a bar.
const BETWEEN_ENTRIES: &str = " | ";

/// Size in bytes of the steps in which the file grows.
const STEP_OCTETS: u64 = 4096;

/// A change of the whitelist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Entries were added, or replaced those with the same prefixes.
    Put(Vec<Entry>),
    /// The entries with these prefixes were removed.
    Remove(Vec<IpNet>),
}

/// A change with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) number: u64,
    /// Number of entries after the change.
    pub(super) entries: u32,
    /// Digest of the list after the change; `None` if the line has none.
    pub(super) digest: Option<Digest>,
    pub(super) change: Change,
}

impl Numbered {
    fn line(&self) -> String {
        let mut line = format!("{} {} ", self.number, self.entries);
        // A write to a string cannot fail.
        let _ = self.digest.map_or(Ok(()), |digest| write!(line, "{digest} "));
        let _ = match &self.change {
            Change::Put(entries) => entries.iter().enumerate().try_for_each(|(number, entry)| {
                line.write_str(if number == 0 { "put " } else { BETWEEN_ENTRIES })?;
                write_entry(&mut line, entry)
            }),
            Change::Remove(prefixes) => {
                line.write_str("remove").and_then(|()| prefixes.iter().try_for_each(|prefix| write!(line, " {prefix}")))
            }
        };
        seal(&mut line);
        line
    }

    /// Parse a line without its checksum.
    fn parse(line: &str) -> Option<Self> {
        let (number, rest) = line.split_once(' ')?;
        let (entries, rest) = rest.split_once(' ')?;
        let (number, entries) = (number.parse().ok()?, entries.parse().ok()?);
        let (first, after_first) = rest.split_once(' ')?;
        let digest = Digest::parse(first);
        let change = match (if digest.is_some() { after_first } else { rest }).split_once(' ')? {
            ("put", entries) => {
                let entries = entries.split(BETWEEN_ENTRIES).map(|entry| parse_entry(entry).ok());
                Change::Put(entries.collect::<Option<_>>()?)
            }
            ("remove", prefixes) => {
                Change::Remove(prefixes.split(' ').map(|text| prefix::parse(text).ok()).collect::<Option<_>>()?)
            }
            _ => return None,
        };
        Some(Self { number, entries, digest, change })
    }
}

/// The result of reading a journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Number of unreadable lines. A last line without its end does not count: its change was not acknowledged.
    pub(super) unreadable: u32,
    /// Whether a line has a correct checksum and an unknown content: a later version wrote it.
    pub(super) is_of_a_later_version: bool,
    /// Length in bytes of all lines that have their end, without the zeros that follow.
    pub(super) octets: u64,
}

/// Read the journal at `path`, and pass each change to `each`. Return `None` without a file.
pub(super) fn read(path: &Path, mut each: impl FnMut(Numbered)) -> io::Result<Option<Scan>> {
    let file = match no_links::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let (mut scan, mut line, mut from) = (Scan::default(), Vec::new(), BufReader::new(file));
    loop {
        line.clear();
        let octets = from.by_ref().take(LONGEST_LINE_OCTETS).read_until(b'\n', &mut line)?;
        if octets == 0 {
            return Ok(Some(scan));
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            scan.unreadable += u32::from(octets as u64 == LONGEST_LINE_OCTETS);
            continue;
        };
        scan.octets += octets as u64;
        match std::str::from_utf8(text).ok() {
            Some(text) if text.starts_with('#') => {}
            text => match text.and_then(unseal).map(Numbered::parse) {
                Some(Some(change)) => each(change),
                Some(None) => scan.is_of_a_later_version = true,
                None => scan.unreadable += 1,
            },
        }
    }
}

/// The journal that takes the changes of this run.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    identity: Identity,
    /// Number of bytes up to the end of the last line.
    octets: u64,
    /// Size of the file in bytes, zeros included.
    allocated: u64,
}

impl Journal {
    /// Continue the journal after its first `octets` bytes, which [`read`] could read.
    pub(super) fn continued(data_dir: &DataDir, octets: u64) -> Result<Self, StoreError> {
        let cut = |file: File| file.set_len(octets).map(|()| file);
        Self::opened(data_dir, octets, |path| no_links::open_or_create(path).and_then(cut))
    }

    /// Start a new journal, in the place of another one.
    pub(super) fn begin(data_dir: &DataDir) -> Result<Self, StoreError> {
        Self::opened(data_dir, HEADER.len() as u64, |path| {
            data_dir.replace(path, &mut |file| file.write_all(HEADER.as_bytes()).map(|()| 0))?;
            no_links::open_or_create(path)
        })
    }

    fn opened(
        data_dir: &DataDir,
        octets: u64,
        open: impl FnOnce(&Path) -> io::Result<File>,
    ) -> Result<Self, StoreError> {
        let path = data_dir.journal();
        let opened = open(&path).and_then(|file| Ok((Identity::of(&file)?, file)));
        let (identity, file) = opened.map_err(StoreError::of("write", &path))?;
        Ok(Self { path, file, identity, octets, allocated: octets })
    }

    /// Return whether a new export is due, given the size in bytes of the last one. So the exports write no more than
    /// the journal.
    pub(super) const fn is_long(&self, export_octets: u64) -> bool {
        self.octets > export_octets && self.octets > SMALL_OCTETS
    }

    /// Write a change, and make it durable. Return the number of bytes.
    ///
    /// # Errors
    /// When the disk fails; the change may be in the file nevertheless.
    pub(super) fn append(&mut self, change: &Numbered) -> Result<u64, StoreError> {
        let failed = |cause: io::Error| StoreError::new("write", &self.path, cause);
        if !self.identity.is_at(&self.path) {
            return Err(StoreError::removed(&self.path));
        }
        let mut line = change.line().into_bytes();
        let octets = line.len() as u64;
        if octets > LONGEST_LINE_OCTETS {
            return Err(StoreError::new("write", &self.path, "too many entries are changed at once"));
        }
        let end = self.octets + octets;
        let allocated = if end > self.allocated { end.next_multiple_of(STEP_OCTETS) } else { self.allocated };
        if allocated > self.allocated {
            line.resize((allocated - self.octets) as usize, 0);
        }
        self.file.write_all_at(&line, self.octets).map_err(failed)?;
        self.file.sync_data().map_err(failed)?;
        (self.octets, self.allocated) = (end, allocated);
        Ok(line.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::access::User;
    use crate::testing::TempDir;

    fn changes() -> Vec<Numbered> {
        let entry = |text: &str| Entry::new(prefix::parse(text).expect(text));
        let (v4, v6) = (entry("192.0.2.7"), entry("2001:db8:1:2::"));
        let (user, end) = (User::try_from("a | b").expect("short"), [v4.prefix, v6.prefix]);
        let both = vec![v6.clone(), Entry { user, ..v4.clone() }];
        [(1, Change::Put(vec![v4])), (2, Change::Put(both)), (0, Change::Remove(end.to_vec()))]
            .into_iter()
            .zip(7..)
            .map(|((entries, change), number)| Numbered { number, entries, digest: Some(Digest::default()), change })
            .collect()
    }

    fn written() -> (TempDir, DataDir) {
        let dir = TempDir::new();
        let data_dir = DataDir::new(dir.path());
        let mut journal = Journal::begin(&data_dir).expect("a file");
        for change in changes() {
            journal.append(&change).expect("written");
        }
        (dir, data_dir)
    }

    /// Return the lines, without the zeros that follow.
    fn text_of(data_dir: &DataDir) -> String {
        let text = fs::read_to_string(data_dir.journal()).expect("text");
        assert!(text.len().is_multiple_of(STEP_OCTETS as usize), "it grows in steps");
        text.trim_end_matches('\0').to_owned()
    }

    fn read_all(data_dir: &DataDir) -> (Scan, Vec<Numbered>) {
        let mut found = Vec::new();
        let scan = read(&data_dir.journal(), |change| found.push(change)).expect("a file");
        (scan.unwrap_or_default(), found)
    }

    #[test]
    fn a_written_journal_reads_back() {
        let (_dir, data_dir) = written();
        let text = text_of(&data_dir);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("7 1 00000000 put 192.0.2.7/32 last-seen=0 #"), "{text}");
        let both = "8 2 00000000 put 2001:db8:1:2::/64 last-seen=0 | 192.0.2.7/32 last-seen=0 user=a%20|%20b #";
        assert!(lines[2].starts_with(both), "{text}");
        assert!(lines[3].starts_with("9 0 00000000 remove 192.0.2.7/32 2001:db8:1:2::/64 #"), "{text}");
        let (scan, found) = read_all(&data_dir);
        assert_eq!((scan, found), (Scan { octets: text.len() as u64, ..Scan::default() }, changes()));
    }

    #[test]
    fn a_journal_goes_on_after_its_last_whole_line() {
        let (_dir, data_dir) = written();
        let text = text_of(&data_dir);
        for (torn, zeros) in (1..20).flat_map(|torn| [(torn, 0), (torn, torn + 1000)]) {
            fs::write(data_dir.journal(), text[..text.len() - torn].to_owned() + &"\0".repeat(zeros)).expect("written");
            let (scan, found) = read_all(&data_dir);
            assert_eq!((scan.unreadable, found), (0, changes()[..2].to_vec()), "the torn line was not acknowledged");
            let mut journal = Journal::continued(&data_dir, scan.octets).expect("a file");
            journal.append(&changes()[2]).expect("written");
            assert_eq!(read_all(&data_dir).1, changes());
        }
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let (_dir, data_dir) = written();
        let text = text_of(&data_dir).into_bytes();
        for bit in HEADER.len() * 8..text.len() * 8 {
            let mut changed = text.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            fs::write(data_dir.journal(), &changed).expect("written");
            let (scan, found) = read_all(&data_dir);
            let is_torn = scan.octets < text.len() as u64;
            assert!(found == changes() || scan.unreadable > 0 || is_torn, "bit {bit}");
            assert!(found.iter().all(|change| changes().contains(change)), "bit {bit}: {found:?}");
        }
    }

    #[test]
    fn a_removed_journal_takes_no_change() {
        let (_dir, data_dir) = written();
        let mut journal = Journal::continued(&data_dir, 0).expect("a file");
        fs::remove_file(data_dir.journal()).expect("removed");
        let error = journal.append(&changes()[0]).expect_err("it would be lost").to_string();
        assert!(error.ends_with("whitelist.journal: the file was removed or replaced"), "{error}");
        assert_eq!(read_all(&data_dir), (Scan::default(), Vec::new()));
    }
}
