//! Sources of the configuration: an optional file, and the command line, which overrides it.

use core::time::Duration;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;
use toml::Spanned;
use toml::de::{DeArray, DeValue};

use super::reader::Reading;
use super::{Config, Error};

/// Configuration file that is read by default, if it exists.
pub(crate) const SYSTEM_FILE: &str = "/etc/nakodo/nakodo.toml";

/// Maximum length of a configuration file, in bytes. It keeps reading short if the path is a whole disk by mistake.
const MOST_OCTETS: u64 = 1 << 20;

/// Configuration options of the command line. [`Source::load`] can be called again later, to reload the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Configuration file; if `None`, `SYSTEM_FILE` if that exists.
    pub file: Option<PathBuf>,
    /// Override of `data_dir`.
    pub data_dir: Option<String>,
    /// Override of `listen`, unless empty.
    pub listen: Vec<String>,
    /// Override of `memory`.
    pub memory: Option<String>,
}

/// Configuration with a description of its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Configuration.
    pub config: Config,
    /// Path of the file, or a note that the defaults are used.
    pub origin: String,
}

impl Source {
    /// Read the file, and apply the command line to it.
    pub fn load(&self) -> Result<Loaded, Error> {
        self.load_or(Path::new(SYSTEM_FILE))
    }

    /// Load the configuration, with `system` in place of [`SYSTEM_FILE`].
    fn load_or(&self, system: &Path) -> Result<Loaded, Error> {
        let file = self.file.as_deref().unwrap_or(system);
        let name = file.display().to_string();
        let mut reading = Reading::new(&name);
        let origin = match read(file) {
            Ok(text) => {
                reading.text(&text)?;
                name.clone()
            }
            Err(error) if error.kind() == ErrorKind::NotFound && self.file.is_none() => {
                format!("built-in defaults ({name} does not exist)")
            }
            Err(error) => return Err(unreadable(&name, &error)),
        };
        self.flags(&mut reading)?;
        Ok(Loaded { config: reading.finish()?, origin })
    }

    fn flags(&self, reading: &mut Reading<'_>) -> Result<(), Error> {
        if let Some(data_dir) = &self.data_dir {
            reading.flag("data_dir", DeValue::String(data_dir.as_str().into()))?;
        }
        if !self.listen.is_empty() {
            let string = |text: &String| Spanned::new(0..0, DeValue::String(text.clone().into()));
            reading.flag("listen", DeValue::Array(self.listen.iter().map(string).collect::<DeArray<'_>>()))?;
        }
        if let Some(memory) = &self.memory {
            reading.flag("memory", DeValue::String(memory.as_str().into()))?;
        }
        Ok(())
    }
}

/// Parse the value of `--retire-after` by the rules of the key `access.retire_after`.
pub(crate) fn retire_after(text: &str) -> Result<Duration, Error> {
    let mut reading = Reading::new("");
    reading.flag("access.retire_after", DeValue::String(text.into()))?;
    Ok(reading.finish()?.access.retire_after)
}

/// Read a text file, up to the maximum length. A pipe is an error: its open or its end could keep a reload waiting for
/// ever, and an empty one would mean the defaults.
fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::options().read(true).custom_flags(O_NONBLOCK).open(file)?;
    let kind = file.metadata()?.file_type();
    if kind.is_fifo() || kind.is_socket() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let read = file.take(MOST_OCTETS).read_to_string(&mut text)?;
    if read as u64 == MOST_OCTETS {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

fn unreadable(name: &str, error: &io::Error) -> Error {
    let why = match error.kind() {
        ErrorKind::NotFound => "no such file; without --config nakodo uses its defaults".into(),
        ErrorKind::PermissionDenied => "permission denied; run this as root, or make the file readable".into(),
        ErrorKind::IsADirectory => "it is a directory; give the path of a file".into(),
        ErrorKind::InvalidInput => "it is a pipe; give the path of a file, which a reload can read again".into(),
        ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        ErrorKind::FileTooLarge => "it is larger than 1 MiB, so it is not a configuration".into(),
        _ => error.to_string(),
    };
    Error(format!("cannot read {name}: {why}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Temporary directory of one test, removed on drop.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("nakodo-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("the temporary directory is writable");
            Self(path)
        }

        fn file(&self, name: &str, content: &[u8]) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, content).expect("the folder is writable");
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn named(file: impl Into<PathBuf>) -> Source {
        Source { file: Some(file.into()), ..Source::default() }
    }

    #[test]
    fn a_missing_system_file_means_the_defaults() {
        let loaded = Source::default().load_or(Path::new("/nowhere/nakodo.toml")).expect("defaults are good");
        assert_eq!(loaded.config, Config::default());
        assert_eq!(loaded.origin, "built-in defaults (/nowhere/nakodo.toml does not exist)");
    }

    #[test]
    fn a_named_file_takes_precedence_over_the_system_file() {
        let folder = Folder::new("source");
        let system = folder.file("system.toml", b"memory = \"1 MiB\"");
        let own = folder.file("own.toml", b"memory = \"2 MiB\"");
        let loaded = Source::default().load_or(&system).expect("it is good");
        assert_eq!((loaded.config.memory_octets, loaded.origin), (1 << 20, system.display().to_string()));
        let loaded = named(&own).load_or(&system).expect("it is good");
        assert_eq!((loaded.config.memory_octets, loaded.origin), (2 << 20, own.display().to_string()));
    }

    #[test]
    fn an_unreadable_file_is_reported_in_one_line() {
        let folder = Folder::new("unreadable");
        let long = folder.file("long.toml", &vec![b'#'; MOST_OCTETS as usize]);
        let latin = folder.file("latin.toml", b"# caf\xe9");
        for (file, why) in [
            (Path::new("/nowhere/nakodo.toml"), "no such file; without --config nakodo uses its defaults"),
            (folder.0.as_path(), "it is a directory; give the path of a file"),
            (&latin, "it is not UTF-8 text"),
            (&long, "it is larger than 1 MiB, so it is not a configuration"),
        ] {
            let error = named(file).load().expect_err(why).to_string();
            assert_eq!(error, format!("cannot read {}: {why}", file.display()));
        }
    }

    #[test]
    fn a_pipe_is_refused_at_once() {
        let folder = Folder::new("fifo");
        let pipe = folder.0.join("nakodo.toml");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let error = named(&pipe).load().expect_err("no writer will ever open it").to_string();
        let why = "it is a pipe; give the path of a file, which a reload can read again";
        assert_eq!(error, format!("cannot read {}: {why}", pipe.display()));
    }

    #[test]
    fn flags_override_the_file() {
        let folder = Folder::new("flags");
        let file = folder.file("nakodo.toml", b"memory = \"1 MiB\"\nlisten = [\"0.0.0.0:1\"]\ndata_dir = \"a\"");
        let source = Source {
            data_dir: Some("b".into()),
            listen: vec!["127.0.0.1:2".into(), "[::1]:3".into()],
            memory: Some("2 MiB".into()),
            ..named(file)
        };
        let config = source.load().expect("it is good").config;
        assert_eq!(config.data_dir.as_deref(), Some(Path::new("b")));
        assert_eq!(config.memory_octets, 2 << 20);
        assert_eq!(config.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:2", "[::1]:3"]);
    }

    #[test]
    fn a_flag_that_conflicts_with_a_key_of_the_file_is_reported() {
        let folder = Folder::new("unfit");
        let file = folder.file("n.toml", b"[admin]\nlisten = \"[::1]:1\"\ntoken_file = \"t\"");
        let source = Source { listen: vec!["[::1]:1".into()], ..named(&file) };
        let error = source.load().expect_err("they are the same").to_string();
        assert_eq!(error, format!("{}:2: admin.listen: [::1]:1 is already used by listen", file.display()));
    }

    #[test]
    fn mistakes_in_flags_name_the_flag() {
        let none = Source::default();
        let list = r#"expected a list of 1 to 8 addresses with their ports such as ["0.0.0.0:6969", "[::]:6969"]"#;
        for (source, line) in [
            (
                Source { memory: Some("8".into()), ..none.clone() },
                r#"--memory: found "8", expected a size with its unit such as "8 MiB" (from 256 KiB to 1 GiB)"#.into(),
            ),
            (
                Source { listen: vec!["0.0.0.0:1".into(), "6969".into()], ..none.clone() },
                format!(r#"--listen: found "6969", {list}"#),
            ),
            (
                Source { listen: vec!["0.0.0.0:0".into(); 9], ..none.clone() },
                format!("--listen: found a list of 9, {list}"),
            ),
            (
                Source { listen: vec!["0.0.0.0:1".into(); 2], ..none.clone() },
                "--listen: 0.0.0.0:1 is listed twice".into(),
            ),
            (
                Source { data_dir: Some(String::new()), ..none },
                r#"--data-dir: found "", expected a path such as "/var/lib/nakodo""#.into(),
            ),
        ] {
            let error = source.load_or(Path::new("/nowhere")).expect_err(&line);
            assert_eq!(error.to_string(), line);
        }
    }
}
