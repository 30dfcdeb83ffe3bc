//! What lies beside the database in the data directory, and what is done to the folder as a whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::statvfs;
use rustix::process::geteuid;

use crate::clock::UnixSeconds;

/// How many databases that were moved aside are kept for a person to look at; the oldest goes when there is one more,
/// so that a failing disk does not fill.
const KEPT_ASIDE: usize = 3;

/// Free space that a change leaves untried, in bytes: a segment of the database, and what a file system needs for itself.
const SPARE_BYTES: u64 = 128 * 1024;

const ASIDE: &str = "whitelist.broken-";

/// The paths in a data directory.
#[derive(Clone, Debug)]
pub(super) struct DataDir(PathBuf);

impl DataDir {
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

    /// Where a database is built that is to take the place of [`Self::database`]. What is there is not finished.
    pub(super) fn building(&self) -> PathBuf {
        self.0.join("whitelist.building")
    }

    /// A database that is finished and durable, on its way to [`Self::database`].
    fn finished(&self) -> PathBuf {
        self.0.join("whitelist.finished")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(super) fn export(&self) -> PathBuf {
        self.0.join("whitelist.export")
    }

    /// Holds how many opens in a row have ended in a panic.
    pub(super) fn panics(&self) -> PathBuf {
        self.0.join("opening-panics")
    }

    /// Make the names in a directory as durable as the files.
    pub(super) fn sync(directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    /// Write a file in one step: after a power cut it is the old one or the new one.
    pub(super) fn replace<T>(&self, path: &Path, write: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
        let new = path.with_extension("new");
        let written = File::create(&new).and_then(|mut file| {
            let written = write(&mut file)?;
            file.sync_all()?;
            fs::rename(&new, path)?;
            Ok(written)
        });
        if written.is_err() {
            // Half a file is of no use, and may be what the disk is full of.
            let _ = fs::remove_file(&new);
        }
        let written = written?;
        Self::sync(&self.0)?;
        Ok(written)
    }

    /// Whether there is a database, or something else in its place.
    pub(super) fn has_database(&self) -> bool {
        fs::symlink_metadata(self.database()).is_ok()
    }

    /// Finish or undo what a start or a power cut has interrupted. Call it before the database is opened.
    pub(super) fn settle(&self) -> io::Result<()> {
        self.clear_building()?;
        self.move_in()
    }

    /// Make room for a new database to be built in [`Self::building`].
    pub(super) fn clear_building(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.building()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Put the database that was built in the place of the other, if there is another. Return where that one is now.
    ///
    /// At each moment one of the two is whole and will be found by the next start.
    pub(super) fn replace_database(&self) -> io::Result<Option<PathBuf>> {
        self.move_in()?;
        fs::rename(self.building(), self.finished())?;
        Self::sync(&self.0)?;
        let aside = self.has_database().then(|| self.move_aside()).transpose()?;
        self.move_in()?;
        Ok(aside)
    }

    /// Move a finished database to its place, if there is one.
    fn move_in(&self) -> io::Result<()> {
        if !self.finished().exists() {
            return Ok(());
        }
        if self.has_database() {
            self.move_aside()?;
        }
        fs::rename(self.finished(), self.database())?;
        Self::sync(&self.0)
    }

    /// Remove a database that holds nothing of use. Best effort: what stays only takes room.
    pub(super) fn discard(&self, database: &Path) {
        // A process that still has the file open does not keep its room.
        let _ = File::options().write(true).open(database.join("db")).and_then(|log| log.set_len(0));
        let _ = fs::remove_dir_all(database).or_else(|_| fs::remove_file(database));
    }

    /// Check that the file system has room to write `bytes` and what comes with them: the database library cannot go on
    /// after a write that found no room.
    ///
    /// # Errors
    /// Says how much there is and how much is wanted. A file system that does not tell is taken to have room.
    pub(super) fn check_room(&self, bytes: u64) -> Result<(), String> {
        let Ok(system) = statvfs(&self.0) else { return Ok(()) };
        // The reserve of an ext4 is there for root.
        let blocks = if geteuid().is_root() { system.f_bfree } else { system.f_bavail };
        let (free, wanted) = (blocks.saturating_mul(system.f_frsize), bytes + SPARE_BYTES);
        if system.f_blocks == 0 || free >= wanted {
            return Ok(());
        }
        Err(format!("the disk is full: it has {} KiB left and {} KiB are wanted", free / 1024, wanted / 1024))
    }

    /// Move the database aside, under the second by the clock, or under the next number
    /// when that is not sane. Returns where.
    fn move_aside(&self) -> io::Result<PathBuf> {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn no_more_than_three_are_kept_aside() {
        let dir = TempDir::new();
        let data_dir = DataDir::new(dir.path());
        let aside: Vec<PathBuf> = (0..5)
            .map(|_| {
                fs::create_dir(data_dir.database()).expect("a folder");
                data_dir.move_aside().expect("moved")
            })
            .collect();
        let kept: Vec<bool> = aside.iter().map(|path| path.exists()).collect();
        assert_eq!(kept, [false, false, true, true, true]);
    }

    #[test]
    fn a_replacement_that_is_interrupted_anywhere_is_finished_or_undone() {
        // What is in the folder, each with what it holds, and what the database holds then.
        for (before, after) in [
            (&[("whitelist", "old")][..], Some("old")),
            (&[("whitelist", "old"), ("whitelist.building", "half")], Some("old")),
            (&[("whitelist", "old"), ("whitelist.finished", "new")], Some("new")),
            (&[("whitelist.broken-7", "old"), ("whitelist.finished", "new")], Some("new")),
            (&[("whitelist.broken-7", "old"), ("whitelist", "new")], Some("new")),
            (&[("whitelist.building", "half")], None),
            (&[], None),
        ] {
            let dir = TempDir::new();
            let data_dir = DataDir::new(dir.path());
            for (name, content) in before {
                fs::create_dir(dir.file(name)).expect("a folder");
                fs::write(dir.file(name).join("db"), content).expect("a file");
            }
            data_dir.settle().expect("settled");
            let holds = fs::read_to_string(data_dir.database().join("db")).ok();
            assert_eq!(holds.as_deref(), after, "{before:?}");
            assert!(!data_dir.building().exists() && !data_dir.finished().exists(), "{before:?}");
        }
    }

    #[test]
    fn a_change_needs_some_room() {
        let dir = TempDir::new();
        let data_dir = DataDir::new(dir.path());
        assert_eq!(data_dir.check_room(100), Ok(()));
        let refused = data_dir.check_room(1 << 60).expect_err("no disk has that much");
        assert!(refused.starts_with("the disk is full: it has ") && refused.ends_with(" KiB are wanted"), "{refused}");
    }
}
