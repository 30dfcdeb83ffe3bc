//! The PROXY protocol, versions 1 and 2: the address of the client in front of all bytes of a connection, as a proxy
//! such as HAProxy sends it.

use core::net::SocketAddr;

use ppp::{HeaderResult, PartialResult, v1, v2};

/// Result of parsing the first bytes of a connection from a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The beginning of a header: parse again when more bytes have arrived.
    Incomplete,
    /// No header.
    Malformed,
    /// A complete header.
    Complete {
        /// The address of the client. `None` if the proxy itself is the client, as for its health checks.
        client: Option<SocketAddr>,
        /// Length of the header in bytes. The first request follows.
        octets: usize,
    },
}

/// Maximum length of a header of version 1, in bytes.
const V1_OCTETS: usize = 107;

/// Parse the header at the start of `received`.
pub fn parse_proxy_header(received: &[u8]) -> ProxyHeader {
    // The crate takes a part of a line for an error, and a short line for a part: pass only whole lines to it.
    let start = received.get(..V1_OCTETS).unwrap_or(received);
    let is_v1 = received.first() == Some(&b'P');
    if is_v1 && !start.contains(&b'\n') {
        return if start.len() < V1_OCTETS { ProxyHeader::Incomplete } else { ProxyHeader::Malformed };
    }
    match HeaderResult::parse(received) {
        result if result.is_incomplete() && is_v1 => ProxyHeader::Malformed,
        result if result.is_incomplete() => ProxyHeader::Incomplete,
        HeaderResult::V1(Ok(header)) => {
            let client = match header.addresses {
                v1::Addresses::Tcp4(v4) => Some((v4.source_address, v4.source_port).into()),
                v1::Addresses::Tcp6(v6) => Some((v6.source_address, v6.source_port).into()),
                v1::Addresses::Unknown => None,
            };
            ProxyHeader::Complete { client, octets: header.header.len() }
        }
        HeaderResult::V2(Ok(header)) => {
            let client = match (header.command, header.addresses) {
                (v2::Command::Local, _) => None,
                (v2::Command::Proxy, v2::Addresses::IPv4(v4)) => Some((v4.source_address, v4.source_port).into()),
                (v2::Command::Proxy, v2::Addresses::IPv6(v6)) => Some((v6.source_address, v6.source_port).into()),
                (v2::Command::Proxy, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
            };
            ProxyHeader::Complete { client, octets: header.len() }
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => ProxyHeader::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET /announce?info_hash=\xff\xfe HTTP/1.1\r\n\r\n";

    /// Build a header of version 2 with these addresses, and a TLV (type 4, no operation) of three bytes.
    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let tlv = [4, 0, 3, 1, 2, 3];
        let length = (addresses.len() + tlv.len()) as u16;
        let start = [0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x20 | command, family];
        [&start[..], &length.to_be_bytes(), addresses, &tlv].concat()
    }

    fn table() -> Vec<(Vec<u8>, Option<&'static str>)> {
        let v4 = [203, 0, 113, 7, 10, 0, 0, 1, 0xd9, 0x04, 0x1b, 0x39];
        let v6 =
            [&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..], &[0; 16], &[0xd9, 0x04, 0, 80]].concat();
        vec![
            (b"PROXY TCP4 203.0.113.7 10.0.0.1 55556 6969\r\n".to_vec(), Some("203.0.113.7:55556")),
            (b"PROXY TCP6 2001:db8::7 fd00::1 55556 6969\r\n".to_vec(), Some("[2001:db8::7]:55556")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (v2(1, 0x11, &v4), Some("203.0.113.7:55556")),
            (v2(1, 0x21, &v6), Some("[2001:db8::7]:55556")),
            (v2(0, 0x11, &v4), None),
            (v2(0, 0x00, &[]), None),
            (v2(1, 0x00, &[]), None),
        ]
    }

    #[test]
    fn rule_25_both_versions_name_the_client_in_any_number_of_pieces() {
        for (header, client) in table() {
            let expected =
                ProxyHeader::Complete { client: client.map(|text| text.parse().expect(text)), octets: header.len() };
            let whole = [&header[..], REQUEST].concat();
            assert_eq!(parse_proxy_header(&whole), expected, "{}", header.escape_ascii());
            assert_eq!(parse_proxy_header(&header), expected, "{}", header.escape_ascii());
            for octets in 0..header.len() {
                let parsed = parse_proxy_header(&whole[..octets]);
                assert_eq!(parsed, ProxyHeader::Incomplete, "{octets} of {}", header.escape_ascii());
            }
        }
    }

    #[test]
    fn a_connection_without_a_header_is_malformed() {
        for bytes in [
            REQUEST,
            b"PROXY TCP4 203.0.113.7\r\n",
            b"PROXY TCP4 203.0.113.256 10.0.0.1 1 2\r\n",
            b"PROXY TCP9 203.0.113.7 10.0.0.1 1 2\r\n",
            b"proxy UNKNOWN\r\n",
            b"\x16\x03\x01",
            b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(parse_proxy_header(bytes), ProxyHeader::Malformed, "{}", bytes.escape_ascii());
        }
        let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
        assert_ne!(parse_proxy_header(&endless), ProxyHeader::Incomplete, "a header has at most 107 bytes");
    }

    #[test]
    fn flips_and_noise_never_panic() {
        let mut random = fastrand::Rng::with_seed(13);
        for (header, _) in table() {
            for _ in 0..2_000 {
                let mut bytes = [&header[..], REQUEST].concat();
                let at = random.usize(..header.len());
                bytes[at] ^= 1 << random.u32(..8);
                if let ProxyHeader::Complete { octets, .. } = parse_proxy_header(&bytes) {
                    assert!(octets <= bytes.len());
                }
            }
        }
    }
}
