//! Errors of the store: the attempt, its path and its cause.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The reason why the store does not open.
#[derive(Debug)]
pub enum OpenError {
    /// The data directory cannot be created.
    NoDirectory(PathBuf, io::Error),
    /// Another user could change the data: the directory, and the reason with a remedy.
    NotOurs(PathBuf, String),
    /// Another process uses the directory.
    InUse(PathBuf),
    /// The directory cannot be written to, for a reason other than a damaged database.
    Unusable(StoreError),
}

/// A failed operation, its path and its cause.
#[derive(Debug)]
pub struct StoreError {
    doing: &'static str,
    path: Box<Path>,
    pub(super) cause: Box<str>,
    outcome: Outcome,
    /// Whether the data is of a later version.
    is_later: bool,
}

/// The parts of a save that failed. A part without an error was saved.
#[derive(Debug)]
pub struct SaveError {
    /// The list as text.
    pub export: Option<StoreError>,
    /// The last-seen times of the entries, and the running clock.
    pub idle_times: Option<StoreError>,
}

/// The possible effect of a failed change on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No effect: the change stays refused in any case.
    Unchanged,
    /// The change may be on the disk: a restart may bring it into effect, unless [`super::Store::rebuild`] succeeds first.
    Unknown,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDirectory(path, cause) => {
                let path = path.display();
                write!(
                    f,
                    "cannot create the data directory {path}: {cause}; create it and let nakodo write \
                     there, or name another with --data-dir"
                )
            }
            Self::NotOurs(path, why) => {
                write!(f, "cannot use the data directory {}: {why}, or name another with --data-dir", path.display())
            }
            Self::InUse(path) => {
                write!(
                    f,
                    "another nakodo is running on {}; stop it, or name another directory with --data-dir",
                    path.display()
                )
            }
            Self::Unusable(error) if error.is_later => write!(f, "{error}"),
            Self::Unusable(error) => {
                write!(
                    f,
                    "{error}; the data directory must be on a writable file system with free space, and \
                     belong to nakodo's user"
                )
            }
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.doing, self.path.display(), self.cause)
    }
}

impl std::error::Error for OpenError {}
impl std::error::Error for StoreError {}

impl StoreError {
    pub(super) fn new(doing: &'static str, path: impl AsRef<Path>, cause: impl fmt::Display) -> Self {
        Self {
            doing,
            path: path.as_ref().into(),
            cause: cause.to_string().into(),
            outcome: Outcome::Unchanged,
            is_later: false,
        }
    }

    pub(super) fn later_version(path: &Path) -> Self {
        let cause = "a later version of nakodo wrote it; use that version, or move the data away";
        Self { is_later: true, ..Self::new("read", path, cause) }
    }

    pub(super) fn removed(path: &Path) -> Self {
        Self::new("write", path, "the file was removed or replaced")
    }

    /// Return this error with another possible effect.
    pub(super) fn with_outcome(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    /// Return the possible effect of the change on the disk.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    pub(super) fn of<E: fmt::Display>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        move |cause| Self::new(doing, path, cause)
    }
}
