//! The file with the history of the wall clock, so that a day beyond an end date may pass in several runs.
//!
//! It is one checked line. Its content changes about once a day, and only while an entry past its end waits for its
//! removal. If it is lost or damaged, the day begins again.

use std::io::{self, Read as _, Write as _};

use super::StoreError;
use super::checked_line::{seal, unseal};
use super::data_dir::DataDir;
use super::no_links;
use crate::access::ClockHistory;
use crate::clock::{Running, UnixSeconds};

/// Start of the line.
const BEGINNING: &str = "nakodo clock";

/// Maximum size of the file in bytes. A larger one is not of this program.
const MAX_BYTES: u64 = 256;

/// The file, and its content.
#[derive(Debug)]
pub(super) struct ClockFile {
    content: Option<ClockHistory>,
}

impl ClockFile {
    /// Read the file. An unreadable one has no history.
    pub(super) fn read(data_dir: &DataDir) -> Self {
        let mut text = String::new();
        let read = no_links::open(&data_dir.clock()).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
        Self { content: read.ok().and_then(|_| parse(text.trim_end())) }
    }

    /// Return the history of the last run, which ended at `running`. A stretch that begins later begins then.
    pub(super) fn history(&self, running: Running) -> Option<ClockHistory> {
        self.content.map(|history| ClockHistory { since: history.since.min(running), ..history })
    }

    /// Write a history, if it is needed and differs from the content of the file. A file that is no longer needed is
    /// kept up to date until the end of its stretch, because a short run may not have visited all entries.
    pub(super) fn save(
        &mut self,
        data_dir: &DataDir,
        history: ClockHistory,
        is_needed: bool,
    ) -> Result<(), StoreError> {
        let is_kept = is_needed || self.content.is_some_and(|content| content.since == history.since);
        let new = is_kept.then_some(history);
        if self.content == new {
            return Ok(());
        }
        let path = data_dir.clock();
        let saved = if is_kept {
            data_dir.replace(&path, &mut |file| file.write_all(line(history).as_bytes()).map(|()| 0)).map(drop)
        } else {
            remove(data_dir)
        };
        saved.map_err(StoreError::of("write", &path))?;
        self.content = new;
        Ok(())
    }
}

fn remove(data_dir: &DataDir) -> io::Result<()> {
    match std::fs::remove_file(data_dir.clock()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => DataDir::sync(data_dir.path()),
    }
}

fn line(history: ClockHistory) -> String {
    // A clock that was not sane has the date 0.
    let date = |date: Option<UnixSeconds>| date.map_or(0, |date| date.0);
    let ClockHistory { since, earliest, complete } = history;
    let mut line =
        format!("{BEGINNING} since={} earliest={} complete={}", since.millis(), date(earliest), date(complete));
    seal(&mut line);
    line
}

fn parse(line: &str) -> Option<ClockHistory> {
    let mut values = unseal(line)?.strip_prefix(BEGINNING)?.split_ascii_whitespace().map(|field| {
        let (_, value) = field.split_once('=')?;
        value.parse::<u64>().ok()
    });
    Some(ClockHistory {
        since: Running::from_millis(values.next()??),
        earliest: values.next()?.map(UnixSeconds).filter(|date| date.0 > 0),
        complete: values.next()?.map(UnixSeconds).filter(|date| date.0 > 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    const FIRST: ClockHistory =
        ClockHistory { since: Running::from_millis(7000), earliest: Some(UnixSeconds(1_800_000_000)), complete: None };

    #[test]
    fn the_bytes_of_the_file_do_not_change() {
        let second = ClockHistory { earliest: None, complete: Some(UnixSeconds(1_800_000_001)), ..FIRST };
        for (history, text) in [
            (FIRST, "nakodo clock since=7000 earliest=1800000000 complete=0 #9ad4c238\n"),
            (second, "nakodo clock since=7000 earliest=0 complete=1800000001 #532ef779\n"),
        ] {
            assert_eq!(line(history), text);
            assert_eq!(parse(text.trim_end()), Some(history));
        }
    }

    #[test]
    fn a_history_lasts_until_it_is_removed() {
        let dir = TempDir::new();
        let data_dir = DataDir::new(dir.path());
        let mut file = ClockFile::read(&data_dir);
        assert_eq!(file.history(Running::from_millis(9000)), None);
        file.save(&data_dir, FIRST, false).expect("a directory");
        assert!(!data_dir.clock().exists(), "no entry needs it");
        file.save(&data_dir, FIRST, true).expect("a directory");
        assert_eq!(ClockFile::read(&data_dir).history(Running::from_millis(9000)), Some(FIRST));
        let begins_now = ClockHistory { since: Running::from_millis(10), ..FIRST };
        assert_eq!(ClockFile::read(&data_dir).history(Running::from_millis(10)), Some(begins_now));
        let gone_back = ClockHistory { earliest: None, ..FIRST };
        file.save(&data_dir, gone_back, false).expect("a directory");
        assert_eq!(ClockFile::read(&data_dir).content, Some(gone_back), "it is kept up to date");
        let next_stretch = ClockHistory { since: Running::from_millis(86_407_000), ..FIRST };
        file.save(&data_dir, next_stretch, false).expect("a directory");
        assert!(!data_dir.clock().exists());
    }

    #[test]
    fn damage_is_no_history() {
        let dir = TempDir::new();
        let data_dir = DataDir::new(dir.path());
        let whole = line(FIRST).into_bytes();
        for bit in 0..(whole.len() - 1) * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(data_dir.clock(), &changed).expect("a directory");
            let read = ClockFile::read(&data_dir).content;
            assert!(read.is_none_or(|history| history == FIRST), "bit {bit}: {read:?}");
        }
        std::fs::write(data_dir.clock(), [b'7'; 1 << 20]).expect("a directory");
        assert_eq!(ClockFile::read(&data_dir).content, None);
        std::fs::remove_file(data_dir.clock()).expect("a file");
        std::fs::create_dir(data_dir.clock()).expect("a directory");
        assert_eq!(ClockFile::read(&data_dir).content, None);
    }
}
