//! What lies beside the database in the data directory, and what is done to the folder as a whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::clock::UnixSeconds;

/// How many databases that were moved aside are kept for a person to look at; the oldest goes when there is one more,
/// so that a failing disk does not fill.
const KEPT_ASIDE: usize = 3;

/// How many times an open may end in the death of the process, within one boot, before the database is moved aside.
const DEATHS: u32 = 2;

const ASIDE: &str = "whitelist.broken-";

/// The paths in a data directory.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self(data_dir.to_owned())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The folder that the database has for itself.
    pub(super) fn database(&self) -> PathBuf {
        self.0.join("whitelist")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(super) fn export(&self) -> PathBuf {
        self.0.join("whitelist.export")
    }

    fn marker(&self) -> PathBuf {
        self.0.join("opening")
    }

    /// Make the names in a directory as durable as the files.
    pub(super) fn sync(directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    /// Write a file in one step: after a power cut it is the old one or the new one.
    pub(super) fn replace<T>(&self, path: &Path, write: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        let written = write(&mut file)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        Self::sync(&self.0)?;
        Ok(written)
    }

    /// Move the database aside, under the second by the clock, or under the next number
    /// when that is not sane. Returns where.
    pub(super) fn move_aside(&self) -> io::Result<PathBuf> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let date = UnixSeconds(now).if_sane().map_or(1, |now| now.0);
        let last = self.aside().last().map_or(0, |(number, _)| *number);
        let aside = self.0.join(format!("{ASIDE}{}", date.max(last.saturating_add(1))));
        fs::rename(self.database(), &aside)?;
        Self::sync(&self.0)?;
        self.forget_oldest();
        Ok(aside)
    }

    /// The databases that were moved aside, the oldest first, by their date or number.
    fn aside(&self) -> Vec<(u64, PathBuf)> {
        let Ok(names) = fs::read_dir(&self.0) else { return Vec::new() };
        let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix(ASIDE)?.parse::<u64>().ok();
        let mut aside: Vec<_> = names.flatten().filter_map(|name| Some((number(&name.path())?, name.path()))).collect();
        aside.sort();
        aside
    }

    /// Best effort: what cannot be removed only takes room.
    fn forget_oldest(&self) {
        for (_, path) in self.aside().iter().rev().skip(KEPT_ASIDE) {
            let _ = fs::remove_dir_all(path).or_else(|_| fs::remove_file(path));
        }
    }

    /// Say that the database is about to be opened. Returns whether that is worth trying: not when the process died of
    /// it twice since the box booted.
    ///
    /// The database library panics on some damage, and a panic ends the process: without this it would do so at every
    /// start. A power cut while opening proves nothing, and so deaths count only within one boot. For that the marker
    /// need not survive a power cut either: it is not synced, and as it is gone in a moment it hardly ever reaches the
    /// flash.
    pub(super) fn begin_open(&self) -> io::Result<bool> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let marker = fs::read_to_string(self.marker()).unwrap_or_default();
        let deaths = match marker.split_once(' ') {
            Some((deaths, of)) if of.trim() == boot.trim() => deaths.parse().unwrap_or(0),
            _ => 0,
        };
        if (1..DEATHS).contains(&deaths) {
            log::warn!("the last start ended while it opened {}; trying once more", self.database().display());
        }
        fs::write(self.marker(), format!("{} {boot}", if deaths < DEATHS { deaths + 1 } else { 0 }))?;
        Ok(deaths < DEATHS)
    }

    /// Say that opening the database ended well.
    pub(super) fn end_open(&self) -> io::Result<()> {
        fs::remove_file(self.marker())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn the_third_open_of_a_boot_is_not_tried_when_two_ended_in_death() {
        let dir = TempDir::new();
        let folder = Folder::new(dir.path());
        let tried = |folder: &Folder| folder.begin_open().expect("a file");
        assert_eq!([tried(&folder), tried(&folder), tried(&folder)], [true, true, false]);
        // The database that is opened then is an empty one: dying of that starts the count again.
        assert!(tried(&folder));
        folder.end_open().expect("a file");
        assert_eq!([tried(&folder), tried(&folder), tried(&folder)], [true, true, false]);
    }

    #[test]
    fn a_power_cut_while_opening_proves_nothing() {
        let dir = TempDir::new();
        let folder = Folder::new(dir.path());
        fs::write(folder.marker(), "2 8c9b3c1e-0000-0000-0000-000000000000\n").expect("a file");
        assert!(folder.begin_open().expect("a file"));
        for nonsense in ["", "2", "x y", "\0\0\0\0"] {
            fs::write(folder.marker(), nonsense).expect("a file");
            assert!(folder.begin_open().expect("a file"), "{nonsense:?}");
        }
    }

    #[test]
    fn no_more_than_three_are_kept_aside() {
        let dir = TempDir::new();
        let folder = Folder::new(dir.path());
        let aside: Vec<PathBuf> = (0..5)
            .map(|_| {
                fs::create_dir(folder.database()).expect("a folder");
                folder.move_aside().expect("moved")
            })
            .collect();
        let kept: Vec<bool> = aside.iter().map(|path| path.exists()).collect();
        assert_eq!(kept, [false, false, true, true, true]);
    }
}
