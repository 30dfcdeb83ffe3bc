//! Files in the data directory, opened without following symbolic links: a link there could make the tracker overwrite a
//! file elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Open a file for reading.
///
/// # Errors
/// When it cannot be opened; `ELOOP` if it is a link.
pub(super) fn open(path: &Path) -> io::Result<File> {
    without_links(OpenOptions::new().read(true)).open(path)
}

/// Open a file for writing, or create it. Its content stays.
///
/// # Errors
/// As with [`open`].
pub(super) fn open_or_create(path: &Path) -> io::Result<File> {
    without_links(OpenOptions::new().write(true).create(true).truncate(false)).open(path)
}

/// Create a new file for writing. A file or a link at its place is removed.
///
/// # Errors
/// When it cannot be created.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Return whether there is a link at `path`.
pub(super) fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.is_symlink())
}

/// The device and the inode of a file. They identify it for as long as it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    /// Return the identity of an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|file| Self(file.dev(), file.ino()))
    }

    /// Return whether the file is still the one at `path`.
    pub(super) fn is_at(self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|there| self == Self(there.dev(), there.ino()))
    }
}

fn without_links(options: &mut OpenOptions) -> &mut OpenOptions {
    // The flags have 32 bits on all targets.
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn a_link_is_neither_read_nor_written_through() {
        let dir = TempDir::new();
        let (target, link) = (dir.file("target"), dir.file("link"));
        fs::write(&target, "content").expect("written");
        std::os::unix::fs::symlink(&target, &link).expect("a link");
        assert!(is_link(&link) && !is_link(&target) && !is_link(&dir.file("absent")));
        assert!(open(&link).is_err() && open_or_create(&link).is_err());
        create_new(&link).expect("in the place of the link");
        assert!(!is_link(&link));
        assert_eq!(fs::read_to_string(&target).expect("a file"), "content");
        for path in [&target, &link] {
            open(path).expect("a file");
            open_or_create(path).expect("a file");
        }
        assert_eq!(fs::read_to_string(&target).expect("a file"), "content");
    }
}
