//! Head of an HTTP/1.0 or HTTP/1.1 request: RFC 9112, "Request Line" and "Field Syntax".
//!
//! | part | layout |
//! |---|---|
//! | request line | method, space, target, space, `HTTP/1.` and `0` or `1`, line end |
//! | target | path, then optionally `?` and a query; may follow `http://` and a host |
//! | header | name, `:`, value, line end |
//! | end | an empty line |
//!
//! httparse parses only the headers; the request line is parsed here. Clients put the raw bytes of an info-hash into
//! the target, and httparse rejects a target that is not UTF-8.

use httparse::{EMPTY_HEADER, Error, Header};
use memchr::{memchr, memchr2, memrchr};

use super::forwarded::ForwardingHeader;

/// Maximum number of headers; a request with more is [`HeadStatus::TooManyHeaders`]. Each takes 32 bytes of stack, 16
/// on 32-bit targets.
const MAX_HEADERS: usize = 128;

/// Number of headers that is enough for most requests, tried first: clearing space for [`MAX_HEADERS`] takes as long as
/// parsing the rest of the head.
const FEW_HEADERS: usize = 16;

/// Result of parsing the bytes received so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadStatus<'a> {
    /// Complete head.
    Complete(Head<'a>),
    /// Beginning of a head: parse again when more bytes have arrived.
    Incomplete,
    /// Not a request. The start of the next request is unknown, so answer 400 and close.
    Malformed,
    /// More than `MAX_HEADERS` headers: answer 431 and close.
    TooManyHeaders,
}

/// Parts of a request's head that the tracker or the admin API uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Method.
    pub method: Method,
    /// Target before its `?`, not decoded.
    pub path: &'a [u8],
    /// Target after its `?`, not decoded; empty without a `?`.
    pub query: &'a [u8],
    /// Whether the client wants to keep the connection open. Always false when a body follows: a server that does not
    /// read the body must not parse it as the next request, because that allows request smuggling.
    pub keep_alive: bool,
    /// Whether a proxy names a client in one of the [`ForwardingHeader`]s.
    pub is_forwarded: bool,
    /// Value of the first `Authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// The headers and the empty line after them, not parsed.
    pub headers: &'a [u8],
    /// Kind of body after the head.
    pub body: Body,
    /// Length of the head in bytes, including the empty line at its end and any empty lines before it. The body or the
    /// next request follows.
    pub octets: usize,
}

impl<'a> Head<'a> {
    /// Return the value of the `Host` header, if it is a host name or an address, with or without a port: RFC 9110, "Host
    /// and :authority".
    pub fn host(&self) -> Option<&'a str> {
        let value = self.header("host")?;
        let text = core::str::from_utf8(value.trim_ascii()).ok()?;
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        (!text.is_empty() && text.bytes().all(is_allowed)).then_some(text)
    }

    /// Return the value of the first header with this name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.read_headers(|headers| {
            headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
        })
    }

    /// Parse the headers once more, and pass them to `read`. Few requests need more of them than the fields above.
    pub(super) fn read_headers<T>(&self, read: impl FnOnce(&[Header<'a>]) -> T) -> T {
        let mut headers = [EMPTY_HEADER; MAX_HEADERS];
        match httparse::parse_headers(self.headers, &mut headers) {
            Ok(httparse::Status::Complete((_, headers))) => read(headers),
            Ok(httparse::Status::Partial) | Err(_) => read(&[]),
        }
    }
}

/// A request's method: RFC 9110, "Method Definitions".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`, as in announces and scrapes.
    Get,
    /// `HEAD`: like `GET`, but the response has no body.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`, as in the checks of a load balancer.
    Options,
    /// Any other method.
    Other,
}

/// Kind of body after a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// No body.
    Absent,
    /// Body of this many bytes, at least 1.
    Octets(u64),
    /// Body in a transfer encoding, which is not supported. Its end is unknown, so close after the response.
    Encoded,
}

/// Error: a header has an invalid value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Parse the head at the start of `bytes`. More bytes may follow it.
pub fn parse_head(bytes: &[u8]) -> HeadStatus<'_> {
    let start = skip_empty_lines(bytes);
    let Some(end) = memchr(b'\n', start) else {
        return if may_become_a_line(start) { HeadStatus::Incomplete } else { HeadStatus::Malformed };
    };
    let Some((line, fields)) = start.get(..end).zip(start.get(end + 1..)) else { return HeadStatus::Malformed };
    let Some(request_line) = RequestLine::parse(line.strip_suffix(b"\r").unwrap_or(line)) else {
        return HeadStatus::Malformed;
    };
    let before = bytes.len() - fields.len();
    match parse_fields::<FEW_HEADERS>(&request_line, before, fields) {
        HeadStatus::TooManyHeaders => parse_fields::<MAX_HEADERS>(&request_line, before, fields),
        parsed => parsed,
    }
}

/// Parse at most `N` headers from `fields`, which begin `before` bytes after the start of the input.
fn parse_fields<'a, const N: usize>(request_line: &RequestLine<'a>, before: usize, fields: &'a [u8]) -> HeadStatus<'a> {
    let mut headers = [EMPTY_HEADER; N];
    match httparse::parse_headers(fields, &mut headers) {
        Ok(httparse::Status::Complete((octets, headers))) => match Fields::read(headers) {
            Ok(read) => HeadStatus::Complete(request_line.with(&read, before, &fields[..octets])),
            Err(Malformed) => HeadStatus::Malformed,
        },
        Ok(httparse::Status::Partial) => HeadStatus::Incomplete,
        Err(Error::TooManyHeaders) => HeadStatus::TooManyHeaders,
        Err(_) => HeadStatus::Malformed,
    }
}

/// Skip empty lines before the request line: RFC 9112, "Message Parsing".
fn skip_empty_lines(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b"\r\n").or_else(|| bytes.strip_prefix(b"\n")) {
        bytes = rest;
    }
    bytes
}

/// Return whether `start` can be the start of a request line. A control character rules that out, so a TLS client gets
/// its error at once instead of a timeout.
fn may_become_a_line(start: &[u8]) -> bool {
    !start.strip_suffix(b"\r").unwrap_or(start).iter().any(u8::is_ascii_control)
}

struct RequestLine<'a> {
    method: Method,
    path: &'a [u8],
    query: &'a [u8],
    keeps_alive_by_default: bool,
}

impl<'a> RequestLine<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let (method, rest) = line.split_at_checked(memchr(b' ', line)?)?;
        let (target, version) = rest.split_at_checked(memrchr(b' ', rest)?)?;
        let (target, version) = (target.get(1..)?, version.get(1..)?);
        // Check all bytes without an early exit: nearly all targets are well formed, so a branch per byte only costs
        // time.
        if target.iter().fold(false, |found, byte| found | byte.is_ascii_control() | (*byte == b' ')) {
            return None;
        }
        let (path, query) = split_target(target)?;
        let keeps_alive_by_default = match version {
            b"HTTP/1.1" => true,
            b"HTTP/1.0" => false,
            _ => return None,
        };
        Some(Self { method: parse_method(method)?, path, query, keeps_alive_by_default })
    }

    fn with(&self, fields: &Fields<'a>, before: usize, headers: &'a [u8]) -> Head<'a> {
        let body = fields.body();
        let asks_to_keep_alive = (self.keeps_alive_by_default || fields.keep_alive) && !fields.close;
        Head {
            method: self.method,
            path: self.path,
            query: self.query,
            keep_alive: asks_to_keep_alive && body == Body::Absent,
            is_forwarded: fields.is_forwarded,
            authorization: fields.authorization,
            headers,
            body,
            octets: before + headers.len(),
        }
    }
}

fn parse_method(method: &[u8]) -> Option<Method> {
    match method {
        b"GET" => Some(Method::Get),
        b"HEAD" => Some(Method::Head),
        b"POST" => Some(Method::Post),
        b"PUT" => Some(Method::Put),
        b"DELETE" => Some(Method::Delete),
        b"OPTIONS" => Some(Method::Options),
        _ if !method.is_empty() && method.iter().all(u8::is_ascii_graphic) => Some(Method::Other),
        _ => None,
    }
}

/// Split a target into path and query. RFC 9112, "absolute-form": a server also accepts a whole URL.
fn split_target(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let target = match target.strip_prefix(b"http://") {
        Some(rest) => match memchr2(b'/', b'?', rest) {
            Some(end_of_host) => rest.get(end_of_host..)?,
            None => b"/",
        },
        None => target,
    };
    match memchr(b'?', target) {
        Some(mark) => Some((target.get(..mark)?, target.get(mark + 1..)?)),
        None if target.is_empty() => None,
        None => Some((target, &[])),
    }
}

struct Fields<'a> {
    close: bool,
    keep_alive: bool,
    is_forwarded: bool,
    authorization: Option<&'a [u8]>,
    content_length: Option<u64>,
    transfer_encoding: bool,
}

impl<'a> Fields<'a> {
    fn read(headers: &[Header<'a>]) -> Result<Self, Malformed> {
        let mut fields = Self {
            close: false,
            keep_alive: false,
            is_forwarded: false,
            authorization: None,
            content_length: None,
            transfer_encoding: false,
        };
        headers.iter().try_for_each(|header| fields.add(header.name, header.value))?;
        Ok(fields)
    }

    fn add(&mut self, name: &str, value: &'a [u8]) -> Result<(), Malformed> {
        if name.eq_ignore_ascii_case("connection") {
            self.close |= lists(value, b"close");
            self.keep_alive |= lists(value, b"keep-alive");
        } else if name.eq_ignore_ascii_case("authorization") {
            self.authorization.get_or_insert(value);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            self.transfer_encoding = true;
        } else if name.eq_ignore_ascii_case("content-length") {
            let length = parse_length(value)?;
            // RFC 9112, "Message Body Length": lengths that differ allow request smuggling past a proxy.
            if *self.content_length.get_or_insert(length) != length {
                return Err(Malformed);
            }
        } else {
            self.is_forwarded |= ForwardingHeader::of(name).is_some();
        }
        Ok(())
    }

    fn body(&self) -> Body {
        match self.content_length {
            _ if self.transfer_encoding => Body::Encoded,
            None | Some(0) => Body::Absent,
            Some(octets) => Body::Octets(octets),
        }
    }
}

/// Return whether the comma-separated `value` contains `token`, ignoring case.
fn lists(value: &[u8], token: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

fn parse_length(value: &[u8]) -> Result<u64, Malformed> {
    if !value.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    core::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8]) -> Head<'_> {
        let HeadStatus::Complete(head) = parse_head(bytes) else {
            unreachable!("{:?}: {}", parse_head(bytes), bytes.escape_ascii());
        };
        head
    }

    fn with_fields(version: &str, fields: &str) -> Vec<u8> {
        format!("GET /announce?port=1 {version}\r\nHost: tracker\r\n{fields}\r\n").into_bytes()
    }

    #[test]
    fn a_complete_head_is_parsed_into_its_parts() {
        let bytes = b"GET /announce?info_hash=%ff&port=1 HTTP/1.1\r\nHost: t:6969\r\nUser-Agent: x/1\r\n\
            x-FORWARDED-for: 192.0.2.1\r\nauthorization: Bearer abc\r\n\r\nGET";
        assert_eq!(
            head(bytes),
            Head {
                method: Method::Get,
                path: b"/announce",
                query: b"info_hash=%ff&port=1",
                keep_alive: true,
                is_forwarded: true,
                authorization: Some(b"Bearer abc"),
                headers: &bytes[b"GET /announce?info_hash=%ff&port=1 HTTP/1.1\r\n".len()..bytes.len() - 3],
                body: Body::Absent,
                octets: bytes.len() - 3,
            }
        );
    }

    #[test]
    fn methods_paths_and_queries_are_parsed() {
        let table: [(&str, Method, &[u8], &[u8]); 11] = [
            ("GET / ", Method::Get, b"/", b""),
            ("HEAD /scrape ", Method::Head, b"/scrape", b""),
            ("POST /a ", Method::Post, b"/a", b""),
            ("PUT /a ", Method::Put, b"/a", b""),
            ("DELETE /a ", Method::Delete, b"/a", b""),
            ("get /a ", Method::Other, b"/a", b""),
            ("OPTIONS * ", Method::Options, b"*", b""),
            ("GET /a? ", Method::Get, b"/a", b""),
            ("GET /a?b?c=/d ", Method::Get, b"/a", b"b?c=/d"),
            ("GET http://tracker:6969/a?b=http://c/ ", Method::Get, b"/a", b"b=http://c/"),
            ("GET http://tracker ", Method::Get, b"/", b""),
        ];
        for (line, method, path, query) in table {
            let bytes = format!("{line}HTTP/1.1\r\n\r\n").into_bytes();
            let parsed = head(&bytes);
            assert_eq!((parsed.method, parsed.path, parsed.query), (method, path, query), "{line}");
        }
    }

    #[test]
    fn rule_19_raw_bytes_in_the_target_are_kept() {
        for byte in (0x21..=0x7e).chain(0x80..=0xff) {
            let bytes = [b"GET /announce?info_hash=", &[byte; 20][..], b" HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(head(&bytes).query, [b"info_hash=", &[byte; 20][..]].concat(), "{byte:#04x}");
        }
        for byte in (0..=0x20).chain([0x7f]) {
            let bytes = [b"GET /announce?info_hash=", &[byte][..], b"x HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(parse_head(&bytes), HeadStatus::Malformed, "{byte:#04x}");
        }
    }

    #[test]
    fn rule_24_a_head_may_come_in_any_number_of_pieces() {
        for line_end in ["\r\n", "\n"] {
            let whole = format!("\r\nGET /announce?port=1 HTTP/1.1{line_end}Host: t{line_end}A: b{line_end}{line_end}");
            for octets in 0..whole.len() {
                assert_eq!(parse_head(&whole.as_bytes()[..octets]), HeadStatus::Incomplete, "{octets}");
            }
            assert_eq!(head(whole.as_bytes()).octets, whole.len());
        }
    }

    #[test]
    fn rule_24_several_requests_may_come_at_once() {
        let first = with_fields("HTTP/1.1", "");
        let second = b"GET /scrape HTTP/1.0\r\n\r\n";
        let bytes = [&first[..], second, b"GET /a"].concat();
        assert_eq!(head(&bytes).octets, first.len());
        let rest = &bytes[first.len()..];
        assert_eq!((head(rest).path, head(rest).octets), (&b"/scrape"[..], second.len()));
        assert_eq!(parse_head(&rest[second.len()..]), HeadStatus::Incomplete);
    }

    #[test]
    fn rule_24_keep_alive_follows_the_version_and_the_connection_header() {
        let table = [
            ("HTTP/1.1", "", true),
            ("HTTP/1.0", "", false),
            ("HTTP/1.1", "Connection: close\r\n", false),
            ("HTTP/1.1", "connection: CLOSE\r\n", false),
            ("HTTP/1.1", "Connection: keep-alive\r\n", true),
            ("HTTP/1.1", "Connection: upgrade , Close\r\n", false),
            ("HTTP/1.1", "Connection: closed\r\n", true),
            ("HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
            ("HTTP/1.1", "Connection:\r\n", true),
            ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
            ("HTTP/1.0", "Connection: TE,keep-alive\r\n", true),
            ("HTTP/1.0", "Connection: keep-alive, close\r\n", false),
            ("HTTP/1.0", "Keep-Alive: timeout=5\r\n", false),
        ];
        for (version, fields, expected) in table {
            assert_eq!(head(&with_fields(version, fields)).keep_alive, expected, "{version} {fields}");
        }
    }

    #[test]
    fn rule_24_many_headers_are_accepted() {
        let fields = |count: usize| "X: y\r\n".repeat(count - 1);
        assert!(head(&with_fields("HTTP/1.1", &fields(MAX_HEADERS))).keep_alive);
        let one_more = with_fields("HTTP/1.1", &fields(MAX_HEADERS + 1));
        assert_eq!(parse_head(&one_more), HeadStatus::TooManyHeaders);
        let long = with_fields("HTTP/1.1", &format!("Cookie: {}\r\n", "c".repeat(60_000)));
        assert_eq!(head(&long).octets, long.len());
    }

    #[test]
    fn malformed_requests_are_rejected() {
        let table: [&[u8]; 16] = [
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"GET /announce\r\n",
            b"GET /announce HTTP/2.0\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /announce HTTP/1.1 \r\n\r\n",
            b"GET  /announce HTTP/1.1\r\n\r\n",
            b" GET /announce HTTP/1.1\r\n\r\n",
            b"GET /a b HTTP/1.1\r\n\r\n",
            b"GET  HTTP/1.1\r\n\r\n",
            b"/announce HTTP/1.1\r\n\r\n",
            b"G\xc9T / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: \x01\r\n\r\n",
            b"\x13BitTorrent protocol",
        ];
        for bytes in table {
            assert_eq!(parse_head(bytes), HeadStatus::Malformed, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_body_is_never_parsed_as_the_next_request() {
        let table = [
            ("Content-Length: 0\r\n", Some(Body::Absent), true),
            ("content-length: 30\r\n", Some(Body::Octets(30)), false),
            ("Content-Length: 30\r\nContent-Length: 30\r\n", Some(Body::Octets(30)), false),
            ("Transfer-Encoding: chunked\r\n", Some(Body::Encoded), false),
            ("Transfer-Encoding: identity\r\nContent-Length: 0\r\n", Some(Body::Encoded), false),
            ("Content-Length: 0\r\nContent-Length: 30\r\n", None, false),
            ("Content-Length: 3, 3\r\n", None, false),
            ("Content-Length: -1\r\n", None, false),
            ("Content-Length: +1\r\n", None, false),
            ("Content-Length:\r\n", None, false),
            ("Content-Length: 0x1e\r\n", None, false),
            ("Content-Length: 18446744073709551616\r\n", None, false),
        ];
        for (fields, body, keep_alive) in table {
            let bytes = with_fields("HTTP/1.1", fields);
            match body {
                Some(body) => assert_eq!((head(&bytes).body, head(&bytes).keep_alive), (body, keep_alive), "{fields}"),
                None => assert_eq!(parse_head(&bytes), HeadStatus::Malformed, "{fields}"),
            }
        }
    }

    #[test]
    fn a_host_is_returned_if_it_can_be_part_of_a_url() {
        for (fields, expected) in [
            ("Host: tracker.example:6969\r\n", Some("tracker.example:6969")),
            ("HOST:  [2001:db8::1]:80 \r\n", Some("[2001:db8::1]:80")),
            ("Host: a/b\r\n", None),
            ("Host: \"<script>\"\r\n", None),
            ("Host:\r\n", None),
            ("X: y\r\n", None),
        ] {
            let bytes = format!("GET / HTTP/1.1\r\n{fields}\r\n").into_bytes();
            assert_eq!(head(&bytes).host(), expected, "{fields}");
        }
    }

    #[test]
    fn truncation_flips_and_noise_never_panic() {
        let mut random = fastrand::Rng::with_seed(24);
        let whole =
            with_fields("HTTP/1.1", "X-Forwarded-For: [::1]:1\r\nContent-Length: 5\r\nConnection: a, close\r\n");
        for _ in 0..4_000 {
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] ^= 1 << random.u32(..8);
            }
            bytes.truncate(random.usize(..=bytes.len()));
            if let HeadStatus::Complete(head) = parse_head(&bytes) {
                assert!(head.octets <= bytes.len());
                assert!(head.octets >= head.headers.len() && head.headers.ends_with(b"\n"));
            }
            let noise: Vec<u8> = (0..random.usize(..200)).map(|_| random.u8(..)).collect();
            let _ = parse_head(&noise);
        }
    }
}
