//! The file with the list of torrents. A person may write it, too: a change keeps the comments and the order of the
//! lines. Its form is described in [`crate::torrents`].

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::data_dir::DataDir;
use super::no_links;
use crate::torrents::{LineError, TorrentList, parse_line};
use crate::wire::InfoHash;

/// Longest line in bytes. A file of garbage must not take all memory.
const LONGEST_LINE_OCTETS: u64 = 1024;

const HEADER: &str = "\
# The torrents of nakodo: an info-hash a line, and perhaps a name after it. After a change, run `nakodo torrents reload`.
";

/// The reason why a list was not read or not changed. The file is unchanged.
#[derive(Debug)]
pub enum TorrentFileError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The line with this number is not that of a torrent.
    Line(PathBuf, u64, LineError),
    /// A line is too long, or is not UTF-8.
    NotText(PathBuf, u64),
    /// The list has more torrents than this.
    TooMany(PathBuf, usize),
    /// The changed list cannot be written.
    Unwritable(PathBuf, String),
}

impl fmt::Display for TorrentFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "cannot read the torrent list {}: {error}", path.display()),
            Self::Line(path, number, error) => write!(f, "{}:{number}: {error}", path.display()),
            Self::NotText(path, number) => {
                write!(f, "{}:{number}: it is not UTF-8, or longer than {LONGEST_LINE_OCTETS} bytes", path.display())
            }
            Self::TooMany(path, most) => write!(
                f,
                "the torrent list {} would have more than {most} torrents; raise torrents.capacity",
                path.display()
            ),
            Self::Unwritable(path, cause) => {
                write!(f, "cannot write the torrent list {}: {cause}; the list is unchanged", path.display())
            }
        }
    }
}

impl std::error::Error for TorrentFileError {}

/// Edits of a list, at most one of each torrent.
///
/// Invariant: they are in the order of their torrents.
#[derive(Clone, Debug, Default)]
pub struct TorrentEdits(Vec<TorrentEdit>);

/// An edit of a list.
#[derive(Clone, Debug)]
pub struct TorrentEdit {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Its name, or `None` to remove it.
    pub name: Option<String>,
}

impl From<Vec<TorrentEdit>> for TorrentEdits {
    /// Take edits in any order; of several of the same torrent, one.
    fn from(mut edits: Vec<TorrentEdit>) -> Self {
        edits.sort_by_key(|edit| edit.info_hash);
        edits.dedup_by_key(|edit| edit.info_hash);
        Self(edits)
    }
}

impl TorrentEdits {
    fn place_of(&self, info_hash: &InfoHash) -> Option<usize> {
        self.0.binary_search_by_key(info_hash, |edit| edit.info_hash).ok()
    }
}

/// The effect of edits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edited {
    /// Number of torrents that were added.
    pub added: usize,
    /// Number of torrents on the list that got another name.
    pub renamed: usize,
    /// Number of torrents that were removed.
    pub removed: usize,
}

/// Read the list at `path`, of at most `capacity` torrents. This blocks.
///
/// # Errors
/// When the file cannot be read, or has a line that is wrong.
pub fn read_torrents(path: &Path, capacity: usize) -> Result<TorrentList, TorrentFileError> {
    let mut torrents = Vec::new();
    let file = open(path).map_err(|error| TorrentFileError::Unreadable(path.into(), error))?;
    TorrentLines::new(file).try_for_each(path, |line| {
        torrents.extend(line.info_hash);
        if torrents.len() > capacity { Err(TorrentFileError::TooMany(path.into(), capacity)) } else { Ok(()) }
    })?;
    Ok(torrents.into())
}

/// Open a list for reading. A pipe or a device is refused: reading it could block for good.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// The lines of an open list.
#[derive(Debug)]
pub struct TorrentLines {
    from: BufReader<File>,
    number: u64,
}

/// A line of a list.
#[derive(Debug)]
struct Line<'t> {
    /// The whole line, without its end.
    text: &'t str,
    /// Its torrent; `None` for a comment or an empty line.
    info_hash: Option<InfoHash>,
    name: &'t str,
}

impl TorrentLines {
    /// Open the list at `path`; `None` if there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(path: &Path) -> Result<Option<Self>, TorrentFileError> {
        match open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(TorrentFileError::Unreadable(path.into(), error)),
            Ok(file) => Ok(Some(Self::new(file))),
        }
    }

    fn new(file: File) -> Self {
        Self { from: BufReader::new(file), number: 0 }
    }

    /// Pass the next torrents with their names to `each`, at least one unless the end is reached, until it returns false.
    /// Return whether there may be more.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is wrong.
    pub fn some(
        &mut self,
        path: &Path,
        mut each: impl FnMut(InfoHash, &str) -> bool,
    ) -> Result<bool, TorrentFileError> {
        let mut goes_on = true;
        while goes_on {
            let is_read = self.next(path, |line| {
                if let Some(info_hash) = line.info_hash {
                    goes_on = each(info_hash, line.name);
                }
                Ok(())
            })?;
            if !is_read {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn try_for_each(
        mut self,
        path: &Path,
        mut each: impl FnMut(Line<'_>) -> Result<(), TorrentFileError>,
    ) -> Result<(), TorrentFileError> {
        while self.next(path, &mut each)? {}
        Ok(())
    }

    /// Read a line and pass it to `each`. Return false at the end.
    fn next(
        &mut self,
        path: &Path,
        each: impl FnOnce(Line<'_>) -> Result<(), TorrentFileError>,
    ) -> Result<bool, TorrentFileError> {
        let mut octets = Vec::new();
        self.number += 1;
        let read = self.from.by_ref().take(LONGEST_LINE_OCTETS).read_until(b'\n', &mut octets);
        match read.map_err(|error| TorrentFileError::Unreadable(path.into(), error))? as u64 {
            0 => return Ok(false),
            LONGEST_LINE_OCTETS if !octets.ends_with(b"\n") => {
                return Err(TorrentFileError::NotText(path.into(), self.number));
            }
            _ => {}
        }
        let text = str::from_utf8(&octets).map_err(|_| TorrentFileError::NotText(path.into(), self.number))?;
        // Editors on other systems may write a byte order mark.
        let text = text.trim_start_matches('\u{feff}').trim_end();
        let torrent = parse_line(text).map_err(|error| TorrentFileError::Line(path.into(), self.number, error))?;
        let (info_hash, name) = torrent.map_or((None, ""), |torrent| (Some(torrent.info_hash), torrent.name));
        each(Line { text, info_hash, name })?;
        Ok(true)
    }
}

/// Make `edits` of the list at `path`, all or none of them, and create the file if it is missing. Return their effect and
/// the new list, durable on the disk.
///
/// # Errors
/// As with [`read_torrents`], or when the file cannot be written. The list is unchanged.
pub(super) fn edit(
    data_dir: &DataDir,
    path: &Path,
    capacity: usize,
    edits: &TorrentEdits,
) -> Result<(Edited, TorrentList), TorrentFileError> {
    let unwritable = |cause: String| TorrentFileError::Unwritable(path.into(), cause);
    if no_links::is_link(path) {
        return Err(unwritable("it is a symbolic link; set torrents.file to the path of the file itself".into()));
    }
    let (mut edited, mut text, mut torrents) = (Edited::default(), Vec::new(), Vec::new());
    let mut is_done = vec![false; edits.0.len()];
    match TorrentLines::open(path)? {
        None => text.extend_from_slice(HEADER.as_bytes()),
        Some(lines) => lines.try_for_each(path, |line| {
            torrents.extend(edit_line(&line, edits, &mut is_done, &mut edited, &mut text));
            Ok(())
        })?,
    }
    for (TorrentEdit { info_hash, name }, is_done) in edits.0.iter().zip(is_done) {
        if let Some(name) = name
            && !is_done
        {
            edited.added += 1;
            torrents.push(*info_hash);
            push_line(&mut text, info_hash, name);
        }
    }
    let list = TorrentList::from(torrents);
    if list.count() > capacity && edited.added > 0 {
        return Err(TorrentFileError::TooMany(path.into(), capacity));
    }
    if edited != Edited::default() {
        data_dir.check_room(text.len() as u64).map_err(unwritable)?;
        let write = &mut |file: &mut File| {
            let mut to = BufWriter::new(file);
            to.write_all(&text)?;
            to.flush().map(|()| text.len() as u64)
        };
        data_dir.replace(path, write).map_err(|error| unwritable(error.to_string()))?;
    }
    Ok((edited, list))
}

/// Add an old line, as the edits leave it, to the new `text`. Return the torrent that it lists.
fn edit_line(
    line: &Line<'_>,
    edits: &TorrentEdits,
    is_done: &mut [bool],
    edited: &mut Edited,
    text: &mut Vec<u8>,
) -> Option<InfoHash> {
    let edit = line.info_hash.and_then(|info_hash| edits.place_of(&info_hash)).and_then(|place| {
        // A torrent may be listed twice: its first line counts.
        let is_first = !core::mem::replace(is_done.get_mut(place)?, true);
        Some((edits.0.get(place)?, usize::from(is_first)))
    });
    match edit {
        Some((TorrentEdit { name: None, .. }, count)) => {
            edited.removed += count;
            return None;
        }
        Some((TorrentEdit { info_hash, name: Some(name) }, count)) if !name.is_empty() && name != line.name => {
            edited.renamed += count;
            push_line(text, info_hash, name);
        }
        _ => {
            text.extend_from_slice(line.text.as_bytes());
            text.push(b'\n');
        }
    }
    line.info_hash
}

fn push_line(text: &mut Vec<u8>, info_hash: &InfoHash, name: &str) {
    let line = if name.is_empty() { format!("{info_hash}\n") } else { format!("{info_hash} {name}\n") };
    text.extend_from_slice(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::TempDir;

    fn hash(octet: u8) -> InfoHash {
        InfoHash([octet; InfoHash::OCTETS])
    }

    fn edits(edits: &[(u8, Option<&str>)]) -> TorrentEdits {
        let edit =
            |(octet, name): &(u8, Option<&str>)| TorrentEdit { info_hash: hash(*octet), name: name.map(String::from) };
        edits.iter().map(edit).collect::<Vec<_>>().into()
    }

    /// Write `text` as the list and make edits of it. Return the outcome and the text after it.
    fn edited(text: Option<&str>, capacity: usize, edits: &TorrentEdits) -> (Result<Edited, String>, String) {
        let dir = TempDir::new();
        let path = dir.file("torrents");
        if let Some(text) = text {
            fs::write(&path, text).expect("written");
        }
        let outcome = edit(&DataDir::new(dir.path()), &path, capacity, edits);
        let outcome = outcome.map(|(edited, list)| {
            assert_eq!(read_torrents(&path, capacity.max(list.count())).expect("a list"), list);
            edited
        });
        assert!(!dir.file("torrents.new").exists());
        let message = |error: TorrentFileError| error.to_string().replace(&path.display().to_string(), "FILE");
        (outcome.map_err(message), fs::read_to_string(&path).unwrap_or_default())
    }

    #[test]
    fn edits_keep_comments_and_order() {
        let before = format!("\u{feff}# films\r\n{0} One\n\n{1}\n{2} Three\n{0} again\n", hash(1), hash(2), hash(3));
        let wanted = edits(&[(1, None), (2, Some("Two")), (3, Some("")), (4, Some("Four")), (5, Some("")), (6, None)]);
        let (outcome, after) = edited(Some(&before), 10, &wanted);
        assert_eq!(outcome, Ok(Edited { added: 2, renamed: 1, removed: 1 }));
        assert_eq!(after, format!("# films\n\n{} Two\n{} Three\n{} Four\n{}\n", hash(2), hash(3), hash(4), hash(5)));
        let (outcome, after) = edited(None, 10, &edits(&[(7, Some("Seven"))]));
        assert_eq!(outcome, Ok(Edited { added: 1, ..Edited::default() }));
        assert_eq!(after, format!("{HEADER}{} Seven\n", hash(7)));
    }

    #[test]
    fn a_refused_edit_changes_nothing() {
        let full = format!("{}\n{}", hash(1), hash(2));
        let long = "#".repeat(1024) + "\n";
        for (before, error) in [
            (full.as_str(), "the torrent list FILE would have more than 2 torrents; raise torrents.capacity"),
            ("\n\nzz\n", "FILE:3: its first word has 2 characters; an info-hash has 40 or 64 hexadecimal digits"),
            (&long, "FILE:1: it is not UTF-8, or longer than 1024 bytes"),
        ] {
            let (outcome, after) = edited(Some(before), 2, &edits(&[(7, Some("Seven"))]));
            assert_eq!((outcome, after.as_str()), (Err(error.into()), before));
        }
    }

    #[test]
    fn only_a_regular_file_is_a_list() {
        let dir = TempDir::new();
        let (path, data_dir) = (dir.file("torrents"), DataDir::new(dir.path()));
        let error = read_torrents(&path, 1).expect_err("no file").to_string();
        assert!(error.contains("No such file"), "{error}");
        fs::create_dir(&path).expect("a folder");
        assert!(read_torrents(&path, 1).is_err());
        fs::remove_dir(&path).expect("a folder");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let error = read_torrents(&path, 1).expect_err("it would block").to_string();
        assert!(error.ends_with("it is not a regular file"), "{error}");
        fs::remove_file(&path).expect("a pipe");
        std::os::unix::fs::symlink(dir.file("target"), &path).expect("a link");
        fs::write(dir.file("target"), hash(1).to_string()).expect("written");
        assert_eq!(read_torrents(&path, 1).expect("a link is read").count(), 1);
        let error = edit(&data_dir, &path, 9, &edits(&[(2, Some(""))])).expect_err("not replaced").to_string();
        assert!(error.contains("it is a symbolic link"), "{error}");
    }

    #[test]
    fn lines_are_read_in_pieces() {
        let dir = TempDir::new();
        let path = dir.file("torrents");
        assert!(TorrentLines::open(&path).expect("none").is_none());
        fs::write(&path, format!("{} One\n# two\n{}\n", hash(1), hash(2))).expect("written");
        let mut lines = TorrentLines::open(&path).expect("a file").expect("a file");
        let mut found = Vec::new();
        let mut take = |info_hash, name: &str| {
            found.push((info_hash, name.to_owned()));
            false
        };
        assert!(lines.some(&path, &mut take).expect("a line"));
        assert!(lines.some(&path, &mut take).expect("a line"));
        assert!(!lines.some(&path, &mut take).expect("the end"));
        assert_eq!(found, [(hash(1), "One".to_owned()), (hash(2), String::new())]);
    }
}
