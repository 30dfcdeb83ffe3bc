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

/// A path with a ticket in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticketed<'a> {
    /// `/TICKET/announce`.
    Announce(&'a [u8]),
    /// `/TICKET/scrape`.
    Scrape(&'a [u8]),
    /// `/login/TICKET`.
    Login(&'a [u8]),
}

impl<'a> Ticketed<'a> {
    /// Return the endpoint of `path`, and the text in the place of the ticket: it begins as a ticket does, or has an
    /// escape. A slash at the end changes nothing.
    pub fn of(path: &'a [u8]) -> Option<Self> {
        let path = path.strip_suffix(b"/").unwrap_or(path).strip_prefix(b"/")?;
        if let Some(ticket) = path.strip_prefix(b"login/") {
            return Some(Self::Login(ticket));
        }
        if !path.starts_with(b"1.") && !path.contains(&b'%') {
            return None;
        }
        let announce = path.strip_suffix(b"/announce").map(Self::Announce);
        announce.or_else(|| path.strip_suffix(b"/scrape").map(Self::Scrape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_stands_before_the_endpoint() {
        let table: [(&[u8], Option<Ticketed<'_>>); 10] = [
            (b"/1.a.b/announce", Some(Ticketed::Announce(b"1.a.b"))),
            (b"/1.a.b/announce/", Some(Ticketed::Announce(b"1.a.b"))),
            (b"/1.a.b/scrape", Some(Ticketed::Scrape(b"1.a.b"))),
            (b"/1%2Ea%2Eb/announce", Some(Ticketed::Announce(b"1%2Ea%2Eb"))),
            (b"/login/1.a.b", Some(Ticketed::Login(b"1.a.b"))),
            (b"/login/x/", Some(Ticketed::Login(b"x"))),
            (b"/passkey/announce", None),
            (b"/1.a.b/announce.php", None),
            (b"1.a.b/announce", None),
            (b"/", None),
        ];
        for (path, expected) in table {
            assert_eq!(Ticketed::of(path), expected, "{}", path.escape_ascii());
        }
    }

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
