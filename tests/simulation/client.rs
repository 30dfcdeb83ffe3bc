//! A BitTorrent client from the tracker's view: it starts, announces at the given interval, completes, scrapes, and
//! stops or crashes. Over UDP it follows BEP 15, with small deviations.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nakodo::clock::Running;
use nakodo::wire::Transport;

use super::agenda::percent;
use super::model::FIRST_SOURCE_PORT;
use crate::common::{Announce, Event, info_hash};

/// Time for which a client may use a connection id: BEP 15, "UDP connections / spoofing".
const ID_MAY_BE_USED_FOR: Duration = Duration::from_secs(60);
/// BEP 15, "Time outs": 15 × 2ⁿ seconds.
const FIRST_TIMEOUT: Duration = Duration::from_secs(15);
const TRIES: u32 = 6;

/// Behaviour of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// The client starts and leaves repeatedly.
    Restless,
    /// The client seeds until the end of the simulation.
    Steady,
    /// The client seeds until this time, then crashes and never comes back.
    QuietFrom(Running),
}

/// A request that a client wants to send.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Announce(Announce),
    Scrape(Vec<[u8; 20]>),
}

/// A request without an answer.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) ask: Ask,
    pub(crate) transaction: u32,
    tries: u32,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    pub(crate) transport: Transport,
    pub(crate) habit: Habit,
    pub(crate) pending: Option<Pending>,
    /// Number of the valid alarm; it replaces all earlier ones.
    pub(crate) alarm: u32,
    swarms: u8,
    /// The client uses a connection id until the tracker rejects it.
    sloppy: bool,
    id: Option<(u64, Running)>,
    session: Option<Session>,
}

/// State from a start to a stop or a crash.
#[derive(Clone, Copy, Debug)]
struct Session {
    swarm: u8,
    port: u16,
    left: u64,
    next_announce: Running,
}

impl Client {
    pub(crate) fn new(address: IpAddr, transport: Transport, habit: Habit, swarms: u8, sloppy: bool) -> Self {
        Self { address, transport, habit, pending: None, alarm: 0, swarms, sloppy, id: None, session: None }
    }

    /// Choose a source port, which always differs from the announced port.
    pub(crate) fn source(random: &mut fastrand::Rng, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, random.u16(FIRST_SOURCE_PORT..))
    }

    /// Return the connection id if the client has a usable one.
    pub(crate) fn usable_id(&self, now: Running) -> Option<u64> {
        let (id, since) = self.id?;
        (self.sloppy || now.since(since) < ID_MAY_BE_USED_FOR).then_some(id)
    }

    pub(crate) fn connected(&mut self, now: Running, id: u64, transaction: u32) {
        self.id = Some((id, now));
        if let Some(pending) = &mut self.pending {
            pending.transaction = transaction;
        }
    }

    pub(crate) fn disconnected(&mut self) {
        self.id = None;
    }

    /// Return the time to wait for an answer, or `None` after the last try.
    pub(crate) fn patience(&mut self) -> Option<Duration> {
        let pending = self.pending.as_mut()?;
        pending.tries += 1;
        (pending.tries <= TRIES).then(|| FIRST_TIMEOUT * 2_u32.pow(pending.tries - 1))
    }

    pub(crate) fn ask(&mut self, ask: Ask, transaction: u32) {
        self.pending = Some(Pending { ask, transaction, tries: 0 });
    }

    /// Choose the next request after an alarm; `None` if the client crashes or stays away.
    pub(crate) fn decide(&mut self, now: Running, closing: bool, random: &mut fastrand::Rng) -> Option<Ask> {
        let Some(session) = self.session else { return if closing { None } else { self.start(now, random) } };
        let leaves = match self.habit {
            Habit::Restless => closing || percent(random, 12),
            Habit::Steady => closing,
            Habit::QuietFrom(end) => now >= end,
        };
        if leaves {
            self.session = None;
            let crashes = match self.habit {
                Habit::Restless => percent(random, 50),
                Habit::Steady => false,
                Habit::QuietFrom(_) => true,
            };
            let stops = Announce { event: Event::Stopped, ..session.announce(random) };
            return (!crashes).then_some(Ask::Announce(stops));
        }
        if now < session.next_announce && percent(random, 50) {
            return Some(Ask::Scrape((0..random.u8(1..=4)).map(|_| info_hash(random.u8(..=self.swarms))).collect()));
        }
        Some(Ask::Announce(self.go_on(random)))
    }

    fn start(&mut self, now: Running, random: &mut fastrand::Rng) -> Option<Ask> {
        if matches!(self.habit, Habit::QuietFrom(end) if now >= end) {
            return None;
        }
        let seeds = self.habit != Habit::Restless || percent(random, 30);
        let session = Session {
            swarm: random.u8(..self.swarms),
            port: random.u16(1024..FIRST_SOURCE_PORT),
            left: if seeds { 0 } else { random.u64(1..) },
            next_announce: now,
        };
        self.session = Some(session);
        Some(Ask::Announce(Announce { event: Event::Started, ..session.announce(random) }))
    }

    fn go_on(&mut self, random: &mut fastrand::Rng) -> Announce {
        let Some(session) = &mut self.session else { unreachable!("only a started client continues") };
        let completes = session.left > 0 && percent(random, 15);
        if completes {
            session.left = 0;
        }
        let event = match random.u32(..100) {
            _ if completes => Event::Completed,
            0..8 if session.left > 0 => Event::Paused,
            // Some clients repeat the event.
            8..12 if session.left == 0 => Event::Completed,
            _ => Event::Update,
        };
        Announce { event, ..session.announce(random) }
    }

    /// Store the interval from the tracker, and return the time until the next request. Some clients come early, to
    /// scrape or because the user requested an announce.
    pub(crate) fn told(&mut self, now: Running, interval: Duration, random: &mut fastrand::Rng) -> Duration {
        self.pending = None;
        if let Some(session) = &mut self.session {
            session.next_announce = now.after(interval);
        } else {
            return Duration::from_secs(random.u64(60..20_000));
        }
        if percent(random, 25) { Duration::from_secs(random.u64(1..interval.as_secs())) } else { interval }
    }

    /// Return the time until the next announce is due.
    pub(crate) fn until_next_announce(&mut self, now: Running) -> Duration {
        self.pending = None;
        self.session.map_or(Duration::from_secs(600), |session| session.next_announce.since(now))
    }

    /// Give up the session after a refusal, until later.
    pub(crate) fn refused(&mut self) {
        (self.pending, self.session) = (None, None);
    }
}

impl Session {
    fn announce(self, random: &mut fastrand::Rng) -> Announce {
        let num_want = [None, Some(-1), Some(0), Some(5), Some(30), Some(200), Some(1000)][random.usize(..7)];
        Announce { info_hash: info_hash(self.swarm), port: self.port, left: self.left, event: Event::Update, num_want }
    }
}
