//! The second copy of the whitelist: the export, and the changes after it in the journal.

use std::io::{self, BufReader};

use super::data_dir::DataDir;
use super::digest::Digest;
use super::export;
use super::journal::{self, Numbered};
use super::list::List;
use super::no_links;
use crate::access::Entry;
use crate::clock::Running;

/// Maximum number of gaps that are described.
const GAPS: usize = 8;

/// The content of the text files without the entries, which a start compares with the database.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// The date of the export; zero without one.
    pub(super) exported: export::Date,
    pub(super) export_octets: u64,
    /// Number of the last change in either file.
    pub(super) changes: u64,
    /// Number of entries after that change.
    pub(super) entries: u32,
    /// Digest of the list after that change, if the files have one.
    pub(super) digest: Option<Digest>,
    /// Length in bytes of the readable journal; `None` without one.
    pub(super) journal_octets: Option<u64>,
    /// Whether only lines with a checksum count: the export is neither from a person nor from a version without a
    /// journal.
    is_sealed: bool,
    /// Whether a later version wrote a file.
    pub(super) is_of_a_later_version: bool,
    /// Descriptions of the damage of each file.
    pub(super) export_damage: Option<String>,
    pub(super) journal_damage: Option<String>,
    /// Numbers of changes that are in neither file, first and last.
    gaps: heapless::Vec<(u64, u64), GAPS>,
}

impl Summary {
    /// Read both files, without keeping their entries.
    pub(super) fn read(data_dir: &DataDir) -> Self {
        read(data_dir, |_, _| (), |_| ())
    }

    /// Return whether the files should have all changes.
    pub(super) const fn is_kept_up(&self) -> bool {
        self.is_sealed || self.journal_octets.is_some()
    }

    pub(super) const fn is_damaged(&self) -> bool {
        self.export_damage.is_some() || self.journal_damage.is_some()
    }

    /// Describe the damage of both files.
    pub(super) fn damage(&self) -> String {
        let damage = [("whitelist.export", &self.export_damage), ("whitelist.journal", &self.journal_damage)];
        let damage = damage.iter().filter_map(|(name, how)| how.as_ref().map(|how| format!("{name}: {how}")));
        damage.collect::<Vec<_>>().join("; ")
    }

    /// Return whether the list is the one with this number of entries and this digest.
    pub(super) fn has(&self, entries: usize, digest: Digest) -> bool {
        self.entries == entries as u32 && self.digest.is_none_or(|own| own == digest)
    }

    /// Return the numbers of the changes after `number` that are in neither file.
    pub(super) fn missing_after(&self, number: u64) -> Vec<(u64, u64)> {
        let gaps = self.gaps.iter().filter(|(_, last)| *last > number);
        gaps.map(|(first, last)| ((*first).max(number + 1), *last)).collect()
    }

    /// Count a change of the journal. Return whether it is after all changes before it.
    fn count(&mut self, change: &Numbered) -> bool {
        if change.number <= self.changes {
            return false;
        }
        if change.number > self.changes + 1 {
            let gap = (self.changes + 1, change.number - 1);
            if let Err((_, last)) = self.gaps.push(gap)
                && let Some(described) = self.gaps.last_mut()
            {
                described.1 = last;
            }
        }
        (self.changes, self.entries, self.digest) = (change.number, change.entries, change.digest);
        true
    }
}

/// The content of the text files.
#[derive(Debug, Default)]
pub(super) struct TextCopy {
    pub(super) summary: Summary,
    /// The entries of the export.
    pub(super) exported: List,
    /// The changes after the export.
    pub(super) changes: Vec<Numbered>,
}

impl TextCopy {
    /// Read both files.
    pub(super) fn read(data_dir: &DataDir) -> Self {
        let (mut sealed, mut plain, mut changes) = (List::default(), List::default(), Vec::new());
        let mut newest = Running::default();
        // A list from a person may have a prefix twice; the later line counts.
        let each_entry = |entry: Entry, is_sealed: bool| {
            newest = newest.max(entry.last_seen);
            let list = if is_sealed { &mut sealed } else { &mut plain };
            list.put(&entry);
        };
        let mut summary = read(data_dir, each_entry, |change| changes.push(change));
        if !summary.is_sealed {
            // Nothing checks the claim of a person: a late running time would make all entries idle.
            summary.exported.running = newest;
        }
        Self { exported: if summary.is_sealed { sealed } else { plain }, summary, changes }
    }
}

fn read(data_dir: &DataDir, each_entry: impl FnMut(Entry, bool), mut each_change: impl FnMut(Numbered)) -> Summary {
    let mut summary = Summary::default();
    match no_links::open(&data_dir.export()).and_then(|file| {
        summary.export_octets = file.metadata()?.len();
        export::read(BufReader::new(file), each_entry)
    }) {
        Ok(scan) => {
            (summary.exported, summary.changes, summary.entries) = (scan.date, scan.date.changes, scan.entries());
            summary.digest = scan.date.digest;
            summary.export_damage = scan.damage();
            summary.is_sealed = !scan.accepts_plain();
            summary.is_of_a_later_version = scan.is_of_a_later_version;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            summary.export_damage = Some(format!("it cannot be read: {error}"));
            summary.is_sealed = true;
        }
    }
    let scan = journal::read(&data_dir.journal(), |change| {
        if summary.count(&change) {
            each_change(change);
        }
    });
    summary.journal_octets = scan.as_ref().ok().and_then(|scan| Some(scan.as_ref()?.octets));
    summary.is_of_a_later_version |= matches!(&scan, Ok(Some(scan)) if scan.is_of_a_later_version);
    summary.journal_damage = match scan {
        Ok(Some(scan)) if scan.unreadable > 0 => Some(format!("{} of its lines cannot be read", scan.unreadable)),
        Ok(_) if !summary.gaps.is_empty() => Some("it does not continue the export".to_owned()),
        Ok(_) => None,
        Err(error) => Some(format!("it cannot be read: {error}")),
    };
    summary
}
