//! Simulated clients, the network between them and the tracker, and a model of all announces.

pub(crate) mod agenda;
pub(crate) mod client;
pub(crate) mod model;

use std::net::SocketAddr;
use std::time::Duration;

use agenda::{Agenda, Network, percent};
use client::{Ask, Client};
use model::{Asker, Model};
use nakodo::access::Retired;
use nakodo::clock::Running;
use nakodo::tracker::{Answer, Settings, Usage};
use nakodo::wire::Transport;

use crate::common::{Refused, Site, Told, http, udp};

/// Interval of the checks for idle whitelist entries.
const RETIRE_EVERY: Duration = Duration::from_secs(10);
/// Pause of a client that could not reach the tracker.
const AFTER_GIVING_UP: Duration = Duration::from_secs(600);

/// A request in the network.
#[derive(Clone, Debug)]
struct Message {
    client: usize,
    from: SocketAddr,
    transaction: u32,
    /// `None` requests a connection id.
    ask: Option<Ask>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Happens {
    Alarm { client: usize, number: u32 },
    Arrives(Message),
    Returns { client: usize, transaction: u32, reply: Reply },
    Sweep,
    Retire,
}

/// Content of the tracker's reply.
#[derive(Clone, Debug)]
enum Reply {
    Connected(u64),
    BadId,
    Told(Told),
    Refused(Refused),
    Scraped,
}

/// The whole simulation.
pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) model: Model,
    pub(crate) random: fastrand::Rng,
    pub(crate) deliveries: u64,
    pub(crate) refusals: u64,
    /// The retired entries, each with the number of its peers at that time.
    pub(crate) retired: Vec<(ipnet::IpNet, u64)>,
    clients: Vec<Client>,
    agenda: Agenda<Happens>,
    network: Network,
    /// Number of deliveries between two checks of all invariants.
    check_every: u64,
    closing: bool,
    usage: Usage,
}

impl World {
    pub(crate) fn new(settings: Settings, seed: u64, roomy: bool, check_every: u64) -> Self {
        let model = Model::new(&settings, roomy);
        let mut site = Site::seeded(settings, seed);
        // The 16-bit time of a connection id wraps soon after this start.
        site.now = Running::from_seconds(65_000);
        let mut agenda = Agenda::new();
        agenda.add(site.now, Happens::Sweep);
        agenda.add(site.now, Happens::Retire);
        let usage = site.tracker.usage();
        let network = Network { lost: 8, doubled: 5, held_up: 4 };
        Self {
            site,
            model,
            random: fastrand::Rng::with_seed(seed),
            deliveries: 0,
            refusals: 0,
            retired: Vec::new(),
            clients: Vec::new(),
            agenda,
            network,
            check_every,
            closing: false,
            usage,
        }
    }

    /// Add a client that starts within an hour.
    pub(crate) fn add(&mut self, client: Client) {
        self.clients.push(client);
        let wait = Duration::from_millis(self.random.u64(..3_600_000));
        self.set_alarm(self.clients.len() - 1, wait);
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.site.now.after(time);
        while self.site.now < end {
            let (now, event) = self.agenda.next().expect("the next sweep is always due");
            self.site.now = now;
            match event {
                Happens::Alarm { client, number } if self.clients[client].alarm == number => self.alarm(client),
                Happens::Alarm { .. } => {}
                Happens::Arrives(message) => self.arrives(message),
                Happens::Returns { client, transaction, reply } => self.returns(client, transaction, reply),
                Happens::Sweep => self.sweep(),
                Happens::Retire => self.retire(),
            }
        }
    }

    /// Let all clients leave and none start again.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    fn set_alarm(&mut self, client: usize, wait: Duration) {
        self.clients[client].alarm += 1;
        let number = self.clients[client].alarm;
        self.agenda.add(self.site.now.after(wait), Happens::Alarm { client, number });
    }

    fn alarm(&mut self, client: usize) {
        if self.clients[client].pending.is_some() {
            return self.send(client);
        }
        match self.clients[client].decide(self.site.now, self.closing, &mut self.random) {
            Some(ask) => {
                let transaction = self.random.u32(..);
                self.clients[client].ask(ask, transaction);
                self.send(client);
            }
            // The client crashed, and comes back on another port.
            None if !self.closing => {
                let wait = Duration::from_secs(self.random.u64(1..30_000));
                self.set_alarm(client, wait);
            }
            None => {}
        }
    }

    /// Send the pending request, or first request a connection id.
    fn send(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let Some(patience) = client.patience() else {
            client.disconnected();
            client.until_next_announce(self.site.now);
            return self.set_alarm(number, AFTER_GIVING_UP);
        };
        let Some(pending) = client.pending.clone() else { unreachable!("only a pending request is sent") };
        let (transaction, id) = (pending.transaction, client.usable_id(self.site.now));
        let from = Client::source(&mut self.random, client.address);
        let transport = client.transport;
        let (ask, bytes) = match (transport, id, pending.ask) {
            (Transport::Http, _, Ask::Announce(announce)) => (Some(Ask::Announce(announce)), http::announce(&announce)),
            (Transport::Http, _, Ask::Scrape(hashes)) => (Some(Ask::Scrape(hashes.clone())), http::scrape(&hashes)),
            (Transport::Udp, None, _) => (None, udp::connect(transaction).to_vec()),
            (Transport::Udp, Some(id), Ask::Announce(announce)) => {
                (Some(Ask::Announce(announce)), udp::announce(id, transaction, &announce).to_vec())
            }
            (Transport::Udp, Some(id), Ask::Scrape(hashes)) => {
                let bytes = udp::scrape(id, transaction, &hashes);
                (Some(Ask::Scrape(hashes)), bytes)
            }
        };
        let message = Message { client: number, from, transaction, ask, bytes };
        for delay in self.deliveries_of(transport) {
            self.agenda.add(self.site.now.after(delay), Happens::Arrives(message.clone()));
        }
        self.set_alarm(number, patience);
    }

    /// Return the delays of the copies. TCP delivers once, or the connection breaks.
    fn deliveries_of(&mut self, transport: Transport) -> Vec<Duration> {
        match transport {
            Transport::Udp => self.network.deliveries(&mut self.random),
            Transport::Http if percent(&mut self.random, 3) => Vec::new(),
            Transport::Http => vec![self.network.delay(&mut self.random)],
        }
    }

    fn arrives(&mut self, message: Message) {
        let transport = self.clients[message.client].transport;
        let reply = match transport {
            Transport::Udp => self.datagram_arrives(&message),
            Transport::Http => self.request_arrives(&message),
        };
        self.compare(&message, transport, &reply);
        self.deliveries += 1;
        self.check(self.deliveries.is_multiple_of(self.check_every));
        for delay in self.deliveries_of(transport) {
            let returns =
                Happens::Returns { client: message.client, transaction: message.transaction, reply: reply.clone() };
            self.agenda.add(self.site.now.after(delay), returns);
        }
    }

    fn datagram_arrives(&mut self, message: &Message) -> Reply {
        let reply = self.site.datagram(message.from, &message.bytes).expect("every client datagram is answered");
        match udp::Reply::parse(&reply, message.from, message.transaction) {
            udp::Reply::Connect(id) => Reply::Connected(id),
            udp::Reply::Announce(told) => Reply::Told(told),
            udp::Reply::Error(reason) if reason.starts_with("connection id") => Reply::BadId,
            udp::Reply::Error(reason) => Reply::Refused(Refused { reason, retry_in: None }),
            udp::Reply::Scrape(entries) => {
                let Some(Ask::Scrape(hashes)) = &message.ask else { unreachable!("no scrape was sent") };
                assert_eq!(entries.len(), hashes.len());
                for (hash, entry) in hashes.iter().zip(entries) {
                    self.model.scraped(self.site.now, hash, entry);
                }
                Reply::Scraped
            }
        }
    }

    /// Deliver a request in two pieces.
    fn request_arrives(&mut self, message: &Message) -> Reply {
        let address = message.from.ip();
        let cut = self.random.usize(..message.bytes.len());
        assert_eq!(self.site.answer(address, &message.bytes[..cut]), Answer::Incomplete);
        let response = self.site.request(address, &message.bytes);
        match &message.ask {
            Some(Ask::Announce(_)) => response.told().map_or_else(Reply::Refused, Reply::Told),
            Some(Ask::Scrape(hashes)) if response.dictionary().get(b"files").is_some() => {
                for hash in hashes {
                    self.model.scraped(self.site.now, hash, response.scraped(hash));
                }
                Reply::Scraped
            }
            Some(Ask::Scrape(_)) => Reply::Refused(response.told().expect_err("neither files nor a failure reason")),
            None => unreachable!("HTTP has no connect"),
        }
    }

    fn compare(&mut self, message: &Message, transport: Transport, reply: &Reply) {
        let asker = Asker { address: message.from.ip(), transport };
        match (reply, &message.ask) {
            (Reply::Told(told), Some(Ask::Announce(announce))) => {
                assert!(self.is_admitted(asker), "a client that is not whitelisted is admitted");
                self.check_interval(told);
                self.model.announced(self.site.now, asker, announce, told);
            }
            (Reply::Refused(refused), _) => {
                assert!(!self.is_admitted(asker), "{} is refused: {refused:?}", asker.address);
                assert_eq!(refused.retry_in, (transport == Transport::Http).then_some(60), "minutes to wait");
                self.refusals += 1;
            }
            _ => {}
        }
    }

    fn is_admitted(&self, asker: Asker) -> bool {
        let tracker = &self.site.tracker;
        let is_open = tracker.usage().whitelist_entries == 0;
        self.model.is_lan(asker.address) || is_open || tracker.whitelisted().covers(asker.address)
    }

    fn check_interval(&self, told: &Told) {
        let interval = self.model.interval.as_secs() as u32;
        assert!((interval..=interval + interval / 10).contains(&told.interval), "{} s", told.interval);
    }

    fn returns(&mut self, number: usize, transaction: u32, reply: Reply) {
        let client = &mut self.clients[number];
        // Ignore a late or duplicate reply.
        if client.pending.as_ref().is_none_or(|pending| pending.transaction != transaction) {
            return;
        }
        let now = self.site.now;
        let wait = match reply {
            Reply::Connected(id) => {
                client.connected(now, id, transaction.wrapping_add(1));
                return self.send(number);
            }
            Reply::BadId => {
                client.disconnected();
                return self.send(number);
            }
            Reply::Told(told) => {
                let interval = Duration::from_secs(u64::from(told.interval));
                client.told(now, interval, &mut self.random)
            }
            Reply::Scraped => client.until_next_announce(now),
            Reply::Refused(refused) => {
                client.refused();
                Duration::from_secs(60 * refused.retry_in.map_or(60, i64::unsigned_abs))
            }
        };
        self.set_alarm(number, wait);
    }

    fn sweep(&mut self) {
        let wait = self.site.tracker.sweep(self.site.now);
        self.agenda.add(self.site.now.after(wait), Happens::Sweep);
        let has_swept_something = self.site.tracker.usage() != self.usage;
        self.check(has_swept_something && self.check_every == 1);
    }

    fn retire(&mut self) {
        self.agenda.add(self.site.now.after(RETIRE_EVERY), Happens::Retire);
        let revoked = self.site.tracker.counters.peers_revoked;
        let mut prefixes = Vec::new();
        self.site.tracker.retire(self.site.now, None, |retired| match retired {
            Retired::Removed(entry) | Retired::Suspended(entry) => prefixes.push(entry.prefix),
        });
        self.site.forget();
        if let [prefix] = prefixes[..] {
            self.model.forget(&prefix);
            self.retired.push((prefix, self.site.tracker.counters.peers_revoked - revoked));
            self.check(true);
        }
        assert!(prefixes.len() <= 1, "{prefixes:?} are retired together");
    }

    fn check(&mut self, wholly: bool) {
        self.usage = self.site.tracker.usage();
        assert!(self.usage.lines_in_use <= self.usage.lines);
        if wholly {
            self.site.tracker.check_invariants().expect("the invariants hold");
        }
    }
}
