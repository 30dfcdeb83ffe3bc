//! One HTTP/1.1 request over a Unix socket, and its complete answer.

use core::time::Duration;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::exit::{self, Failure};

/// Time limit for the tracker, which may have to sync slow flash.
const PATIENCE: Duration = Duration::from_secs(30);

/// Size limit of an answer in bytes: the largest whitelist with the longest names takes half of it.
const MOST_OCTETS: u64 = 32 << 20;

/// Limit of header lines in an answer; a tracker sends only a few.
const MOST_HEADERS: usize = 32;

/// A status and a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Send one request, and read the answer to its end.
pub(super) fn exchange(socket: &Path, method: &str, path: &str, body: &str) -> Result<Answer, Failure> {
    let stream = UnixStream::connect(socket).map_err(|error| unreachable(socket, &error))?;
    let octets = send(stream, method, path, body).map_err(|error| lost(&error))?;
    read_answer(&octets)
        .ok_or_else(|| Failure::new(exit::IOERR, "the tracker's answer is not a complete HTTP response"))
}

fn send(mut stream: UnixStream, method: &str, path: &str, body: &str) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: nakodo\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut octets = Vec::new();
    stream.take(MOST_OCTETS).read_to_end(&mut octets)?;
    if octets.len() as u64 == MOST_OCTETS {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(octets)
}

/// Return the answer in `octets`, if it is complete. An answer without a length, like the whitelist, ends with the
/// connection: the caller finds out from the JSON whether it is complete.
fn read_answer(octets: &[u8]) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(octets).ok()? else { return None };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let rest = octets.get(head..)?;
    let body = match length {
        Some(length) => rest.get(..str::from_utf8(length.value).ok()?.trim().parse().ok()?)?,
        None => rest,
    };
    Some(Answer { status: response.code?, body: String::from_utf8(body.to_vec()).ok()? })
}

pub(super) fn unreachable(socket: &Path, error: &io::Error) -> Failure {
    let socket = socket.display();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Failure::new(
            exit::UNAVAILABLE,
            format!("nakodo is not running: no answer on {socket}; start it with `nakodo serve`"),
        ),
        ErrorKind::PermissionDenied => Failure::new(
            exit::NOPERM,
            format!("permission denied on {socket}; run this as root or as the user that runs nakodo"),
        ),
        _ => Failure::new(exit::IOERR, format!("cannot connect to {socket}: {error}")),
    }
}

fn lost(error: &io::Error) -> Failure {
    let why = match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("it did not answer within {} s", PATIENCE.as_secs()),
        ErrorKind::FileTooLarge => format!("its answer has more than {} MiB", MOST_OCTETS >> 20),
        _ => error.to_string(),
    };
    Failure::new(exit::IOERR, format!("lost the connection to the tracker: {why}"))
}
