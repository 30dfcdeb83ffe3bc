//! An entry of the whitelist as words in a line of text, for exports, the journal, and lists that people write.
//!
//! ```text
//! 192.0.2.7/32 last-seen=860000 added=1793500000 until=1796000000 retire=2592000 user=ann
//! ```
//! `ticket` is the number of the ticket that brought the entry. `last-seen` is a time of the running clock in seconds,
//! `retire` a number of seconds or `never`; `added` and `until` are in seconds since 1970. A missing word has its default.
//! In `user`, each byte of a space, a `%`, a control character and a non-ASCII character is written as `%` and two
//! hexadecimal digits.

use core::fmt::{self, Write};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::ticket_number::TicketNumber;
use super::user::User;
use super::whitelist::{Entry, Retire};
use super::{Found, prefix};
use crate::clock::{Running, UnixSeconds};

/// Characters of a user's name that need an escape, because a line is split at spaces.
const SPECIAL: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Longest running time that a text may claim: a hundred years.
const LONGEST_RUNNING_SECONDS: u64 = 100 * 366 * 86_400;

/// The word that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryTextError {
    /// The first word is not a prefix.
    Prefix(prefix::PrefixError),
    /// A later word has another form, an unknown name or a wrong value.
    Word(Found),
}

impl fmt::Display for EntryTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(error) => write!(f, "{error}"),
            Self::Word(word) => write!(
                f,
                "`{word}` is wrong; after the prefix come `user=NAME`, `retire=SECONDS`, `retire=never` and \
                 `until=SECONDS` since 1970"
            ),
        }
    }
}

impl core::error::Error for EntryTextError {}

/// Write an entry as words, without a line break.
pub fn write_entry(line: &mut String, entry: &Entry) -> fmt::Result {
    write!(line, "{} last-seen={}", entry.prefix, entry.last_seen.seconds())?;
    if let Some(added) = entry.added {
        write!(line, " added={}", added.0)?;
    }
    write_terms(line, entry.until, entry.retire)?;
    if let Some(ticket) = entry.ticket {
        write!(line, " ticket={ticket}")?;
    }
    write_user(line, &entry.user)
}

/// Write when an entry ends and when it is retired, each word after a space.
pub fn write_terms(line: &mut String, until: Option<UnixSeconds>, retire: Retire) -> fmt::Result {
    if let Some(until) = until {
        write!(line, " until={}", until.0)?;
    }
    match retire {
        Retire::Default => Ok(()),
        Retire::After(seconds) => write!(line, " retire={seconds}"),
        Retire::Never => write!(line, " retire=never"),
    }
}

/// Write the name of a user after a space, unless it is empty.
pub fn write_user(line: &mut String, user: &str) -> fmt::Result {
    if user.is_empty() { Ok(()) } else { write!(line, " user={}", utf8_percent_encode(user, SPECIAL)) }
}

/// Parse a running time. A claim that is too large would make all other entries idle.
pub fn parse_running(seconds: &str) -> Option<Running> {
    seconds.parse().ok().filter(|seconds| *seconds <= LONGEST_RUNNING_SECONDS).map(Running::from_seconds)
}

/// Parse the words of an entry.
///
/// # Errors
/// The first word that is wrong.
pub fn parse_entry(text: &str) -> Result<Entry, EntryTextError> {
    let mut words = text.split_whitespace();
    let prefix = prefix::parse(words.next().unwrap_or_default()).map_err(EntryTextError::Prefix)?;
    let mut entry = Entry::new(prefix);
    for word in words {
        take_word(&mut entry, word).ok_or_else(|| EntryTextError::Word(prefix::found(word)))?;
    }
    Ok(entry)
}

fn take_word(entry: &mut Entry, word: &str) -> Option<()> {
    match word.split_once('=')? {
        ("last-seen", seconds) => entry.last_seen = parse_running(seconds)?,
        ("added", seconds) => entry.added = Some(UnixSeconds(seconds.parse().ok()?)),
        ("until", seconds) => entry.until = Some(UnixSeconds(seconds.parse().ok()?)),
        ("retire", "never") => entry.retire = Retire::Never,
        ("retire", seconds) => entry.retire = Retire::After(seconds.parse().ok()?),
        ("ticket", number) => entry.ticket = Some(TicketNumber::parse(number).ok()?),
        ("user", name) => entry.user = parse_user(name)?,
        _ => return None,
    }
    Some(())
}

fn parse_user(text: &str) -> Option<User> {
    let mut octets = heapless::Vec::new();
    percent_decode_str(text).try_for_each(|octet| octets.push(octet)).ok()?;
    User::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_word_is_named() {
        for (line, error) in [
            ("192.0.2.7 retire=soon", "`retire=soon` is wrong; after the prefix come `user=NAME`"),
            ("192.0.2.7 user=ann usr", "`usr` is wrong"),
            ("192.0.2.7 last-seen=18446744073709551615", "`last-seen=18446744073709551615` is wrong"),
            ("example.com", "`example.com` is not an IPv4 or IPv6 address"),
            ("", "no address"),
        ] {
            let found = parse_entry(line).expect_err(line).to_string();
            assert!(found.starts_with(error), "{found}");
        }
    }
}
