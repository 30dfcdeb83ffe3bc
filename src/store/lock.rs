//! The lock of a data directory against other trackers.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::StoreError;
use super::data_dir::DataDir;
use super::no_links::{self, Identity};

/// A locked data directory. The lock ends with this process, even after a crash.
#[derive(Debug)]
pub(super) struct Lock(Flock<File>);

/// Return whether a tracker has locked the directory.
pub(super) fn is_taken(data_dir: &DataDir) -> bool {
    let locked = no_links::open(&data_dir.lock()).map(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock));
    matches!(locked, Ok(Err((_, Errno::EWOULDBLOCK))))
}

/// The reason why a data directory cannot be locked.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process has locked it.
    InUse,
    /// The file of the lock is unusable.
    Failed(StoreError),
}

impl Lock {
    /// Lock the directory.
    pub(super) fn take(data_dir: &DataDir) -> Result<Self, LockError> {
        let path = data_dir.lock();
        let failed = |cause: io::Error| LockError::Failed(StoreError::new("lock", &path, cause));
        let file = match no_links::open_or_create(&path) {
            // Another tracker may have locked it before the file system became read-only.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => no_links::open(&path).map_err(failed)?,
            file => file.map_err(failed)?,
        };
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map(Self).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => LockError::InUse,
            errno => failed(errno.into()),
        })
    }

    /// Return whether the file of the lock is still in the directory.
    pub(super) fn is_in(&self, data_dir: &DataDir) -> bool {
        Identity::of(&self.0).is_ok_and(|identity| identity.is_at(&data_dir.lock()))
    }
}
