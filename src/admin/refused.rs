//! Why a request was not granted.

use crate::api::{Outcome, Refusal};

/// What kind of reason there is: the status of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// 400: it makes no sense.
    Nonsense,
    /// 401: the token is wrong, or there is none.
    NotAuthorized,
    /// 404: there is nothing of that name.
    NotFound,
    /// 405: only these methods are known there.
    Method(&'static str),
    /// 408: it did not arrive in time.
    Late,
    /// 411: the length of its body is not told.
    NoLength,
    /// 413: its body is too long.
    LongBody,
    /// 431: its head is too long.
    LongHead,
    /// 500: the disk failed, with this outcome.
    DiskFailed(Outcome),
    /// 500: the tracker failed.
    Failed,
    /// 507: the whitelist is full.
    Full,
}

impl Because {
    /// The status line of the response, without its version, and the headers that go with it; a line end after each.
    pub const fn status(self) -> &'static str {
        match self {
            Self::Nonsense => "400 Bad Request\r\n",
            // RFC 9110, "401 Unauthorized": the response says how to authenticate.
            Self::NotAuthorized => "401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n",
            Self::NotFound => "404 Not Found\r\n",
            Self::Method(_) => "405 Method Not Allowed\r\n",
            Self::Late => "408 Request Timeout\r\n",
            Self::NoLength => "411 Length Required\r\n",
            Self::LongBody => "413 Content Too Large\r\n",
            Self::LongHead => "431 Request Header Fields Too Large\r\n",
            Self::DiskFailed(_) | Self::Failed => "500 Internal Server Error\r\n",
            Self::Full => "507 Insufficient Storage\r\n",
        }
    }
}

/// Why a request was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What kind of reason there is.
    pub because: Because,
    /// The reason, in a sentence.
    pub reason: String,
}

impl Refused {
    /// Refuse for `reason`.
    pub fn new(because: Because, reason: impl Into<String>) -> Self {
        Self { because, reason: reason.into() }
    }

    /// Refuse a method other than those `allowed` at `path`.
    pub(super) fn method(path: &str, allowed: &'static str) -> Self {
        Self::new(Because::Method(allowed), format!("{path} takes only {allowed}"))
    }

    /// The body of the response.
    pub fn into_body(self) -> Refusal {
        let outcome = if let Because::DiskFailed(outcome) = self.because { Some(outcome) } else { None };
        Refusal { error: self.reason, outcome }
    }
}
