//! The Unix socket's file: made when the tracker starts, removed when it stops.

use core::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};

/// The owner and the group may talk to the tracker, nobody else.
const MODE: u32 = 0o660;

/// Connections that may wait in the kernel until they are accepted.
const BACKLOG: i32 = 16;

/// Why there is no control socket.
#[derive(Debug)]
pub enum SocketError {
    /// A tracker that is alive listens there.
    InUse(PathBuf),
    /// What is there is no socket, and so is not ours to replace.
    NotASocket(PathBuf),
    /// It cannot be made.
    Unusable(PathBuf, io::Error),
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(
                f,
                "another nakodo is listening on the control socket {}; stop that one, or set admin.socket or data_dir to \
                 another path",
                path.display()
            ),
            Self::NotASocket(path) => write!(
                f,
                "the control socket cannot be made at {}, where something else is; move that away, or set admin.socket \
                 to another path",
                path.display()
            ),
            Self::Unusable(path, error) => write!(
                f,
                "cannot make the control socket {}: {error}; set admin.socket to a path of at most 107 octets in a \
                 directory that exists and that nakodo may write to",
                path.display()
            ),
        }
    }
}

impl std::error::Error for SocketError {}

/// The file of a socket that listens; removed when this is dropped, unless another has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Which file it is: device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    /// Make a socket that does not block and listens at `path`.
    pub(super) fn listen(path: &Path) -> Result<(UnixListener, Self), SocketError> {
        remove_dead(path)?;
        open(path).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => SocketError::InUse(path.into()),
            _ => SocketError::Unusable(path.into(), error),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Should it stay, the next start finds that nobody listens.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Nobody can connect before `listen`, and by then the file has its mode.
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

/// Remove a socket that nobody listens on: a tracker that lost its power leaves one behind.
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
        // It does not block: where connections are queueing up, somebody is alive who should accept them.
        Ok(()) | Err(Errno::EAGAIN) => Err(SocketError::InUse(path.into())),
        Err(Errno::ECONNREFUSED) => fs::remove_file(path).map_err(unusable),
        Err(errno) => Err(unusable(errno.into())),
    }
}
