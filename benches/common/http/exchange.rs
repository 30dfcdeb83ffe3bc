//! Requests as text, and validation of the responses.

use std::fmt::Write as _;

use super::super::mix::{Announce, Event, info_hash};

/// Write the request for an announce.
pub(crate) fn write(announce: &Announce, keep: bool, out: &mut String) {
    out.clear();
    out.push_str("GET /announce?info_hash=");
    for octet in info_hash(announce.torrent) {
        percent_encode(octet, out);
    }
    let Announce { port, left, wanted, .. } = announce;
    let event = match announce.event {
        Event::Update => "",
        Event::Completed => "&event=completed",
        Event::Started => "&event=started",
        Event::Stopped => "&event=stopped",
    };
    let connection = if keep { "keep-alive" } else { "close" };
    let _ = write!(
        out,
        "&peer_id=-NB0100-{port:012}&port={port}&uploaded=0&downloaded=0&left={left}&compact=1&numwant={wanted}{event} \
         HTTP/1.1\r\nHost: tracker\r\nUser-Agent: bench\r\nConnection: {connection}\r\n\r\n"
    );
}

fn percent_encode(octet: u8, out: &mut String) {
    if octet.is_ascii_alphanumeric() {
        return out.push(char::from(octet));
    }
    out.push('%');
    for digit in [octet >> 4, octet & 15] {
        out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
    }
}

/// State of a received response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    Partial,
    /// A complete response with peers.
    Peers {
        octets: usize,
    },
    /// A wrong response, complete or not.
    Malformed,
}

impl Response {
    /// Classify `received`. All contestants send the length of the body.
    pub(crate) fn of(received: &[u8]) -> Self {
        let Some(head) = received.windows(4).position(|octets| octets == b"\r\n\r\n") else { return Self::Partial };
        let (head, body) = received.split_at(head + 4);
        let length = str::from_utf8(head).ok().and_then(content_length);
        let is_ok = head.starts_with(b"HTTP/1.1 200") || head.starts_with(b"HTTP/1.0 200");
        match length {
            Some(length) if is_ok && body.len() < length => Self::Partial,
            Some(length) if is_ok && body.len() == length && is_announce(body) => {
                Self::Peers { octets: received.len() }
            }
            _ => Self::Malformed,
        }
    }
}

fn content_length(head: &str) -> Option<usize> {
    let line = head
        .lines()
        .find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")));
    line.and_then(|(_, length)| length.trim().parse().ok())
}

/// Is this a dictionary with an interval and peers, without a failure? aquatic_http adds a line break at the end.
fn is_announce(body: &[u8]) -> bool {
    let has = |key: &[u8]| body.windows(key.len()).any(|octets| octets == key);
    body.starts_with(b"d")
        && body.trim_ascii_end().ends_with(b"e")
        && has(b"8:intervali")
        && has(b"5:peers")
        && !has(b"14:failure reason")
}
