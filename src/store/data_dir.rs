//! The paths in the data directory, and operations on its files and folders as a whole.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::process::geteuid;

use super::no_links;
use super::trouble::is_of_the_disk;
use crate::system_clock;

/// Number of databases moved aside that are kept for inspection. Older ones are removed, so that a failing disk does
/// not fill up.
const KEPT_ASIDE: usize = 3;

/// Free space in bytes that a change must leave: a segment of the database, and the needs of the file system itself.
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

    /// Create the directory, and make its name durable. Other users get no access.
    pub(super) fn create(&self) -> io::Result<()> {
        if self.0.is_dir() {
            return Ok(());
        }
        let parent = self.0.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        DirBuilder::new().mode(0o750).create(&self.0)?;
        Self::sync(parent)
    }

    /// Check that no other user can change the data.
    ///
    /// # Errors
    /// The reason, with a command that mends it.
    pub(super) fn check_owner(&self) -> Result<(), String> {
        // A directory that cannot be examined cannot be used either; its first use reports the reason.
        let Ok(directory) = fs::metadata(&self.0) else { return Ok(()) };
        self.check_access(directory.uid(), geteuid().as_raw(), directory.mode())
    }

    /// Check that only the owner of the directory can change the data.
    ///
    /// # Errors
    /// As with [`Self::check_owner`].
    pub(super) fn check_others(&self) -> Result<(), String> {
        let Ok(directory) = fs::metadata(&self.0) else { return Ok(()) };
        self.check_access(directory.uid(), directory.uid(), directory.mode())
    }

    fn check_access(&self, owner: u32, own: u32, mode: u32) -> Result<(), String> {
        let path = self.0.display();
        if owner != own {
            Err(format!("it belongs to user {owner}, and nakodo runs as user {own}; run `chown -R {own} {path}`"))
        } else if mode & 0o002 != 0 {
            Err(format!("all users may write there; run `chmod o-w {path}`"))
        } else {
            Ok(())
        }
    }

    /// Return the folder of the database.
    pub(super) fn database(&self) -> PathBuf {
        self.0.join("whitelist")
    }

    /// Return the folder in which a replacement for [`Self::database`] is built. Its content is incomplete.
    pub(super) fn building(&self) -> PathBuf {
        self.0.join("whitelist.building")
    }

    /// Return the folder of a complete and durable database that is about to replace [`Self::database`].
    fn finished(&self) -> PathBuf {
        self.0.join("whitelist.finished")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(super) fn export(&self) -> PathBuf {
        self.0.join("whitelist.export")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.0.join("whitelist.journal")
    }

    /// Return the two files with the keys and revocations of tickets.
    pub(super) fn tickets(&self) -> [PathBuf; 2] {
        ["tickets", "tickets.copy"].map(|name| self.0.join(name))
    }

    /// Return the file with the sessions of the page.
    pub(super) fn sessions(&self) -> PathBuf {
        self.0.join("page-sessions")
    }

    /// Return the file with the history of the wall clock.
    pub(super) fn clock(&self) -> PathBuf {
        self.0.join("whitelist.clock")
    }

    /// Return the file with the number of consecutive opens that ended in a panic.
    pub(super) fn panics(&self) -> PathBuf {
        self.0.join("opening-panics")
    }

    /// Make the names in a directory durable.
    pub(super) fn sync(directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    /// Write a file atomically: after a power cut it has either its old or its new content. Return the result of
    /// `write`, a size in bytes.
    pub(super) fn replace(&self, path: &Path, write: &mut dyn FnMut(&mut File) -> io::Result<u64>) -> io::Result<u64> {
        let new = path.with_extension("new");
        let written = no_links::create_new(&new).and_then(|mut file| {
            let written = write(&mut file)?;
            file.sync_all()?;
            fs::rename(&new, path)?;
            Ok(written)
        });
        if written.is_err() {
            // An incomplete file is useless, and may be the reason why the disk is full.
            let _ = fs::remove_file(&new);
        }
        let written = written?;
        Self::sync(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok(written)
    }

    /// Return whether a database, or another file in its place, exists.
    pub(super) fn has_database(&self) -> bool {
        fs::symlink_metadata(self.database()).is_ok()
    }

    /// Finish or undo a replacement that a start or a power cut has interrupted. Call it before the database is opened.
    pub(super) fn settle(&self) -> io::Result<()> {
        self.clear_building()?;
        self.move_in()
    }

    /// Remove leftovers in [`Self::building`] before a new database is built there.
    pub(super) fn clear_building(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.building()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Put the new database in the place of the old one, and return the new path of the old one, if any.
    ///
    /// At each moment one of the two is complete, and the next start will find it.
    pub(super) fn replace_database(&self) -> io::Result<Option<PathBuf>> {
        self.move_in()?;
        fs::rename(self.building(), self.finished())?;
        Self::sync(&self.0)?;
        let aside = self.has_database().then(|| self.move_aside()).transpose()?;
        self.move_in()?;
        Ok(aside)
    }

    /// Move a finished database to its place, if any.
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

    /// Remove a database without useful content. Best effort: leftovers only take space.
    pub(super) fn discard(&self, database: &Path) {
        // Truncate the log first: a process that still has it open would otherwise keep its space.
        let _ = no_links::open_or_create(&database.join("db")).and_then(|log| log.set_len(0));
        let _ = fs::remove_dir_all(database).or_else(|_| fs::remove_file(database));
    }

    /// Write a file of one page, sync it and remove it.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn try_to_write(&self) -> io::Result<()> {
        let path = self.0.join("whitelist.probe");
        let mut file = no_links::create_new(&path)?;
        let written = file.write_all(&[0xa5; 4096]).and_then(|()| file.sync_all());
        fs::remove_file(&path)?;
        written
    }

    /// Return the reason why the disk takes no writes now, unless it is a mistake of the installation.
    pub(super) fn trouble(&self) -> Option<String> {
        let written = self.create().and_then(|()| self.try_to_write());
        match written {
            Err(error) if is_of_the_disk(&error) => Some(error.to_string()),
            Err(_) => None,
            Ok(()) => self.check_room(0).err(),
        }
    }

    /// Check that the file system has room for `bytes` and the overhead: the database library cannot continue after a
    /// write that found no room.
    ///
    /// # Errors
    /// When the free space is too small, with both figures, or the file system is read-only. A file system that does not
    /// report its free space passes.
    pub(super) fn check_room(&self, bytes: u64) -> Result<(), String> {
        let Ok(system) = statvfs(&self.0) else { return Ok(()) };
        if system.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Err("the file system is read-only".to_owned());
        }
        // On ext4, only root may use the reserved blocks.
        let blocks = if geteuid().is_root() { system.f_bfree } else { system.f_bavail };
        let (free, wanted) = (blocks.saturating_mul(system.f_frsize), bytes + SPARE_BYTES);
        if system.f_blocks == 0 || free >= wanted {
            return Ok(());
        }
        Err(format!("the disk is full: it has {} KiB left and {} KiB are needed", free / 1024, wanted / 1024))
    }

    /// Move damaged text files aside. Return their new paths.
    pub(super) fn keep_text_aside(&self) -> io::Result<Vec<PathBuf>> {
        let there = |path: &PathBuf| fs::symlink_metadata(path).is_ok();
        let files = [self.export(), self.journal()].into_iter().filter(there);
        files.map(|path| self.move_aside_from(&path)).collect()
    }

    fn move_aside(&self) -> io::Result<PathBuf> {
        self.move_aside_from(&self.database())
    }

    /// Move a damaged database or text file aside, with the time of the clock in seconds in its name, or with the next
    /// free number if the clock is not plausible. Return the new path.
    fn move_aside_from(&self, path: &Path) -> io::Result<PathBuf> {
        let date = system_clock::wall().map_or(1, |now| now.0);
        let last = self.aside().last().map_or(0, |(number, _)| *number);
        let aside = self.0.join(format!("{ASIDE}{}", date.max(last.saturating_add(1))));
        fs::rename(path, &aside)?;
        Self::sync(&self.0)?;
        self.forget_oldest();
        Ok(aside)
    }

    /// Return the databases that were moved aside with their times or numbers, the oldest first.
    pub(super) fn aside(&self) -> Vec<(u64, PathBuf)> {
        let Ok(names) = fs::read_dir(&self.0) else { return Vec::new() };
        let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix(ASIDE)?.parse::<u64>().ok();
        let mut aside: Vec<_> = names.flatten().filter_map(|name| Some((number(&name.path())?, name.path()))).collect();
        aside.sort();
        aside
    }

    /// Remove the oldest databases. Best effort: leftovers only take space.
    fn forget_oldest(&self) {
        for (_, path) in self.aside().iter().rev().skip(KEPT_ASIDE) {
            let _ = fs::remove_dir_all(path).or_else(|_| fs::remove_file(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

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
        // The content of the folder before, and the content of the database after.
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
    fn a_directory_that_others_may_write_is_refused_with_a_remedy() {
        let dir = TempDir::new();
        let data_dir = DataDir::new(&dir.file("a/b"));
        data_dir.create().expect("created");
        let mode = || fs::metadata(data_dir.path()).expect("a directory").mode();
        assert_eq!(mode() & 0o027, 0, "only the owner may write, and other users see nothing");
        assert_eq!(data_dir.check_owner(), Ok(()));
        let (path, is_ours) = (data_dir.path().display(), Ok(()));
        for (owner, mode, expected) in [
            (7, 0o700, is_ours.clone()),
            (7, 0o1770, is_ours),
            (7, 0o777, Err(format!("all users may write there; run `chmod o-w {path}`"))),
            (8, 0o700, Err(format!("it belongs to user 8, and nakodo runs as user 7; run `chown -R 7 {path}`"))),
            (0, 0o700, Err(format!("it belongs to user 0, and nakodo runs as user 7; run `chown -R 7 {path}`"))),
        ] {
            assert_eq!(data_dir.check_access(owner, 7, mode), expected);
        }
        fs::set_permissions(data_dir.path(), Permissions::from_mode(0o777)).expect("changed");
        assert!(data_dir.check_owner().is_err());
    }

    #[test]
    fn a_test_write_leaves_nothing_behind() {
        let dir = TempDir::new();
        let data_dir = DataDir::new(dir.path());
        data_dir.try_to_write().expect("a writable directory");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
        assert!(DataDir::new(&dir.file("absent")).try_to_write().is_err());
    }

    #[test]
    fn a_change_needs_some_room() {
        let dir = TempDir::new();
        let data_dir = DataDir::new(dir.path());
        assert_eq!(data_dir.check_room(100), Ok(()));
        let refused = data_dir.check_room(1 << 60).expect_err("no disk has that much");
        assert!(refused.starts_with("the disk is full: it has ") && refused.ends_with(" KiB are needed"), "{refused}");
    }
}
