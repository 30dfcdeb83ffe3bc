//! Repair of the database library's snapshots, before the library opens the database.
//!
//! When the library (sled 0.34.7, `pagecache/snapshot.rs` and `segment.rs`) opens a database, it reads the newest
//! `snap.LSN`, replays the log from there, writes a new snapshot under the name `snap.LSN.generating`, syncs it and
//! renames it to `snap.LSN`. Only then does it overwrite the segments of the log without live data. From that moment on
//! the log alone is not enough: it may give as its stable end a place in an overwritten segment, and a replay without
//! the snapshot takes the whole log for torn and erases it. So a complete snapshot is never removed.
//!
//! The library does not sync the rename. A power cut can undo it and keep later writes. The complete snapshot then
//! still has its first name. The library takes any file with that name for a finished snapshot, even one that was cut
//! short. So this module gives a complete snapshot its final name, and removes an incomplete one: the library has not
//! overwritten any segment that depends on it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::no_links;

/// Prefix of every snapshot's name.
const NAME: &str = "snap.";

/// Suffix of the name of a snapshot that is being written.
const UNFINISHED: &str = ".generating";

/// Number of bytes after a snapshot's content: its length in 8 and its CRC-32 in 4, both little-endian.
const TRAILER_BYTES: usize = 12;

/// A position in the database's log.
pub(super) type Lsn = u64;

/// Give each complete snapshot in the folder `database` its final name, remove the others, and make that durable.
/// Return the highest position among removed snapshots with a final name: a log that ends before it has lost its end.
///
/// # Errors
/// When the folder or a snapshot in it cannot be read or changed. A folder that does not exist has no snapshots.
pub(super) fn settle(database: &Path) -> io::Result<Option<Lsn>> {
    let mut lost = None;
    let mut is_changed = false;
    for path in snapshots(database)? {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let unfinished = name.strip_suffix(UNFINISHED);
        let is_whole = position(unfinished.unwrap_or(name)).is_some() && is_whole(&path)?;
        match unfinished {
            None if is_whole => continue,
            Some(finished) if is_whole => fs::rename(&path, database.join(finished))?,
            _ => {
                lost = lost.max(position(name));
                fs::remove_file(&path)?;
            }
        }
        is_changed = true;
    }
    if is_changed {
        File::open(database)?.sync_all()?;
    }
    Ok(lost)
}

/// Return the highest position of a finished snapshot. After the library has opened the database, this is the end of
/// its log.
pub(super) fn newest(database: &Path) -> io::Result<Option<Lsn>> {
    Ok(snapshots(database)?.iter().filter_map(|path| position(path.file_name()?.to_str()?)).max())
}

fn snapshots(database: &Path) -> io::Result<Vec<PathBuf>> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let entries = match fs::read_dir(database) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(NAME.as_bytes()) {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// Return the position in the name of a finished snapshot: `snap.` and 16 hexadecimal digits.
fn position(name: &str) -> Option<Lsn> {
    let digits = name.strip_prefix(NAME)?;
    let is_position = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_position.then(|| Lsn::from_str_radix(digits, 16).ok()).flatten()
}

/// Check a snapshot's checksum. It is read in parts: a file of garbage may be long.
fn is_whole(snapshot: &Path) -> io::Result<bool> {
    let mut file = no_links::open(snapshot)?;
    let content = file.metadata()?.len().saturating_sub(TRAILER_BYTES as u64);
    let (mut hasher, mut buffer, mut trailer) = (crc32fast::Hasher::new(), [0; 4096], Vec::new());
    let mut left = content;
    while left > 0 {
        let part = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = file.read(&mut buffer[..part])?;
        if read == 0 {
            return Ok(false);
        }
        hasher.update(&buffer[..read]);
        left -= read as u64;
    }
    file.take(TRAILER_BYTES as u64).read_to_end(&mut trailer)?;
    // The library refuses an empty snapshot.
    Ok(content > 0 && trailer.last_chunk().is_some_and(|crc| hasher.finalize() == u32::from_le_bytes(*crc)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    fn whole(content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u64).to_le_bytes();
        [content, &length, &crc32fast::hash(content).to_le_bytes()].concat()
    }

    fn names(dir: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(dir.path()).expect("a folder").flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_snapshot_that_the_library_wrote_is_whole() {
        let dir = TempDir::new();
        for _ in 0..2 {
            let opened = (0..200).find_map(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                sled::Config::new().path(dir.path()).flush_every_ms(None).open().ok()
            });
            let db = opened.expect("a database");
            db.insert(b"a", b"b").expect("written");
            db.flush().expect("written");
        }
        let before = names(&dir);
        assert_eq!(before.iter().filter(|name| position(name).is_some()).count(), 1, "{before:?}");
        assert_eq!(settle(dir.path()).expect("readable"), None);
        assert_eq!(names(&dir), before);
        let finished = before.iter().find_map(|name| position(name));
        assert_eq!(newest(dir.path()).expect("readable"), finished);
    }

    #[test]
    fn complete_snapshots_get_their_final_name_and_others_are_removed() {
        let dir = TempDir::new();
        let file = |name: &str, content: &[u8]| fs::write(dir.file(name), content).expect("written");
        let one = whole(b"one");
        file("snap.000000000000000A", &one);
        file("snap.000000000000000B.generating", &one);
        file("snap.000000000000000C.generating", &one[..one.len() - 1]);
        file("snap.000000000000000D.generating", b"");
        file("snap.7FFFFFFFFFFFFFFF.generating", b"half");
        file("snap.x.generating", &one);
        file("snap.", &one);
        file("conf", b"conf");
        assert_eq!(settle(dir.path()).expect("readable"), None);
        assert_eq!(names(&dir), ["conf", "snap.000000000000000A", "snap.000000000000000B"]);
        assert_eq!(newest(dir.path()).expect("readable"), Some(11));

        file("snap.000000000000000B", &one[1..]);
        assert_eq!(settle(dir.path()).expect("readable"), Some(11));
        assert_eq!(names(&dir), ["conf", "snap.000000000000000A"]);
    }

    #[test]
    fn a_missing_folder_has_no_snapshots() {
        let dir = TempDir::new();
        fs::write(dir.file("file"), b"").expect("written");
        for name in ["absent", "file"] {
            assert_eq!(settle(&dir.file(name)).expect("nothing to do"), None);
            assert_eq!(newest(&dir.file(name)).expect("nothing to do"), None);
        }
    }
}
