//! Repair of the file `conf` of the database library, before the library opens the database.
//!
//! The file has the same content in every database of this tracker. The library does not open a database with another
//! content, ignores the file's checksum, reads the file whole however long it is, and logs each line that it cannot
//! parse.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::no_links;

/// The content: the segment size, the compression, the version of the format, and a CRC-32 (little-endian).
const CONTENT: &[u8] = b"segment_size: 65536\nuse_compression: false\nversion: 0.34\n\x91\x5c\x6b\xb8";

/// Number of bytes that are read: a file of garbage may be long.
const READ_OCTETS: u64 = 4096;

/// The condition of the file before the repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Intact,
    /// It was damaged or missing beside a log, and was written again.
    Mended,
    /// It is intact, with other content: another version wrote the database. It stays unchanged.
    OfAnotherVersion,
}

/// Write the file again if it is damaged, or missing beside a log.
///
/// # Errors
/// When it cannot be read or written.
pub(super) fn mend(database: &Path) -> io::Result<Condition> {
    let path = database.join("conf");
    let content = read(&path);
    if !database.join("db").is_file() || content == CONTENT {
        return Ok(Condition::Intact);
    }
    if let Some((content, crc)) = content.split_last_chunk()
        && !content.is_empty()
        && crc32fast::hash(content) == u32::from_le_bytes(*crc)
    {
        return Ok(Condition::OfAnotherVersion);
    }
    if path.is_dir() {
        std::fs::remove_dir_all(&path)?;
    }
    let mut file = no_links::create_new(&path)?;
    file.write_all(CONTENT)?;
    file.sync_all()?;
    File::open(database)?.sync_all()?;
    Ok(Condition::Mended)
}

fn read(path: &Path) -> Vec<u8> {
    let mut content = Vec::new();
    // A file that cannot be read is damaged.
    let _ = no_links::open(path).and_then(|file| file.take(READ_OCTETS).read_to_end(&mut content));
    content
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::Store;
    use crate::testing::TempDir;

    #[test]
    fn the_library_writes_this_content() {
        let dir = TempDir::new();
        drop(Store::open(dir.path()).expect("a store"));
        assert_eq!(fs::read(dir.file("whitelist/conf")).expect("a file"), CONTENT);
        assert_eq!(mend(&dir.file("whitelist")).ok(), Some(Condition::Intact));
    }

    #[test]
    fn the_file_of_another_version_stays() {
        let dir = TempDir::new();
        let text = b"segment_size: 65536\nuse_compression: false\nversion: 1.0\n";
        let other = [&text[..], &crc32fast::hash(text).to_le_bytes()].concat();
        fs::write(dir.file("db"), "").and_then(|()| fs::write(dir.file("conf"), &other)).expect("written");
        assert_eq!(mend(dir.path()).ok(), Some(Condition::OfAnotherVersion));
        assert_eq!(fs::read(dir.file("conf")).expect("a file"), other);
    }

    #[test]
    fn damaged_content_is_replaced() {
        let dir = TempDir::new();
        let conf = dir.file("conf");
        assert_eq!(mend(dir.path()).ok(), Some(Condition::Intact), "the library creates both");
        fs::write(dir.file("db"), "").expect("written");
        for other in [&b""[..], &CONTENT[1..], &[CONTENT, b"\n"].concat(), &[0; 100_000]] {
            fs::write(&conf, other).expect("written");
            assert_eq!(mend(dir.path()).ok(), Some(Condition::Mended));
            assert_eq!(fs::read(&conf).expect("a file"), CONTENT);
        }
        for place in [|conf: &Path| fs::create_dir(conf), |_: &Path| Ok(())] {
            fs::remove_file(&conf).and_then(|()| place(&conf)).expect("a folder, or nothing");
            assert_eq!(mend(dir.path()).ok(), Some(Condition::Mended));
            assert_eq!(fs::read(&conf).expect("a file"), CONTENT);
        }
    }
}
