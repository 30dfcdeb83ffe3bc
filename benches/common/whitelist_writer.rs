//! Sequential changes of nakodo's whitelist that do not block the load.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Time limit for the start of a tracker.
const START: Duration = Duration::from_secs(20);

/// One change of the whitelist.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) method: &'static str,
    pub(crate) body: String,
}

impl Change {
    /// Allow a prefix, with an optional end.
    pub(crate) fn allow(prefix: &str, until_unix: Option<u64>) -> Self {
        let until = until_unix.map_or_else(String::new, |until| format!(", \"until_unix\": {until}"));
        Self { method: "POST", body: format!("{{\"prefix\": \"{prefix}\", \"user\": \"bench\"{until}}}") }
    }

    /// Revoke a prefix.
    pub(crate) fn revoke(prefix: &str) -> Self {
        Self { method: "DELETE", body: format!("{{\"prefix\": \"{prefix}\"}}") }
    }

    /// Allow one of a thousand addresses, in turn.
    pub(crate) fn one_of_a_thousand(number: u32) -> Self {
        Self::allow(&Ipv4Addr::from(0x0100_0000 + number % 1000).to_string(), None)
    }
}

/// A client of the control socket that never waits for it.
pub(crate) struct WhitelistWriter {
    socket: PathBuf,
    changes: Box<dyn FnMut(u32) -> Change>,
    /// Minimum time between two requests.
    pause: Duration,
    waiting: Option<UnixStream>,
    asked: Option<(Instant, &'static str)>,
    answer: Vec<u8>,
    next: u32,
    /// Number of acknowledged changes, which are on the disk.
    pub(crate) acknowledged: u64,
    /// Longest times of a change that allows and of one that revokes.
    pub(crate) longest_allow: Duration,
    pub(crate) longest_revoke: Duration,
}

impl WhitelistWriter {
    pub(crate) fn new(socket: PathBuf, pause: Duration, changes: impl FnMut(u32) -> Change + 'static) -> Self {
        Self {
            socket,
            changes: Box::new(changes),
            pause,
            waiting: None,
            asked: None,
            answer: Vec::new(),
            next: 0,
            acknowledged: 0,
            longest_allow: Duration::ZERO,
            longest_revoke: Duration::ZERO,
        }
    }

    /// Make this number of changes, and wait for each.
    pub(crate) fn make(&mut self, changes: u64) {
        let until = self.acknowledged + changes;
        while self.acknowledged < until {
            self.go_on();
        }
    }

    /// Wait for the pending change.
    pub(crate) fn finish(&mut self) {
        while self.waiting.is_some() {
            self.go_on();
        }
    }

    /// Read the pending answer if it is there, or request the next change if the pause is over.
    pub(crate) fn go_on(&mut self) {
        let Some(stream) = &mut self.waiting else {
            if self.asked.is_none_or(|(asked, _)| asked.elapsed() >= self.pause) {
                self.ask();
            }
            return;
        };
        let mut octets = [0; 512];
        match stream.read(&mut octets) {
            Ok(0) => {
                let text = String::from_utf8_lossy(&self.answer);
                assert!(text.starts_with("HTTP/1.1 200"), "the tracker refused a change: {text}");
                self.acknowledged += 1;
                self.waiting = None;
                if let Some((asked, method)) = self.asked {
                    let longest = if method == "POST" { &mut self.longest_allow } else { &mut self.longest_revoke };
                    *longest = asked.elapsed().max(*longest);
                }
            }
            Ok(octets_read) => self.answer.extend_from_slice(&octets[..octets_read]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "the control socket answers"),
        }
    }

    fn ask(&mut self) {
        let Change { method, body } = (self.changes)(self.next);
        self.next += 1;
        let request =
            format!("{method} /v1/whitelist HTTP/1.1\r\nHost: nakodo\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut stream = self.connect();
        self.asked = Some((Instant::now(), method));
        stream.write_all(request.as_bytes()).expect("the control socket takes a request");
        stream.set_nonblocking(true).expect("a socket");
        self.answer.clear();
        self.waiting = Some(stream);
    }

    /// Connect; wait for the tracker to start if necessary.
    fn connect(&self) -> UnixStream {
        let began = Instant::now();
        loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => return stream,
                Err(error) => assert!(began.elapsed() < START, "the control socket: {error}"),
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}
