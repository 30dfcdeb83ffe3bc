//! The file of an import: an entry of the whitelist a line, as `nakodo list --export` prints it.
//!
//! ```text
//! # customers of the north
//! 192.0.2.7/32 until=1796000000 user=ann
//! 2001:db8:1:2::/64 retire=2592000 user=ann
//! 198.51.100.0/28 retire=never user=office
//! ```
//! Empty lines and lines that begin with `#` are left out. The words of a line are those of `access/entry_text.rs`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use crate::access::{Retire, parse_entry};
use crate::api::{Allow, Import};
use crate::exit::{self, Failure};

/// Largest size in bytes of a file.
const MOST_OCTETS: u64 = 4 << 20;

/// The file of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFile {
    /// Its path; `-` is the standard input.
    pub path: PathBuf,
    /// Whether entries of other users with the same prefixes are replaced.
    pub replace: bool,
}

impl ImportFile {
    /// Read the file.
    ///
    /// # Errors
    /// When it cannot be read, or a line is wrong. The message has the number of the line.
    pub(super) fn read(&self) -> Result<Import, Failure> {
        let name = self.path.display();
        let mut text = String::new();
        let read = if self.path.as_os_str() == "-" {
            io::stdin().take(MOST_OCTETS).read_to_string(&mut text)
        } else {
            File::open(&self.path).and_then(|file| file.take(MOST_OCTETS).read_to_string(&mut text))
        };
        match read {
            Err(error) => Err(Failure::new(exit::DATAERR, format_args!("cannot read {name}: {error}"))),
            Ok(octets) if octets as u64 == MOST_OCTETS => {
                Err(Failure::new(exit::DATAERR, format_args!("{name} has more than {} MiB", MOST_OCTETS >> 20)))
            }
            Ok(_) => {
                let wrong = |(line, why)| Failure::new(exit::DATAERR, format_args!("{name}:{line}: {why}"));
                Ok(Import { entries: entries_of(&text).map_err(wrong)?, replace: self.replace })
            }
        }
    }
}

/// Parse the lines of an import.
///
/// # Errors
/// The number of the first line that is wrong, and the reason.
fn entries_of(text: &str) -> Result<Vec<Allow>, (usize, String)> {
    let mut entries = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = parse_entry(line).map_err(|error| (number, error.to_string()))?;
        let (retire_after_seconds, permanent) = match entry.retire {
            Retire::Default => (None, false),
            Retire::After(seconds) => (Some(seconds.into()), false),
            Retire::Never => (None, true),
        };
        entries.push(Allow {
            prefix: entry.prefix,
            user: Some(entry.user.to_string()).filter(|user| !user.is_empty()),
            retire_after_seconds,
            until_unix: entry.until.map(|until| until.0),
            permanent,
        });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fields::Fields;
    use super::super::show::exported;
    use super::*;

    #[test]
    fn an_export_is_imported_again() {
        let list = json!({"entries": [
            {"prefix": "192.0.2.7/32", "user": "mika m", "retire_after_seconds": 60, "until_unix": 1_801_440_000},
            {"prefix": "192.0.2.8/32", "user": null, "retire_after_seconds": null, "has_ended": false},
            {"prefix": "2001:db8::/64", "retire_after_seconds": 2_592_000, "retires_by_default": true, "user": "%#"},
            {"prefix": "192.0.2.9/32", "user": "ann", "ticket": "gz400", "retire_after_seconds": 60},
            {"prefix": "192.0.2.10/32", "until_unix": 1, "has_ended": true},
        ]});
        let text = exported(Fields::of(&list).expect("an object")).expect("entries");
        assert_eq!(
            text,
            "192.0.2.7/32 until=1801440000 retire=60 user=mika%20m\n192.0.2.8/32 retire=never\n\
             2001:db8::/64 user=%25#\n"
        );
        let entries = entries_of(&format!("# comment\n\n{text}")).expect("three entries");
        let terms: Vec<_> = entries
            .iter()
            .map(|entry| (entry.user.as_deref(), entry.retire_after_seconds, entry.until_unix, entry.permanent))
            .collect();
        let expected = [
            (Some("mika m"), Some(60), Some(1_801_440_000), false),
            (None, None, None, true),
            (Some("%#"), None, None, false),
        ];
        assert_eq!(terms, expected);
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number() {
        for (text, number, why) in [
            ("192.0.2.7\n192.0.2\n", 2, "`192.0.2` is not an IPv4"),
            ("#\n\n192.0.2.7 usr=ann", 3, "`usr=ann` is wrong"),
        ] {
            let (line, error) = entries_of(text).expect_err(text);
            assert!(line == number && error.starts_with(why), "{line}: {error}");
        }
        let file = ImportFile { path: "/absent".into(), replace: false };
        let failure = file.read().expect_err("no file");
        assert!(failure.code == exit::DATAERR && failure.message.starts_with("cannot read /absent: "), "{failure:?}");
    }
}
