//! HTTP scrapes: BEP 48, "Scrape Request" and "Scrape Response", with the `downloaders` of BEP 21.
//!
//! | parameter | holds |
//! |---|---|
//! | `info_hash` | 20 bytes; may be repeated |
//!
//! | key of the reply | holds |
//! |---|---|
//! | `files` | a dictionary of one dictionary per info-hash |
//! | `complete`, `downloaded` | integers: seeders, finished downloads |
//! | `downloaders` | integer: leechers that are not partial seeds; omitted without partial seeds (rule 33) |
//! | `incomplete` | integer: leechers |

use super::announce::{BAD_ESCAPE_REASON, parse_info_hash};
use super::response;
use crate::http::Status;
use crate::http::query::{BadEscape, parameters};
use crate::wire::udp::MAX_SCRAPE_INFO_HASHES;
use crate::wire::{Full, InfoHash, SwarmCounts, Writer};

/// Info-hashes of a scrape, sorted and without duplicates, as the keys of the reply must be. A 75th is an error.
pub(super) type InfoHashes = heapless::Vec<InfoHash, MAX_SCRAPE_INFO_HASHES, u8>;

/// Length of the longest reply, in bytes.
pub const MAX_SCRAPE_REPLY_OCTETS: usize = response::OK_HEAD_OCTETS
    + b"d5:filesdee".len()
    + MAX_SCRAPE_INFO_HASHES
        * (b"20:01234567890123456789d8:completei4294967295e10:downloadedi4294967295e".len()
            + b"11:downloadersi4294967295e10:incompletei4294967295ee".len());

/// Error: the query is not a valid scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrapeError {
    /// `info_hash` is missing. Some trackers then reply with all their swarms; this one refuses.
    InfoHashMissing,
    /// An info-hash is shorter or longer than 20 bytes.
    InfoHashLength,
    /// The query has more than [`MAX_SCRAPE_INFO_HASHES`] different info-hashes.
    TooManyInfoHashes,
    /// An info-hash has a bad escape.
    BadEscape,
}

impl ScrapeError {
    /// Return the `failure reason`, which the client shows to its user.
    pub fn reason(self) -> &'static str {
        match self {
            Self::InfoHashMissing => "info_hash is missing: a scrape of all torrents is not supported",
            Self::InfoHashLength => "info_hash must be 20 bytes",
            Self::TooManyInfoHashes => "more than 74 torrents in one scrape",
            Self::BadEscape => BAD_ESCAPE_REASON,
        }
    }
}

impl From<BadEscape> for ScrapeError {
    fn from(_: BadEscape) -> Self {
        Self::BadEscape
    }
}

/// Parse the query of a scrape: BEP 48, "Scrape Request".
///
/// # Errors
/// `ScrapeError`: the first fault found.
pub fn parse_scrape(query: &[u8]) -> Result<InfoHashes, ScrapeError> {
    let mut info_hashes = InfoHashes::new();
    for (_, value) in parameters(query).filter(|(name, _)| *name == b"info_hash") {
        let info_hash = parse_info_hash(value)?.ok_or(ScrapeError::InfoHashLength)?;
        if let Err(at) = info_hashes.binary_search(&info_hash) {
            info_hashes.insert(at, info_hash).map_err(|_| ScrapeError::TooManyInfoHashes)?;
        }
    }
    if info_hashes.is_empty() { Err(ScrapeError::InfoHashMissing) } else { Ok(info_hashes) }
}

/// Write the response to a scrape, and return its length in bytes: BEP 48, "Scrape Response". `files` must be in the
/// order of [`parse_scrape`], because the keys of a dictionary are sorted. [`MAX_SCRAPE_REPLY_OCTETS`] is always enough
/// space.
///
/// # Errors
/// [`Full`] when it does not fit `out`.
pub fn emit_scrape(
    out: &mut [u8],
    files: impl Iterator<Item = (InfoHash, SwarmCounts)>,
    keep_alive: bool,
) -> Result<usize, Full> {
    response::emit(out, Status::Ok, keep_alive, |body| {
        body.dictionary()?;
        body.string(b"files")?;
        body.dictionary()?;
        for (info_hash, counts) in files {
            body.string(&info_hash.0)?;
            emit_counts(body, counts)?;
        }
        body.end()?;
        body.end()
    })
}

fn emit_counts(body: &mut Writer<'_>, counts: SwarmCounts) -> Result<(), Full> {
    body.dictionary()?;
    body.integer_entry("complete", counts.seeders)?;
    body.integer_entry("downloaded", counts.completed)?;
    // Rule 33: a public checker of trackers rejects a scrape with a key that it does not know.
    if counts.partial_seeds > 0 {
        body.integer_entry("downloaders", counts.leechers.saturating_sub(counts.partial_seeds))?;
    }
    body.integer_entry("incomplete", counts.leechers)?;
    body.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::response::tests::dictionary;

    fn query(hashes: impl IntoIterator<Item = u8>) -> Vec<u8> {
        let parameters = hashes.into_iter().map(|byte| format!("info_hash={}", format!("%{byte:02X}").repeat(20)));
        parameters.collect::<Vec<_>>().join("&").into_bytes()
    }

    #[test]
    fn rule_23_a_scrape_without_an_info_hash_is_refused() {
        for query in [&b""[..], b"info_hash", b"compact=1", b"INFO_HASH=abcdefghijklmnopqrst"] {
            assert_eq!(parse_scrape(query), Err(ScrapeError::InfoHashMissing));
        }
        assert!(ScrapeError::InfoHashMissing.reason().contains("not supported"));
    }

    #[test]
    fn rule_23_repeated_info_hashes_appear_once_and_sorted() {
        let parsed = parse_scrape(&query([9, 0xff, 3, 9, 0, 3, 0x80])).expect("seven good ones");
        assert_eq!(parsed, [0, 3, 9, 0x80, 0xff].map(|byte| InfoHash([byte; 20])));
    }

    #[test]
    fn rule_23_no_more_than_74_are_answered() {
        assert_eq!(parse_scrape(&query((0..74).chain(0..74))).map(|hashes| hashes.len()), Ok(74));
        assert_eq!(parse_scrape(&query(0..75)), Err(ScrapeError::TooManyInfoHashes));
        assert!(ScrapeError::TooManyInfoHashes.reason().contains(&MAX_SCRAPE_INFO_HASHES.to_string()));
    }

    #[test]
    fn rule_19_info_hashes_are_bytes_and_bad_ones_are_errors() {
        let good = parse_scrape(b"x&info_hash=%fF\x80+=efghijklmnopqrst&passkey=%").expect("a good one");
        assert_eq!(good, [InfoHash(*b"\xff\x80+=efghijklmnopqrst")]);
        let table: [(&[u8], ScrapeError); 4] = [
            (b"info_hash=", ScrapeError::InfoHashLength),
            (b"info_hash=abcdefghijklmnopqrst&info_hash=abc", ScrapeError::InfoHashLength),
            (b"info_hash=abcdefghijklmnopqrstu", ScrapeError::InfoHashLength),
            (b"info_hash=%GGcdefghijklmnopqrst", ScrapeError::BadEscape),
        ];
        for (query, expected) in table {
            assert_eq!(parse_scrape(query), Err(expected), "{}", query.escape_ascii());
        }
    }

    #[test]
    fn rule_21_files_are_dictionaries_with_sorted_keys() {
        let mut out = [0xa5; 512];
        let counts = SwarmCounts { seeders: 11, leechers: 19, partial_seeds: 4, completed: 13772 };
        let files = [(InfoHash(*b"xxxxxxxxxxxxxxxxxxxx"), counts), (InfoHash([0xff; 20]), SwarmCounts::default())];
        let octets = emit_scrape(&mut out, files.into_iter(), false).expect("512 octets are enough");
        let body =
            b"d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei11e10:downloadedi13772e11:downloadersi15e10:incompletei19ee\
            20:\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
            d8:completei0e10:downloadedi0e10:incompletei0eeee";
        assert!(out[..octets].ends_with(body), "{}", out[..octets].escape_ascii());
        let dictionary = dictionary(&out[..octets]);
        assert_eq!(dictionary.keys(), [b"files"]);
        for short in 0..octets {
            assert_eq!(emit_scrape(&mut out[..short], files.into_iter(), false), Err(Full));
        }
    }

    #[test]
    fn rule_33_downloaders_are_the_leechers_that_are_not_partial_seeds_and_omitted_without_any() {
        for (leechers, partial_seeds, expected) in
            [(0, 0, None), (5, 0, None), (5, 2, Some(3)), (5, 5, Some(0)), (1, 2, Some(0))]
        {
            let mut out = [0xa5; 512];
            let counts = SwarmCounts { leechers, partial_seeds, ..SwarmCounts::default() };
            let files = core::iter::once((InfoHash([1; 20]), counts));
            let octets = emit_scrape(&mut out, files, true).expect("512 octets are enough");
            let parsed = dictionary(&out[..octets]);
            let file = parsed.get("files").and_then(|files| files.get([1; 20])).expect("one file");
            assert_eq!(file.integer("downloaders"), expected);
            assert_eq!(file.integer("incomplete"), Some(i64::from(leechers)));
        }
    }

    #[test]
    fn rule_23_a_scrape_of_any_length_is_answered_in_full() {
        let counts = SwarmCounts { seeders: u32::MAX, leechers: u32::MAX, partial_seeds: 0, completed: u32::MAX };
        for count in 1..=74 {
            let hashes = parse_scrape(&query((0..count).rev())).expect("74 are allowed");
            let mut out = [0xa5; MAX_SCRAPE_REPLY_OCTETS];
            let octets = emit_scrape(&mut out, hashes.iter().map(|hash| (*hash, counts)), true);
            let octets = octets.expect("that is the longest reply");
            let parsed = dictionary(&out[..octets]);
            assert_eq!(parsed.get("files").map(|files| files.keys().len()), Some(usize::from(count)));
        }
    }

    #[test]
    fn truncation_and_flips_never_panic() {
        let mut random = fastrand::Rng::with_seed(23);
        let whole = query([1, 0x80, 0xff]);
        for octets in 0..whole.len() {
            let _ = parse_scrape(&whole[..octets]);
        }
        for _ in 0..4_000 {
            let mut flipped = whole.clone();
            let at = random.usize(..flipped.len());
            flipped[at] ^= 1 << random.u32(..8);
            if let Ok(hashes) = parse_scrape(&flipped) {
                assert!(hashes.is_sorted());
            }
        }
    }
}
