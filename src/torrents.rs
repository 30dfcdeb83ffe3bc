//! The torrents that the tracker serves: all of them, only those of a list, or all except those of a list.
//!
//! The list is a text with one info-hash a line, of 40 or 64 hexadecimal digits. The text after the info-hash is the name
//! of the torrent, which the tracker itself does not need. Lines that begin with `#` are comments.
//!
//! ```text
//! # Films of the autumn
//! 000d1a2734414e5b6875828f9ca9b6c3d0ddeaf7 Harvest, in 1080p
//! ```

use core::fmt;

use crate::wire::InfoHash;

/// Maximum length in bytes of the name of a torrent.
pub const NAME_OCTETS: usize = 200;

/// Memory for one torrent of a list, in bytes.
pub const TORRENT_OCTETS: usize = size_of::<InfoHash>();

/// Effect of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TorrentMode {
    /// All torrents are served. The list has no effect.
    #[default]
    Any,
    /// Only the torrents on the list are served.
    Only,
    /// All torrents are served, except those on the list.
    Except,
}

impl TorrentMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Any, Self::Only, Self::Except];

    /// Return its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Only => "only",
            Self::Except => "except",
        }
    }
}

/// A set of torrents.
///
/// Invariant: the info-hashes are in ascending order, and each occurs once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TorrentList(Box<[InfoHash]>);

impl TorrentList {
    /// Return whether a torrent is on the list. The cost grows with the logarithm of the length.
    pub fn has(&self, info_hash: &InfoHash) -> bool {
        self.0.binary_search(info_hash).is_ok()
    }

    /// Return the number of torrents.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl From<Vec<InfoHash>> for TorrentList {
    /// Take torrents in any order; repeated ones count once.
    fn from(mut torrents: Vec<InfoHash>) -> Self {
        torrents.sort_unstable();
        torrents.dedup();
        Self(torrents.into_boxed_slice())
    }
}

/// The rule by which torrents are served. The default serves all.
#[derive(Clone, Debug, Default)]
pub struct TorrentRules {
    /// Effect of the list.
    pub mode: TorrentMode,
    /// The list; `None` if it could not be read, and then no torrent is served unless the mode serves all.
    pub list: Option<TorrentList>,
}

impl TorrentRules {
    /// Return whether a torrent is served.
    #[inline]
    pub fn serve(&self, info_hash: &InfoHash) -> bool {
        self.mode == TorrentMode::Any || self.list_serves(info_hash)
    }

    #[inline(never)]
    fn list_serves(&self, info_hash: &InfoHash) -> bool {
        self.list.as_ref().is_some_and(|list| list.has(info_hash) == (self.mode == TorrentMode::Only))
    }
}

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torrent<'t> {
    /// The torrent. Of a version 2 info-hash, the first 20 bytes (BEP 52, "infohash" in the tracker protocol).
    pub info_hash: InfoHash,
    /// Its name; empty if it has none.
    pub name: &'t str,
}

/// Reason why a line is not that of a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// The first word is no info-hash. It has this number of characters.
    NotAnInfoHash(usize),
    /// The name has a control character or is too long.
    Name,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnInfoHash(length @ (40 | 64)) => {
                write!(f, "its first word has {length} characters, and some of them are no hexadecimal digits")
            }
            Self::NotAnInfoHash(length) => {
                write!(f, "its first word has {length} characters; an info-hash has 40 or 64 hexadecimal digits")
            }
            Self::Name => write!(f, "the name has control characters or more than {NAME_OCTETS} bytes"),
        }
    }
}

impl core::error::Error for LineError {}

/// Parse a line; `None` if it is empty or a comment.
///
/// # Errors
/// When it is something else.
pub fn parse_line(line: &str) -> Result<Option<Torrent<'_>>, LineError> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (first, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let info_hash = InfoHash::parse(first).ok_or_else(|| LineError::NotAnInfoHash(first.chars().count()))?;
    let name = name.trim();
    if is_name(name) { Ok(Some(Torrent { info_hash, name })) } else { Err(LineError::Name) }
}

/// Return whether `text` can be the name of a torrent.
pub fn is_name(text: &str) -> bool {
    text.len() <= NAME_OCTETS && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "000d1a2734414e5b6875828f9ca9b6c3d0ddeaf7";

    #[test]
    fn lines_of_a_list() {
        let info_hash = InfoHash::parse(HASH).expect("40 digits");
        let torrent = |name| Ok(Some(Torrent { info_hash, name }));
        assert_eq!(parse_line(HASH), torrent(""));
        assert_eq!(
            parse_line(&format!("  {}\t Harvest,  1080p \r\n", HASH.to_uppercase())),
            torrent("Harvest,  1080p")
        );
        assert_eq!(parse_line(&format!("{HASH}{}", "f".repeat(24))), torrent(""), "version 2");
        for nothing in ["", "   \r\n", "# comment", "  #000d"] {
            assert_eq!(parse_line(nothing), Ok(None), "{nothing:?}");
        }
        for (line, error) in [
            (&HASH[1..], LineError::NotAnInfoHash(39)),
            (&HASH.replace('a', "g"), LineError::NotAnInfoHash(40)),
            ("magnet:?xt=urn:btih:", LineError::NotAnInfoHash(20)),
            ("é", LineError::NotAnInfoHash(1)),
            (&format!("{HASH} a\u{1b}b"), LineError::Name),
            (&format!("{HASH} {}", "n".repeat(NAME_OCTETS + 1)), LineError::Name),
        ] {
            assert_eq!(parse_line(line), Err(error), "{line}");
        }
    }

    #[test]
    fn the_mode_decides_and_an_unreadable_list_serves_nothing() {
        let hash = |octet| InfoHash([octet; InfoHash::OCTETS]);
        let list = TorrentList::from(vec![hash(3), hash(1), hash(3)]);
        assert_eq!(list.count(), 2);
        for (mode, list, served) in [
            (TorrentMode::Any, Some(list.clone()), [true, true, true]),
            (TorrentMode::Only, Some(list.clone()), [true, false, true]),
            (TorrentMode::Except, Some(list), [false, true, false]),
            (TorrentMode::Only, Some(TorrentList::default()), [false; 3]),
            (TorrentMode::Except, Some(TorrentList::default()), [true; 3]),
            (TorrentMode::Any, None, [true; 3]),
            (TorrentMode::Only, None, [false; 3]),
            (TorrentMode::Except, None, [false; 3]),
        ] {
            let rules = TorrentRules { mode, list };
            assert_eq!([1, 2, 3].map(|octet| rules.serve(&hash(octet))), served, "{rules:?}");
        }
    }
}
