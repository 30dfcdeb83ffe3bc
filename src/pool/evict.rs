//! Room for a newcomer when the budget is used up.
//!
//! A few lines are sampled. Of each, the stalest peer goes if it has missed its announce; and where one address turns up
//! in the sample again and again, its peers go, fresh or not, for it holds more of the pool than anybody should. Whoever
//! keeps announcing keeps their place; a newcomer for whom nothing is stale enough is answered and not stored.

use heapless::Vec;

use super::age::Tick;
use super::columns::ColumnsRef;
use super::endpoint::address_of;
use super::line::{Inline, Line, LineIndex, Swarm};
use super::meta_word::MetaWord;
use super::swarms::Pool;

/// Lines looked at in one try.
const SAMPLES: usize = 32;

/// How often an address must turn up among the samples to count as holding too much: an eighth of the pool.
const TOO_OFTEN: u8 = 4;

/// Lines that a newcomer may need: one for its swarm, one for its place in the index.
const LINES_FOR_A_NEWCOMER: usize = 2;

/// Newcomers to turn away after a try that found nothing, before the next try: a flood is not worth 32 lines each.
const TURNED_AWAY_AFTER_A_BARREN_TRY: u32 = 15;

/// What a try evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evicted {
    /// Peers that had missed their announce.
    pub(crate) stale: u64,
    /// Peers of an address that held too much.
    pub(crate) greedy: u64,
}

impl Evicted {
    /// Was anything evicted at all?
    pub(crate) fn any(self) -> bool {
        self != Self::default()
    }
}

/// What identifies an address here: IPv4 whole, of IPv6 the /64 (rule 26).
type AddressKey = [u8; 8];

impl Pool {
    /// Try to free lines by evicting; `stale_after` is the age, in ticks, from which a peer has missed its announce.
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
            // In a small pool one line is drawn again and again, which says nothing of the address in it.
            if looked_at.contains(&line) {
                continue;
            }
            let _ = looked_at.push(line);
            let Some(stalest) = self.stalest(line, now) else { continue };
            let before = self.peers.total();
            if stalest.age >= stale_after {
                self.remove_peers(line, now, |_, seen| seen.age(now) == stalest.age);
                evicted.stale += (before - self.peers.total()) as u64;
            } else if stalest.address != key_of(newcomer) && count_up(&mut seen, stalest.address) >= TOO_OFTEN {
                self.remove_peers(line, now, |address, _| key_of(address) == stalest.address);
                evicted.greedy += (before - self.peers.total()) as u64;
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
    // There are as many places as samples.
    let _ = seen.push((address, 1));
    1
}
