//! BEP 15 from the client's side, independent of the tracker's own parser.

use std::net::{Ipv6Addr, SocketAddr};

use super::{Announce, Event, Refused, Scraped, Told};

const PROTOCOL_ID: u64 = 0x0417_2710_1980;

pub(crate) fn connect(transaction: u32) -> [u8; 16] {
    let mut packet = [0; 16];
    packet[..8].copy_from_slice(&PROTOCOL_ID.to_be_bytes());
    packet[12..].copy_from_slice(&transaction.to_be_bytes());
    packet
}

pub(crate) fn announce(connection: u64, transaction: u32, announce: &Announce) -> [u8; 98] {
    let mut packet = [0; 98];
    packet[..8].copy_from_slice(&connection.to_be_bytes());
    packet[11] = 1;
    packet[12..16].copy_from_slice(&transaction.to_be_bytes());
    packet[16..36].copy_from_slice(&announce.info_hash);
    packet[36..56].copy_from_slice(b"-XX0001-abcdefghijkl");
    packet[64..72].copy_from_slice(&announce.left.to_be_bytes());
    packet[80..84].copy_from_slice(&event_word(announce.event).to_be_bytes());
    packet[92..96].copy_from_slice(&announce.num_want.unwrap_or(-1).to_be_bytes());
    packet[96..].copy_from_slice(&announce.port.to_be_bytes());
    packet
}

pub(crate) fn event_word(event: Event) -> u32 {
    match event {
        Event::Update => 0,
        Event::Completed => 1,
        Event::Started => 2,
        Event::Stopped => 3,
        Event::Paused => 4,
    }
}

pub(crate) fn scrape(connection: u64, transaction: u32, info_hashes: &[[u8; 20]]) -> Vec<u8> {
    let mut packet = connection.to_be_bytes().to_vec();
    packet.extend(2_u32.to_be_bytes());
    packet.extend(transaction.to_be_bytes());
    packet.extend(info_hashes.as_flattened());
    packet
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Connect(u64),
    Announce(Told),
    Scrape(Vec<Scraped>),
    Error(String),
}

impl Reply {
    /// Parse the reply in `packet` and check its length and its transaction id. The family of `to` determines the
    /// length of a peer; a v4-mapped address is IPv4.
    pub(crate) fn parse(packet: &[u8], to: SocketAddr, transaction: u32) -> Self {
        assert!(packet.len() >= 8 && packet.len() <= 1400, "a reply of {} bytes", packet.len());
        assert_eq!(word(packet, 4), transaction, "the transaction id");
        let rest = &packet[8..];
        match word(packet, 0) {
            0 => Self::Connect(u64::from_be_bytes(rest.try_into().expect("16 octets"))),
            1 => Self::Announce(Told {
                interval: word(rest, 0),
                leechers: word(rest, 4),
                seeders: word(rest, 8),
                peers: if to.ip().to_canonical().is_ipv4() { peers4(&rest[12..]) } else { peers6(&rest[12..]) },
            }),
            2 => Self::Scrape(whole(rest, 12).map(|entry| (word(entry, 0), word(entry, 4), word(entry, 8))).collect()),
            3 => Self::Error(String::from_utf8(rest.to_vec()).expect("text")),
            action => unreachable!("action {action} in a reply"),
        }
    }

    pub(crate) fn told(self) -> Result<Told, Refused> {
        match self {
            Self::Announce(told) => Ok(told),
            Self::Error(reason) => Err(Refused { reason, retry_in: None }),
            other => unreachable!("{other:?} to an announce"),
        }
    }
}

fn word(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(packet[at..at + 4].try_into().expect("4 octets"))
}

fn whole(octets: &[u8], each: usize) -> std::slice::ChunksExact<'_, u8> {
    assert!(octets.len().is_multiple_of(each), "{} bytes in entries of {each}", octets.len());
    octets.chunks_exact(each)
}

pub(crate) fn peers4(octets: &[u8]) -> Vec<SocketAddr> {
    let peer = |peer: &[u8]| SocketAddr::from(([peer[0], peer[1], peer[2], peer[3]], port(&peer[4..])));
    whole(octets, 6).map(peer).collect()
}

pub(crate) fn peers6(octets: &[u8]) -> Vec<SocketAddr> {
    let address = |peer: &[u8]| Ipv6Addr::from(<[u8; 16]>::try_from(&peer[..16]).expect("16 octets"));
    whole(octets, 18).map(|peer| SocketAddr::from((address(peer), port(&peer[16..])))).collect()
}

fn port(octets: &[u8]) -> u16 {
    u16::from_be_bytes([octets[0], octets[1]])
}
