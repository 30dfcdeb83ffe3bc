//! Changes of nakodo's whitelist, one after the other, by whoever has other things to do as well.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// One that talks to the control socket and never waits for it.
#[derive(Debug)]
pub(crate) struct WhitelistWriter {
    socket: PathBuf,
    waiting: Option<UnixStream>,
    answer: Vec<u8>,
    next: u32,
    /// Changes that were acknowledged, and so are on the disk.
    pub(crate) acknowledged: u64,
}

impl WhitelistWriter {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket, waiting: None, answer: Vec::new(), next: 0, acknowledged: 0 }
    }

    /// Take the answer if it has come, and then ask for the next change.
    pub(crate) fn go_on(&mut self) {
        let Some(stream) = &mut self.waiting else { return self.ask() };
        let mut octets = [0; 512];
        match stream.read(&mut octets) {
            Ok(0) => {
                let text = String::from_utf8_lossy(&self.answer);
                assert!(text.starts_with("HTTP/1.1 200"), "the whitelist takes entries: {text}");
                self.acknowledged += 1;
                self.waiting = None;
            }
            Ok(octets_read) => self.answer.extend_from_slice(&octets[..octets_read]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "the control socket answers"),
        }
    }

    fn ask(&mut self) {
        let prefix = Ipv4Addr::from(0x0100_0000 + self.next % 1000);
        self.next += 1;
        let body = format!("{{\"prefix\": \"{prefix}\", \"user\": \"bench\"}}");
        let request =
            format!("POST /v1/whitelist HTTP/1.1\r\nHost: nakodo\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut stream = UnixStream::connect(&self.socket).expect("the control socket");
        stream.write_all(request.as_bytes()).expect("the control socket takes a request");
        stream.set_nonblocking(true).expect("a socket");
        self.answer.clear();
        self.waiting = Some(stream);
    }
}
