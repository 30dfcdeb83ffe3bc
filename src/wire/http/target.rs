//! Paths of the HTTP tracker protocol.

/// Endpoint that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/announce`.
    Announce,
    /// `/scrape`: BEP 48, "Scrape Request".
    Scrape,
    /// Any other path.
    Other,
}

impl Target {
    /// Return the endpoint of `path`. A slash at the end changes nothing, as users add one by hand (rule 29). Otherwise
    /// the match is exact: no prefix, no suffix.
    pub fn of(path: &[u8]) -> Self {
        match path {
            b"/announce" | b"/announce/" => Self::Announce,
            b"/scrape" | b"/scrape/" => Self::Scrape,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_29_targets_are_exact_up_to_a_slash_at_the_end() {
        let table: [(&[u8], Target); 11] = [
            (b"/announce", Target::Announce),
            (b"/scrape", Target::Scrape),
            (b"/announce/", Target::Announce),
            (b"/scrape/", Target::Scrape),
            (b"/announce//", Target::Other),
            (b"//announce", Target::Other),
            (b"/a", Target::Other),
            (b"/announcement", Target::Other),
            (b"announce", Target::Other),
            (b"/ANNOUNCE", Target::Other),
            (b"", Target::Other),
        ];
        for (path, expected) in table {
            assert_eq!(Target::of(path), expected, "{}", path.escape_ascii());
        }
    }
}
