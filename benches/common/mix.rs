//! What clients ask for: two mixes of requests.

use fastrand::Rng;
use heapless::Vec as FewOf;

/// Info-hashes of a scrape, at most.
pub(crate) const SCRAPE_TORRENTS: usize = 10;

/// The info-hash of a torrent. It is computed, since a table would be the load's own wait for memory.
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

/// An announce; the numbers of events are those of BEP 15.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announce {
    pub(crate) torrent: u32,
    pub(crate) port: u16,
    pub(crate) left: u32,
    pub(crate) event: Event,
    pub(crate) wanted: u32,
}

/// What a client says it does.
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

/// Where requests come from: many in turn, or each peer once.
pub(crate) trait Requests {
    /// The next request of the client with this number, or none if it has no more.
    fn next(&mut self, client: usize) -> Option<Request>;
}

/// Which of the mixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// That of `aquatic_udp_load_test` 0.9.0 with its defaults, read from its source (config.rs, lib.rs, worker.rs): 50
    /// connects and 50 announces to 1 scrape of 1 to 10 info-hashes, 30 peers wanted, every announce "completed" (3 of
    /// 4) or "started", 2,000,000 peers in turn.
    Aquatic,
    /// As swarms are: announces only, 50 peers wanted, most of them updates, a quarter of 1,000,000 peers seeders, and
    /// the torrent of rank r as likely as 1/r.
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
            // Its weight of torrent i of N, for P peers, is N/P + exp(6.5 - 500 i/N): the first summand makes a half of
            // N, the second exp(6.5)/500 of it.
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

/// Requests without end, of peers that are dealt out to the clients.
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

    /// Each of the first `peers` once, to have them in the tracker.
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

/// See [`Mix::each_once`].
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
