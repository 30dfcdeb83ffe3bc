//! The token that a client of the TCP address must send.

use core::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq as _;

/// Smallest length in bytes: a shorter token could be guessed, one connection after another.
const LEAST_OCTETS: usize = 16;

/// Largest length in bytes: a longer token would leave a request little room.
const MOST_OCTETS: usize = 1024;

/// Permission bits for users other than the owner and the group.
const OTHERS: u32 = 0o007;

/// The token. A client that sends it has full access.
pub(super) struct BearerToken(Box<[u8]>);

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(secret)")
    }
}

/// The reason why the token is unusable.
#[derive(Debug)]
pub enum TokenError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// Every user of this host can read or change the file.
    OpenToOthers(PathBuf),
    /// The token has this length in bytes, which is too short to be a secret or too long to be sent.
    Length(PathBuf, usize),
    /// The token contains a byte that cannot be sent in a header.
    NotPrintable(PathBuf),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(
                f,
                "cannot read the token file {}: {error}; let nakodo's user read it, or correct the path in [admin]",
                path.display()
            ),
            Self::OpenToOthers(path) => write!(
                f,
                "the token file {0} is accessible to all users of this host; run `chmod o= {0}`, and choose a new token if \
                 another user may have read it",
                path.display()
            ),
            Self::Length(path, octets) => write!(
                f,
                "the token in {} has {octets} bytes and must have {LEAST_OCTETS} to {MOST_OCTETS}; 32 random bytes are \
                 good",
                path.display()
            ),
            Self::NotPrintable(path) => write!(
                f,
                "the token in {} has spaces, or characters other than printable ASCII, that cannot be sent; use letters \
                 and digits",
                path.display()
            ),
        }
    }
}

impl std::error::Error for TokenError {}

impl BearerToken {
    /// Read the token in `file`, and strip whitespace around it.
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

    /// Return whether an `Authorization` header has this token: RFC 6750, "Authorization Request Header Field". The
    /// comparison time depends on the token's length and not on its bytes.
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
    fn only_the_exact_token_is_accepted() {
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
            (&good[..], 0o644, "is accessible to all users of this host; run `chmod o= "),
            (&good[..], 0o602, "is accessible to all users of this host"),
            (&good[1..], 0o600, "has 15 bytes and must have 16 to 1024"),
            (b" \n", 0o600, "has 0 bytes"),
            (&[b'x'; 1025], 0o600, "has 1025 bytes"),
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
