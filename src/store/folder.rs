//! What lies beside the database in the data directory, and what is done to the folder as a whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::clock::UnixSeconds;

/// How many databases that were moved aside are kept for a person to look at; the oldest goes when there is one more,
/// so that a failing disk does not fill.
const KEPT_ASIDE: usize = 3;

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

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
