//! HTTP announces: BEP 3, "trackers", with the replies of BEP 23 (compact), 7 (IPv6) and 24 (external IP).
//!
//! | parameter | holds |
//! |---|---|
//! | `info_hash` | 20 bytes |
//! | `port` | decimal, 0 to 65535 |
//! | `left`, `uploaded`, `downloaded` | decimal, bytes; each is optional |
//! | `event` | `started`, `completed`, `stopped`, `paused` (BEP 21); any other value means a regular announce |
//! | `numwant` | decimal; negative or missing means the tracker's default |
//! | `compact` and all others | ignored: replies are always compact, and the peer's address is the request's source |
//!
//! A parameter with an empty value is not given (rule 28): some clients send `left=` for a magnet link.
//!
//! | key of the reply | holds |
//! |---|---|
//! | `complete`, `downloaded`, `incomplete` | integers: seeders, finished downloads, leechers |
//! | `external ip` | 4 or 16 bytes |
//! | `interval`, `min interval` | integers, seconds |
//! | `peers` | 6 bytes per peer |
//! | `peers6` | 18 bytes per peer; omitted when empty |

use core::net::IpAddr;

use super::response;
use crate::http::Status;
use crate::http::query::{BadEscape, NotANumber, Number, decode, decode_exactly, parameters, parse_number};
use crate::wire::{Announce, AnnounceReply, Event, Full, InfoHash, Writer};

/// Length of the longest reply without its peers, in bytes.
pub const ANNOUNCE_REPLY_OVERHEAD_OCTETS: usize = response::OK_HEAD_OCTETS
    + b"d8:completei4294967295e10:downloadedi4294967295e11:external ip16:0123456789abcdef".len()
    + b"10:incompletei4294967295e8:intervali4294967295e12:min intervali4294967295e".len()
    + b"5:peers99999:6:peers699999:e".len();

/// Error: the query is not a valid announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceError {
    /// `info_hash` is missing or empty.
    InfoHashMissing,
    /// `info_hash` is shorter or longer than 20 bytes.
    InfoHashLength,
    /// `port` is missing or empty.
    PortMissing,
    /// `port` is negative or not a number.
    PortNotANumber,
    /// `port` is greater than 65535.
    PortTooLarge,
    /// `left` is not a number.
    LeftNotANumber,
    /// `uploaded` is not a number.
    UploadedNotANumber,
    /// `downloaded` is not a number.
    DownloadedNotANumber,
    /// `numwant` is not a number.
    NumWantNotANumber,
    /// A parameter that the tracker reads has a bad escape.
    BadEscape,
}

impl AnnounceError {
    /// Return the `failure reason`, which the client shows to its user.
    pub fn reason(self) -> &'static str {
        match self {
            Self::InfoHashMissing => "info_hash is missing or empty",
            Self::InfoHashLength => "info_hash must be 20 bytes",
            Self::PortMissing => "port is missing or empty",
            Self::PortNotANumber => "port is not a number",
            Self::PortTooLarge => "port is larger than 65535",
            Self::LeftNotANumber => "left is not a number",
            Self::UploadedNotANumber => "uploaded is not a number",
            Self::DownloadedNotANumber => "downloaded is not a number",
            Self::NumWantNotANumber => "numwant is not a number",
            Self::BadEscape => BAD_ESCAPE_REASON,
        }
    }
}

/// `failure reason` for [`BadEscape`].
pub(super) const BAD_ESCAPE_REASON: &str = "a % in the URL is not followed by two hex digits";

impl From<BadEscape> for AnnounceError {
    fn from(_: BadEscape) -> Self {
        Self::BadEscape
    }
}

/// Parameters of an announce, not yet decoded. The first of each name that is not empty counts.
#[derive(Default)]
struct Parameters<'a> {
    info_hash: Option<&'a [u8]>,
    port: Option<&'a [u8]>,
    left: Option<&'a [u8]>,
    uploaded: Option<&'a [u8]>,
    downloaded: Option<&'a [u8]>,
    event: Option<&'a [u8]>,
    num_want: Option<&'a [u8]>,
}

impl<'a> Parameters<'a> {
    fn read(query: &'a [u8]) -> Self {
        let mut read = Self::default();
        for (name, value) in parameters(query) {
            let slot = match name {
                b"info_hash" => &mut read.info_hash,
                b"port" => &mut read.port,
                b"left" => &mut read.left,
                b"uploaded" => &mut read.uploaded,
                b"downloaded" => &mut read.downloaded,
                b"event" => &mut read.event,
                b"numwant" => &mut read.num_want,
                _ => continue,
            };
            if !value.is_empty() {
                slot.get_or_insert(value);
            }
        }
        read
    }
}

/// Parse the query of an announce: BEP 3, "trackers".
///
/// # Errors
/// `AnnounceError`: the first fault found.
pub fn parse_announce(query: &[u8]) -> Result<Announce, AnnounceError> {
    let read = Parameters::read(query);
    let info_hash = parse_info_hash(read.info_hash.ok_or(AnnounceError::InfoHashMissing)?)?;
    let announce = Announce {
        info_hash: info_hash.ok_or(AnnounceError::InfoHashLength)?,
        port: parse_port(read.port.ok_or(AnnounceError::PortMissing)?)?,
        left: parse_left(read.left)?,
        event: parse_event(read.event.unwrap_or_default())?,
        num_want: parse_num_want(read.num_want)?,
    };
    number(read.uploaded, AnnounceError::UploadedNotANumber)?;
    number(read.downloaded, AnnounceError::DownloadedNotANumber)?;
    Ok(announce)
}

/// Decode an info-hash. Return `None` when it does not have 20 bytes.
pub(super) fn parse_info_hash(value: &[u8]) -> Result<Option<InfoHash>, BadEscape> {
    Ok(decode_exactly(value)?.map(InfoHash))
}

fn number(value: Option<&[u8]>, not_a_number: AnnounceError) -> Result<Option<Number>, AnnounceError> {
    match value.map(parse_number).transpose() {
        Ok(number) => Ok(number),
        Err(NotANumber::BadEscape) => Err(AnnounceError::BadEscape),
        Err(NotANumber::BadDigit) => Err(not_a_number),
    }
}

fn parse_port(value: &[u8]) -> Result<u16, AnnounceError> {
    match number(Some(value), AnnounceError::PortNotANumber)? {
        Some(Number::Natural(port)) => u16::try_from(port).map_err(|_| AnnounceError::PortTooLarge),
        Some(Number::Negative) | None => Err(AnnounceError::PortNotANumber),
    }
}

/// Parse `left`. A client that omits it counts as a leecher, and so does a client that sends -1: it has only a magnet
/// link, so it does not know the size yet.
fn parse_left(value: Option<&[u8]>) -> Result<u64, AnnounceError> {
    match number(value, AnnounceError::LeftNotANumber)? {
        Some(Number::Natural(octets)) => Ok(octets),
        Some(Number::Negative) | None => Ok(u64::MAX),
    }
}

fn parse_num_want(value: Option<&[u8]>) -> Result<Option<u32>, AnnounceError> {
    match number(value, AnnounceError::NumWantNotANumber)? {
        Some(Number::Natural(peers)) => Ok(Some(u32::try_from(peers).unwrap_or(u32::MAX))),
        Some(Number::Negative) | None => Ok(None),
    }
}

fn parse_event(value: &[u8]) -> Result<Event, BadEscape> {
    const NAMES: [(&[u8], Event); 4] = [
        (b"started", Event::Started),
        (b"completed", Event::Completed),
        (b"stopped", Event::Stopped),
        (b"paused", Event::Paused),
    ];
    let decoded = decode(value)?;
    let known = NAMES.iter().find(|(name, _)| decoded.clone().eq(name.iter().copied()));
    Ok(known.map_or(Event::Update, |(_, event)| *event))
}

/// Write the response to an announce, and return its length in bytes. [`ANNOUNCE_REPLY_OVERHEAD_OCTETS`] plus the
/// length of the peers is always enough space.
///
/// # Errors
/// [`Full`] when it does not fit `out`.
pub fn emit_announce(out: &mut [u8], reply: &AnnounceReply<'_>, keep_alive: bool) -> Result<usize, Full> {
    response::emit(out, Status::Ok, keep_alive, |body| {
        body.dictionary()?;
        body.integer_entry("complete", reply.counts.seeders)?;
        body.integer_entry("downloaded", reply.counts.completed)?;
        emit_external_ip(body, reply.external_ip)?;
        body.integer_entry("incomplete", reply.counts.leechers)?;
        body.integer_entry("interval", reply.interval_seconds)?;
        body.integer_entry("min interval", reply.min_interval_seconds)?;
        body.string_entry("peers", reply.peers4)?;
        if !reply.peers6.is_empty() {
            body.string_entry("peers6", reply.peers6)?;
        }
        body.end()
    })
}

fn emit_external_ip(body: &mut Writer<'_>, address: IpAddr) -> Result<(), Full> {
    match address {
        IpAddr::V4(address) => body.string_entry("external ip", &address.octets()),
        IpAddr::V6(address) => body.string_entry("external ip", &address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::SwarmCounts;
    use crate::wire::bencode::strict::Value;
    use crate::wire::http::response::tests::{dictionary, split};

    const HASH: &str = "info_hash=%FF%00%fe%80efghijklmnopqrst";
    const EXPECTED: Announce = Announce {
        info_hash: InfoHash(*b"\xff\x00\xfe\x80efghijklmnopqrst"),
        port: 6881,
        left: u64::MAX,
        event: Event::Update,
        num_want: None,
    };

    /// Parse an announce with a valid info-hash and port, followed by `more`.
    fn announce(more: &str) -> Result<Announce, AnnounceError> {
        parse_announce(format!("{HASH}&port=6881&{more}").as_bytes())
    }

    #[test]
    fn announces_of_common_clients_are_parsed() {
        // Order and spelling of the parameters as in Transmission, libtorrent and uTorrent.
        let table = [
            format!(
                "{HASH}&peer_id=-TR4060-abcdefghijkl&port=6881&uploaded=0&downloaded=0&left=5&numwant=80&key=5b3d\
                     &compact=1&supportcrypto=1&requirecrypto=1&event=started"
            ),
            format!(
                "{HASH}&peer_id=-LT20B0-%21%28%29xxxxxxxxx&port=6881&uploaded=0&downloaded=0&left=5&corrupt=0&key=A1B2\
                     &event=started&numwant=80&compact=1&no_peer_id=1&supportcrypto=1&redundant=0"
            ),
            format!("{HASH}&no_peer_id&port=6881&left=5&event=started&numwant=80&ipv6=fe80%3a%3a1&trackerid=%zz"),
        ];
        for query in table {
            let expected = Announce { left: 5, event: Event::Started, num_want: Some(80), ..EXPECTED };
            assert_eq!(parse_announce(query.as_bytes()), Ok(expected), "{query}");
        }
    }

    #[test]
    fn rule_01_info_hashes_are_any_twenty_bytes() {
        for byte in 0..=255_u8 {
            let query = format!("info_hash={}&port=1", format!("%{byte:02x}").repeat(20));
            assert_eq!(parse_announce(query.as_bytes()).map(|announce| announce.info_hash), Ok(InfoHash([byte; 20])));
        }
        let table = [
            ("", AnnounceError::InfoHashMissing),
            ("abcdefghijklmnopqrs", AnnounceError::InfoHashLength),
            ("abcdefghijklmnopqrstu", AnnounceError::InfoHashLength),
            ("abcdefghijklmnopqrst%00", AnnounceError::InfoHashLength),
            ("0123456789abcdef0123456789abcdef01234567", AnnounceError::InfoHashLength),
            ("%61%62", AnnounceError::InfoHashLength),
            ("abcdefghijklmnopqrs%", AnnounceError::BadEscape),
        ];
        for (value, expected) in table {
            assert_eq!(parse_announce(format!("info_hash={value}&port=1").as_bytes()), Err(expected), "{value}");
        }
        assert_eq!(parse_announce(b"port=1"), Err(AnnounceError::InfoHashMissing));
        assert_eq!(parse_announce(b""), Err(AnnounceError::InfoHashMissing));
    }

    #[test]
    fn rule_02_left_is_64_bit_and_missing_or_absurd_means_leecher() {
        let table = [
            ("", Ok(u64::MAX)),
            ("left", Ok(u64::MAX)),
            ("left=0", Ok(0)),
            ("left=4294967296", Ok(1 << 32)),
            ("left=18446744073709551615", Ok(u64::MAX)),
            ("left=18446744073709551616", Ok(u64::MAX)),
            ("left=340282366920938463463374607431768211456", Ok(u64::MAX)),
            ("left=-1", Ok(u64::MAX)),
            ("left=", Ok(u64::MAX)),
            ("left=all", Err(AnnounceError::LeftNotANumber)),
            ("left=0x0", Err(AnnounceError::LeftNotANumber)),
            ("left=-", Err(AnnounceError::LeftNotANumber)),
            ("left=%", Err(AnnounceError::BadEscape)),
        ];
        for (more, expected) in table {
            assert_eq!(announce(more).map(|announce| announce.left), expected, "{more}");
        }
    }

    #[test]
    fn rule_02_uploaded_and_downloaded_are_numbers_where_they_are_given() {
        let table = [
            ("uploaded=18446744073709551616&downloaded=4294967296", Ok(EXPECTED)),
            ("uploaded=-5", Ok(EXPECTED)),
            ("uploaded=x", Err(AnnounceError::UploadedNotANumber)),
            ("downloaded=", Ok(EXPECTED)),
            ("downloaded=%3", Err(AnnounceError::BadEscape)),
        ];
        for (more, expected) in table {
            assert_eq!(announce(more), expected, "{more}");
        }
    }

    #[test]
    fn rule_03_numwant_has_a_default_and_saturates() {
        let table = [
            ("", Ok(None)),
            ("numwant=", Ok(None)),
            ("numwant=-1", Ok(None)),
            ("numwant=-99", Ok(None)),
            ("numwant=0", Ok(Some(0))),
            ("numwant=200", Ok(Some(200))),
            ("numwant=4294967295", Ok(Some(u32::MAX))),
            ("numwant=4294967296", Ok(Some(u32::MAX))),
            ("numwant=99999999999999999999999", Ok(Some(u32::MAX))),
            ("numwant=many", Err(AnnounceError::NumWantNotANumber)),
        ];
        for (more, expected) in table {
            assert_eq!(announce(more).map(|announce| announce.num_want), expected, "{more}");
        }
    }

    #[test]
    fn rule_04_port_0_is_parsed_and_no_port_is_an_error() {
        let table = [
            ("port=0", Ok(0)),
            ("port=1", Ok(1)),
            ("port=65535", Ok(65535)),
            ("port=65536", Err(AnnounceError::PortTooLarge)),
            ("port=4294967297", Err(AnnounceError::PortTooLarge)),
            ("port=99999999999999999999999", Err(AnnounceError::PortTooLarge)),
            ("port=-1", Err(AnnounceError::PortNotANumber)),
            ("port=", Err(AnnounceError::PortMissing)),
            ("port=http", Err(AnnounceError::PortNotANumber)),
            ("port", Err(AnnounceError::PortMissing)),
            ("", Err(AnnounceError::PortMissing)),
        ];
        for (port, expected) in table {
            let parsed = parse_announce(format!("{HASH}&{port}").as_bytes());
            assert_eq!(parsed.map(|announce| announce.port), expected, "{port}");
        }
    }

    #[test]
    fn rule_05_the_clients_address_changes_nothing() {
        for more in ["ip=8.8.8.8", "ip=", "ip=%zz", "ipv4=10.0.0.1:7", "ipv6=%5B%3A%3A1%5D%3A7", "ip=\u{e9}&ip=x"] {
            assert_eq!(announce(more), Ok(EXPECTED), "{more}");
        }
    }

    #[test]
    fn rule_07_unknown_and_empty_events_are_updates() {
        let table = [
            ("", Ok(Event::Update)),
            ("event=", Ok(Event::Update)),
            ("event", Ok(Event::Update)),
            ("event=empty", Ok(Event::Update)),
            ("event=none", Ok(Event::Update)),
            ("event=starte", Ok(Event::Update)),
            ("event=startedd", Ok(Event::Update)),
            ("event=started", Ok(Event::Started)),
            ("event=completed", Ok(Event::Completed)),
            ("event=stopped", Ok(Event::Stopped)),
            ("event=paused", Ok(Event::Paused)),
            ("event=%73topped", Ok(Event::Stopped)),
            ("event=%", Err(AnnounceError::BadEscape)),
        ];
        for (more, expected) in table {
            assert_eq!(announce(more).map(|announce| announce.event), expected, "{more}");
        }
    }

    #[test]
    fn rule_19_case_raw_bytes_and_plus_signs() {
        let table: [(&[u8], &[u8; 20]); 4] = [
            (b"%aa%AA%aA%Aaefghijklmnopqrst", b"\xaa\xaa\xaa\xaaefghijklmnopqrst"),
            (b"\xaa\xff\x80\xc3efghijklmnopqrst", b"\xaa\xff\x80\xc3efghijklmnopqrst"),
            (b"a+c+efghijklmnopq=?#", b"a+c+efghijklmnopq=?#"),
            (b"%26%3D%25%2befghijklmnopqrst", b"&=%+efghijklmnopqrst"),
        ];
        for (value, expected) in table {
            let query = [b"port=1&info_hash=", value].concat();
            assert_eq!(parse_announce(&query).map(|announce| announce.info_hash), Ok(InfoHash(*expected)));
        }
    }

    #[test]
    fn rule_19_the_first_of_repeated_parameters_counts_and_a_parameter_without_a_value_is_skipped() {
        let first = parse_announce(
            format!(
                "&compact&port=6881&{HASH}&port=7&no_peer_id&left=3&&info_hash=x&left=%&event=paused&event=stopped&"
            )
            .as_bytes(),
        );
        assert_eq!(first, Ok(Announce { left: 3, event: Event::Paused, ..EXPECTED }));
        assert_eq!(announce("left&=0&left=9"), Ok(Announce { left: 9, ..EXPECTED }));
        assert_eq!(announce("peer_id=%&key=%4&unknown=%zz"), Ok(EXPECTED), "the tracker ignores these");
    }

    #[test]
    fn rule_22_compact_is_advisory() {
        for more in ["compact=0", "compact=1", "compact=", "compact", "compact=%", "no_peer_id=0"] {
            assert_eq!(announce(more), Ok(EXPECTED), "{more}");
        }
    }

    #[test]
    fn each_error_has_a_distinct_reason() {
        let all = [
            AnnounceError::InfoHashMissing,
            AnnounceError::InfoHashLength,
            AnnounceError::PortMissing,
            AnnounceError::PortNotANumber,
            AnnounceError::PortTooLarge,
            AnnounceError::LeftNotANumber,
            AnnounceError::UploadedNotANumber,
            AnnounceError::DownloadedNotANumber,
            AnnounceError::NumWantNotANumber,
            AnnounceError::BadEscape,
        ];
        let reasons: std::collections::BTreeSet<_> = all.iter().map(|error| error.reason()).collect();
        assert_eq!(reasons.len(), all.len());
    }

    fn reply<'a>(peers4: &'a [u8], peers6: &'a [u8], external_ip: &str) -> AnnounceReply<'a> {
        AnnounceReply {
            interval_seconds: 1800,
            min_interval_seconds: 900,
            counts: SwarmCounts { seeders: 1, leechers: 2, partial_seeds: 1, completed: 3 },
            peers4,
            peers6,
            external_ip: external_ip.parse().expect("an address"),
        }
    }

    fn emitted(reply: &AnnounceReply<'_>) -> Vec<u8> {
        let mut out = vec![0xa5; ANNOUNCE_REPLY_OVERHEAD_OCTETS + reply.peers4.len() + reply.peers6.len()];
        let octets = emit_announce(&mut out, reply, true).expect("that is the longest reply");
        out.truncate(octets);
        out
    }

    #[test]
    fn rule_20_a_reply_is_exactly_one_response() {
        let mut out = [0xa5; 512];
        let reply = reply(b"\x01\x02\x03\x04\x1a\xe1", b"", "192.0.2.1");
        let octets = emit_announce(&mut out, &reply, false).expect("512 octets are enough");
        assert_eq!(
            out[..octets].escape_ascii().to_string(),
            "HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: 118\\r\\nConnection: close\\r\\n\\r\\n\
             d8:completei1e10:downloadedi3e11:external ip4:\\xc0\\x00\\x02\\x0110:incompletei2e8:intervali1800e\
             12:min intervali900e5:peers6:\\x01\\x02\\x03\\x04\\x1a\\xe1e"
        );
        for short in 0..octets {
            assert_eq!(emit_announce(&mut out[..short], &reply, false), Err(Full));
        }
    }

    #[test]
    fn rule_21_keys_are_sorted_and_peers_is_always_present() {
        let always: [&[u8]; 7] =
            [b"complete", b"downloaded", b"external ip", b"incomplete", b"interval", b"min interval", b"peers"];
        let six = [7; 36];
        let four = [4; 12];
        for (peers4, peers6) in [(&[][..], &[][..]), (&four, &[]), (&[], &six), (&four, &six)] {
            let response = emitted(&reply(peers4, peers6, "192.0.2.1"));
            let dictionary = dictionary(&response);
            assert_eq!(dictionary.keys()[..7], always);
            assert_eq!(dictionary.bytes("peers"), Some(peers4));
            assert_eq!(dictionary.bytes("peers6"), (!peers6.is_empty()).then_some(peers6));
            assert_eq!(dictionary.keys().len(), if peers6.is_empty() { 7 } else { 8 });
            let numbers = ["complete", "downloaded", "incomplete", "interval", "min interval"];
            assert_eq!(numbers.map(|key| dictionary.integer(key)), [1, 3, 2, 1800, 900].map(Some));
        }
    }

    #[test]
    fn rule_21_external_ip_is_4_or_16_raw_bytes() {
        let v4 = emitted(&reply(b"", b"", "192.0.2.1"));
        assert_eq!(dictionary(&v4).get("external ip"), Some(&Value::Bytes(vec![192, 0, 2, 1])));
        let v6 = emitted(&reply(b"", b"", "2001:db8::1"));
        assert_eq!(dictionary(&v6).bytes("external ip"), Some(&b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"[..]));
    }

    #[test]
    fn the_longest_reply_fits_its_bound() {
        let counts = SwarmCounts { seeders: u32::MAX, leechers: u32::MAX, partial_seeds: 0, completed: u32::MAX };
        let longest = AnnounceReply {
            interval_seconds: u32::MAX,
            min_interval_seconds: u32::MAX,
            counts,
            ..reply(&[1; 49_998], &[2; 49_518], "2001:db8::1")
        };
        assert_eq!(emitted(&longest).len(), ANNOUNCE_REPLY_OVERHEAD_OCTETS + 49_998 + 49_518);
    }

    #[test]
    fn replies_of_any_size_parse_back() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..500 {
            let peers4: Vec<u8> = (0..6 * random.usize(..=200)).map(|_| random.u8(..)).collect();
            let peers6: Vec<u8> = (0..18 * random.usize(..=74)).map(|_| random.u8(..)).collect();
            let response = emitted(&AnnounceReply {
                interval_seconds: random.u32(..),
                counts: SwarmCounts { seeders: random.u32(..), ..SwarmCounts::default() },
                ..reply(&peers4, &peers6, "::1")
            });
            assert_eq!(dictionary(&response).bytes("peers"), Some(&peers4[..]));
            assert_eq!(dictionary(&response).bytes("peers6"), Some(&peers6[..]).filter(|peers| !peers.is_empty()));
            assert!(split(&response).0.contains("keep-alive"));
        }
    }

    /// Return a valid query with event number `variant`, and the announce that it encodes.
    fn any_query(random: &mut fastrand::Rng, variant: u32) -> (String, Announce) {
        let octets: [u8; 20] = core::array::from_fn(|_| random.u8(..));
        let (event, expected) = match variant {
            0 => ("", Event::Update),
            1 => ("&event=started", Event::Started),
            2 => ("&event=completed", Event::Completed),
            3 => ("&event=stopped", Event::Stopped),
            4 => ("&event=paused", Event::Paused),
            _ => unreachable!("there are five events"),
        };
        let hash: String = octets.iter().map(|octet| format!("%{octet:02x}")).collect();
        let announce = Announce {
            info_hash: InfoHash(octets),
            port: random.u16(..),
            left: random.u64(..),
            event: expected,
            num_want: random.bool().then(|| random.u32(..)),
        };
        let num_want = announce.num_want.map_or("&numwant=-1".to_owned(), |peers| format!("&numwant={peers}"));
        (format!("info_hash={hash}&port={}&left={}{event}{num_want}", announce.port, announce.left), announce)
    }

    #[test]
    fn queries_of_every_event_survive_truncation_and_flips() {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..500 {
            let (query, expected) = any_query(&mut random, round % 5);
            assert_eq!(parse_announce(query.as_bytes()), Ok(expected), "{query}");
            for octets in 0..query.len() {
                let _ = parse_announce(&query.as_bytes()[..octets]);
            }
            let mut flipped = query.into_bytes();
            for _ in 0..32 {
                let at = random.usize(..flipped.len());
                flipped[at] ^= 1 << random.u32(..8);
                let _ = parse_announce(&flipped);
            }
        }
    }
}
