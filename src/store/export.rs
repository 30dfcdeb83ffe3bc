//! The whitelist as text, one entry a line, beside the database. With the changes since then in the
//! [`super::journal`], it is the second copy of the whitelist. A person may write such a list, too.
//!
//! ```text
//! running=864000 changes=12 entries=1 digest=5b1f0a77 #0b0d7a3c
//! 192.0.2.7/32 last-seen=860000 added=1793500000 until=1796000000 retire=2592000 user=ann #5f2c1e07
//! ```
//! Each line ends with a checksum ([`super::checked_line`]). A list in which no line has one was written by a person or
//! by an older version, and is accepted.
//!
//! The words of an entry are those of `access/entry_text.rs`.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read as _, Write};

use super::checked_line::{seal, unseal};
use super::digest::Digest;
use crate::access::{Entry, parse_entry, parse_running, write_entry};
use crate::clock::Running;

const HEADER: &str = "\
# The whitelist of nakodo: `running` is the running time in seconds, `changes` the number of changes until then.
# It is read if the database is missing or damaged. To restore it: stop nakodo, move `whitelist` and `whitelist.journal`
# out of data_dir, start nakodo.
";

/// Longest line in bytes; longer ones cannot be read. A file of garbage must not take all memory.
const LONGEST_LINE_OCTETS: u64 = 1024;

/// The date of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Date {
    /// Time of the running clock.
    pub(super) running: Running,
    /// Number of additions and removals of entries.
    pub(super) changes: u64,
    /// Digest of the list; `None` in older formats.
    pub(super) digest: Option<Digest>,
}

/// The result of reading an export.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// The date of the export; zero if it is missing.
    pub(super) date: Date,
    /// Number of entries according to the export itself.
    said: Option<u32>,
    /// Number of entries of lines with a checksum, and of lines without one.
    sealed: u32,
    plain: u32,
    /// Number of unreadable lines.
    pub(super) unreadable: u32,
    /// Whether a line has a correct checksum and an unknown content: a later version wrote it.
    pub(super) is_of_a_later_version: bool,
}

impl Scan {
    /// Return whether the lines without a checksum count.
    pub(super) const fn accepts_plain(&self) -> bool {
        self.sealed == 0 && self.said.is_none()
    }

    /// Return the number of entries.
    pub(super) const fn entries(&self) -> u32 {
        if self.accepts_plain() { self.plain } else { self.sealed }
    }

    /// Return a description of the damage, if any.
    pub(super) fn damage(&self) -> Option<String> {
        let unreadable = self.unreadable + if self.accepts_plain() { 0 } else { self.plain };
        match self.said {
            _ if unreadable > 0 => Some(format!("{unreadable} of its lines cannot be read")),
            Some(said) if said != self.entries() => {
                Some(format!("it has {} entries and should have {said}", self.entries()))
            }
            None if self.sealed > 0 => Some("its date is missing".to_owned()),
            _ => None,
        }
    }
}

/// Write `date` and the `count` entries, up to the first error, and return the number of bytes.
pub(super) fn write(
    to: &mut impl Write,
    date: Date,
    count: u32,
    entries: impl Iterator<Item = io::Result<Entry>>,
) -> io::Result<u64> {
    let mut line = format!("running={} changes={} entries={count}", date.running.seconds(), date.changes);
    if let Some(digest) = date.digest {
        // A write to a string cannot fail.
        let _ = write!(line, " digest={digest}");
    }
    seal(&mut line);
    to.write_all(HEADER.as_bytes())?;
    to.write_all(line.as_bytes())?;
    let mut octets = (HEADER.len() + line.len()) as u64;
    for entry in entries {
        line.clear();
        // A write to a string cannot fail.
        let _ = write_entry(&mut line, &entry?);
        seal(&mut line);
        to.write_all(line.as_bytes())?;
        octets += line.len() as u64;
    }
    Ok(octets)
}

/// Read an export to its end, and pass each entry to `each`, with whether its line has a checksum. An unreadable line is
/// counted and skipped.
pub(super) fn read(mut from: impl BufRead, mut each: impl FnMut(Entry, bool)) -> io::Result<Scan> {
    let (mut scan, mut line) = (Scan::default(), Vec::new());
    loop {
        line.clear();
        if from.by_ref().take(LONGEST_LINE_OCTETS).read_until(b'\n', &mut line)? == 0 {
            return Ok(scan);
        }
        match std::str::from_utf8(&line).ok() {
            Some(text) if text.trim().is_empty() || text.starts_with('#') => {}
            Some(text) => scan.take(text, &mut each),
            None => scan.unreadable += 1,
        }
    }
}

impl Scan {
    fn take(&mut self, line: &str, each: &mut impl FnMut(Entry, bool)) {
        let sealed = unseal(line.trim());
        let text = sealed.unwrap_or(line.trim());
        // A date without the number of entries may be the begin of a line that was cut short.
        let is_whole =
            |said: Option<u32>| if sealed.is_some() { said.is_some() } else { said.is_none() && line.ends_with('\n') };
        if let Some((date, said)) = parse_date_and_count(text).filter(|(_, said)| is_whole(*said)) {
            (self.date, self.said) = (date, said);
        } else if let Ok(entry) = parse_entry(text) {
            *(if sealed.is_some() { &mut self.sealed } else { &mut self.plain }) += 1;
            each(entry, sealed.is_some());
        } else if sealed.is_some() {
            self.is_of_a_later_version = true;
        } else {
            self.unreadable += 1;
        }
    }
}

/// Parse the date and the number of entries, which older versions did not write.
fn parse_date_and_count(text: &str) -> Option<(Date, Option<u32>)> {
    let (running, rest) = text.strip_prefix("running=")?.split_once(" changes=")?;
    let (rest, digest) = match rest.split_once(" digest=") {
        Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
        None => (rest, None),
    };
    let (changes, said) = match rest.split_once(" entries=") {
        Some((changes, said)) => (changes, Some(said.parse().ok()?)),
        None => (rest.trim(), None),
    };
    Some((Date { running: parse_running(running)?, changes: changes.parse().ok()?, digest }, said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Retire, TicketNumber, User, prefix};
    use crate::clock::UnixSeconds;

    fn entry(prefix: &str, user: &str, retire: Retire) -> Entry {
        let user = User::try_from(user).expect("a short name");
        Entry { user, retire, ..Entry::new(prefix::parse(prefix).expect(prefix)) }
    }

    #[test]
    fn a_written_export_reads_back() {
        let entries = [
            Entry {
                until: Some(UnixSeconds(1_796_000_000)),
                added: Some(UnixSeconds(1_793_500_000)),
                last_seen: Running::from_seconds(860_000),
                ..entry("192.0.2.7", "ann", Retire::After(60))
            },
            entry("2001:db8:1:2::", "a b%20=\n#ö", Retire::Never),
            Entry { ticket: Some(TicketNumber(1296)), ..entry("10.0.0.0/8", "", Retire::Default) },
        ];
        let digest = Some(Digest::of(&entries));
        let date = Date { running: Running::from_seconds(864_000), changes: 12, digest };
        let mut text = Vec::new();
        let octets = write(&mut text, date, 3, entries.iter().cloned().map(Ok)).expect("memory");
        assert_eq!(octets, text.len() as u64);
        let lines: String = [
            "running=864000 changes=12 entries=3 digest=a30d81db",
            "192.0.2.7/32 last-seen=860000 added=1793500000 until=1796000000 retire=60 user=ann",
            "2001:db8:1:2::/64 last-seen=0 retire=never user=a%20b%2520=%0A#%C3%B6",
            "10.0.0.0/8 last-seen=0 ticket=100",
        ]
        .map(|line| {
            let mut line = line.to_owned();
            seal(&mut line);
            line
        })
        .concat();
        assert_eq!(String::from_utf8(text.clone()).expect("text"), format!("{HEADER}{lines}"));
        let (scan, found) = read_all(&text);
        assert_eq!((scan.date, scan.entries(), scan.damage()), (date, 3, None));
        assert_eq!(found, entries.map(|entry| (entry, true)));
    }

    fn read_all(text: &[u8]) -> (Scan, Vec<(Entry, bool)>) {
        let mut found = Vec::new();
        let scan = read(text, |entry, is_sealed| found.push((entry, is_sealed))).expect("text");
        (scan, found)
    }

    #[test]
    fn fields_are_optional_and_a_bad_line_is_skipped() {
        let text = b"\r\n192.0.2.7\r\n  2001:db8::1   user=bob \nexample.com\n192.0.2.8 retire=soon\n\
            \xff\nrunning=x changes=1\n10.0.0.1 x=y";
        let (scan, found) = read_all(text);
        let entries = [entry("192.0.2.7", "", Retire::Default), entry("2001:db8::", "bob", Retire::Default)];
        assert_eq!(found, entries.map(|entry| (entry, false)));
        assert_eq!((scan.accepts_plain(), scan.unreadable), (true, 5));
        let huge = &b"running=99999999999999999999999 changes=1\nrunning=18446744073709551615 changes=1\n"[..];
        assert_eq!(read_all(huge).0.unreadable, 2);
        assert_eq!(read_all(b"192.0.2.7 last-seen=18446744073709551615\n").0.unreadable, 1);
    }

    #[test]
    fn every_changed_bit_of_a_sealed_export_is_noticed() {
        let entries = [entry("192.0.2.7", "ann", Retire::Default), entry("2001:db8::", "bob", Retire::Never)];
        let mut text = Vec::new();
        write(&mut text, Date::default(), 2, entries.iter().cloned().map(Ok)).expect("memory");
        for bit in HEADER.len() * 8..text.len() * 8 {
            let mut changed = text.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let (scan, found) = read_all(&changed);
            let sealed: Vec<Entry> =
                found.into_iter().filter_map(|(entry, is_sealed)| is_sealed.then_some(entry)).collect();
            let is_harmless = !scan.accepts_plain() && sealed == entries;
            assert!(is_harmless || scan.damage().is_some(), "bit {bit}: {}", String::from_utf8_lossy(&changed));
        }
        for length in HEADER.len()..text.len() {
            let (scan, _) = read_all(&text[..length]);
            assert!(scan.damage().is_some() || length == HEADER.len() || length + 1 == text.len(), "cut to {length}");
        }
    }
}
