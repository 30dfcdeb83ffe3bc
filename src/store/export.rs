//! The whitelist as text, one entry a line, beside the database: what a lost database is restored from, by the tracker
//! or by a person.
//!
//! ```text
//! running=864000 changes=12
//! 192.0.2.7/32 last-seen=860000 added=1793500000 until=1796000000 retire=2592000 user=ann
//! ```
//! Times of the running clock and durations are in seconds; `added` and `until` in seconds since 1970. What is not said
//! is the default. In `user`, a space, a `%`, control characters and all that is not ASCII are written as `%` and two
//! hexadecimal digits an octet.

use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::access::{Entry, Retire, User, prefix};
use crate::clock::{Running, UnixSeconds};

const HEADER: &str = "\
# The whitelist of nakodo, as it was when its running clock showed that many seconds, after that many changes.
# It is read when there is no database. To go back to it: stop nakodo, move the data_dir `whitelist` away, start nakodo.
";

/// What must not be in the name of a user as it stands, for a line is split at spaces.
const SPECIAL: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// When an export was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Date {
    /// By the running clock.
    pub(super) running: Running,
    /// By how often an entry was put or removed.
    pub(super) changes: u64,
}

/// What an export says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Export {
    /// When it was written; at the beginning when it does not say so.
    pub(super) date: Date,
    /// The entries of the lines that could be read.
    pub(super) entries: Vec<Entry>,
    /// How many lines could not be read.
    pub(super) unreadable: u32,
}

/// Write `date` and `entries`, up to the first that is an error; returns how many octets that took.
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
        // Writing to a string cannot fail.
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

/// Read an export to its end. A line that cannot be read is counted and skipped.
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

/// Only the date of an export, which stands before the first entry.
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

/// Unlike `Running::from_seconds` for whatever number a person may have typed.
fn seconds_of_running(seconds: u64) -> Running {
    Running::from_millis(seconds.saturating_mul(1000))
}

fn parse_line(line: &str) -> Option<Entry> {
    let mut words = line.split_whitespace();
    let mut entry = Entry {
        prefix: prefix::parse(words.next()?).ok()?,
        user: User::new(),
        retire: Retire::Default,
        until: None,
        added: None,
        last_seen: Running::default(),
    };
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
        Entry {
            prefix: prefix::parse(prefix).expect(prefix),
            user: User::try_from(user).expect("a short name"),
            retire,
            until: None,
            added: None,
            last_seen: Running::default(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
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
    fn a_person_need_not_write_all_of_it_and_a_bad_line_costs_only_itself() {
        let text = b"\r\n192.0.2.7\r\n  2001:db8::1   user=bob \nexample.com\n192.0.2.8 retire=soon\n\
            \xff\nrunning=x changes=1\n10.0.0.1 x=y";
        let export = read(&text[..]).expect("text");
        let entries = vec![entry("192.0.2.7", "", Retire::Default), entry("2001:db8::", "bob", Retire::Default)];
        assert_eq!(export, Export { date: Date::default(), entries, unreadable: 5 });
        let huge = &b"running=99999999999999999999999 changes=1\nrunning=18446744073709551615 changes=1"[..];
        assert_eq!(read(huge).expect("text").unreadable, 1);
    }
}
