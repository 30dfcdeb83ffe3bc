//! The whitelist as text, one entry a line, beside the database. The tracker or a person restores a lost database from
//! it.
//!
//! ```text
//! running=864000 changes=12
//! 192.0.2.7/32 last-seen=860000 added=1793500000 until=1796000000 retire=2592000 user=ann
//! ```
//! Times of the running clock and durations are in seconds; `added` and `until` in seconds since 1970. A missing field
//! has its default. In `user`, each byte of a space, a `%`, a control character and a non-ASCII character is written as
//! `%` and two hexadecimal digits.

use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::access::{Entry, Retire, User, prefix};
use crate::clock::{Running, UnixSeconds};

const HEADER: &str = "\
# The whitelist of nakodo: `running` is the running time in seconds, `changes` the number of changes until then.
# It is read if the database is missing. To restore it: stop nakodo, move `whitelist` out of data_dir, start nakodo.
";

/// Characters of a user's name that need an escape, because a line is split at spaces.
const SPECIAL: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The date of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Date {
    /// Time of the running clock.
    pub(super) running: Running,
    /// Number of additions and removals of entries.
    pub(super) changes: u64,
}

/// The content of an export.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Export {
    /// The date of the export; zero if it is missing.
    pub(super) date: Date,
    /// Entries of the readable lines.
    pub(super) entries: Vec<Entry>,
    /// Number of unreadable lines.
    pub(super) unreadable: u32,
}

/// Write `date` and `entries`, up to the first error, and return the number of bytes.
pub(super) fn write(
    to: &mut impl Write,
    date: Date,
    entries: impl Iterator<Item = io::Result<Entry>>,
) -> io::Result<u64> {
    let mut line = format!("{HEADER}running={} changes={}\n", date.running.seconds(), date.changes);
    to.write_all(line.as_bytes())?;
    let mut octets = line.len() as u64;
    for entry in entries {
        line.clear();
        // A write to a string cannot fail.
        let _ = write_line(&mut line, &entry?);
        to.write_all(line.as_bytes())?;
        octets += line.len() as u64;
    }
    Ok(octets)
}

fn write_line(line: &mut String, entry: &Entry) -> std::fmt::Result {
    write!(line, "{} last-seen={}", entry.prefix, entry.last_seen.seconds())?;
    if let Some(added) = entry.added {
        write!(line, " added={}", added.0)?;
    }
    if let Some(until) = entry.until {
        write!(line, " until={}", until.0)?;
    }
    match entry.retire {
        Retire::Default => {}
        Retire::After(seconds) => write!(line, " retire={seconds}")?,
        Retire::Never => write!(line, " retire=never")?,
    }
    if !entry.user.is_empty() {
        write!(line, " user={}", utf8_percent_encode(&entry.user, SPECIAL))?;
    }
    writeln!(line)
}

/// Read an export to its end. An unreadable line is counted and skipped.
pub(super) fn read(from: impl BufRead) -> io::Result<Export> {
    let mut export = Export::default();
    for line in from.split(b'\n') {
        let line = line?;
        match std::str::from_utf8(&line).ok().map(str::trim) {
            Some(line) if line.is_empty() || line.starts_with('#') => {}
            Some(line) => export.take(line),
            None => export.unreadable += 1,
        }
    }
    Ok(export)
}

/// Read only the date of an export, which comes before the first entry.
pub(super) fn read_date(from: impl BufRead) -> io::Result<Date> {
    for line in from.lines().take(HEADER.lines().count() + 1) {
        if let Some(date) = parse_date(&line?) {
            return Ok(date);
        }
    }
    Ok(Date::default())
}

impl Export {
    fn take(&mut self, line: &str) {
        if let Some(date) = parse_date(line) {
            self.date = date;
        } else if let Some(entry) = parse_line(line) {
            self.entries.push(entry);
        } else {
            self.unreadable += 1;
        }
    }
}

fn parse_date(line: &str) -> Option<Date> {
    let (running, changes) = line.strip_prefix("running=")?.split_once(" changes=")?;
    Some(Date { running: seconds_of_running(running.parse().ok()?), changes: changes.trim().parse().ok()? })
}

/// Convert seconds, like `Running::from_seconds`, but accept any number that a person may have typed.
fn seconds_of_running(seconds: u64) -> Running {
    Running::from_millis(seconds.saturating_mul(1000))
}

fn parse_line(line: &str) -> Option<Entry> {
    let mut words = line.split_whitespace();
    let mut entry = Entry::new(prefix::parse(words.next()?).ok()?);
    for word in words {
        match word.split_once('=')? {
            ("last-seen", seconds) => entry.last_seen = seconds_of_running(seconds.parse().ok()?),
            ("added", seconds) => entry.added = Some(UnixSeconds(seconds.parse().ok()?)),
            ("until", seconds) => entry.until = Some(UnixSeconds(seconds.parse().ok()?)),
            ("retire", "never") => entry.retire = Retire::Never,
            ("retire", seconds) => entry.retire = Retire::After(seconds.parse().ok()?),
            ("user", name) => entry.user = parse_user(name)?,
            _ => return None,
        }
    }
    Some(entry)
}

fn parse_user(text: &str) -> Option<User> {
    let mut octets = heapless::Vec::new();
    percent_decode_str(text).try_for_each(|octet| octets.push(octet)).ok()?;
    User::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            entry("10.0.0.0/8", "", Retire::Default),
        ];
        let date = Date { running: Running::from_seconds(864_000), changes: 12 };
        let mut text = Vec::new();
        let octets = write(&mut text, date, entries.iter().cloned().map(Ok)).expect("memory");
        assert_eq!(octets, text.len() as u64);
        let expected = "running=864000 changes=12\n\
            192.0.2.7/32 last-seen=860000 added=1793500000 until=1796000000 retire=60 user=ann\n\
            2001:db8:1:2::/64 last-seen=0 retire=never user=a%20b%2520=%0A#%C3%B6\n\
            10.0.0.0/8 last-seen=0\n";
        assert_eq!(String::from_utf8(text.clone()).expect("text"), format!("{HEADER}{expected}"));
        assert_eq!(read_date(&text[..]).expect("text"), date);
        let export = read(&text[..]).expect("text");
        assert_eq!(export, Export { date, entries: entries.to_vec(), unreadable: 0 });
    }

    #[test]
    fn fields_are_optional_and_a_bad_line_is_skipped() {
        let text = b"\r\n192.0.2.7\r\n  2001:db8::1   user=bob \nexample.com\n192.0.2.8 retire=soon\n\
            \xff\nrunning=x changes=1\n10.0.0.1 x=y";
        let export = read(&text[..]).expect("text");
        let entries = vec![entry("192.0.2.7", "", Retire::Default), entry("2001:db8::", "bob", Retire::Default)];
        assert_eq!(export, Export { date: Date::default(), entries, unreadable: 5 });
        let huge = &b"running=99999999999999999999999 changes=1\nrunning=18446744073709551615 changes=1"[..];
        assert_eq!(read(huge).expect("text").unreadable, 1);
    }
}
