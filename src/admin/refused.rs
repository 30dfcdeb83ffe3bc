//! Why a request was not granted.

use crate::api::{Outcome, Refusal};
use crate::http::Status;

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
    /// The status of the response.
    pub const fn status(self) -> Status {
        match self {
            Self::Nonsense => Status::BadRequest,
            Self::NotAuthorized => Status::Unauthorized,
            Self::NotFound => Status::NotFound,
            Self::Method(_) => Status::MethodNotAllowed,
            Self::Late => Status::RequestTimeout,
            Self::NoLength => Status::LengthRequired,
            Self::LongBody => Status::ContentTooLarge,
            Self::LongHead => Status::HeaderFieldsTooLarge,
            Self::DiskFailed(_) | Self::Failed => Status::InternalServerError,
            Self::Full => Status::InsufficientStorage,
        }
    }

    /// The header that goes with the status: its name and value.
    pub const fn header(self) -> Option<(&'static str, &'static str)> {
        match self {
            // RFC 9110, "405 Method Not Allowed": the response lists the methods that are.
            Self::Method(allowed) => Some(("Allow", allowed)),
            // RFC 9110, "401 Unauthorized": the response says how to authenticate.
            Self::NotAuthorized => Some(("WWW-Authenticate", "Bearer")),
            _ => None,
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
