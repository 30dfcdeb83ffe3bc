//! A year of customers with tickets: their addresses change daily, tickets are renewed, revoked and shared, and the power
//! fails. After every step the list is that of a simple model. `NAKODO_DAYS=365 NAKODO_CUSTOMERS=500` selects a year of a
//! distributor.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;

use crate::access::{Entry, Moved, Retired, TicketNumber, User};
use crate::clock::{Running, UnixSeconds};
use crate::store::Store;
use crate::testing::{self, TempDir};
use crate::ticket::{Revocation, SigningKey, Ticket};
use crate::tracker::{Answer, MAX_RESPONSE_OCTETS, TicketRules, Tracker};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Idle time after which an entry is retired, and the minimum interval of announces, as in the policy of the tests.
const RETIRE_AFTER: u64 = 30 * DAY;
const MIN_INTERVAL: u64 = 300;
/// Number of days for which a ticket is valid, and after which it is renewed.
const VALID_DAYS: u64 = 60;
const RENEWED_AFTER_DAYS: u64 = 50;
/// Most bytes that a year of 500 customers may write.
const YEAR_OCTETS: u64 = 4 << 20;

/// Number of the user of entries that a command added.
const GUEST: usize = 9999;

/// An entry of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    customer: usize,
    last_seen: u64,
    until: UnixSeconds,
}

/// A customer of the distributor.
struct Customer {
    ticket: Ticket,
    text: String,
    signed_on: u64,
    /// Time until which the ticket replaces no further address.
    settled_until: u64,
    address: IpAddr,
    is_quiet: bool,
    /// Whether the user opens the login link next, in place of an announce of the client.
    uses_login: bool,
}

/// The tracker, its store, and the model of both.
struct World {
    dir: TempDir,
    tracker: Tracker,
    store: Store,
    rules: TicketRules,
    key: SigningKey,
    customers: Vec<Customer>,
    /// Seconds of running time, and of the wall clock.
    now: u64,
    wall: u64,
    listed: BTreeMap<IpAddr, Known>,
    /// The entries that would be read after a power cut.
    on_disk: BTreeMap<IpAddr, Known>,
    to_save: Vec<IpAddr>,
    departed: Vec<IpAddr>,
    next_address: u32,
    written_before: u64,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

impl World {
    fn new(customers: usize) -> Self {
        let dir = TempDir::new();
        let store = Store::open(dir.path()).expect("a store").store;
        let key = SigningKey::of_seed([7; 32]).expect("a seed");
        let rules = TicketRules { keys: vec![key.public()], ..TicketRules::default() };
        let mut tracker = testing::tracker(testing::settings(4096));
        tracker.set_ticket_rules(rules.clone());
        let mut world = Self {
            dir,
            tracker,
            store,
            rules,
            key,
            customers: Vec::new(),
            now: 1000,
            wall: 1_800_000_000,
            listed: BTreeMap::new(),
            on_disk: BTreeMap::new(),
            to_save: Vec::new(),
            departed: Vec::new(),
            next_address: 0,
            written_before: 0,
        };
        for number in 0..customers {
            let ticket = world.new_ticket(number);
            let (text, address) = (world.key.sign("", &ticket).to_string(), world.new_address());
            let (is_quiet, uses_login) = (false, true);
            world.customers.push(Customer {
                ticket,
                text,
                signed_on: 0,
                settled_until: 0,
                address,
                is_quiet,
                uses_login,
            });
        }
        world
    }

    fn new_ticket(&self, number: usize) -> Ticket {
        Ticket {
            key: self.key.public().id(),
            user: User::try_from(format!("customer-{number}").as_str()).expect("a short name"),
            until: UnixSeconds((self.wall + VALID_DAYS * DAY).next_multiple_of(HOUR)),
            number: TicketNumber::at(UnixSeconds(self.wall)),
            addresses: 2,
        }
    }

    fn sign_again(&mut self, customer: usize, day: u64) {
        let ticket = self.new_ticket(customer);
        let text = self.key.sign("", &ticket).to_string();
        let of = &mut self.customers[customer];
        (of.ticket, of.text, of.signed_on, of.settled_until) = (ticket, text, day, 0);
        of.uses_login = customer.is_multiple_of(2);
    }

    /// Return an address that was not used before.
    fn new_address(&mut self) -> IpAddr {
        self.next_address += 1;
        IpAddr::from((0x0100_0000 + self.next_address).to_be_bytes())
    }

    /// Let a second pass, which is enough for the signature of one ticket.
    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        self.wall += seconds;
    }

    /// Send an announce or a login with the ticket of a customer, and return whether it was accepted.
    fn show(&mut self, customer: usize, from: IpAddr) -> bool {
        self.pass(1);
        if self.tracker.whitelisted().is_saving_due() {
            self.save(false);
        }
        let Customer { text, uses_login, .. } = &self.customers[customer];
        let announce = "announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=6881&left=1";
        let target = if *uses_login { format!("login/{text}") } else { format!("{text}/{announce}") };
        let request = format!("GET /{target} HTTP/1.1\r\n\r\n");
        let mut out = vec![0; MAX_RESPONSE_OCTETS];
        let (now, sender) = (Running::from_seconds(self.now), SocketAddr::new(from, 50_001));
        let Answer::Response { written, .. } = self.tracker.answer_request(now, sender, request.as_bytes(), &mut out)
        else {
            return false;
        };
        let response = String::from_utf8_lossy(&out[..written]);
        response.contains("Logged in") || response.contains("5:peers")
    }

    /// Show a ticket as [`Self::show`] does, and compare the answer and the list with the model. The user of a new ticket
    /// opens the login link once; from then on the client announces.
    fn step(&mut self, customer: usize, from: IpAddr) {
        let accepted = self.show(customer, from);
        let expected = self.expect(customer, from);
        self.customers[customer].uses_login = false;
        assert_eq!(accepted, expected, "customer {customer} from {from}");
        self.compare();
    }

    fn expect(&mut self, customer: usize, from: IpAddr) -> bool {
        let (now, wall) = (self.now, UnixSeconds(self.wall));
        let of = &self.customers[customer];
        let (until, uses_login) = (of.ticket.until, of.uses_login);
        let is_live = |known: &&mut Known| known.until > wall && now - known.last_seen <= RETIRE_AFTER;
        if let Some(known) = self.listed.get_mut(&from).filter(is_live) {
            // A login is not an announce.
            known.last_seen = if uses_login { known.last_seen } else { now };
            if uses_login && known.customer == customer && known.until < until {
                known.until = until;
                known.last_seen = now;
                self.to_save.push(from);
            }
            return true;
        }
        if wall >= until || self.rules.revocations.concern(&of.ticket) {
            return false;
        }
        let of_user = self.listed.iter().filter(|(_, known)| known.customer == customer);
        let stalest = of_user.clone().min_by_key(|(_, known)| known.last_seen).map(|(address, _)| *address);
        // The place of an idle or ended entry, unless a ticket of another customer brought it, counts as free.
        let is_in_place = self.listed.get(&from).is_some_and(|known| [customer, GUEST].contains(&known.customer));
        if of.settled_until > now && !is_in_place {
            return false;
        }
        if let Some(stalest) = stalest.filter(|_| of_user.count() >= 2 && !is_in_place) {
            self.customers[customer].settled_until = now + MIN_INTERVAL;
            self.listed.remove(&stalest);
            self.to_save.retain(|address| *address != stalest);
            if self.on_disk.contains_key(&stalest) {
                self.departed.push(stalest);
            }
        }
        self.listed.insert(from, Known { customer, last_seen: now, until });
        self.departed.retain(|departed| *departed != from);
        // The copy of an earlier entry is replaced.
        if uses_login || self.on_disk.contains_key(&from) {
            self.to_save.push(from);
        }
        true
    }

    /// Compare the list with that of the model. Ended entries have no effect, and leave at some time.
    fn compare(&self) {
        let wall = UnixSeconds(self.wall);
        let list = self.tracker.whitelisted();
        list.check_invariants();
        let found: BTreeMap<IpAddr, Known> = list
            .entries()
            .filter(|entry| entry.until.is_some_and(|until| until > wall))
            .map(|entry| {
                let customer = entry.user.rsplit('-').next().and_then(|number| number.parse().ok());
                let (customer, last_seen) = (customer.expect("a number"), entry.last_seen.seconds());
                (entry.prefix.addr(), Known { customer, last_seen, until: entry.until.expect("an end") })
            })
            .collect();
        let expected = self.listed.iter().filter(|(_, known)| known.until > wall);
        let expected: BTreeMap<IpAddr, Known> = expected.map(|(address, known)| (*address, known.clone())).collect();
        assert_eq!(found, expected);
    }

    /// Retire and save as the tracker does every hour.
    fn pass_an_hour(&mut self) {
        let hours = self.now / HOUR;
        self.pass((hours + 1) * HOUR - self.now);
        self.retire();
        self.save(false);
        self.compare();
    }

    fn retire(&mut self) {
        let mut gone = Vec::new();
        for _ in 0..=self.listed.len() / 100 {
            self.tracker.retire(Running::from_seconds(self.now), Some(UnixSeconds(self.wall)), |retired| {
                if let Retired::Removed(entry) = retired {
                    gone.push(entry.prefix);
                }
            });
        }
        smol::block_on(self.store.remove(&gone)).expect("on the disk");
        for prefix in &gone {
            self.on_disk.remove(&prefix.addr());
            self.listed.remove(&prefix.addr());
        }
        let (time, wall) = (self.now, UnixSeconds(self.wall));
        self.listed.retain(|_, known| time - known.last_seen <= RETIRE_AFTER || known.until <= wall);
    }

    /// Let days pass in which no client announces.
    fn pass_days_of_silence(&mut self, days: u64) {
        self.pass(days * DAY - HOUR);
        self.pass_an_hour();
    }

    fn save(&mut self, stops: bool) {
        loop {
            let unsaved = self.tracker.whitelist().take_unsaved(128);
            if unsaved.entries.is_empty() && unsaved.departed.is_empty() {
                break;
            }
            smol::block_on(self.store.save_brought(unsaved)).expect("on the disk");
        }
        for address in self.departed.drain(..) {
            self.on_disk.remove(&address);
        }
        for address in core::mem::take(&mut self.to_save) {
            if let Some(known) = self.listed.get(&address) {
                self.on_disk.insert(address, known.clone());
            }
        }
        let least = if stops { Moved::AtAll } else { Moved::WorthAWrite };
        let moved = self.tracker.whitelist().take_moved(least, 0..usize::MAX).collect::<Vec<_>>();
        for seen in &moved {
            if let Some(known) = self.on_disk.get_mut(&seen.prefix.addr()) {
                known.last_seen = seen.last_seen.seconds();
            }
        }
        let now = Running::from_seconds(self.now);
        let saved =
            async { if stops { self.store.close(now, moved).await } else { self.store.save(now, moved).await } };
        smol::block_on(saved).expect("on the disk");
    }

    /// Start again, after an orderly stop or a power cut.
    fn restart(&mut self, stops: bool) {
        if stops {
            self.save(true);
        }
        self.written_before = self.written();
        // The store must be closed before it is opened again.
        let other = TempDir::new();
        self.store = Store::open(other.path()).expect("a store").store;
        let opened = (0..200).find_map(|_| {
            std::thread::sleep(Duration::from_millis(5));
            Store::open(self.dir.path()).ok()
        });
        let opened = opened.expect("the library has closed the database");
        assert_eq!(opened.store.health().recovered, None);
        self.store = opened.store;
        self.tracker = testing::tracker(testing::settings(4096));
        self.tracker.set_ticket_rules(self.rules.clone());
        for entry in opened.entries {
            self.tracker.whitelist().put(entry).expect("room");
        }
        self.listed = self.on_disk.clone();
        self.to_save.clear();
        self.departed.clear();
        self.customers.iter_mut().for_each(|customer| customer.settled_until = 0);
        self.retire();
        self.compare();
    }

    /// Revoke a customer's tickets and entries, as `nakodo revoke --user` does.
    fn revoke(&mut self, customer: usize) {
        let user = self.customers[customer].ticket.user.clone();
        let last = TicketNumber::at(UnixSeconds(self.wall));
        let until = Some(UnixSeconds(self.wall + 1_102 * DAY));
        self.rules.revocations.forget_ended(UnixSeconds(self.wall));
        assert!(self.rules.revocations.add(Revocation { user, first: TicketNumber(0), last, until }));
        self.tracker.set_ticket_rules(self.rules.clone());
        self.customers.iter_mut().for_each(|customer| customer.settled_until = 0);
        self.save(false);
        let of_user = self.listed.iter().filter(|(_, known)| known.customer == customer);
        let prefixes: Vec<_> = of_user.map(|(address, _)| (*address).into()).collect();
        smol::block_on(self.store.remove(&prefixes)).expect("on the disk");
        self.tracker.revoke(&prefixes);
        self.listed.retain(|_, known| known.customer != customer);
        self.on_disk.retain(|_, known| known.customer != customer);
        self.compare();
    }

    /// Add an address by a command, for a user without tickets.
    fn allow(&mut self, address: IpAddr) {
        let user = User::try_from(format!("guest-{GUEST}").as_str()).expect("a short name");
        let until = UnixSeconds(self.wall + 10_000 * DAY);
        let last_seen = Running::from_seconds(self.now);
        let entry = Entry { user, until: Some(until), last_seen, ..Entry::new(address.into()) };
        smol::block_on(self.store.put(vec![entry.clone()])).expect("on the disk");
        self.tracker.whitelist().put(entry).expect("room");
        let known = Known { customer: GUEST, last_seen: self.now, until };
        self.listed.insert(address, known.clone());
        self.on_disk.insert(address, known);
        self.to_save.retain(|other| *other != address);
        self.departed.retain(|other| *other != address);
        self.compare();
    }

    /// Revoke an address, as `nakodo revoke` does.
    fn revoke_address(&mut self, address: IpAddr) {
        self.save(false);
        smol::block_on(self.store.remove(&[address.into()])).expect("on the disk");
        self.tracker.revoke(&[address.into()]);
        self.listed.remove(&address);
        self.on_disk.remove(&address);
        self.compare();
    }

    fn written(&self) -> u64 {
        self.written_before + self.store.octets_written()
    }
}

#[test]
fn the_list_of_customers_with_tickets_is_that_of_the_model() {
    let (days, customers) = (number("NAKODO_DAYS", 40), number("NAKODO_CUSTOMERS", 12) as usize);
    let mut world = World::new(customers);
    let mut random = fastrand::Rng::with_seed(4);
    for day in 0..days {
        for customer in 0..customers {
            if world.customers[customer].is_quiet {
                continue;
            }
            if day - world.customers[customer].signed_on >= RENEWED_AFTER_DAYS {
                world.sign_again(customer, day);
            }
            // The address changes each night, and the next announce is served.
            let address = world.new_address();
            world.customers[customer].address = address;
            world.step(customer, address);
            assert!(world.listed.contains_key(&address), "customer {customer} is served at once");
            if random.u32(..20) == 0 {
                // A friend uses the same ticket.
                let shared = world.new_address();
                world.step(customer, shared);
            }
        }
        for _ in 0..24 {
            for _ in 0..customers / 10 {
                let customer = random.usize(..customers);
                if !world.customers[customer].is_quiet {
                    let address = world.customers[customer].address;
                    world.step(customer, address);
                }
            }
            world.pass_an_hour();
        }
        match day % 10 {
            3 => world.restart(false),
            6 => world.restart(day % 20 == 16),
            8 => {
                let customer = random.usize(..customers);
                world.revoke(customer);
                let address = world.new_address();
                world.step(customer, address);
                assert!(!world.listed.contains_key(&address), "customer {customer} is revoked");
                world.pass(2);
                world.sign_again(customer, day);
            }
            9 => world.customers[random.usize(..customers)].is_quiet = true,
            _ => {}
        }
    }
    let written = world.written();
    println!("{days} days of {customers} customers: {} entries, {written} bytes written", world.listed.len());
    assert!(written <= YEAR_OCTETS * days.div_ceil(365), "{written} bytes");
}

/// Additions, tickets, new addresses, revocations, retirements and restarts in any order, at addresses that several
/// customers share. `NAKODO_STEPS` is the number of steps of each of the eight runs.
#[test]
fn any_order_of_events_leaves_the_list_of_the_model() {
    let steps = number("NAKODO_STEPS", 250);
    for seed in 0..8 {
        let (mut world, mut random) = (World::new(4), fastrand::Rng::with_seed(seed));
        let pool: Vec<IpAddr> = (0..9).map(|_| world.new_address()).collect();
        for step in 0..steps {
            let (customer, address) = (random.usize(..4), pool[random.usize(..pool.len())]);
            match random.u32(..100) {
                0..60 => world.step(customer, address),
                60..70 => world.pass(random.u64(1..2 * MIN_INTERVAL)),
                70..80 => world.pass_an_hour(),
                80..81 => (0..random.u64(1..40)).for_each(|_| world.pass_days_of_silence(1)),
                81..86 => world.allow(address),
                86..90 => world.revoke_address(address),
                90..93 => world.sign_again(customer, step),
                93..95 => {
                    world.revoke(customer);
                    world.pass(2);
                }
                _ => world.restart(random.bool()),
            }
        }
    }
}
