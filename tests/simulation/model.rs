//! A simple model of all announces and their times: every reply is compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use nakodo::clock::Running;
use nakodo::tracker::External;
use nakodo::wire::Transport;

use crate::common::{Announce, DEFAULT_PEERS, Event, MAX_PEERS, Scraped, Told};

/// First source port; all announced ports are lower.
pub(crate) const FIRST_SOURCE_PORT: u16 = 40_000;
/// Maximum number of peers in the reply to an early announce.
const PEERS_FOR_THE_EARLY: usize = 8;
/// Maximum number of peers in a reply over UDP and IPv6.
const MAX_PEERS6_UDP: usize = 74;

/// Return the resolution of the tracker's peer ages; a sweep takes two of these quanta.
fn quantum(timeout: Duration) -> Duration {
    timeout / 40
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Seeder,
    Partial,
    Leecher,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Running,
    role: Role,
}

/// A requesting client: its address and its transport.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) address: IpAddr,
    pub(crate) transport: Transport,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) timeout: Duration,
    pub(crate) interval: Duration,
    pub(crate) min_interval: Duration,
    pub(crate) lan: Vec<IpNet>,
    pub(crate) external: External,
    /// The pool has room for all peers, so that every live peer must be present.
    pub(crate) roomy: bool,
    pub(crate) peers_told: u64,
    swarms: BTreeMap<[u8; 20], BTreeMap<SocketAddr, Heard>>,
    completed: BTreeMap<[u8; 20], u32>,
}

impl Model {
    pub(crate) fn new(settings: &nakodo::tracker::Settings, roomy: bool) -> Self {
        Self {
            timeout: settings.peer_timeout,
            interval: settings.policy.interval,
            min_interval: settings.policy.min_interval,
            lan: settings.lan.clone(),
            external: settings.policy.external,
            roomy,
            peers_told: 0,
            swarms: BTreeMap::new(),
            completed: BTreeMap::new(),
        }
    }

    pub(crate) fn is_lan(&self, address: IpAddr) -> bool {
        self.lan.iter().any(|prefix| prefix.contains(&address))
    }

    /// Remove the peers of a prefix.
    pub(crate) fn forget(&mut self, prefix: &IpNet) -> usize {
        let before: usize = self.swarms.values().map(BTreeMap::len).sum();
        self.swarms.values_mut().for_each(|peers| peers.retain(|peer, _| !prefix.contains(&peer.ip())));
        before - self.swarms.values().map(BTreeMap::len).sum::<usize>()
    }

    /// Record an announce, and check the tracker's reply.
    pub(crate) fn announced(&mut self, now: Running, asker: Asker, announce: &Announce, told: &Told) {
        let endpoint = SocketAddr::new(asker.address, announce.port);
        let before = self.note(now, endpoint, announce);
        self.check_counts(now, announce, told);
        let most = announce.num_want.map_or(DEFAULT_PEERS, |wanted| usize::try_from(wanted).unwrap_or(DEFAULT_PEERS));
        let most = if announce.event == Event::Stopped { 0 } else { most.min(MAX_PEERS) };
        let early =
            announce.event == Event::Update && before.is_some_and(|heard| now.since(heard.at) < self.min_interval);
        let least = if early { most.min(PEERS_FOR_THE_EARLY) } else { most };
        for v4 in [true, false] {
            let told: Vec<_> = told.peers.iter().filter(|peer| peer.is_ipv4() == v4).copied().collect();
            if asker.transport == Transport::Udp && asker.address.is_ipv4() != v4 {
                assert!(told.is_empty(), "a peer of the other family");
                continue;
            }
            let cap = if asker.transport == Transport::Udp && !v4 { MAX_PEERS6_UDP } else { MAX_PEERS };
            let asked = Asked { now, asker: endpoint, announce, v4, least: least.min(cap), most: most.min(cap) };
            self.check_peers(&asked, &told);
            self.check_enough(&asked, &told);
        }
        self.peers_told += told.peers.len() as u64;
    }

    fn note(&mut self, now: Running, endpoint: SocketAddr, announce: &Announce) -> Option<Heard> {
        let role = role(announce);
        let peers = self.swarms.entry(announce.info_hash).or_default();
        // Drop peers that expired long ago.
        let keep = self.timeout * 2;
        peers.retain(|_, heard| now.since(heard.at) < keep);
        if announce.event == Event::Stopped {
            return peers.remove(&endpoint);
        }
        let before = peers.insert(endpoint, Heard { at: now, role });
        if announce.event == Event::Completed && before.is_some_and(|before| before.role != Role::Seeder) {
            *self.completed.entry(announce.info_hash).or_default() += 1;
        }
        before
    }

    fn heard_within(&self, now: Running, swarm: &[u8; 20], age: Duration) -> impl Iterator<Item = (SocketAddr, Role)> {
        let peers = self.swarms.get(swarm).into_iter().flatten();
        peers.filter(move |(_, heard)| now.since(heard.at) < age).map(|(peer, heard)| (*peer, heard.role))
    }

    /// Return the minimum and maximum number of stored peers: those certainly alive, and also those that the tracker
    /// may not have expired yet.
    fn bounds(&self, now: Running, swarm: &[u8; 20], of: impl Fn(Role) -> bool) -> (usize, usize) {
        let quantum = quantum(self.timeout);
        let count = |age| self.heard_within(now, swarm, age).filter(|(_, role)| of(*role)).count();
        (if self.roomy { count(self.timeout - quantum) } else { 0 }, count(self.timeout + quantum * 3))
    }

    fn check_counts(&self, now: Running, announce: &Announce, told: &Told) {
        let (seeders, leechers) = (told.seeders as usize, told.leechers as usize);
        let stored = announce.event != Event::Stopped;
        assert!(!stored || (if announce.left == 0 { seeders } else { leechers }) > 0, "the counts lack the requester");
        self.check_bounds(now, &announce.info_hash, seeders, leechers);
    }

    fn check_bounds(&self, now: Running, swarm: &[u8; 20], seeders: usize, leechers: usize) {
        let (least, most) = self.bounds(now, swarm, |role| role == Role::Seeder);
        assert!(least <= seeders && seeders <= most, "{seeders} seeders, heard {least} to {most}");
        let (least, most) = self.bounds(now, swarm, |role| role != Role::Seeder);
        assert!(least <= leechers && leechers <= most, "{leechers} leechers, heard {least} to {most}");
    }

    pub(crate) fn scraped(&self, now: Running, swarm: &[u8; 20], (seeders, completed, leechers): Scraped) {
        self.check_bounds(now, swarm, seeders as usize, leechers as usize);
        let most = self.completed.get(swarm).copied().unwrap_or_default();
        assert!(completed <= most, "{completed} finished downloads, heard of {most}");
    }

    /// Return the address under which a requester on the WAN or the LAN may see a peer, if any.
    fn visible(&self, asker_is_lan: bool, peer: SocketAddr) -> Option<SocketAddr> {
        if asker_is_lan || !is_private(peer.ip()) {
            return Some(peer);
        }
        let external = if peer.is_ipv4() { self.external.v4.map(IpAddr::V4) } else { self.external.v6.map(IpAddr::V6) };
        external.map(|address| SocketAddr::new(address, peer.port()))
    }

    /// Return the peers announced within `age` that the requester may see. The flag marks LAN peers.
    fn eligible(&self, asked: &Asked<'_>, age: Duration) -> Vec<(SocketAddr, bool)> {
        let complete = role(asked.announce) != Role::Leecher;
        let asker_is_lan = self.is_lan(asked.asker.ip());
        self.heard_within(asked.now, &asked.announce.info_hash, age)
            .filter(|(peer, role)| peer.is_ipv4() == asked.v4 && !(complete && *role != Role::Leecher))
            .filter(|(peer, _)| *peer != asked.asker)
            .filter_map(|(peer, _)| Some((self.visible(asker_is_lan, peer)?, self.is_lan(peer.ip()))))
            .filter(|(peer, _)| *peer != asked.asker)
            .collect()
    }

    /// Check that the reply contains only eligible peers.
    fn check_peers(&self, asked: &Asked<'_>, told: &[SocketAddr]) {
        let Asked { asker, most, .. } = *asked;
        assert!(told.len() <= most, "{} peers where {most} were wanted", told.len());
        let may: BTreeSet<_> = self.eligible(asked, self.timeout).into_iter().map(|(peer, _)| peer).collect();
        for peer in told {
            assert_ne!(*peer, asker, "the reply lists the requester");
            assert!(peer.port() < FIRST_SOURCE_PORT, "{peer} has a source port");
            assert!(self.is_lan(asker.ip()) || !is_private(peer.ip()), "a WAN client receives {peer}");
            assert!(may.contains(peer), "{peer} is expired, or useless for {asker}");
        }
        // Several LAN peers with the same port have the same external address and port.
        let externals = [self.external.v4.map(IpAddr::V4), self.external.v6.map(IpAddr::V6)];
        let ones: Vec<_> = told.iter().filter(|peer| !externals.contains(&Some(peer.ip()))).collect();
        assert_eq!(ones.iter().collect::<BTreeSet<_>>().len(), ones.len(), "a peer twice");
        if self.is_lan(asker.ip()) {
            assert!(told.is_sorted_by_key(|peer| !self.is_lan(peer.ip())), "LAN peers first: {told:?}");
        }
    }

    /// Check that the reply contains all peers that are certainly alive, up to the wanted number.
    fn check_enough(&self, asked: &Asked<'_>, told: &[SocketAddr]) {
        if !self.roomy {
            return;
        }
        let (asker, least) = (asked.asker, asked.least);
        let surely = self.eligible(asked, self.timeout - quantum(self.timeout));
        assert!(told.len() >= least.min(surely.len()), "{} of {least} wanted, {} alive", told.len(), surely.len());
        if self.is_lan(asker.ip()) {
            let at_home = surely.iter().filter(|(_, lan)| *lan).count();
            let told_at_home = told.iter().filter(|peer| self.is_lan(peer.ip())).count();
            assert!(told_at_home >= least.min(at_home), "{told_at_home} LAN peers of {at_home}");
        }
    }
}

/// An announce and the wanted number of peers of one family.
struct Asked<'a> {
    now: Running,
    asker: SocketAddr,
    announce: &'a Announce,
    v4: bool,
    least: usize,
    most: usize,
}

fn role(announce: &Announce) -> Role {
    match announce.event {
        _ if announce.left == 0 => Role::Seeder,
        Event::Paused => Role::Partial,
        _ => Role::Leecher,
    }
}

/// Is the address private? This is independent of the tracker's own table.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
