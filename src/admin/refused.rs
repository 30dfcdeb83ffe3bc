//! The refusal of a request.

use crate::api::{Known, Outcome, Problem};
use crate::http::Status;

/// The kind of a refusal, which decides the status of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// 400: the request is invalid.
    Nonsense,
    /// 401: the token is wrong or missing.
    NotAuthorized,
    /// 403: the client may not do this.
    Forbidden,
    /// 404: the path, prefix or user does not exist.
    NotFound,
    /// 405: the path takes only these methods.
    Method(&'static str),
    /// 408: the request did not arrive in time.
    Late,
    /// 409: the present state does not allow the change.
    Conflict,
    /// 411: the length of the body is missing.
    NoLength,
    /// 413: the body is too long.
    LongBody,
    /// 431: the head is too long.
    LongHead,
    /// 500: the tracker failed.
    Failed,
    /// 503: the tracker does as much of this as it can.
    Busy,
    /// 507: the disk failed, with this outcome.
    DiskFailed(Outcome),
    /// 507: the table is full.
    Full,
}

impl Because {
    /// Return the status of the response.
    pub const fn status(self) -> Status {
        match self {
            Self::Nonsense => Status::BadRequest,
            Self::NotAuthorized => Status::Unauthorized,
            Self::Forbidden => Status::Forbidden,
            Self::NotFound => Status::NotFound,
            Self::Method(_) => Status::MethodNotAllowed,
            Self::Late => Status::RequestTimeout,
            Self::Conflict => Status::Conflict,
            Self::NoLength => Status::LengthRequired,
            Self::LongBody => Status::ContentTooLarge,
            Self::LongHead => Status::HeaderFieldsTooLarge,
            Self::Failed => Status::InternalServerError,
            Self::Busy => Status::ServiceUnavailable,
            Self::DiskFailed(_) | Self::Full => Status::InsufficientStorage,
        }
    }

    /// Return the name and the value of the header that the status needs.
    pub const fn header(self) -> Option<(&'static str, &'static str)> {
        match self {
            // RFC 9110, "405 Method Not Allowed": the response lists the allowed methods.
            Self::Method(allowed) => Some(("Allow", allowed)),
            // RFC 9110, "401 Unauthorized": the response names the authentication scheme.
            Self::NotAuthorized => Some(("WWW-Authenticate", "Bearer")),
            _ => None,
        }
    }
}

/// The refusal of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The kind of the refusal.
    pub because: Because,
    /// The reason, in a sentence.
    pub reason: String,
    /// Entries that an import would have replaced.
    pub conflicts: Vec<Known>,
}

impl Refused {
    /// Create a refusal with a reason.
    pub fn new(because: Because, reason: impl Into<String>) -> Self {
        Self { because, reason: reason.into(), conflicts: Vec::new() }
    }

    /// Refuse every method other than `allowed` at `path`.
    pub(super) fn method(path: &str, allowed: &'static str) -> Self {
        Self::new(Because::Method(allowed), format!("{path} takes only {allowed}"))
    }

    /// Return the body of the response.
    pub fn into_body(self) -> Problem {
        let status = self.because.status();
        Problem {
            r#type: "about:blank".into(),
            title: status.phrase().into(),
            status: status.code(),
            detail: self.reason,
            outcome: if let Because::DiskFailed(outcome) = self.because { Some(outcome) } else { None },
            conflicts: self.conflicts,
        }
    }
}
