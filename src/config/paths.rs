//! Paths of the data directory, the control socket and the list of torrents.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Config;

/// Data directory of an installed package.
const SYSTEM_DATA_DIR: &str = "/var/lib/nakodo";

/// Data directory without an installed package, relative to the working directory.
const LOCAL_DATA_DIR: &str = "nakodo-data";

/// File name of the control socket in the data directory.
const SOCKET_NAME: &str = "nakodo.sock";

/// File name of the list of torrents in the data directory.
const TORRENTS_NAME: &str = "torrents";

/// Paths of the data directory, the control socket and the list of torrents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Data directory.
    pub data_dir: PathBuf,
    /// Control socket.
    pub socket: PathBuf,
    /// List of torrents.
    pub torrents: PathBuf,
}

impl Config {
    /// Return the paths of the data directory, the socket and the list of torrents. If the configuration does not set them, the choice
    /// depends on whether the data directory of the package is `usable`: the tracker passes [`is_writable`], its
    /// clients pass [`is_daemons`].
    pub fn paths(&self, usable: impl Fn(&Path) -> bool) -> Paths {
        let chosen = || {
            let system = Path::new(SYSTEM_DATA_DIR);
            if usable(system) { system.into() } else { LOCAL_DATA_DIR.into() }
        };
        let data_dir = self.data_dir.clone().unwrap_or_else(chosen);
        let socket = self.admin.socket.clone().unwrap_or_else(|| socket_in(&data_dir));
        let torrents = self.torrents.file.clone().unwrap_or_else(|| data_dir.join(TORRENTS_NAME));
        Paths { data_dir, socket, torrents }
    }
}

/// Return the path of the control socket in a data directory.
pub(super) fn socket_in(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET_NAME)
}

/// Return whether files can be created in the directory `dir`. Permission bits are not reliable (root, read-only
/// mounts), so create one as a probe; a probe left over from a power cut does no harm. With a full or broken disk the
/// answer is still true: the whitelist is on that disk, and the operator should see the error instead of an empty
/// whitelist in another directory.
pub fn is_writable(dir: &Path) -> bool {
    let probe = dir.join(".nakodo-probe");
    match fs::OpenOptions::new().write(true).create(true).truncate(false).open(&probe) {
        Ok(_) => {
            // If this fails, an empty file stays behind, which does no harm.
            let _ = fs::remove_file(&probe);
            true
        }
        Err(error) => !matches!(
            error.kind(),
            ErrorKind::NotFound
                | ErrorKind::NotADirectory
                | ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
        ),
    }
}

/// Return whether `dir` is probably the data directory of a running tracker, without writing to it. A client that runs
/// as another user than the tracker may be unable to see the socket in `dir`. So without a visible socket the answer is
/// still true, unless the local data directory has a socket.
pub fn is_daemons(dir: &Path) -> bool {
    dir.is_dir() && (socket_in(dir).exists() || !socket_in(Path::new(LOCAL_DATA_DIR)).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_paths_take_precedence_over_existing_ones() {
        let mut config = Config::default();
        let paths = |config: &Config, usable: bool| {
            let paths = config.paths(|dir| dir == Path::new("/var/lib/nakodo") && usable);
            [paths.data_dir, paths.socket].map(|path| path.display().to_string())
        };
        assert_eq!(paths(&config, true), ["/var/lib/nakodo", "/var/lib/nakodo/nakodo.sock"]);
        assert_eq!(paths(&config, false), ["nakodo-data", "nakodo-data/nakodo.sock"]);
        config.data_dir = Some("/srv/tracker".into());
        assert_eq!(paths(&config, true), ["/srv/tracker", "/srv/tracker/nakodo.sock"]);
        config.admin.socket = Some("/run/n.sock".into());
        assert_eq!(paths(&config, true), ["/srv/tracker", "/run/n.sock"]);
    }

    #[test]
    fn the_check_for_a_writable_directory_leaves_no_file() {
        let dir = std::env::temp_dir().join(format!("nakodo-paths-{}", std::process::id()));
        assert!(!is_writable(&dir), "it does not exist");
        fs::create_dir(&dir).expect("the temporary directory is writable");
        fs::write(dir.join(".nakodo-probe"), "").expect("it is writable");
        assert!(is_writable(&dir), "a probe left over from a power cut does no harm");
        fs::write(dir.join("file"), "").expect("it is writable");
        assert!(!is_writable(&dir.join("file")), "it is not a directory");
        fs::remove_file(dir.join("file")).expect("it is there");
        assert_eq!(fs::read_dir(&dir).expect("it is there").count(), 0);
        assert!(is_daemons(&dir), "the directory may belong to another user, so that the socket is invisible");
        fs::remove_dir(&dir).expect("it is empty");
        assert!(!is_daemons(&dir));
    }
}
