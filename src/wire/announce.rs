//! Content of an announce and of its reply, common to HTTP and UDP.

use core::net::IpAddr;
use core::ops::AddAssign;

use super::InfoHash;

/// One announce, with the fields that HTTP (BEP 3) and UDP (BEP 15) have in common. The parsers drop the fields that
/// the tracker does not use: `uploaded`, `downloaded`, `peer_id`, `key`, `ip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce {
    /// Info-hash of the swarm.
    pub info_hash: InfoHash,
    /// Port that the peer listens on; 0 is only meaningful with [`Event::Stopped`].
    pub port: u16,
    /// Bytes that the peer still has to download; 64 bits on every target. `u64::MAX` when the request omits it.
    pub left: u64,
    /// Reason for the announce.
    pub event: Event,
    /// Number of peers requested; `None` (absent, or negative as in BEP 15's -1) means the tracker's default.
    pub num_want: Option<u32>,
}

/// Protocol that carried a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// BEP 3.
    Http,
    /// BEP 15.
    Udp,
}

/// Reason for an announce. Unknown and empty events are [`Event::Update`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Regular announce, or an unknown event.
    Update,
    /// First announce of a session.
    Started,
    /// The peer has just finished its download.
    Completed,
    /// The peer leaves the swarm.
    Stopped,
    /// The peer is a partial seed: it has every file that it selected, but not the whole torrent (BEP 21).
    Paused,
}

/// Numbers of peers and of finished downloads in a swarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmCounts {
    /// Peers that have the whole torrent: `complete`.
    pub seeders: u32,
    /// All other peers, including partial seeds: `incomplete`.
    pub leechers: u32,
    /// Partial seeds among `leechers` (BEP 21). `downloaders` in a scrape is the difference.
    pub partial_seeds: u32,
    /// Finished downloads that the tracker has counted: `downloaded`.
    pub completed: u32,
}

impl AddAssign for SwarmCounts {
    fn add_assign(&mut self, other: Self) {
        self.seeders += other.seeders;
        self.leechers += other.leechers;
        self.partial_seeds += other.partial_seeds;
        self.completed = self.completed.saturating_add(other.completed);
    }
}

/// Reply to an admitted announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnounceReply<'a> {
    /// Seconds until the next announce, including jitter.
    pub interval_seconds: u32,
    /// Minimum number of seconds until the next announce.
    pub min_interval_seconds: u32,
    /// Counts of the swarm, including the requester.
    pub counts: SwarmCounts,
    /// IPv4 peers, each 4 bytes of address and 2 bytes of port, big endian (BEP 23).
    pub peers4: &'a [u8],
    /// IPv6 peers, each 16 bytes of address and 2 bytes of port, big endian (BEP 7).
    pub peers6: &'a [u8],
    /// Source address of the request (BEP 24); a v4-mapped address is given as IPv4.
    pub external_ip: IpAddr,
}
