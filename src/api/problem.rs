//! The answer to a request that was not granted: a problem document (RFC 9457).

use serde::{Deserialize, Serialize};

use super::Known;

/// Media type of a [`Problem`].
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// The answer to a request that was not granted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `about:blank`: the status is the kind of the problem (RFC 9457, "about:blank").
    pub r#type: String,
    /// The phrase of the status.
    pub title: String,
    /// The status of the response.
    pub status: u16,
    /// The reason, in a sentence.
    pub detail: String,
    /// Outcome of a change that the disk did not accept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Entries of other users that an import would have replaced, at most [`super::NAMED_ENTRIES`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Known>,
}

/// The outcome of a change that the disk did not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The change was not made, and a restart will not bring it into effect.
    Unchanged,
    /// Some of the entries are removed for good, as the error says. The others are still there, and stay after a
    /// restart.
    Partial,
    /// The change is not in effect, but a restart may bring it into effect as long as [`super::Disk::failing`] has a reason.
    Unknown,
}
