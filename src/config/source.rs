//! Where a configuration comes from: a file, or none, and the command line on top of it.

use core::time::Duration;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeValue};

use super::reader::Reading;
use super::{Config, Error};

/// The file that is read when none is named, where it exists.
pub const SYSTEM_FILE: &str = "/etc/nakodo/nakodo.toml";

/// No configuration is longer, and who names a disk by mistake should not have to wait.
const MOST_OCTETS: u64 = 1 << 20;

/// What the command line says about the configuration. It can be loaded again later, to take over what has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The file; [`SYSTEM_FILE`] if it exists when none is named.
    pub file: Option<PathBuf>,
    /// Replaces `data_dir`.
    pub data_dir: Option<String>,
    /// Replaces `listen`, unless empty.
    pub listen: Vec<String>,
    /// Replaces `memory`.
    pub memory: Option<String>,
}

/// A configuration, and the words for where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file that was read, or that there was none.
    pub origin: String,
}

impl Source {
    /// Read the file, and apply the command line on top of it.
    pub fn load(&self) -> Result<Loaded, Error> {
        self.load_or(Path::new(SYSTEM_FILE))
    }

    /// The same, with `system` as the file that is read when none is named and it exists.
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
                format!("built-in defaults (there is no {name})")
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

/// The value of `--retire-after`, under the rules of the key that it stands in for.
pub(crate) fn retire_after(text: &str) -> Result<Duration, Error> {
    let mut reading = Reading::new("");
    reading.flag("access.retire_after", DeValue::String(text.into()))?;
    Ok(reading.finish()?.access.retire_after)
}

/// The text of a file that is not absurdly long.
fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(file)?.take(MOST_OCTETS).read_to_string(&mut text)?;
    if read as u64 == MOST_OCTETS {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

fn unreadable(name: &str, error: &io::Error) -> Error {
    let why = match error.kind() {
        ErrorKind::NotFound => "there is no such file; without --config nakodo runs with its defaults".into(),
        ErrorKind::PermissionDenied => "permission denied; run this as root, or make the file readable".into(),
        ErrorKind::IsADirectory => "it is a directory; name the file in it".into(),
        ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        ErrorKind::FileTooLarge => "it has more than 1 MiB, so it is no configuration".into(),
        _ => error.to_string(),
    };
    Error(format!("cannot read {name}: {why}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A directory of its own for a test, removed at its end.
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
    fn without_a_file_there_are_defaults() {
        let loaded = Source::default().load_or(Path::new("/nowhere/nakodo.toml")).expect("defaults are good");
        assert_eq!(loaded.config, Config::default());
        assert_eq!(loaded.origin, "built-in defaults (there is no /nowhere/nakodo.toml)");
    }

    #[test]
    fn the_named_file_goes_before_the_system_s() {
        let folder = Folder::new("source");
        let system = folder.file("system.toml", b"memory = \"1 MiB\"");
        let own = folder.file("own.toml", b"memory = \"2 MiB\"");
        let loaded = Source::default().load_or(&system).expect("it is good");
        assert_eq!((loaded.config.memory_octets, loaded.origin), (1 << 20, system.display().to_string()));
        let loaded = named(&own).load_or(&system).expect("it is good");
        assert_eq!((loaded.config.memory_octets, loaded.origin), (2 << 20, own.display().to_string()));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_in_one_line() {
        let folder = Folder::new("unreadable");
        let long = folder.file("long.toml", &vec![b'#'; MOST_OCTETS as usize]);
        let latin = folder.file("latin.toml", b"# caf\xe9");
        for (file, why) in [
            (
                Path::new("/nowhere/nakodo.toml"),
                "there is no such file; without --config nakodo runs with its defaults",
            ),
            (folder.0.as_path(), "it is a directory; name the file in it"),
            (&latin, "it is not UTF-8 text"),
            (&long, "it has more than 1 MiB, so it is no configuration"),
        ] {
            let error = named(file).load().expect_err(why).to_string();
            assert_eq!(error, format!("cannot read {}: {why}", file.display()));
        }
    }

    #[test]
    fn flags_replace_what_the_file_says() {
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
    fn a_flag_that_does_not_fit_a_key_of_the_file_is_told() {
        let folder = Folder::new("unfit");
        let file = folder.file("n.toml", b"[admin]\nlisten = \"[::1]:1\"\ntoken_file = \"t\"");
        let source = Source { listen: vec!["[::1]:1".into()], ..named(&file) };
        let error = source.load().expect_err("they are the same").to_string();
        assert_eq!(error, format!("{}:2: admin.listen: [::1]:1 is taken by listen", file.display()));
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
                "--listen: 0.0.0.0:1 is there twice".into(),
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
