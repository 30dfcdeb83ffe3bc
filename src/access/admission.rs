//! The rule by which the clients of a side are admitted.

/// Rule for the admission of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// All clients.
    Open,
    /// Only clients on the whitelist.
    Whitelist,
    /// No clients.
    Closed,
}

impl Admission {
    /// Return its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Whitelist => "whitelist",
            Self::Closed => "closed",
        }
    }
}
