//! UDP tracker protocol: BEP 15, "UDP tracker protocol", with the options of BEP 41.
//!
//! All values are big endian. Sizes are minimum sizes: "Do not expect packets to be exactly of a certain size".
//!
//! | datagram | offset: field |
//! |---|---|
//! | connect request | 0: u64 protocol id 0x41727101980; 8: u32 action 0; 12: u32 transaction id |
//! | announce request | 0: u64 connection id; 8: u32 action 1; 12: u32 transaction id; 16: info-hash (20); 36: peer id (20); 56: u64 downloaded; 64: u64 left; 72: u64 uploaded; 80: u32 event; 84: u32 IP address; 88: u32 key; 92: i32 num_want; 96: u16 port; 98: options |
//! | scrape request | 0: u64 connection id; 8: u32 action 2; 12: u32 transaction id; 16: info-hashes (20 each) |
//! | connect reply | 0: u32 action 0; 4: u32 transaction id; 8: u64 connection id |
//! | announce reply | 0: u32 action 1; 4: u32 transaction id; 8: u32 interval in seconds; 12: u32 leechers; 16: u32 seeders; 20: peers (6 bytes each over IPv4, 18 over IPv6) |
//! | scrape reply | 0: u32 action 2; 4: u32 transaction id; 8: for each info-hash u32 seeders, u32 completed, u32 leechers |
//! | error reply | 0: u32 action 3; 4: u32 transaction id; 8: message |
//! | option (BEP 41, "Option Types") | 0: u8 type (0 end, 1 no operation, 2 URL data); 1: u8 length; 2: data; types 0 and 1 have one byte |

use core::iter::FusedIterator;
use core::slice;

use super::{Announce, Event, Full, InfoHash, SwarmCounts};

/// Minimum length of an announce request; options follow.
pub const ANNOUNCE_REQUEST_OCTETS: usize = 98;
/// Minimum length of a scrape request: one info-hash.
pub const SCRAPE_REQUEST_MIN_OCTETS: usize = HEADER_OCTETS + InfoHash::OCTETS;
/// Maximum length of a reply. With its IPv6 and UDP headers it needs no fragmentation on a link with an MTU of 1,448
/// bytes.
pub const MAX_REPLY_OCTETS: usize = 1400;
/// Maximum number of peers in an announce reply over IPv4.
pub const MAX_PEERS4: usize = 200;
/// Maximum number of peers in an announce reply over IPv6.
pub const MAX_PEERS6: usize = 74;
/// Maximum number of info-hashes in a scrape. Further ones are ignored: BEP 15, "Scrape" ("up to about 74").
pub const MAX_SCRAPE_INFO_HASHES: usize = 74;

/// Length of the header of a request, and of a connect request, which is only a header.
const HEADER_OCTETS: usize = 16;
const ANNOUNCE_REPLY_OCTETS: usize = 20;
const REPLY_HEADER_OCTETS: usize = 8;
const SCRAPE_ENTRY_OCTETS: usize = 12;

const _: () = assert!(ANNOUNCE_REPLY_OCTETS + MAX_PEERS4 * 6 <= MAX_REPLY_OCTETS);
const _: () = assert!(ANNOUNCE_REPLY_OCTETS + MAX_PEERS6 * 18 <= MAX_REPLY_OCTETS);
const _: () = assert!(REPLY_HEADER_OCTETS + MAX_SCRAPE_INFO_HASHES * SCRAPE_ENTRY_OCTETS <= MAX_REPLY_OCTETS);

/// Field of `N` bytes at offset `AT` of a packet. A field outside its packet does not compile.
struct Field<const AT: usize, const N: usize>;

impl<const AT: usize, const N: usize> Field<AT, N> {
    #[inline]
    fn get<const LEN: usize>(self, packet: &[u8; LEN]) -> [u8; N] {
        const { assert!(AT + N <= LEN) };
        let mut octets = [0; N];
        octets.copy_from_slice(&packet[AT..AT + N]);
        octets
    }

    #[inline]
    fn set<const LEN: usize>(self, packet: &mut [u8; LEN], octets: [u8; N]) {
        const { assert!(AT + N <= LEN) };
        packet[AT..AT + N].copy_from_slice(&octets);
    }
}

const CONNECTION_ID: Field<0, 8> = Field;
const ACTION: Field<8, 4> = Field;
const TRANSACTION_ID: Field<12, 4> = Field;
const INFO_HASH: Field<16, 20> = Field;
const LEFT: Field<64, 8> = Field;
const EVENT: Field<80, 4> = Field;
const NUM_WANT: Field<92, 4> = Field;
const PORT: Field<96, 2> = Field;

const REPLY_ACTION: Field<0, 4> = Field;
const REPLY_TRANSACTION_ID: Field<4, 4> = Field;
const REPLY_CONNECTION_ID: Field<8, 8> = Field;
const REPLY_INTERVAL: Field<8, 4> = Field;
const REPLY_LEECHERS: Field<12, 4> = Field;
const REPLY_SEEDERS: Field<16, 4> = Field;

const ENTRY_SEEDERS: Field<0, 4> = Field;
const ENTRY_COMPLETED: Field<4, 4> = Field;
const ENTRY_LEECHERS: Field<8, 4> = Field;

const PROTOCOL_ID: u64 = 0x0417_2710_1980;
const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// Request in a datagram. Only its format is checked: a `connection_id` may be forged.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    /// Request for a connection id.
    Connect {
        /// Copied into the reply.
        transaction_id: u32,
    },
    /// Announce of a peer, which also requests other peers.
    Announce {
        /// Connection id from a connect reply, or a forgery.
        connection_id: u64,
        /// Copied into the reply.
        transaction_id: u32,
        /// Content of the announce.
        announce: Announce,
        /// Options from offset 98 on.
        options: Options<'a>,
    },
    /// Request for the counts of swarms.
    Scrape {
        /// Connection id from a connect reply, or a forgery.
        connection_id: u64,
        /// Copied into the reply.
        transaction_id: u32,
        /// Info-hashes of the swarms, in the order of the reply.
        info_hashes: InfoHashes<'a>,
    },
}

/// Error: the datagram is not a valid request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The datagram is shorter than its action requires.
    TooShort,
    /// Action 0 without the protocol id from BEP 15, "Connect".
    NotAConnect,
    /// The action is not one of a request.
    UnknownAction,
}

/// Parse a datagram.
///
/// # Errors
/// [`Malformed`]: drop and count the datagram, without a reply. Its source address is unproven and may be forged: BEP
/// 15, "UDP connections / spoofing".
pub fn parse(datagram: &[u8]) -> Result<Request<'_>, Malformed> {
    let header: &[u8; HEADER_OCTETS] = datagram.first_chunk().ok_or(Malformed::TooShort)?;
    let connection_id = u64::from_be_bytes(CONNECTION_ID.get(header));
    let transaction_id = u32::from_be_bytes(TRANSACTION_ID.get(header));
    match u32::from_be_bytes(ACTION.get(header)) {
        CONNECT if connection_id == PROTOCOL_ID => Ok(Request::Connect { transaction_id }),
        CONNECT => Err(Malformed::NotAConnect),
        ANNOUNCE => {
            let (packet, options) = datagram.split_first_chunk().ok_or(Malformed::TooShort)?;
            let (announce, options) = (parse_announce(packet), Options(options));
            Ok(Request::Announce { connection_id, transaction_id, announce, options })
        }
        SCRAPE if datagram.len() < SCRAPE_REQUEST_MIN_OCTETS => Err(Malformed::TooShort),
        SCRAPE => {
            let info_hashes = InfoHashes::new(datagram.get(HEADER_OCTETS..).unwrap_or_default());
            Ok(Request::Scrape { connection_id, transaction_id, info_hashes })
        }
        _ => Err(Malformed::UnknownAction),
    }
}

/// Return the announce in a datagram, for the prefetch. It checks only the action and the length, so [`parse`] may
/// still reject the datagram.
#[inline]
pub fn peek_announce(datagram: &[u8]) -> Option<Announce> {
    let packet: &[u8; ANNOUNCE_REQUEST_OCTETS] = datagram.first_chunk()?;
    (u32::from_be_bytes(ACTION.get(packet)) == ANNOUNCE).then(|| parse_announce(packet))
}

#[inline]
fn parse_announce(packet: &[u8; ANNOUNCE_REQUEST_OCTETS]) -> Announce {
    Announce {
        info_hash: InfoHash(INFO_HASH.get(packet)),
        port: u16::from_be_bytes(PORT.get(packet)),
        left: u64::from_be_bytes(LEFT.get(packet)),
        event: parse_event(u32::from_be_bytes(EVENT.get(packet))),
        num_want: u32::try_from(i32::from_be_bytes(NUM_WANT.get(packet))).ok(),
    }
}

fn parse_event(event: u32) -> Event {
    match event {
        1 => Event::Completed,
        2 => Event::Started,
        3 => Event::Stopped,
        // BEP 21 defines `paused` for HTTP only; over UDP libtorrent sends it as the next number.
        4 => Event::Paused,
        _ => Event::Update,
    }
}

/// Options after an announce request: BEP 41, "Extension Format".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    /// Return the path and query of the tracker URL that the client uses, in the pieces that it sent. Their
    /// concatenation is the text. Empty when the client sent none.
    pub fn url_data(self) -> UrlData<'a> {
        UrlData(self.0)
    }

    /// Return whether the client sent none.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// Iterator over the pieces of [`Options::url_data`]. It ends at the end of the options, or at a truncated option.
#[derive(Clone, Debug)]
pub struct UrlData<'a>(&'a [u8]);

impl<'a> UrlData<'a> {
    fn next_option(&mut self) -> Option<(u8, &'a [u8])> {
        let (&kind, rest) = self.0.split_first()?;
        if kind <= NO_OPERATION {
            self.0 = rest;
            return Some((kind, &[]));
        }
        let (&length, rest) = rest.split_first()?;
        let (data, rest) = rest.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some((kind, data))
    }
}

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const URL_DATA: u8 = 2;

impl<'a> Iterator for UrlData<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            match self.next_option() {
                Some((URL_DATA, data)) => return Some(data),
                Some((END_OF_OPTIONS, _)) | None => {
                    self.0 = &[];
                    return None;
                }
                Some(_) => {}
            }
        }
    }
}

impl FusedIterator for UrlData<'_> {}

/// Iterator over the info-hashes of a scrape request: at most [`MAX_SCRAPE_INFO_HASHES`], in order and with duplicates.
#[derive(Clone, Debug)]
pub struct InfoHashes<'a>(slice::Iter<'a, [u8; InfoHash::OCTETS]>);

impl<'a> InfoHashes<'a> {
    fn new(octets: &'a [u8]) -> Self {
        let (hashes, _cut_off) = octets.as_chunks();
        Self(hashes.get(..MAX_SCRAPE_INFO_HASHES).unwrap_or(hashes).iter())
    }
}

impl Iterator for InfoHashes<'_> {
    type Item = InfoHash;

    fn next(&mut self) -> Option<InfoHash> {
        self.0.next().copied().map(InfoHash)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for InfoHashes<'_> {}
impl FusedIterator for InfoHashes<'_> {}

/// Write the reply to a connect request, and return its length in bytes. The reply is not longer than the shortest
/// request, so a forged source address cannot be used for amplification: BEP 15, "UDP connections / spoofing".
///
/// # Errors
/// [`Full`] when `out` is shorter than 16 bytes.
pub fn emit_connect(out: &mut [u8], transaction_id: u32, connection_id: u64) -> Result<usize, Full> {
    let packet: &mut [u8; 16] = out.first_chunk_mut().ok_or(Full)?;
    emit_header(packet, CONNECT, transaction_id);
    REPLY_CONNECTION_ID.set(packet, connection_id.to_be_bytes());
    Ok(packet.len())
}

/// Write the reply to an announce request, and return its length in bytes. Each of the `peers` has 6 bytes if the
/// request came over IPv4, and 18 bytes if it came over IPv6: BEP 15, "IPv6".
///
/// # Errors
/// [`Full`] when it does not fit `out`, or is longer than [`MAX_REPLY_OCTETS`].
pub fn emit_announce(
    out: &mut [u8],
    transaction_id: u32,
    interval_seconds: u32,
    counts: SwarmCounts,
    peers: &[u8],
) -> Result<usize, Full> {
    let octets = ANNOUNCE_REPLY_OCTETS + peers.len();
    if octets > MAX_REPLY_OCTETS {
        return Err(Full);
    }
    let reply = out.get_mut(..octets).ok_or(Full)?;
    let (packet, room) = reply.split_first_chunk_mut::<ANNOUNCE_REPLY_OCTETS>().ok_or(Full)?;
    emit_header(packet, ANNOUNCE, transaction_id);
    REPLY_INTERVAL.set(packet, interval_seconds.to_be_bytes());
    REPLY_LEECHERS.set(packet, counts.leechers.to_be_bytes());
    REPLY_SEEDERS.set(packet, counts.seeders.to_be_bytes());
    room.copy_from_slice(peers);
    Ok(octets)
}

/// Write the reply to a scrape request, and return its length in bytes. `counts` has one item per info-hash of the
/// request, in the same order: BEP 15, "Scrape".
///
/// # Errors
/// [`Full`] when `counts` does not fit `out`.
pub fn emit_scrape(
    out: &mut [u8],
    transaction_id: u32,
    counts: impl Iterator<Item = SwarmCounts>,
) -> Result<usize, Full> {
    let (packet, rest) = out.split_first_chunk_mut::<REPLY_HEADER_OCTETS>().ok_or(Full)?;
    emit_header(packet, SCRAPE, transaction_id);
    let (entries, _) = rest.as_chunks_mut::<SCRAPE_ENTRY_OCTETS>();
    let mut entries = entries.iter_mut();
    let mut octets = REPLY_HEADER_OCTETS;
    for counts in counts {
        let entry = entries.next().ok_or(Full)?;
        ENTRY_SEEDERS.set(entry, counts.seeders.to_be_bytes());
        ENTRY_COMPLETED.set(entry, counts.completed.to_be_bytes());
        ENTRY_LEECHERS.set(entry, counts.leechers.to_be_bytes());
        octets += SCRAPE_ENTRY_OCTETS;
    }
    Ok(octets)
}

/// Write an error reply, and return its length in bytes: BEP 15, "Errors". The message is cut between two characters,
/// so that the reply has at most `max_octets` bytes. This is the length of the request, so that a forged source address
/// cannot be used for amplification.
///
/// # Errors
/// [`Full`] when `out` or `max_octets` is shorter than the 8 bytes before the message.
pub fn emit_error(out: &mut [u8], transaction_id: u32, message: &str, max_octets: usize) -> Result<usize, Full> {
    let room = out.len().min(max_octets);
    let (packet, rest) = out.get_mut(..room).and_then(<[u8]>::split_first_chunk_mut).ok_or(Full)?;
    emit_header::<REPLY_HEADER_OCTETS>(packet, ERROR, transaction_id);
    let message = cut(message, rest.len()).as_bytes();
    rest.get_mut(..message.len()).ok_or(Full)?.copy_from_slice(message);
    Ok(REPLY_HEADER_OCTETS + message.len())
}

fn emit_header<const LEN: usize>(packet: &mut [u8; LEN], action: u32, transaction_id: u32) {
    REPLY_ACTION.set(packet, action.to_be_bytes());
    REPLY_TRANSACTION_ID.set(packet, transaction_id.to_be_bytes());
}

/// Return the longest prefix of `text` that has at most `max_octets` bytes and ends between two characters.
fn cut(text: &str, max_octets: usize) -> &str {
    let whole = text.len().min(max_octets);
    (0..=whole).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_announces_can_be_peeked() {
        let mut datagram = [7; 120];
        datagram[8..12].copy_from_slice(&ANNOUNCE.to_be_bytes());
        let Ok(Request::Announce { announce, .. }) = parse(&datagram) else { unreachable!("it is one") };
        assert_eq!(peek_announce(&datagram), Some(announce));
        assert_eq!(peek_announce(&datagram[..97]), None);
        datagram[11] = 2;
        assert_eq!(peek_announce(&datagram), None);
    }

    const HASH: [u8; 20] = *b"\xff\x00\xfe\x80efghijklmnopqrst";
    /// Announce request in which every field has a different value.
    const REQUEST: [u8; ANNOUNCE_REQUEST_OCTETS] = *b"\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x01\x0a\x0b\x0c\x0d\
        \xff\x00\xfe\x80efghijklmnopqrst-TR4060-abcdefghijkl\
        \x11\x12\x13\x14\x15\x16\x17\x18\x21\x22\x23\x24\x25\x26\x27\x28\x31\x32\x33\x34\x35\x36\x37\x38\
        \x00\x00\x00\x02\xc0\xa8\x01\x02\x51\x52\x53\x54\x00\x00\x00\x32\x1a\xe1";
    const EXPECTED: Announce = Announce {
        info_hash: InfoHash(HASH),
        port: 6881,
        left: 0x2122_2324_2526_2728,
        event: Event::Started,
        num_want: Some(50),
    };

    fn with<const N: usize>(at: usize, octets: [u8; N]) -> [u8; ANNOUNCE_REQUEST_OCTETS] {
        let mut request = REQUEST;
        request[at..at + N].copy_from_slice(&octets);
        request
    }

    fn announce(datagram: &[u8]) -> Announce {
        let Ok(Request::Announce { connection_id: _, transaction_id: _, announce, options: _ }) = parse(datagram)
        else {
            unreachable!("{} is an announce", datagram.escape_ascii());
        };
        announce
    }

    fn url_data(options: &[u8]) -> Vec<u8> {
        let datagram = [&REQUEST, options].concat();
        let Ok(Request::Announce { options, .. }) = parse(&datagram) else {
            unreachable!("options are never a reason to refuse");
        };
        options.url_data().collect::<Vec<_>>().concat()
    }

    fn scrape(info_hashes: &[u8]) -> Vec<u8> {
        [b"\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x02\x0a\x0b\x0c\x0d", info_hashes].concat()
    }

    fn counts(seeders: u32, leechers: u32, completed: u32) -> SwarmCounts {
        SwarmCounts { seeders, leechers, partial_seeds: 0x99, completed }
    }

    #[test]
    fn a_connect_is_parsed_and_answered() {
        let request = b"\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00\x0a\x0b\x0c\x0d";
        assert!(matches!(parse(request), Ok(Request::Connect { transaction_id: 0x0a0b_0c0d })));
        let mut out = [0xa5; 20];
        assert_eq!(emit_connect(&mut out, 0x0a0b_0c0d, 0x0102_0304_0506_0708), Ok(16));
        assert_eq!(&out, b"\x00\x00\x00\x00\x0a\x0b\x0c\x0d\x01\x02\x03\x04\x05\x06\x07\x08\xa5\xa5\xa5\xa5");
        assert_eq!(emit_connect(&mut [0xa5; 15], 0, 0), Err(Full));
    }

    #[test]
    fn an_announce_is_parsed_and_answered() {
        let Ok(Request::Announce { connection_id, transaction_id, announce, options }) = parse(&REQUEST) else {
            unreachable!("it is an announce");
        };
        assert_eq!((connection_id, transaction_id), (0x0102_0304_0506_0708, 0x0a0b_0c0d));
        assert_eq!(announce, EXPECTED);
        assert_eq!(options.url_data().count(), 0);

        let mut out = [0xa5; 36];
        let peers = b"\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x1a\xe2";
        assert_eq!(emit_announce(&mut out, 0x0a0b_0c0d, 1800, counts(2, 3, 4), peers), Ok(32));
        assert_eq!(
            &out,
            b"\x00\x00\x00\x01\x0a\x0b\x0c\x0d\x00\x00\x07\x08\x00\x00\x00\x03\x00\x00\x00\x02\
              \x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x1a\xe2\xa5\xa5\xa5\xa5"
        );
        assert_eq!(emit_announce(&mut out[..31], 0, 0, counts(0, 0, 0), peers), Err(Full));
    }

    #[test]
    fn a_scrape_is_parsed_and_answered() {
        let datagram = scrape(&[HASH, [7; 20]].concat());
        let Ok(Request::Scrape { connection_id, transaction_id, info_hashes }) = parse(&datagram) else {
            unreachable!("it is a scrape");
        };
        assert_eq!((connection_id, transaction_id), (0x0102_0304_0506_0708, 0x0a0b_0c0d));
        assert_eq!(info_hashes.collect::<Vec<_>>(), [InfoHash(HASH), InfoHash([7; 20])]);

        let mut out = [0xa5; 36];
        let swarms = [counts(1, 2, 3), counts(4, 5, 6)];
        assert_eq!(emit_scrape(&mut out, 0x0a0b_0c0d, swarms.into_iter()), Ok(32));
        assert_eq!(
            &out,
            b"\x00\x00\x00\x02\x0a\x0b\x0c\x0d\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00\x02\
              \x00\x00\x00\x04\x00\x00\x00\x06\x00\x00\x00\x05\xa5\xa5\xa5\xa5"
        );
        assert_eq!(emit_scrape(&mut out[..31], 0, swarms.into_iter()), Err(Full));
        assert_eq!(emit_scrape(&mut out[..7], 0, core::iter::empty()), Err(Full));
    }

    #[test]
    fn each_malformed_datagram_is_reported_with_its_fault() {
        let table: [(&[u8], Malformed); 6] = [
            (b"", Malformed::TooShort),
            (b"\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00\x0a\x0b\x0c", Malformed::TooShort),
            (b"\x00\x00\x04\x17\x27\x10\x19\x81\x00\x00\x00\x00\x0a\x0b\x0c\x0d", Malformed::NotAConnect),
            (b"\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x03\x0a\x0b\x0c\x0d", Malformed::UnknownAction),
            (&REQUEST[..97], Malformed::TooShort),
            (&scrape(&HASH[..19]), Malformed::TooShort),
        ];
        for (datagram, expected) in table {
            assert_eq!(parse(datagram).err(), Some(expected), "{}", datagram.escape_ascii());
        }
    }

    #[test]
    fn rule_01_info_hashes_are_any_twenty_bytes() {
        for byte in 0..=255 {
            assert_eq!(announce(&with(16, [byte; 20])).info_hash, InfoHash([byte; 20]));
        }
    }

    #[test]
    fn rule_02_left_is_64_bit() {
        for left in [0, 1, 1 << 32, (1 << 32) + 1, u64::MAX] {
            assert_eq!(announce(&with(64, left.to_be_bytes())).left, left);
        }
        let four_gib_everywhere = with(56, *b"\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0");
        assert_eq!(announce(&four_gib_everywhere).left, 1 << 32);
    }

    #[test]
    fn rule_03_num_want_has_a_default_that_is_negative() {
        let table = [(-1, None), (i32::MIN, None), (0, Some(0)), (1, Some(1)), (i32::MAX, Some(0x7fff_ffff))];
        for (sent, expected) in table {
            assert_eq!(announce(&with(92, sent.to_be_bytes())).num_want, expected, "{sent}");
        }
    }

    #[test]
    fn rule_04_port_0_is_parsed_and_left_to_the_tracker() {
        for port in [0, 1, 6881, u16::MAX] {
            assert_eq!(announce(&with(96, port.to_be_bytes())).port, port);
        }
    }

    #[test]
    fn rule_05_the_clients_address_changes_nothing() {
        for address in [[0; 4], [192, 168, 1, 9], [8, 8, 8, 8], [255; 4]] {
            assert_eq!(announce(&with(84, address)), EXPECTED);
        }
    }

    #[test]
    fn rule_07_unknown_events_are_updates() {
        let table = [
            (0, Event::Update),
            (1, Event::Completed),
            (2, Event::Started),
            (3, Event::Stopped),
            (4, Event::Paused),
            (5, Event::Update),
            (u32::MAX, Event::Update),
        ];
        for (sent, expected) in table {
            assert_eq!(announce(&with(80, u32::to_be_bytes(sent))).event, expected, "{sent}");
        }
    }

    #[test]
    fn rule_12_sizes_are_minima() {
        let connect = b"\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00\x0a\x0b\x0c\x0d".to_vec();
        let table = [
            (connect, HEADER_OCTETS),
            (REQUEST.to_vec(), ANNOUNCE_REQUEST_OCTETS),
            (scrape(&HASH), SCRAPE_REQUEST_MIN_OCTETS),
        ];
        for (request, least) in table {
            assert_eq!(request.len(), least);
            for octets in 0..least {
                assert_eq!(parse(&request[..octets]).err(), Some(Malformed::TooShort), "{octets} of {least}");
            }
            for more in 0..64 {
                assert!(parse(&[&request[..], &[0xa5; 64][..more]].concat()).is_ok(), "{least} and {more}");
            }
        }
        assert_eq!(announce(&[&REQUEST[..], &[0xa5; 40]].concat()), EXPECTED);
    }

    #[test]
    fn rule_12_url_data_follows_octet_98() {
        let long = [&[2, 255][..], &[b'x'; 255], &[2, 1, b'y']].concat();
        let table: [(&[u8], &[u8]); 12] = [
            (b"", b""),
            (b"\x02\x0c/dir?a=b&c=d", b"/dir?a=b&c=d"),
            (b"\x02\x0c/dir?a=b&c=d\x01\x01\x00", b"/dir?a=b&c=d"),
            (b"\x02\x00", b""),
            (b"\x01\x01\x02\x04/dir", b"/dir"),
            (b"\x02\x02/d\x01\x02\x02ir", b"/dir"),
            (b"\x02\x02/d\x00\x02\x02ir", b"/d"),
            (b"\x09\x03abc\x02\x02/d\xff\x00", b"/d"),
            (b"\x02\x02/d\x02\x05ir", b"/d"),
            (b"\x02\x02/d\x02", b"/d"),
            (b"\x02\x02/d\x09\xff", b"/d"),
            (&long, &[&[b'x'; 255][..], b"y"].concat()),
        ];
        for (options, expected) in table {
            assert_eq!(url_data(options), expected, "{}", options.escape_ascii());
        }
    }

    #[test]
    fn rule_14_an_error_takes_no_more_than_its_limit() {
        let table: [(&str, usize, &[u8]); 6] = [
            ("no", 16, b"\x00\x00\x00\x03\x0a\x0b\x0c\x0dno"),
            ("connection id expired", 16, b"\x00\x00\x00\x03\x0a\x0b\x0c\x0dconnecti"),
            ("1234567\u{e9}", 16, b"\x00\x00\x00\x03\x0a\x0b\x0c\x0d1234567"),
            ("123456\u{e9}", 16, b"\x00\x00\x00\x03\x0a\x0b\x0c\x0d123456\xc3\xa9"),
            ("\u{1f980}", 11, b"\x00\x00\x00\x03\x0a\x0b\x0c\x0d"),
            ("", 8, b"\x00\x00\x00\x03\x0a\x0b\x0c\x0d"),
        ];
        for (message, max_octets, expected) in table {
            let mut out = [0xa5; 40];
            assert_eq!(emit_error(&mut out, 0x0a0b_0c0d, message, max_octets), Ok(expected.len()));
            assert_eq!(&out[..expected.len()], expected);
            assert!(out[expected.len()..].iter().all(|&octet| octet == 0xa5));
            assert_eq!(emit_error(&mut out[..max_octets], 0x0a0b_0c0d, message, 98), Ok(expected.len()));
        }
        assert_eq!(emit_error(&mut [0xa5; 40], 0, "no", 7), Err(Full));
        assert_eq!(emit_error(&mut [0xa5; 7], 0, "no", 40), Err(Full));
    }

    #[test]
    fn rule_15_event_and_action_are_the_whole_word() {
        for bit in 8..32 {
            assert_eq!(announce(&with(80, (3_u32 | 1 << bit).to_be_bytes())).event, Event::Update, "bit {bit}");
            for action in [CONNECT, ANNOUNCE, SCRAPE] {
                let request = with(8, (action | 1 << bit).to_be_bytes());
                assert_eq!(parse(&request).err(), Some(Malformed::UnknownAction), "bit {bit} of {action}");
            }
        }
    }

    #[test]
    fn rule_16_scrapes_keep_order_count_and_duplicates_up_to_74() {
        let sent: Vec<[u8; 20]> = [3, 1, 3, 2, 1].map(|byte| [byte; 20]).to_vec();
        let many: Vec<[u8; 20]> = (0..80).map(|byte| [byte % 7; 20]).collect();
        for (hashes, expected) in [(&sent[..], 5), (&many[..74], 74), (&many[..75], 74), (&many[..], 74)] {
            for cut_off in [0, 1, 19] {
                let datagram = scrape(&[hashes.concat(), vec![9; cut_off]].concat());
                let Ok(Request::Scrape { info_hashes, .. }) = parse(&datagram) else {
                    unreachable!("it is a scrape");
                };
                assert_eq!(info_hashes.len(), if hashes.len() == 80 { 74 } else { expected });
                assert!(info_hashes.clone().map(|hash| hash.0).eq(hashes[..expected].iter().copied()));
            }
        }
    }

    #[test]
    fn rule_16_unknown_swarms_are_zeros() {
        let mut out = [0xa5; 20];
        assert_eq!(emit_scrape(&mut out, 1, [SwarmCounts::default()].into_iter()), Ok(20));
        assert_eq!(&out[8..], [0; 12]);
    }

    #[test]
    fn rule_18_replies_fit_1400_octets() {
        let mut out = [0xa5; 2000];
        let none = SwarmCounts::default();
        assert_eq!(emit_announce(&mut out, 0, 0, none, &[1; MAX_PEERS4 * 6]), Ok(1220));
        assert_eq!(emit_announce(&mut out, 0, 0, none, &[1; MAX_PEERS6 * 18]), Ok(1352));
        assert_eq!(emit_announce(&mut out, 0, 0, none, &[1; 1380]), Ok(MAX_REPLY_OCTETS));
        assert_eq!(emit_announce(&mut out, 0, 0, none, &[1; 1381]), Err(Full));
        assert_eq!(emit_scrape(&mut out, 0, [none; MAX_SCRAPE_INFO_HASHES].into_iter()), Ok(896));
    }

    /// Return a well-formed request with action `variant` and random content.
    fn any_request(random: &mut fastrand::Rng, variant: u32) -> Vec<u8> {
        let id = if variant == CONNECT { PROTOCOL_ID } else { random.u64(..) };
        let mut request = [&id.to_be_bytes()[..], &variant.to_be_bytes(), &random.u32(..).to_be_bytes()].concat();
        let body = match variant {
            CONNECT => 0,
            ANNOUNCE => ANNOUNCE_REQUEST_OCTETS - HEADER_OCTETS,
            SCRAPE => 20 * random.usize(1..=80),
            _ => unreachable!("there are three kinds"),
        };
        request.extend((0..body).map(|_| random.u8(..)));
        request
    }

    /// Read all of a parsed request.
    fn walk(request: Request<'_>) -> usize {
        match request {
            Request::Connect { transaction_id } => transaction_id as usize,
            Request::Announce { options, .. } => options.url_data().map(<[u8]>::len).sum(),
            Request::Scrape { info_hashes, .. } => info_hashes.count(),
        }
    }

    #[test]
    fn truncation_bit_flips_and_noise_never_panic() {
        let mut random = fastrand::Rng::with_seed(15);
        for round in 0..600 {
            let variant = round % 3;
            let request = any_request(&mut random, variant);
            let parsed = parse(&request).expect("it is well formed");
            assert_eq!(
                variant,
                match parsed {
                    Request::Connect { .. } => CONNECT,
                    Request::Announce { .. } => ANNOUNCE,
                    Request::Scrape { .. } => SCRAPE,
                }
            );
            for octets in 0..request.len() {
                let _ = parse(&request[..octets]).map(walk);
            }
            let mut noisy = request;
            noisy.extend((0..random.usize(..40)).map(|_| random.u8(..4)));
            for _ in 0..32 {
                let at = random.usize(..noisy.len());
                noisy[at] ^= 1 << random.u32(..8);
                let _ = parse(&noisy).map(walk);
            }
            let noise: Vec<u8> = (0..random.usize(..1600)).map(|_| random.u8(..)).collect();
            let _ = parse(&noise).map(walk);
        }
    }

    fn word(reply: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(reply[at..at + 4].try_into().expect("four octets"))
    }

    #[test]
    fn replies_of_every_kind_parse_back() {
        let mut random = fastrand::Rng::with_seed(16);
        for round in 0..800_u32 {
            let mut out = [0xa5; MAX_REPLY_OCTETS];
            let transaction_id = random.u32(..);
            let swarms: Vec<SwarmCounts> =
                (0..random.usize(..=74)).map(|_| counts(random.u32(..), random.u32(..), random.u32(..))).collect();
            let one = counts(random.u32(..), random.u32(..), random.u32(..));
            let bytes: Vec<u8> = (0..6 * random.usize(..=MAX_PEERS4)).map(|_| random.u8(..)).collect();
            let text = "a message ".repeat(random.usize(..20));
            let octets = match round % 4 {
                CONNECT => emit_connect(&mut out, transaction_id, u64::from(round)),
                ANNOUNCE => emit_announce(&mut out, transaction_id, round, one, &bytes),
                SCRAPE => emit_scrape(&mut out, transaction_id, swarms.iter().copied()),
                ERROR => emit_error(&mut out, transaction_id, &text, MAX_REPLY_OCTETS),
                _ => unreachable!("there are four kinds"),
            }
            .expect("it fits");
            let (reply, beyond) = out.split_at(octets);
            assert!(beyond.iter().all(|&octet| octet == 0xa5), "nothing is written beyond the reply");
            assert_eq!((word(reply, 0), word(reply, 4)), (round % 4, transaction_id));
            match round % 4 {
                CONNECT => assert_eq!((word(reply, 8), word(reply, 12), octets), (0, round, 16)),
                ANNOUNCE => {
                    assert_eq!((word(reply, 8), word(reply, 12)), (round, one.leechers));
                    assert_eq!((word(reply, 16), &reply[20..]), (one.seeders, &bytes[..]));
                }
                SCRAPE => {
                    let entries =
                        reply[8..].chunks(12).map(|entry| counts(word(entry, 0), word(entry, 8), word(entry, 4)));
                    assert!(entries.eq(swarms));
                }
                _ => assert_eq!(&reply[8..], text.as_bytes()),
            }
        }
    }
}
