//! Where the data and the control socket are, once they have to be somewhere.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Config;

/// The data directory of an installed package.
const SYSTEM_DATA_DIR: &str = "/var/lib/nakodo";

/// The data directory where there is no installed one, in the directory that nakodo is started in.
const LOCAL_DATA_DIR: &str = "nakodo-data";

/// The control socket's name in the data directory.
const SOCKET_NAME: &str = "nakodo.sock";

/// Where the data and the control socket are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
}

impl Config {
    /// Where the data and the socket are. What the configuration leaves open is decided by whether the package's data
    /// directory is `usable`: the tracker asks [`is_writable`], its clients ask [`is_daemons`].
    pub fn paths(&self, usable: impl Fn(&Path) -> bool) -> Paths {
        let chosen = || {
            let system = Path::new(SYSTEM_DATA_DIR);
            if usable(system) { system.into() } else { LOCAL_DATA_DIR.into() }
        };
        let data_dir = self.data_dir.clone().unwrap_or_else(chosen);
        let socket = self.admin.socket.clone().unwrap_or_else(|| socket_in(&data_dir));
        Paths { data_dir, socket }
    }
}

/// The control socket that belongs to a data directory.
pub(super) fn socket_in(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET_NAME)
}

/// Whether `dir` is a directory in which we may make files. Permission bits do not tell (root, read-only mounts), so we
/// make one; one that a power cut left behind is no obstacle. A full or broken disk does not make us look elsewhere:
/// the whitelist is here, and who runs the tracker should hear of it.
pub fn is_writable(dir: &Path) -> bool {
    let probe = dir.join(".nakodo-probe");
    match fs::OpenOptions::new().write(true).create(true).truncate(false).open(&probe) {
        Ok(_) => {
            // Should it stay, it is empty, and harms nothing.
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

/// Whether `dir` is where a running tracker has its socket, as far as a client can tell without writing. One that does
/// not see a socket there may be another user than the tracker, unless it sees a tracker's socket in its own directory.
pub fn is_daemons(dir: &Path) -> bool {
    dir.is_dir() && (socket_in(dir).exists() || !socket_in(Path::new(LOCAL_DATA_DIR)).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_goes_before_what_is_there() {
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
    fn writable_means_that_a_file_can_be_made_and_leaves_none() {
        let dir = std::env::temp_dir().join(format!("nakodo-paths-{}", std::process::id()));
        assert!(!is_writable(&dir), "it is not there");
        fs::create_dir(&dir).expect("the temporary directory is writable");
        fs::write(dir.join(".nakodo-probe"), "").expect("it is writable");
        assert!(is_writable(&dir), "what a power cut left behind is no obstacle");
        fs::write(dir.join("file"), "").expect("it is writable");
        assert!(!is_writable(&dir.join("file")), "it is no directory");
        fs::remove_file(dir.join("file")).expect("it is there");
        assert_eq!(fs::read_dir(&dir).expect("it is there").count(), 0);
        assert!(is_daemons(&dir), "a directory whose socket we do not see may be another user's");
        fs::remove_dir(&dir).expect("it is empty");
        assert!(!is_daemons(&dir));
    }
}
