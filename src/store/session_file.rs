//! The sessions of the page on disk, so that a restart of the tracker ends none: a small text, written anew at each login.
//!
//! ```text
//! nakodo session TOKEN 192.168.1.7/32 86400000 #5f2c1e07
//! ```
//! The fields are the token of the cookie, the addresses that may use it, and its end on the running clock in
//! milliseconds. A damaged line ends its session only.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use ipnet::IpNet;

use super::checked_line::{seal, unseal};
use super::data_dir::DataDir;
use super::{StoreError, no_links};
use crate::clock::Running;

const BEGINNING: &str = "nakodo session ";

/// Maximum size of the file in bytes. A larger one is not of this program.
const MAX_BYTES: u64 = 4096;

/// A visitor of the page that has shown a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSession {
    /// The token of the cookie.
    pub token: String,
    /// The addresses that may use it.
    pub from: IpNet,
    /// The end, on the running clock.
    pub ends: Running,
}

/// Read the sessions. Those that cannot be read have ended.
pub(super) fn read(data_dir: &DataDir) -> Vec<SavedSession> {
    let mut text = Vec::new();
    let read = no_links::open(&data_dir.sessions()).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
    let lines = text.split(|octet| *octet == b'\n').filter(|_| read.is_ok());
    lines.filter_map(|line| parse(std::str::from_utf8(line).ok()?)).collect()
}

/// Write the sessions, and make them durable.
pub(super) fn write(data_dir: &DataDir, sessions: &[SavedSession]) -> Result<(), StoreError> {
    let path = data_dir.sessions();
    let text: String = sessions.iter().map(line).collect();
    let written = data_dir.replace(&path, &mut |file| {
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes()).map(|()| text.len() as u64)
    });
    written.map(drop).map_err(StoreError::of("write", &path))
}

fn line(session: &SavedSession) -> String {
    let mut line = format!("{BEGINNING}{} {} {}", session.token, session.from, session.ends.millis());
    seal(&mut line);
    line
}

fn parse(line: &str) -> Option<SavedSession> {
    let mut words = unseal(line)?.strip_prefix(BEGINNING)?.split(' ');
    Some(SavedSession {
        token: words.next()?.into(),
        from: words.next()?.parse().ok()?,
        ends: Running::from_millis(words.next()?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::TempDir;

    fn session(number: u64) -> SavedSession {
        let from = "2001:db8:0:1::/64".parse().expect("a prefix");
        SavedSession { token: format!("token-{number}"), from, ends: Running::from_millis(number) }
    }

    #[test]
    fn the_bytes_of_the_file_do_not_change() {
        let text = "nakodo session token-7 2001:db8:0:1::/64 7 #fced780b\n";
        assert_eq!(line(&session(7)), text);
        assert_eq!(parse(text.trim_end()), Some(session(7)));
    }

    #[test]
    fn sessions_are_read_back_and_a_damaged_line_ends_one() {
        let dir = TempDir::new();
        let data_dir = DataDir::new(dir.path());
        assert_eq!(read(&data_dir), []);
        write(&data_dir, &[session(1), session(2)]).expect("a directory");
        assert_eq!(read(&data_dir), [session(1), session(2)]);
        let mode = fs::metadata(data_dir.sessions()).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "the cookies are secret");
        let text = fs::read_to_string(data_dir.sessions()).expect("text");
        fs::write(data_dir.sessions(), text.replace("token-1", "token-9")).expect("writable");
        assert_eq!(read(&data_dir), [session(2)]);
    }
}
