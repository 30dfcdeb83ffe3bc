//! Requests as clients send them, and a strict parser of responses.

use std::fmt::Write as _;

use super::bencode::Value;
use super::udp::{peers4, peers6};
use super::{Announce, Event, Refused, Scraped, Told};

/// Percent-encode every byte.
pub(crate) fn escape(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    })
}

pub(crate) fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: tracker.example:6969\r\nUser-Agent: test/1.0\r\n\r\n").into_bytes()
}

pub(crate) fn announce_target(announce: &Announce) -> String {
    let Announce { port, left, .. } = announce;
    let hash = escape(&announce.info_hash);
    let mut target = format!("/announce?info_hash={hash}&peer_id=-XX0001-abcdefghijkl&port={port}&left={left}");
    target += match announce.event {
        Event::Update => "",
        Event::Completed => "&event=completed",
        Event::Started => "&event=started",
        Event::Stopped => "&event=stopped",
        Event::Paused => "&event=paused",
    };
    if let Some(num_want) = announce.num_want {
        let _ = write!(target, "&numwant={num_want}");
    }
    target
}

pub(crate) fn announce(announce: &Announce) -> Vec<u8> {
    get(&announce_target(announce))
}

pub(crate) fn scrape(info_hashes: &[[u8; 20]]) -> Vec<u8> {
    let hashes: Vec<_> = info_hashes.iter().map(|hash| format!("info_hash={}", escape(hash))).collect();
    get(&format!("/scrape?{}", hashes.join("&")))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) keep_alive: bool,
    pub(crate) content_length: usize,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Parse a response that fills all of `bytes`. Its body has the length in `Content-Length`, or is missing (HEAD).
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head ends");
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).expect("a status line");
        let headers: Vec<_> = lines.map(|line| line.split_once(": ").expect(line)).collect();
        let header = |name: &str| {
            let mut values = headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
            let value = values.next().expect(name).1;
            assert!(values.next().is_none(), "{name} occurs twice");
            value
        };
        let keep_alive = header("connection") == "keep-alive";
        assert!(keep_alive || header("connection") == "close");
        let content_length = header("content-length").parse().expect("a number");
        let body = bytes[end + 4..].to_vec();
        assert!(body.len() == content_length || body.is_empty(), "{} of {content_length} bytes", body.len());
        Self { status: status[..3].parse().expect("a number"), keep_alive, content_length, body }
    }

    pub(crate) fn dictionary(&self) -> Value {
        assert_eq!(self.status, 200, "clients read the body only with this status");
        Value::parse(&self.body)
    }

    pub(crate) fn told(&self) -> Result<Told, Refused> {
        let reply = self.dictionary();
        if let Some(reason) = reply.bytes("failure reason") {
            let reason = String::from_utf8(reason.to_vec()).expect("text");
            let retry_in = reply.get(b"retry in").and_then(|value| match value {
                Value::Integer(minutes) => Some(*minutes),
                _ => None,
            });
            return Err(Refused { reason, retry_in });
        }
        let mut peers = peers4(reply.bytes("peers").expect("`peers` is always present"));
        peers.extend(peers6(reply.bytes("peers6").unwrap_or_default()));
        let number = |key: &str| u32::try_from(reply.integer(key).expect(key)).expect(key);
        let (interval, seeders, leechers) = (number("interval"), number("complete"), number("incomplete"));
        assert!(number("min interval") <= interval);
        Ok(Told { interval, seeders, leechers, peers })
    }

    /// Return the counts of one swarm from a scrape.
    pub(crate) fn scraped(&self, info_hash: &[u8; 20]) -> Scraped {
        let reply = self.dictionary();
        let file = reply.get(b"files").and_then(|files| files.get(info_hash)).expect("the swarm is in `files`");
        let number = |key: &str| u32::try_from(file.integer(key).expect(key)).expect(key);
        (number("complete"), number("downloaded"), number("incomplete"))
    }
}
