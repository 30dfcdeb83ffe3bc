//! The file of the Unix socket: created when the tracker starts, removed when it stops.

use core::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};

/// Access for the owner and the group only.
const MODE: u32 = 0o660;

/// Number of connections that may wait in the kernel to be accepted.
const BACKLOG: i32 = 16;

/// The reason why the control socket cannot be created.
#[derive(Debug)]
pub enum SocketError {
    /// A running tracker listens there.
    InUse(PathBuf),
    /// The path is another kind of file, which must not be replaced.
    NotASocket(PathBuf),
    /// The system refuses to create it.
    Unusable(PathBuf, io::Error),
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(
                f,
                "another nakodo is listening on the control socket {}; stop it, or set admin.socket or data_dir to \
                 another path",
                path.display()
            ),
            Self::NotASocket(path) => write!(
                f,
                "cannot create the control socket at {}: another file is there; move it away, or set admin.socket \
                 to another path",
                path.display()
            ),
            Self::Unusable(path, error) => write!(
                f,
                "cannot create the control socket {}: {error}; set admin.socket to a path of at most 107 bytes in a \
                 directory that exists and that nakodo may write to",
                path.display()
            ),
        }
    }
}

impl std::error::Error for SocketError {}

/// The file of a listening socket. It is removed on drop, unless another file has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode of the file.
    identity: (u64, u64),
}

impl SocketFile {
    /// Create a non-blocking socket that listens at `path`.
    pub(super) fn listen(path: &Path) -> Result<(UnixListener, Self), SocketError> {
        remove_dead(path)?;
        open(path).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => SocketError::InUse(path.into()),
            _ => SocketError::Unusable(path.into(), error),
        })
    }

    /// Return whether the file is still there, and was not replaced.
    pub fn is_there(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_there() {
            // Best effort: if the file stays, the next start finds that it is dead and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Create the socket. Clients can connect only after `listen`, and by then the file has its mode.
fn open(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let fd = new_socket()?;
    bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    let file = SocketFile { path: path.into(), identity: identity(path)? };
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    listen(&fd, Backlog::new(BACKLOG)?)?;
    Ok((UnixListener::from(fd), file))
}

fn new_socket() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Remove the file of a dead socket: a tracker leaves it behind after a power cut.
fn remove_dead(path: &Path) -> Result<(), SocketError> {
    let unusable = |error| SocketError::Unusable(path.into(), error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(SocketError::NotASocket(path.into())),
        Ok(_) => {}
    }
    let address = UnixAddr::new(path).map_err(|errno| unusable(errno.into()))?;
    let fd = new_socket().map_err(|errno| unusable(errno.into()))?;
    match connect(fd.as_raw_fd(), &address) {
        // The socket does not block: EAGAIN means that the queue is full, so a running process owns the socket.
        Ok(()) | Err(Errno::EAGAIN) => Err(SocketError::InUse(path.into())),
        Err(Errno::ECONNREFUSED) => fs::remove_file(path).map_err(unusable),
        Err(errno) => Err(unusable(errno.into())),
    }
}
