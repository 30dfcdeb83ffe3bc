//! Eviction: free lines for a newcomer when the budget is used up.
//!
//! A try samples a few lines. It removes the stalest peers of a line if they have missed their announce. If one address
//! occurs in the samples again and again, it removes the peers of that address even if they are fresh, because the
//! address holds more of the pool than one client should. A peer that keeps announcing keeps its place. If no peer can
//! be evicted, the newcomer gets a reply but is not stored.

use heapless::Vec;

use super::age::Tick;
use super::columns::ColumnsRef;
use super::endpoint::address_of;
use super::line::{Inline, Line, LineIndex, Swarm};
use super::meta_word::MetaWord;
use super::swarms::Pool;

/// Number of lines that one try samples.
const SAMPLES: usize = 32;

/// Number of samples of one address at which it holds too much: an eighth of the pool.
const TOO_OFTEN: u8 = 4;

/// Number of lines that a newcomer may need: one for its swarm, one for its place in the index.
const LINES_FOR_A_NEWCOMER: usize = 2;

/// Number of newcomers to turn away after a try that evicted no peer, before the next try: in a flood, 32 lines for
/// each newcomer cost too much.
const TURNED_AWAY_AFTER_A_BARREN_TRY: u32 = 15;

/// Number of peers that a try evicted, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evicted {
    /// Number of peers that had missed their announce.
    pub(crate) stale: u64,
    /// Number of peers of addresses that held too much.
    pub(crate) greedy: u64,
}

impl Evicted {
    /// Return whether any peer was evicted.
    pub(crate) fn any(self) -> bool {
        self != Self::default()
    }
}

/// The part of an address that identifies a client: all of an IPv4 address, the /64 of an IPv6 address (rule 26).
type AddressKey = [u8; 8];

impl Pool {
    /// Try to free lines by eviction. A peer has missed its announce if its age in ticks is `stale_after` or more.
    pub(crate) fn make_room(&mut self, now: Tick, newcomer: &[u8], stale_after: u8) -> Evicted {
        let mut evicted = Evicted::default();
        if self.barren > 0 {
            self.barren -= 1;
            return evicted;
        }
        let mut seen = Vec::<(AddressKey, u8), SAMPLES>::new();
        let mut looked_at = Vec::<LineIndex, SAMPLES>::new();
        for _ in 0..SAMPLES {
            if self.lines.available() >= LINES_FOR_A_NEWCOMER {
                return evicted;
            }
            let line = LineIndex::new(self.random.usize(..self.lines.touched().max(1)));
            if matches!(&self.lines[line], Line::Swarm(swarm) if swarm.is_empty()) {
                self.remove_swarm(line);
                continue;
            }
            // In a small pool the same line is drawn several times, which is no evidence against the address in it.
            if looked_at.contains(&line) {
                continue;
            }
            let _ = looked_at.push(line);
            let Some(stalest) = self.stalest(line, now) else { continue };
            let before = self.peers.all().total();
            if stalest.age >= stale_after {
                self.remove_peers(line, now, |_, seen| seen.age(now) == stalest.age);
                evicted.stale += (before - self.peers.all().total()) as u64;
            } else if stalest.address != key_of(newcomer) && count_up(&mut seen, stalest.address) >= TOO_OFTEN {
                self.remove_peers(line, now, |address, _| key_of(address) == stalest.address);
                evicted.greedy += (before - self.peers.all().total()) as u64;
            }
        }
        if !evicted.any() && self.lines.available() < LINES_FOR_A_NEWCOMER {
            self.barren = TURNED_AWAY_AFTER_A_BARREN_TRY;
        }
        evicted
    }

    fn stalest(&self, line: LineIndex, now: Tick) -> Option<Stalest> {
        match &self.lines[line] {
            Line::Peers4(chained) => stalest_of(chained.items.read(), now),
            Line::Peers6(chained) => stalest_of(chained.items.read(), now),
            Line::Swarm(Swarm { inline: Inline::Peers4(inline), .. }) => stalest_of(inline.read(), now),
            Line::Swarm(Swarm { inline: Inline::Peers6(inline), .. }) => stalest_of(inline.read(), now),
            _ => None,
        }
    }
}

/// The stalest peer of a line.
#[derive(Clone, Copy)]
struct Stalest {
    age: u8,
    address: AddressKey,
}

fn stalest_of<E: Copy + AsRef<[u8]>>(peers: ColumnsRef<'_, E, MetaWord>, now: Tick) -> Option<Stalest> {
    let stalest = peers.iter().max_by_key(|peer| peer.seen().age(now))?;
    Some(Stalest { age: stalest.seen().age(now), address: key_of(address_of(&stalest.endpoint)) })
}

fn key_of(address: &[u8]) -> AddressKey {
    let mut key = [0; 8];
    let octets = address.len().min(key.len());
    key[..octets].copy_from_slice(&address[..octets]);
    key
}

fn count_up(seen: &mut Vec<(AddressKey, u8), SAMPLES>, address: AddressKey) -> u8 {
    if let Some((_, times)) = seen.iter_mut().find(|(known, _)| *known == address) {
        *times += 1;
        return *times;
    }
    // The list has a place for each sample, so this always fits.
    let _ = seen.push((address, 1));
    1
}
