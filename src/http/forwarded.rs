//! The client behind a proxy, from the header in which the proxy names it.
//!
//! Each proxy adds the address of its own client at the end of the header. So the list of hops is read from the right:
//! a hop is as trustworthy as the proxy that wrote it, which is the hop to its right, and the rightmost one was written
//! by the sender of the request. The client is the rightmost hop that is no trusted proxy. All hops further left may be
//! forged.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::head::Head;

/// Header in which a proxy names its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`: a list of addresses.
    XForwardedFor,
    /// `X-Real-IP`: an address.
    XRealIp,
    /// `CF-Connecting-IP`: an address.
    CfConnectingIp,
    /// `Forwarded`: a list of elements with parameters (RFC 7239).
    Forwarded,
}

impl ForwardingHeader {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::XForwardedFor, Self::XRealIp, Self::CfConnectingIp, Self::Forwarded];

    /// Return its name, as it is usually written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "X-Forwarded-For",
            Self::XRealIp => "X-Real-IP",
            Self::CfConnectingIp => "CF-Connecting-IP",
            Self::Forwarded => "Forwarded",
        }
    }

    /// Return the header with this name, in upper or lower case.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|header| header.name().eq_ignore_ascii_case(name))
    }
}

/// Reason why a request names no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoClient {
    /// The header is missing or empty.
    Absent,
    /// All hops are trusted proxies.
    ProxiesOnly,
    /// The hop that a trusted proxy has written is no address.
    Malformed,
}

/// A hop of the list: an address, or text that is none.
type Hop = Result<IpAddr, NoClient>;

/// Return the client that `header` names: the rightmost hop that is not `trusted`. Several lines of the header are one
/// list (RFC 9110, "Field Order").
///
/// # Errors
/// A [`NoClient`] if there is no such hop, or one to its right is no address.
pub fn forwarded_client(
    head: &Head<'_>,
    header: ForwardingHeader,
    trusted: impl Fn(IpAddr) -> bool,
) -> Result<IpAddr, NoClient> {
    let mut client = Err(NoClient::Absent);
    // From the left, so that a later hop replaces the earlier ones. A trusted hop leaves the choice to those before it.
    each_hop(head, header, |hop| match hop {
        Ok(address) if trusted(address) => {
            if client == Err(NoClient::Absent) {
                client = Err(NoClient::ProxiesOnly);
            }
        }
        hop => client = hop,
    });
    client
}

/// Return whether every hop in these headers of the request is an address for which `accepts` returns true; so also without
/// a hop.
pub fn all_forwarded(head: &Head<'_>, headers: &[ForwardingHeader], accepts: impl Fn(IpAddr) -> bool) -> bool {
    let mut all = true;
    for header in headers {
        each_hop(head, *header, |hop| all &= hop.map_or_else(|no_client| no_client == NoClient::Absent, &accepts));
    }
    all
}

/// Pass each hop of `header` to `each`, in the order of the list. An empty line of the header is an absent hop: the
/// lines before it came from elsewhere.
fn each_hop(head: &Head<'_>, header: ForwardingHeader, mut each: impl FnMut(Hop)) {
    head.read_headers(|headers| {
        let values = headers.iter().filter(|other| other.name.eq_ignore_ascii_case(header.name()));
        for value in values.map(|header| header.value.trim_ascii()) {
            if value.is_empty() {
                each(Err(NoClient::Absent));
            } else if header == ForwardingHeader::Forwarded {
                split_unquoted(value, b',').for_each(|element| each(hop_of_element(element)));
            } else {
                value.split(|byte| *byte == b',').for_each(|hop| each(parse_hop(hop)));
            }
        }
    });
}

/// Return the address in the `for` parameter of an element: RFC 7239, "Forwarded HTTP Header Field". All parameters
/// must be well formed: a forged quotation mark must not hide what a proxy has added behind it.
fn hop_of_element(element: &[u8]) -> Hop {
    let mut hop = Err(NoClient::Malformed);
    for parameter in split_unquoted(element, b';') {
        let parameter = parameter.trim_ascii();
        let equals = parameter.iter().position(|byte| *byte == b'=').ok_or(NoClient::Malformed)?;
        let (name, value) = (&parameter[..equals], unquote(&parameter[equals + 1..]).ok_or(NoClient::Malformed)?);
        if !name.iter().all(u8::is_ascii_alphanumeric) {
            return Err(NoClient::Malformed);
        }
        if name.eq_ignore_ascii_case(b"for") {
            hop = Ok(parse_hop(value)?);
        }
    }
    hop
}

/// Return the content of a quoted string, or the token itself. `None` if it is neither, or the string needs escapes: no
/// address does.
fn unquote(value: &[u8]) -> Option<&[u8]> {
    let (content, forbidden): (_, &[u8]) = match value.strip_prefix(b"\"") {
        Some(quoted) => (quoted.strip_suffix(b"\"")?, b"\"\\"),
        None => (value, b"\"\\,;= \t"),
    };
    (!content.iter().any(|byte| forbidden.contains(byte))).then_some(content)
}

/// Split `value` at each `separator` outside of quoted strings: RFC 9110, "Quoted Strings".
fn split_unquoted(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |byte| {
        let is_escaped = core::mem::take(&mut escaped);
        match *byte {
            _ if is_escaped => false,
            b'\\' => {
                escaped = quoted;
                false
            }
            b'"' => {
                quoted = !quoted;
                false
            }
            byte => byte == separator && !quoted,
        }
    })
}

/// Parse a hop: an IPv6 address may be in brackets, a port is ignored, and a v4-mapped address becomes IPv4.
fn parse_hop(hop: &[u8]) -> Hop {
    let text = core::str::from_utf8(hop.trim_ascii()).map_err(|_| NoClient::Malformed)?;
    parse_address(text).map(|address| address.to_canonical()).ok_or(NoClient::Malformed)
}

fn parse_address(text: &str) -> Option<IpAddr> {
    if let Some(bracketed) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return bracketed.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::super::head::{HeadStatus, parse_head};
    use super::*;

    /// The proxies that these tests trust.
    fn is_proxy(address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(v4) if v4.is_loopback() || v4.octets()[..2] == [172, 18])
    }

    fn with_head<T>(fields: &str, read: impl FnOnce(&Head<'_>) -> T) -> T {
        let bytes = format!("GET / HTTP/1.1\r\nHost: tracker\r\n{fields}\r\n").into_bytes();
        let HeadStatus::Complete(head) = parse_head(&bytes) else { unreachable!("{fields}") };
        read(&head)
    }

    fn client(header: ForwardingHeader, fields: &str) -> Result<String, NoClient> {
        with_head(fields, |head| forwarded_client(head, header, is_proxy)).map(|address| address.to_string())
    }

    #[test]
    fn rule_25_the_client_is_the_rightmost_hop_that_is_no_trusted_proxy() {
        for (fields, expected) in [
            ("X-Forwarded-For: 192.0.2.1\r\n", Ok("192.0.2.1")),
            ("X-Forwarded-For: 203.0.113.7, 172.18.0.5\r\n", Ok("203.0.113.7")),
            ("X-Forwarded-For: 203.0.113.7, 172.18.0.5,127.0.0.1\r\n", Ok("203.0.113.7")),
            ("X-Forwarded-For: 192.168.1.5, 203.0.113.7, 172.18.0.5\r\n", Ok("203.0.113.7")),
            ("X-Forwarded-For: nonsense,192.0.2.1 , 172.18.0.5\r\n", Ok("192.0.2.1")),
            ("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For:  192.0.2.2 \r\n", Ok("192.0.2.2")),
            ("X-Forwarded-For: 192.0.2.1\r\nx-forwarded-FOR: 172.18.0.5\r\n", Ok("192.0.2.1")),
            ("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For:\r\n", Err(NoClient::Absent)),
            ("X-Forwarded-For: 172.18.0.9, 172.18.0.5\r\n", Err(NoClient::ProxiesOnly)),
            ("X-Forwarded-For: 192.0.2.1, nonsense, 172.18.0.5\r\n", Err(NoClient::Malformed)),
            ("X-Forwarded-For: 192.0.2.1,\r\n", Err(NoClient::Malformed)),
            ("X-Forwarded-For: unknown\r\n", Err(NoClient::Malformed)),
            ("X-Forwarded-For:\r\n", Err(NoClient::Absent)),
            ("X-Real-IP: 192.0.2.1\r\n", Err(NoClient::Absent)),
            ("", Err(NoClient::Absent)),
        ] {
            let seen = client(ForwardingHeader::XForwardedFor, fields);
            assert_eq!(seen.as_deref().map_err(|no_client| *no_client), expected, "{fields}");
        }
    }

    #[test]
    fn rule_25_only_the_configured_header_counts() {
        let fields = "X-Forwarded-For: 192.0.2.1\r\nX-Real-IP: 192.0.2.2\r\nCF-Connecting-IP: 192.0.2.3\r\n\
            Forwarded: for=192.0.2.4\r\n";
        for (header, expected) in ForwardingHeader::ALL.into_iter().zip(1..) {
            assert_eq!(client(header, fields), Ok(format!("192.0.2.{expected}")), "{header:?}");
            assert_eq!(ForwardingHeader::of(&header.name().to_lowercase()), Some(header));
        }
        assert_eq!(ForwardingHeader::of("Via"), None);
    }

    #[test]
    fn rule_25_a_hop_is_an_address_or_an_error() {
        for (hop, expected) in [
            ("192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:db8::1:443", "2001:db8::1:443"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\t[2001:DB8:0::1] ", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]", "192.0.2.1"),
            ("[::ffff:c000:201]:1", "192.0.2.1"),
        ] {
            assert_eq!(parse_hop(hop.as_bytes()).map(|address| address.to_string()).as_deref(), Ok(expected));
        }
        let malformed: [&[u8]; 17] = [
            b"",
            b" ",
            b"unknown",
            b"localhost",
            b"192.0.2",
            b"192.0.2.256",
            b"192.0.2.1:",
            b"1",
            b"192.0.2.1:65536",
            b"[192.0.2.1]",
            b"[2001:db8::1",
            b"2001:db8::1]",
            b"[]",
            b"\"[2001:db8::1]\"",
            b"192.0.2.1 192.0.2.2",
            b"fe80::1%eth0",
            b"\xff",
        ];
        for hop in malformed {
            assert_eq!(parse_hop(hop), Err(NoClient::Malformed), "{}", hop.escape_ascii());
        }
    }

    #[test]
    fn rule_25_forwarded_is_parsed_with_its_quotation_marks_and_brackets() {
        for (value, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", Ok("192.0.2.60")),
            ("For=\"[2001:db8:cafe::17]:4711\"", Ok("2001:db8:cafe::17")),
            ("for=192.0.2.43, FOR=\"172.18.0.5:80\" ; by=\"_x,;y\"", Ok("192.0.2.43")),
            ("by=1.2.3.4;for=192.0.2.43", Ok("192.0.2.43")),
            ("for=192.0.2.43,for=172.18.0.5", Ok("192.0.2.43")),
            ("for=unknown", Err(NoClient::Malformed)),
            ("for=\"_gazonk\"", Err(NoClient::Malformed)),
            ("by=1.2.3.4", Err(NoClient::Malformed)),
            ("192.0.2.43", Err(NoClient::Malformed)),
            ("for=\"192.0.2.43", Err(NoClient::Malformed)),
            ("for=192.0.2.43\"", Err(NoClient::Malformed)),
            ("for=\"192.0.2.43\\\"\"", Err(NoClient::Malformed)),
            ("for=", Err(NoClient::Malformed)),
        ] {
            let seen = client(ForwardingHeader::Forwarded, &format!("Forwarded: {value}\r\n"));
            assert_eq!(seen.as_deref().map_err(|no_client| *no_client), expected, "{value}");
        }
    }

    #[test]
    fn rule_25_no_text_that_a_client_sends_hides_the_hop_that_its_proxy_adds() {
        let mut random = fastrand::Rng::with_seed(25);
        let pieces =
            ["for=192.168.1.5", "\"", "\\", ";", ",", "=", " ", "x=\"", "for=\"[fd00::1]\"", "127.0.0.1", "172.18.0.5"];
        for (header, added) in [
            (ForwardingHeader::Forwarded, "for=203.0.113.7"),
            (ForwardingHeader::Forwarded, "for=\"203.0.113.7:80\";proto=http"),
            (ForwardingHeader::XForwardedFor, "203.0.113.7"),
        ] {
            for _ in 0..20_000 {
                let forged: String = (0..random.usize(..7)).map(|_| pieces[random.usize(..pieces.len())]).collect();
                let name = header.name();
                for fields in
                    [format!("{name}: {forged}, {added}\r\n"), format!("{name}: {forged}\r\n{name}: {added}\r\n")]
                {
                    match client(header, &fields) {
                        Ok(seen) => assert_eq!(seen, "203.0.113.7", "{fields}"),
                        Err(no_client) => assert_eq!(no_client, NoClient::Malformed, "{fields}"),
                    }
                }
            }
        }
    }

    #[test]
    fn all_hops_of_all_headers_are_inspected() {
        let is_local = |address: IpAddr| matches!(address, IpAddr::V4(v4) if v4.is_private());
        for (fields, expected) in [
            ("", true),
            ("Via: 203.0.113.7\r\nX-Forwarded-For:\r\n", true),
            ("X-Forwarded-For: 192.168.1.5\r\nForwarded: for=10.0.0.1\r\n", true),
            ("X-Forwarded-For: 192.168.1.5, 203.0.113.7\r\n", false),
            ("X-Forwarded-For: 203.0.113.7, 192.168.1.5\r\n", false),
            ("X-Real-IP: 203.0.113.7\r\n", false),
            ("CF-Connecting-IP: 203.0.113.7\r\n", false),
            ("X-Forwarded-For: 192.168.1.5\r\nForwarded: for=\"203.0.113.7\"\r\n", false),
            ("X-Forwarded-For: unknown\r\n", false),
        ] {
            assert_eq!(
                with_head(fields, |head| all_forwarded(head, &ForwardingHeader::ALL, is_local)),
                expected,
                "{fields}"
            );
        }
    }
}
