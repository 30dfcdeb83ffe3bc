//! Troubles of the disk that may pass: it is full, read-only, or fails. The tracker starts in spite of them, with the list
//! of the text copy. A mistake of the installation, such as a missing permission, ends the start instead.

use std::io;

use nix::errno::Errno;

/// Return whether an error comes from the disk itself.
pub(super) fn is_of_the_disk(error: &io::Error) -> bool {
    use io::ErrorKind::{
        FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StaleNetworkFileHandle, StorageFull, TimedOut,
    };
    matches!(
        error.kind(),
        FileTooLarge | QuotaExceeded | ReadOnlyFilesystem | StaleNetworkFileHandle | StorageFull | TimedOut
    ) || matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EIO | Errno::ENODEV | Errno::ENXIO | Errno::EUCLEAN | Errno::ESHUTDOWN)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_fails_for_other_reasons_than_an_installation() {
        let is_of_the_disk = |errno: Errno| is_of_the_disk(&io::Error::from(errno));
        for errno in [Errno::ENOSPC, Errno::EDQUOT, Errno::EROFS, Errno::EIO, Errno::EFBIG, Errno::ENXIO, Errno::ESTALE]
        {
            assert!(is_of_the_disk(errno), "{errno}");
        }
        for errno in [Errno::EACCES, Errno::EPERM, Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP, Errno::EMFILE] {
            assert!(!is_of_the_disk(errno), "{errno}");
        }
    }
}
