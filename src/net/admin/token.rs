//! The token that the TCP address asks for.

use core::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq as _;

/// A shorter token could be guessed, one connection after another.
const LEAST_OCTETS: usize = 16;

/// A longer one would not leave a request much room.
const MOST_OCTETS: usize = 1024;

/// What everybody who is not the owner or of the group may do with a file.
const OTHERS: u32 = 0o007;

/// Who knows it may do everything.
pub(super) struct BearerToken(Box<[u8]>);

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(secret)")
    }
}

/// Why there is no token.
#[derive(Debug)]
pub enum TokenError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// Everybody on this host can read the file, or change it.
    OpenToOthers(PathBuf),
    /// It has as many octets, which are too few to be a secret or too many to be sent.
    Length(PathBuf, usize),
    /// It has what cannot be sent in a header.
    NotPrintable(PathBuf),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(
                f,
                "cannot read the token file {}: {error}; let nakodo's user read it, or correct admin.token_file",
                path.display()
            ),
            Self::OpenToOthers(path) => write!(
                f,
                "the token file {0} is open to everybody on this host; run `chmod o= {0}`, and choose a new token if \
                 somebody may have read it",
                path.display()
            ),
            Self::Length(path, octets) => write!(
                f,
                "the token in {} has {octets} octets and must have {LEAST_OCTETS} to {MOST_OCTETS}; 32 random ones are \
                 good",
                path.display()
            ),
            Self::NotPrintable(path) => write!(
                f,
                "the token in {} has spaces, or characters other than printable ASCII, which cannot be sent; use letters \
                 and digits",
                path.display()
            ),
        }
    }
}

impl std::error::Error for TokenError {}

impl BearerToken {
    /// Read the token in `file`; space around it does not count.
    pub(super) fn read(file: &Path) -> Result<Self, TokenError> {
        let unreadable = |error| TokenError::Unreadable(file.into(), error);
        let opened = File::open(file).map_err(unreadable)?;
        let mode = opened.metadata().map_err(unreadable)?.permissions().mode();
        if mode & OTHERS != 0 {
            return Err(TokenError::OpenToOthers(file.into()));
        }
        let mut octets = Vec::new();
        opened.take(4 * MOST_OCTETS as u64).read_to_end(&mut octets).map_err(unreadable)?;
        let token = octets.trim_ascii();
        if !(LEAST_OCTETS..=MOST_OCTETS).contains(&token.len()) {
            return Err(TokenError::Length(file.into(), token.len()));
        }
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err(TokenError::NotPrintable(file.into()));
        }
        Ok(Self(token.into()))
    }

    /// Whether an `Authorization` header has this token: RFC 6750, "Authorization Request Header Field". How long that
    /// takes tells nothing of the token but its length.
    pub(super) fn is_in(&self, authorization: Option<&[u8]>) -> bool {
        const SCHEME: &[u8] = b"Bearer ";
        let split = authorization.and_then(|value| value.split_at_checked(SCHEME.len()));
        split.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case(SCHEME) && bool::from(token.trim_ascii().ct_eq(&self.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;
    use crate::testing::TempDir;

    fn read(content: &[u8], mode: u32) -> Result<BearerToken, String> {
        let dir = TempDir::new();
        let file = dir.file("token");
        fs::write(&file, content).expect("it is writable");
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("it is ours");
        BearerToken::read(&file).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_is_told_from_others() {
        let token = read(b" 0123456789abcdef\n", 0o640).expect("a token");
        for (authorization, is_in) in [
            ("Bearer 0123456789abcdef", true),
            ("bearer  0123456789abcdef ", true),
            ("Bearer 0123456789abcdeF", false),
            ("Bearer 0123456789abcde", false),
            ("Bearer 0123456789abcdefg", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Basic 0123456789abcdef", false),
            ("0123456789abcdef", false),
            ("", false),
        ] {
            assert_eq!(token.is_in(Some(authorization.as_bytes())), is_in, "{authorization}");
        }
        assert!(!token.is_in(None));
        assert_eq!(format!("{token:?}"), "BearerToken(secret)");
    }

    #[test]
    fn files_that_hold_no_secret_are_refused() {
        let good = b"0123456789abcdef";
        for (content, mode, mistake) in [
            (&good[..], 0o644, "is open to everybody on this host; run `chmod o= "),
            (&good[..], 0o602, "is open to everybody on this host"),
            (&good[1..], 0o600, "has 15 octets and must have 16 to 1024"),
            (b" \n", 0o600, "has 0 octets"),
            (&[b'x'; 1025], 0o600, "has 1025 octets"),
            (b"correct horse battery", 0o600, "has spaces"),
            ("0123456789abcdéf".as_bytes(), 0o600, "characters other than printable ASCII"),
        ] {
            let error = read(content, mode).expect_err(mistake);
            assert!(error.contains(mistake) && error.contains("/token"), "{error}");
        }
        let error = BearerToken::read(Path::new("/nonexistent/token")).expect_err("it is not there").to_string();
        assert!(error.starts_with("cannot read the token file /nonexistent/token: No such file"), "{error}");
    }
}
