//! What an announce says and what its reply holds, whichever transport carried them.

use core::net::IpAddr;
use core::ops::AddAssign;

use super::InfoHash;

/// One announce, as HTTP (BEP 3) and UDP (BEP 15) both carry it. What the tracker has no use for (`uploaded`,
/// `downloaded`, `peer_id`, `key`, `ip`) is checked by the parsers and left behind there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The swarm.
    pub info_hash: InfoHash,
    /// The port that the peer listens on; 0 only makes sense on [`Event::Stopped`].
    pub port: u16,
    /// Octets that the peer still wants, 64 bits on every target; `u64::MAX` where the client did not say.
    pub left: u64,
    /// Why it announces.
    pub event: Event,
    /// How many peers it asks for; `None` (absent, or negative as in BEP 15's -1) means the tracker's default.
    pub num_want: Option<u32>,
}

/// The protocol that carried a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// BEP 3.
    Http,
    /// BEP 15.
    Udp,
}

/// Why a peer announces. Unknown and empty events are [`Event::Update`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The regular announce, or an event that we do not know.
    Update,
    /// The first announce of a session.
    Started,
    /// The download has just finished.
    Completed,
    /// The peer leaves.
    Stopped,
    /// A partial seed: it has all that it wants, which is not all (BEP 21).
    Paused,
}

/// How many peers of which kind a swarm has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmCounts {
    /// Peers with the whole torrent: `complete`.
    pub seeders: u32,
    /// Peers without it, partial seeds included: `incomplete`.
    pub leechers: u32,
    /// Those of `leechers` that download nothing more (BEP 21): `downloaders` is the difference.
    pub partial_seeds: u32,
    /// Downloads that finished while the tracker looked: `downloaded`.
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

/// What a peer that may announce gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnounceReply<'a> {
    /// Seconds until the next announce is wanted, jitter included.
    pub interval_seconds: u32,
    /// Seconds before which the next announce is not wanted.
    pub min_interval_seconds: u32,
    /// The swarm, the asker included.
    pub counts: SwarmCounts,
    /// Peers as 4 octets of address and 2 of port each, big endian (BEP 23).
    pub peers4: &'a [u8],
    /// Peers as 16 octets of address and 2 of port each, big endian (BEP 7).
    pub peers6: &'a [u8],
    /// The address that the asker was seen from (BEP 24), v4-mapped ones made v4.
    pub external_ip: IpAddr,
}
