//! Requests as bytes, and validation of the replies (BEP 15).

use super::super::mix::{Announce, Request, SCRAPE_TORRENTS, info_hash};

pub(crate) const CONNECT: u32 = 0;
pub(crate) const ANNOUNCE: u32 = 1;
pub(crate) const SCRAPE: u32 = 2;

/// Maximum length of a request in bytes.
pub(crate) const REQUEST_OCTETS: usize = 16 + 20 * SCRAPE_TORRENTS;

/// Maximum length of a reply in bytes: 200 peers.
pub(crate) const REPLY_OCTETS: usize = 20 + 200 * 6;

const PROTOCOL: u64 = 0x417_2710_1980;

/// Return the 32-bit number at an offset, or 0 beyond the end.
pub(crate) fn word(octets: &[u8], at: usize) -> u32 {
    octets.get(at..at + 4).and_then(|octets| octets.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// The expected reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Connection,
    Peers { at_most: u8 },
    Counts { of: u8 },
}

impl Expected {
    pub(crate) fn of(request: &Request) -> Self {
        match request {
            Request::Connect => Self::Connection,
            Request::Announce(announce) => Self::Peers { at_most: announce.wanted as u8 },
            Request::Scrape(torrents) => Self::Counts { of: torrents.len() as u8 },
        }
    }

    pub(crate) const fn action(self) -> u32 {
        match self {
            Self::Connection => CONNECT,
            Self::Peers { .. } => ANNOUNCE,
            Self::Counts { .. } => SCRAPE,
        }
    }

    /// Does `reply` have the expected action and a valid length?
    pub(crate) fn is_met_by(self, reply: &[u8]) -> bool {
        let length_fits = match self {
            Self::Connection => reply.len() == 16,
            Self::Peers { at_most } => {
                let peers = reply.len().wrapping_sub(20);
                reply.len() >= 20 && peers.is_multiple_of(6) && peers / 6 <= usize::from(at_most)
            }
            Self::Counts { of } => reply.len() == 8 + 12 * usize::from(of),
        };
        length_fits && word(reply, 0) == self.action()
    }
}

/// Write a request and return its length in bytes.
pub(crate) fn write(request: &Request, connection_id: u64, transaction: u32, out: &mut [u8; REQUEST_OCTETS]) -> usize {
    let (first, action) = match request {
        Request::Connect => (PROTOCOL, CONNECT),
        Request::Announce(_) => (connection_id, ANNOUNCE),
        Request::Scrape(_) => (connection_id, SCRAPE),
    };
    out[..8].copy_from_slice(&first.to_be_bytes());
    out[8..12].copy_from_slice(&action.to_be_bytes());
    out[12..16].copy_from_slice(&transaction.to_be_bytes());
    match request {
        Request::Connect => 16,
        Request::Announce(announce) => write_announce(announce, out),
        Request::Scrape(torrents) => {
            for (torrent, out) in torrents.iter().zip(out[16..].chunks_exact_mut(20)) {
                out.copy_from_slice(&info_hash(*torrent));
            }
            16 + 20 * torrents.len()
        }
    }
}

fn write_announce(announce: &Announce, out: &mut [u8; REQUEST_OCTETS]) -> usize {
    out[16..36].copy_from_slice(&info_hash(announce.torrent));
    // A peer id for each port: some trackers identify a peer by it.
    out[36..56].fill(b'-');
    out[54..56].copy_from_slice(&announce.port.to_be_bytes());
    out[56..92].fill(0);
    out[64..72].copy_from_slice(&u64::from(announce.left).to_be_bytes());
    out[80..84].copy_from_slice(&announce.event.number().to_be_bytes());
    out[92..96].copy_from_slice(&announce.wanted.to_be_bytes());
    out[96..98].copy_from_slice(&announce.port.to_be_bytes());
    98
}
