//! Head of every response, refusals, plain text, and pages for a browser.
//!
//! | part | layout |
//! |---|---|
//! | status line | `HTTP/1.1`, the number, the reason |
//! | headers | `Content-Type`, `Content-Length`, `Connection`; with 405 also `Allow`; of a page also its policies |
//! | end | an empty line; then only the body |
//! | refusal (BEP 3, BEP 31) | `failure reason`: string; `interval`, `min interval`: integers, seconds; `retry in`: integer, minutes, or the string `never` |

use core::fmt;

use crate::http::Status;
use crate::wire::{Full, Writer};

/// Time after which a refused client may retry: BEP 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryIn {
    /// Omitted from the reply.
    Absent,
    /// Number of minutes. 0 is sent as 1, because the BEP requires a positive number.
    Minutes(u32),
    /// The client should not retry.
    Never,
}

/// Refusal of an announce or a scrape.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// Text that the client shows to its user.
    pub reason: &'a [u8],
    /// Time after which the client may retry, for the clients that know BEP 31.
    pub retry_in: RetryIn,
    /// The same for all others, such as libtorrent: they retry after the interval of the reply (rule 30).
    pub interval_seconds: u32,
}

const BEFORE_LENGTH: &[u8] = b"Content-Type: text/plain\r\nContent-Length: ";
const BEFORE_LENGTH_OF_PAGE: &[u8] = b"Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\
Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\
X-Content-Type-Options: nosniff\r\nContent-Length: ";
const AFTER_LENGTH_KEEP: &[u8] = b"\r\nConnection: keep-alive\r\n\r\n";
const AFTER_LENGTH_CLOSE: &[u8] = b"\r\nConnection: close\r\n\r\n";

/// Return the status line and the headers that depend on the status.
const fn line_and_headers(status: Status) -> &'static str {
    match status {
        // RFC 9110, "405 Method Not Allowed": the response lists the allowed methods.
        Status::MethodNotAllowed => "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD, OPTIONS\r\n",
        status => status.line(),
    }
}

/// Number of digits in the greatest `Content-Length`.
const MAX_LENGTH_DIGITS: usize = 5;
const MAX_BODY_OCTETS: usize = 99_999;

/// Length of the longest head of a 200 response, in bytes.
pub(super) const OK_HEAD_OCTETS: usize =
    b"HTTP/1.1 200 OK\r\n".len() + BEFORE_LENGTH.len() + MAX_LENGTH_DIGITS + AFTER_LENGTH_KEEP.len();

/// Write a response with the body that `body` writes, and return its length in bytes. `out` must have space for up to
/// 4 bytes more than the response.
///
/// # Errors
/// [`Full`] when it does not fit `out`, or when the body is longer than 99,999 bytes.
pub(super) fn emit(
    out: &mut [u8],
    status: Status,
    keep_alive: bool,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<usize, Full> {
    emit_as(BEFORE_LENGTH, out, status, keep_alive, body)
}

/// Write a page for a browser, and return its length in bytes. The browser neither keeps it nor loads anything for it,
/// and names its address, which may have a ticket, to no other host.
///
/// # Errors
/// [`Full`] when it does not fit `out`.
pub fn emit_page(
    out: &mut [u8],
    status: Status,
    keep_alive: bool,
    body: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result,
) -> Result<usize, Full> {
    emit_as(BEFORE_LENGTH_OF_PAGE, out, status, keep_alive, |writer| body(writer).map_err(|_| Full))
}

fn emit_as(
    before_length: &[u8],
    out: &mut [u8],
    status: Status,
    keep_alive: bool,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<usize, Full> {
    let after_length = if keep_alive { AFTER_LENGTH_KEEP } else { AFTER_LENGTH_CLOSE };
    let mut head = Writer::new(out);
    head.raw(line_and_headers(status).as_bytes())?;
    head.raw(before_length)?;
    let length_at = head.octets();

    // `Content-Length` is only known once the body is written. So write the body behind space for the longest length,
    // then move it back to the end of the actual head.
    let body_at = length_at + MAX_LENGTH_DIGITS + after_length.len();
    let mut writer = Writer::new(out.get_mut(body_at..).ok_or(Full)?);
    body(&mut writer)?;
    let body_octets = writer.octets();
    if body_octets > MAX_BODY_OCTETS {
        return Err(Full);
    }

    let mut head = Writer::new(out.get_mut(length_at..).ok_or(Full)?);
    head.decimal(body_octets as u64)?;
    head.raw(after_length)?;
    let head_octets = length_at + head.octets();
    out.copy_within(body_at..body_at + body_octets, head_octets);
    Ok(head_octets + body_octets)
}

/// Write a refusal, and return its length in bytes: status 200 with a `failure reason`, which the client shows to its
/// user, and with the time to retry after.
///
/// # Errors
/// [`Full`] when it does not fit `out`.
pub fn emit_failure(out: &mut [u8], failure: &Failure<'_>, keep_alive: bool) -> Result<usize, Full> {
    emit(out, Status::Ok, keep_alive, |body| {
        body.dictionary()?;
        body.string_entry("failure reason", failure.reason)?;
        body.integer_entry("interval", failure.interval_seconds)?;
        body.integer_entry("min interval", failure.interval_seconds)?;
        match failure.retry_in {
            RetryIn::Absent => {}
            RetryIn::Minutes(minutes) => body.integer_entry("retry in", minutes.max(1))?,
            RetryIn::Never => body.string_entry("retry in", b"never")?,
        }
        body.end()
    })
}

/// Write a response of plain `text`, and return its length in bytes.
///
/// # Errors
/// [`Full`] when it does not fit `out`.
pub fn emit_plain(out: &mut [u8], status: Status, text: &str, keep_alive: bool) -> Result<usize, Full> {
    emit(out, status, keep_alive, |body| body.raw(text.as_bytes()))
}

/// Write the response to an `OPTIONS` request, and return its length in bytes: RFC 9110, "OPTIONS" and "204 No Content",
/// which has neither a body nor a length.
///
/// # Errors
/// [`Full`] when it does not fit `out`.
pub fn emit_options(out: &mut [u8], keep_alive: bool) -> Result<usize, Full> {
    let mut response = Writer::new(out);
    response.raw(b"HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS\r\nConnection: ")?;
    response.raw(if keep_alive { b"keep-alive\r\n\r\n" } else { b"close\r\n\r\n" })?;
    Ok(response.octets())
}

/// Return only the head of a response of this module, as the answer to a HEAD request (RFC 9110, "HEAD").
pub fn without_body(response: &[u8]) -> &[u8] {
    const END: &[u8] = b"\r\n\r\n";
    let end = response.windows(END.len()).position(|window| window == END);
    end.and_then(|end| response.get(..end + END.len())).unwrap_or(response)
}

/// Functions for the tests of all responses.
#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::wire::bencode::strict;

    /// Split a response into head and body. The body must have exactly the length in `Content-Length`.
    pub(crate) fn split(response: &[u8]) -> (String, &[u8]) {
        let head = without_body(response);
        let body = &response[head.len()..];
        let head = String::from_utf8(head.to_vec()).expect("the head is ASCII");
        let (_, length) = head.split_once("\r\nContent-Length: ").expect("every response has its length");
        let (length, _) = length.split_once("\r\n").expect("it is a line");
        assert_eq!(length, body.len().to_string());
        (head, body)
    }

    /// Return the dictionary in a response with status 200.
    pub(crate) fn dictionary(response: &[u8]) -> strict::Value {
        let (head, body) = split(response);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        strict::parse(body).expect("the body is one dictionary with sorted keys")
    }

    #[test]
    fn rule_30_refusals_are_200_with_a_reason_and_the_time_to_retry() {
        let table: [(RetryIn, &[u8]); 5] = [
            (RetryIn::Absent, b"e"),
            (RetryIn::Minutes(5), b"8:retry ini5ee"),
            (RetryIn::Minutes(0), b"8:retry ini1ee"),
            (RetryIn::Minutes(u32::MAX), b"8:retry ini4294967295ee"),
            (RetryIn::Never, b"8:retry in5:nevere"),
        ];
        for (retry_in, end) in table {
            let mut out = [0xa5; 256];
            let failure = Failure { reason: b"not on lan", retry_in, interval_seconds: 90 };
            let octets = emit_failure(&mut out, &failure, true).expect("256 octets are enough");
            assert_eq!(dictionary(&out[..octets]).bytes("failure reason"), Some(&b"not on lan"[..]));
            let start = &b"d14:failure reason10:not on lan8:intervali90e12:min intervali90e"[..];
            assert_eq!(split(&out[..octets]).1, [start, end].concat());
        }
    }

    #[test]
    fn rule_20_every_response_has_its_length_and_nothing_beyond() {
        let mut out = [0xa5; 256];
        let octets = emit_plain(&mut out, Status::NotFound, "not found\n", false).expect("256 octets are enough");
        assert_eq!(
            out[..octets].escape_ascii().to_string(),
            "HTTP/1.1 404 Not Found\\r\\nContent-Type: text/plain\\r\\nContent-Length: 10\\r\\n\
             Connection: close\\r\\n\\r\\nnot found\\n"
        );
        for length in [0, 1, 9, 10, 99, 100, 999, 1_000, 9_999, 10_000, 99_999] {
            let text: String = "0123456789abcdef".chars().cycle().take(length).collect();
            let mut out = vec![0xa5; length + 128];
            let octets = emit_plain(&mut out, Status::Ok, &text, true).expect("128 octets hold the head");
            assert_eq!(split(&out[..octets]).1, text.as_bytes());
            assert!(octets <= OK_HEAD_OCTETS + length);
            assert!(out[OK_HEAD_OCTETS + length..].iter().all(|&octet| octet == 0xa5));
            for short in [0, 10, 50, octets - 1] {
                assert_eq!(emit_plain(&mut out[..short], Status::Ok, &text, true), Err(Full));
            }
            assert_eq!(emit_plain(&mut out[..OK_HEAD_OCTETS + length], Status::Ok, &text, true), Ok(octets));
        }
        assert_eq!(emit_plain(&mut vec![0xa5; 200_000], Status::Ok, &"x".repeat(100_000), true), Err(Full));
    }

    #[test]
    fn rule_24_the_response_says_whether_the_connection_stays() {
        for (keep_alive, expected) in [(true, "\r\nConnection: keep-alive\r\n"), (false, "\r\nConnection: close\r\n")] {
            let mut out = [0xa5; 256];
            let octets = emit_plain(&mut out, Status::Ok, "up\n", keep_alive).expect("256 octets are enough");
            assert!(split(&out[..octets]).0.contains(expected));
        }
    }

    #[test]
    fn the_response_to_options_has_no_body_and_no_length() {
        for (keep_alive, connection) in [(true, "keep-alive"), (false, "close")] {
            let mut out = [0xa5; 256];
            let octets = emit_options(&mut out, keep_alive).expect("256 bytes are enough");
            let expected =
                format!("HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS\r\nConnection: {connection}\r\n\r\n");
            assert_eq!(out[..octets].escape_ascii().to_string(), expected.as_bytes().escape_ascii().to_string());
            assert_eq!(emit_options(&mut out[..octets - 1], keep_alive), Err(Full));
        }
    }

    #[test]
    fn each_status_has_its_status_line() {
        let table = [
            (Status::Ok, "200 OK"),
            (Status::BadRequest, "400 Bad Request"),
            (Status::NotFound, "404 Not Found"),
            (Status::MethodNotAllowed, "405 Method Not Allowed\r\nAllow: GET, HEAD, OPTIONS"),
            (Status::HeaderFieldsTooLarge, "431 Request Header Fields Too Large"),
        ];
        for (status, line) in table {
            let mut out = [0xa5; 256];
            let octets = emit_plain(&mut out, status, "text", false).expect("256 octets are enough");
            let (head, body) = split(&out[..octets]);
            assert!(head.starts_with(&format!("HTTP/1.1 {line}\r\nContent-Type: text/plain\r\n")), "{head}");
            assert_eq!(body, b"text");
        }
    }

    #[test]
    fn the_response_to_a_head_request_is_the_head_alone() {
        let mut out = [0xa5; 256];
        let octets = emit_plain(&mut out, Status::Ok, "a\r\n\r\nb", true).expect("256 octets are enough");
        let head = without_body(&out[..octets]);
        assert!(head.ends_with(b"keep-alive\r\n\r\n"));
        assert_eq!(head.len() + 6, octets);
        assert_eq!(without_body(b"no head"), b"no head");
    }
}
