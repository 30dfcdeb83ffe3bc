//! The sweeper: visits a few lines at a time, removes dead peers, and gives the empty lines back.
//!
//! A pass over all lines takes [`SWEEP_TICKS`] ticks; each call does the part that is due. The limits of a call avoid
//! pauses: if many peers die at once, as after an outage, a call stops after [`REMOVALS_A_STEP`] removals. If the sweep
//! then falls behind, a call stops after [`LINES_AT_ONCE`] lines. In both cases the sweep asks for the next call soon.
//! One call sweeps all lines only if the sweep is so late that ticks could wrap around (with the default timeout, after
//! the process stood still for 13 minutes).

use core::time::Duration;

use super::age::{CurrentTick, LATE_TICKS, LIFETIME_TICKS, SLACK_TICKS, SWEEP_TICKS, Tick};
use super::chain::Place;
use super::columns::{Columns, ColumnsRef};
use super::endpoint::address_of;
use super::family::{V4, V6};
use super::line::{Inline, Line, LineIndex, Swarm};
use super::lines::Lines;
use super::meta_word::MetaWord;
use super::swarms::Pool;
use super::tree;
use crate::clock::Running;

/// Number of lines that a call visits, if calls come as often as [`Pool::sweep_wait`] asks.
const LINES_A_STEP: usize = 128;

/// Number of removed peers at which a call stops. A removal takes some hundred nanoseconds if its lines are not in the
/// cache. The number doubles for each pass that the sweep is behind.
const REMOVALS_A_STEP: usize = 128;

/// Number of lines at which a call stops. Most lines take some nanoseconds each. The number doubles for each pass that
/// the sweep is behind.
const LINES_AT_ONCE: u64 = 1024;

/// The shortest wait between two calls.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// The longest wait between two calls.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The progress of the sweep.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    next: usize,
    /// The time of the last step.
    last: Running,
    /// The unfinished work of the last step, in lines × milliseconds of a pass: the fraction of a line, and more if the
    /// step had to stop early.
    remainder: u64,
}

impl Pool {
    /// Visit the lines that are due. Call it again after [`Pool::sweep_wait`].
    pub(crate) fn sweep(&mut self, now: Running) {
        let tick = self.advance_to(now);
        let peers_before = self.peers.all().total();
        let pass_millis = self.tick_length.length().as_millis() as u64 * SWEEP_TICKS;
        let elapsed_millis = now.since(self.sweep.last).as_millis() as u64;
        let lines = self.lines.touched() as u64;
        let work = elapsed_millis.min(pass_millis) * lines + self.sweep.remainder;
        let passes_behind = work / (pass_millis * lines).max(1);
        // A long pause is better than dead peers that look alive again.
        let is_too_late = passes_behind >= LATE_TICKS / SWEEP_TICKS;
        let (removals, lines_at_once) = if is_too_late {
            (usize::MAX, u64::MAX)
        } else {
            (REMOVALS_A_STEP << passes_behind, LINES_AT_ONCE << passes_behind)
        };
        let due = lines_at_once.min(work / pass_millis);
        let mut done = 0;
        while done < due && peers_before - self.peers.all().total() < removals {
            if self.sweep.next >= self.lines.touched() {
                self.sweep.next = 0;
            }
            self.sweep_line(LineIndex::new(self.sweep.next), tick, |seen| seen.age(tick) >= LIFETIME_TICKS);
            self.sweep.next += 1;
            done += 1;
        }
        self.sweep.remainder = work - done * pass_millis;
        self.sweep.last = now;
        self.expired += (peers_before - self.peers.all().total()) as u64;
    }

    /// Advance the pool's time and return the current tick, for the records that are stored now. The first call in a
    /// tick checks that the sweep has not fallen behind; if it is so late that ticks could wrap around, it sweeps every
    /// line.
    #[inline]
    pub(crate) fn advance_to(&mut self, now: Running) -> Tick {
        self.current_tick.tick(now).unwrap_or_else(|| self.begin_tick(now))
    }

    #[cold]
    fn begin_tick(&mut self, now: Running) -> Tick {
        self.keep_up(now);
        self.current_tick = CurrentTick::of(self.tick_length, now);
        self.tick_length.tick(now)
    }

    /// Sweep every line if the sweep is so late that ticks could wrap around. This runs before anything is stored, so
    /// that all stored ticks are older than the last sweep.
    fn keep_up(&mut self, now: Running) {
        let last = self.tick_length.count(self.sweep.last);
        let late = self.tick_length.count(now).saturating_sub(last);
        if late < SLACK_TICKS {
            return;
        }
        let peers_before = self.peers.all().total();
        let (last, now_tick) = (Tick::of_count(last), self.tick_length.tick(now));
        for line in (0..self.lines.touched()).map(LineIndex::new) {
            self.sweep_line(line, now_tick, |seen| u64::from(seen.age(last)) + late >= u64::from(LIFETIME_TICKS));
        }
        self.sweep.last = now;
        self.sweep.remainder = 0;
        self.expired += (peers_before - self.peers.all().total()) as u64;
    }

    /// Return the time to wait before the next call.
    pub(crate) fn sweep_wait(&self) -> Duration {
        let pass = self.tick_length.length() * SWEEP_TICKS as u32;
        if self.sweep.remainder >= pass.as_millis() as u64 {
            return MIN_WAIT;
        }
        let steps = self.lines.touched().div_ceil(LINES_A_STEP).max(1) as u32;
        (pass / steps).clamp(MIN_WAIT, MAX_WAIT)
    }

    /// Sweep one line of any kind: remove its dead peers, an empty swarm, or a fork that is no longer needed.
    fn sweep_line(&mut self, line: LineIndex, now: Tick, is_dead: impl Fn(Tick) -> bool) {
        self.remove_peers(line, now, |_, seen| is_dead(seen));
        match &self.lines[line] {
            Line::Swarm(swarm) => {
                let kept_for_its_count = swarm.completed() > 0 && swarm.emptied.age(now) < LIFETIME_TICKS;
                if swarm.is_empty() && !kept_for_its_count {
                    self.remove_swarm(line);
                }
            }
            Line::Fork(_) => self.sweep_fork(line),
            _ => {}
        }
    }

    /// Remove the peers of one line that `goes` selects by their address and their last tick.
    pub(super) fn remove_peers(&mut self, line: LineIndex, now: Tick, goes: impl Fn(&[u8], Tick) -> bool) {
        // Finding the swarm of a line takes a walk: do it only if a peer is removed.
        if first(&self.lines[line], &goes).is_some()
            && let Some(swarm) = owner(&self.lines, line)
        {
            self.remove_peers_of(swarm, line, now, goes);
        }
    }

    /// Remove the peers of one line that `goes` selects. The line belongs to this swarm, or holds no peers.
    pub(super) fn remove_peers_of(
        &mut self,
        swarm: LineIndex,
        line: LineIndex,
        now: Tick,
        goes: impl Fn(&[u8], Tick) -> bool,
    ) {
        // A removal moves another peer into the line, or gives the line back: search the line again after each.
        while let Some(slot) = first(&self.lines[line], &goes) {
            let place = Place { line, slot };
            let removed = match &self.lines[line] {
                Line::Peers6(_) | Line::Swarm(Swarm { inline: Inline::Peers6(_), .. }) => {
                    self.remove_at::<V6>(swarm, place, now)
                }
                _ => self.remove_at::<V4>(swarm, place, now),
            };
            if !removed {
                return;
            }
        }
    }

    /// Merge the small leaves of a fork. If the swarm then has no fork, let its own line hold peers again.
    fn sweep_fork(&mut self, line: LineIndex) {
        let mut top = line;
        while let Line::Fork(fork) = &self.lines[top] {
            if !matches!(self.lines[fork.parent], Line::Fork(_)) {
                break;
            }
            top = fork.parent;
        }
        let Line::Fork(fork) = &self.lines[top] else { return };
        let swarm = fork.parent;
        let Some(own) = tree::swarm_at(&self.lines, swarm) else { return };
        if own.roots[0] == top {
            tree::merge::<V4>(&mut self.lines, swarm, line);
        } else {
            tree::merge::<V6>(&mut self.lines, swarm, line);
        }
        let Some(own) = tree::swarm_at(&self.lines, swarm) else { return };
        let forked = own.roots.iter().any(|root| matches!(self.lines.get(*root), Some(Line::Fork(_))));
        if !forked && let Some(own) = tree::swarm_at_mut(&mut self.lines, swarm) {
            own.inline = Inline::Peers4(Columns::new());
        }
    }
}

/// Return the slot of the first peer of a line that `goes` selects.
fn first(line: &Line, goes: impl Fn(&[u8], Tick) -> bool) -> Option<usize> {
    fn of<E: Copy + AsRef<[u8]>>(
        peers: ColumnsRef<'_, E, MetaWord>,
        goes: impl Fn(&[u8], Tick) -> bool,
    ) -> Option<usize> {
        peers.iter().position(|peer| goes(address_of(&peer.endpoint), peer.seen()))
    }
    match line {
        Line::Peers4(chained) => of(chained.items.read(), goes),
        Line::Peers6(chained) => of(chained.items.read(), goes),
        Line::Swarm(Swarm { inline: Inline::Peers4(inline), .. }) => of(inline.read(), goes),
        Line::Swarm(Swarm { inline: Inline::Peers6(inline), .. }) => of(inline.read(), goes),
        Line::Swarm(_) | Line::Free { .. } | Line::Fork(_) | Line::Bucket(_) => None,
    }
}

/// Return the swarm of a line: the line itself, or the swarm to which the last line of its chain refers.
pub(super) fn owner(lines: &Lines, line: LineIndex) -> Option<LineIndex> {
    let mut at = line;
    loop {
        at = match &lines[at] {
            Line::Swarm(_) => return Some(at),
            Line::Peers4(chained) => chained.next,
            Line::Peers6(chained) => chained.next,
            Line::Free { .. } | Line::Fork(_) | Line::Bucket(_) => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::age::TickLength;
    use super::super::role::Role;
    use super::*;
    use crate::hash_key::HashKey;
    use crate::horizon::Horizon;
    use crate::wire::InfoHash;

    #[test]
    fn a_late_sweep_visits_a_few_lines_per_call_until_it_has_caught_up() {
        let tick_length = TickLength::of_lifetime(Duration::from_secs(400));
        let mut pool = Pool::reserve(4 << 20, tick_length, HashKey(1, 2), 3).expect("memory");
        let began = Running::from_seconds(100);
        let tick = pool.advance_to(began);
        for number in 0..100_000_u32 {
            let [a, b, c, d] = number.to_be_bytes();
            pool.upsert::<V4>(&InfoHash([1; 20]), Horizon::Wan, [1, a, b, c, d, 1], Role::Leecher, tick);
        }
        while pool.sweep.last < began || pool.sweep_wait() == MIN_WAIT {
            pool.sweep(began);
        }
        // Most of a pass is due at once. After that, the calls come as often as the sweep asks.
        let (mut now, mut visited, mut before) = (began.after(tick_length.length() * 2 - MIN_WAIT), 0, pool.sweep.next);
        let lines = pool.lines.touched();
        assert!(lines > 10 * LINES_AT_ONCE as usize, "{lines} lines are too few for this test");
        loop {
            pool.sweep(now);
            let step = (pool.sweep.next + lines - before) % lines;
            assert!(step <= LINES_AT_ONCE as usize, "{step} of {lines} lines in one call");
            (visited, before) = (visited + step, pool.sweep.next);
            if pool.sweep_wait() > MIN_WAIT {
                break;
            }
            now = now.after(pool.sweep_wait());
            assert!(visited < lines * 2, "the sweep does not catch up");
        }
        assert!(visited + LINES_AT_ONCE as usize > lines, "{visited} of {lines} lines visited");
        assert_eq!(pool.peers.all().total(), 100_000, "all are alive");
    }
}
