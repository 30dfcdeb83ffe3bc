//! Two mixes of client requests.

use fastrand::Rng;
use heapless::Vec as FewOf;

/// Maximum number of info-hashes in a scrape.
pub(crate) const SCRAPE_TORRENTS: usize = 10;

/// Compute the info-hash of a torrent. A table would make the load wait for memory.
pub(crate) fn info_hash(torrent: u32) -> [u8; 20] {
    let mut octets = [0; 20];
    let mut state = u64::from(torrent).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for chunk in octets.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes()[..chunk.len()]);
    }
    octets
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Connect,
    Announce(Announce),
    Scrape(FewOf<u32, SCRAPE_TORRENTS>),
}

/// An announce; the event numbers are those of BEP 15.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announce {
    pub(crate) torrent: u32,
    pub(crate) port: u16,
    pub(crate) left: u32,
    pub(crate) event: Event,
    pub(crate) wanted: u32,
}

/// The event of an announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Update,
    Completed,
    Started,
    Stopped,
}

impl Event {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Update => 0,
            Self::Completed => 1,
            Self::Started => 2,
            Self::Stopped => 3,
        }
    }
}

/// A source of requests: an endless mix, or each peer once.
pub(crate) trait Requests {
    /// Return the next request of the client with this number, or `None` if it has no more.
    fn next(&mut self, client: usize) -> Option<Request>;
}

/// Kind of mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The mix of `aquatic_udp_load_test` 0.9.0 with its defaults, read from its source (config.rs, lib.rs, worker.rs):
    /// 50 connects and 50 announces to 1 scrape of 1 to 10 info-hashes, 30 peers wanted, every announce "completed" (3
    /// of 4) or "started", 2,000,000 peers in turn.
    Aquatic,
    /// A realistic mix: announces only, 50 peers wanted, mostly updates. A quarter of the 1,000,000 peers are seeders,
    /// and the probability of the torrent of rank r is proportional to 1/r.
    Skewed,
}

impl Kind {
    pub(crate) const fn torrents(self) -> u32 {
        match self {
            Self::Aquatic => 1_000_000,
            Self::Skewed => 100_000,
        }
    }

    pub(crate) const fn peers(self) -> usize {
        match self {
            Self::Aquatic => 2_000_000,
            Self::Skewed => 1_000_000,
        }
    }

    fn random_torrent(self, random: &mut Rng) -> u32 {
        let torrents = f64::from(self.torrents());
        let rank = match self {
            // The load test weights torrent i of N, for P peers, by N/P + exp(6.5 - 500 i/N). The sum of the first term
            // is half of N, the sum of the second exp(6.5)/500 of N.
            Self::Aquatic => {
                let (flat, steep) = (0.5, 6.5_f64.exp() / 500.0);
                if random.f64() * (flat + steep) < flat {
                    random.f64() * torrents
                } else {
                    -(1.0 - random.f64()).ln() * torrents / 500.0
                }
            }
            Self::Skewed => (random.f64() * (torrents + 1.0).ln()).exp() - 1.0,
        };
        (rank as u32).min(self.torrents() - 1)
    }
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    torrent: u32,
    port: u16,
}

/// An endless source of requests; the peers are divided among the clients.
#[derive(Debug)]
pub(crate) struct Mix {
    kind: Kind,
    peers: Box<[Peer]>,
    next: Vec<usize>,
    random: Rng,
}

impl Mix {
    pub(crate) fn new(kind: Kind, clients: usize) -> Self {
        let mut random = Rng::with_seed(7);
        let peer = |_| Peer { torrent: kind.random_torrent(&mut random), port: random.u16(1..) };
        let peers = (0..kind.peers()).map(peer).collect();
        Self { kind, peers, next: (0..clients).collect(), random }
    }

    /// Return requests that announce each of the first `peers` once, to store them in the tracker.
    pub(crate) fn each_once(&mut self, peers: usize) -> EachOnce<'_> {
        let next = (0..self.next.len()).collect();
        EachOnce { peers: peers.min(self.peers.len()), next, mix: self }
    }

    fn next_peer(&mut self, client: usize) -> usize {
        let peer = self.next[client];
        let following = peer + self.next.len();
        self.next[client] = if following < self.peers.len() { following } else { client };
        peer
    }

    fn announce(&mut self, number: usize) -> Announce {
        let Peer { torrent, port } = self.peers[number];
        let (event, left, wanted) = match self.kind {
            Kind::Aquatic if self.random.u8(..4) < 3 => (Event::Completed, 0, 30),
            Kind::Aquatic => (Event::Started, 50, 30),
            Kind::Skewed => {
                let left = u32::from(!(number / self.next.len()).is_multiple_of(4));
                match self.random.u8(..100) {
                    0..3 => (Event::Started, left, 50),
                    3..6 => (Event::Stopped, left, 50),
                    6..8 => (Event::Completed, 0, 50),
                    _ => (Event::Update, left, 50),
                }
            }
        };
        Announce { torrent, port, left, event, wanted }
    }
}

impl Requests for Mix {
    fn next(&mut self, client: usize) -> Option<Request> {
        let number = if self.kind == Kind::Aquatic { self.random.u8(..101) } else { 50 };
        Some(match number {
            0..50 => Request::Connect,
            50..100 => {
                let peer = self.next_peer(client);
                Request::Announce(self.announce(peer))
            }
            _ => {
                let torrents = self.random.usize(1..=SCRAPE_TORRENTS);
                Request::Scrape((0..torrents).map(|_| self.kind.random_torrent(&mut self.random)).collect())
            }
        })
    }
}

/// Requests of [`Mix::each_once`].
#[derive(Debug)]
pub(crate) struct EachOnce<'a> {
    mix: &'a mut Mix,
    peers: usize,
    next: Vec<usize>,
}

impl Requests for EachOnce<'_> {
    fn next(&mut self, client: usize) -> Option<Request> {
        let peer = self.next[client];
        if peer >= self.peers {
            return None;
        }
        self.next[client] += self.next.len();
        let mut announce = self.mix.announce(peer);
        if announce.event == Event::Stopped {
            announce.event = Event::Started;
        }
        Some(Request::Announce(announce))
    }
}
