//! Simulated clients with tickets, through the bytes of their requests.

use core::net::SocketAddr;
use core::time::Duration;

use super::*;
use crate::access::{TicketNumber, User};
use crate::testing;
use crate::ticket::{Revocation, SigningKey};
use crate::tracker::{Answer, MAX_RESPONSE_OCTETS};
use crate::wire::udp::MAX_REPLY_OCTETS;

const WALL: UnixSeconds = UnixSeconds(1_800_000_000);
const HASH: &str = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=6881&left=1";

/// A tracker with an open LAN and a whitelist for the WAN, its clocks, and the key of its tickets.
struct Scene {
    tracker: Tracker,
    key: SigningKey,
    now: Running,
    wall: UnixSeconds,
}

impl Scene {
    fn new(capacity: usize) -> Self {
        let mut tracker = testing::tracker(testing::settings(capacity));
        let key = SigningKey::of_seed([7; 32]).expect("a seed");
        tracker.set_ticket_rules(TicketRules { keys: vec![key.public()], ..TicketRules::default() });
        let mut scene = Self { tracker, key, now: Running::from_seconds(1000), wall: WALL };
        scene.pass(0);
        scene
    }

    /// Let time pass, with the retirements that are due.
    fn pass(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.wall.0 += seconds;
        while self.tracker.retire(self.now, Some(self.wall), drop) > 0 {}
        let end = self.tracker.forgetting_ends();
        while !self.tracker.has_forgotten(end) {
            self.tracker.forget(self.now);
        }
        self.tracker.whitelist.check_invariants();
    }

    fn ticket(&self, user: &str) -> Ticket {
        Ticket {
            key: self.key.public().id(),
            user: User::try_from(user).expect("a short name"),
            until: UnixSeconds(self.wall.0.next_multiple_of(3600) + 30 * 86_400),
            number: TicketNumber::at(self.wall),
            addresses: 2,
        }
    }

    fn sign(&self, ticket: &Ticket) -> String {
        self.key.sign("", ticket).to_string()
    }

    /// Send a request, and return the text of the response.
    fn get(&mut self, from: &str, target: &str) -> String {
        let sender = SocketAddr::new(from.parse().expect(from), 50_001);
        let request = format!("GET {target} HTTP/1.1\r\nHost: t.example:6969\r\n\r\n");
        let mut out = vec![0; MAX_RESPONSE_OCTETS];
        let answer = self.tracker.answer_request(self.now, sender, request.as_bytes(), &mut out);
        let Answer::Response { written, .. } = answer else { return String::new() };
        String::from_utf8_lossy(&out[..written]).into_owned()
    }

    /// Announce with a ticket in the path, and return the reason of a refusal.
    fn announce(&mut self, from: &str, ticket: &str) -> Option<String> {
        let response = self.get(from, &format!("/{ticket}/announce?{HASH}"));
        assert!(response.contains("8:intervali"), "{response}");
        let (_, reason) = response.split_once("14:failure reason")?;
        let (length, reason) = reason.split_once(':')?;
        Some(reason[..length.parse().ok()?].to_owned())
    }

    fn refused(&mut self, from: &str, ticket: &str, refusal: TicketRefusal) {
        assert_eq!(self.announce(from, ticket).as_deref(), Some(refusal.reason()), "{ticket}");
    }

    fn listed(&self) -> Vec<String> {
        let mut listed: Vec<_> = self.tracker.whitelist.entries().map(|entry| entry.prefix.to_string()).collect();
        listed.sort();
        listed
    }
}

#[test]
fn a_ticket_admits_the_address_that_shows_it() {
    let mut scene = Scene::new(10);
    let ticket = scene.sign(&scene.ticket("mika"));
    assert!(scene.get("203.0.113.1", &format!("/announce?{HASH}")).contains("whitelist"));
    assert_eq!(scene.announce("203.0.113.1", &ticket), None);
    assert_eq!(scene.listed(), ["203.0.113.1/32"]);
    assert!(!scene.get("203.0.113.1", &format!("/announce?{HASH}")).contains("failure"), "also without the ticket");
    assert_eq!(scene.announce("2001:db8::7", &ticket), None);
    assert_eq!(scene.listed(), ["2001:db8::/64", "203.0.113.1/32"], "an IPv6 client has a /64");
    let scrape = format!("/{ticket}/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa");
    assert!(scene.get("203.0.113.1", &scrape).contains("5:files"));
    let counters = scene.tracker.counters;
    assert_eq!((counters.tickets_added, counters.tickets_known, counters.tickets_moved), (2, 1, 0));
    let entry = scene.tracker.whitelist.get(&"203.0.113.1/32".parse().expect("a prefix")).cloned().expect("listed");
    assert_eq!((entry.user.as_str(), entry.until, entry.added), ("mika", Some(scene.ticket("mika").until), Some(WALL)));
}

#[test]
fn at_home_a_ticket_is_not_needed() {
    let mut scene = Scene::new(10);
    assert_eq!(scene.announce("192.168.1.2", "1.nonsense"), None);
    assert!(scene.listed().is_empty());
    assert!(scene.get("192.168.1.2", "/login/1.nonsense").contains("<h1>No login needed</h1>"));
}

#[test]
fn each_refusal_has_its_sentence_and_its_counter() {
    let mut scene = Scene::new(1);
    let good = scene.ticket("mika");
    let text = scene.sign(&good);
    let (unsigned, signature) = text.rsplit_once('.').expect("a dot");
    let other = SigningKey::of_seed([8; 32]).expect("a seed");
    let of_other = other.sign("", &Ticket { key: other.public().id(), ..good.clone() }).to_string();
    let forged = other.sign("", &good).to_string();
    let key = good.key.to_string();
    let swapped: String = key
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let revoked = scene.ticket("ann");
    let revocation =
        Revocation { user: revoked.user.clone(), first: revoked.number, last: revoked.number, until: None };
    let mut rules = scene.tracker.ticket_rules().clone();
    assert!(rules.revocations.add(revocation));
    scene.tracker.set_ticket_rules(rules);
    let mut address = 0;
    for (text, refusal) in [
        (format!("{text}AAAAAAAAAAAAAAAAAAAAAAAA"), TicketRefusal::TooLong),
        (text[..100].into(), TicketRefusal::CutShort),
        (text.replace('.', "%2e"), TicketRefusal::Escaped),
        (text.to_lowercase().replace(&key.to_lowercase(), &key), TicketRefusal::WrongCase),
        (text.replacen(&key, &swapped, 1), TicketRefusal::WrongCase),
        (text.replace("mika", "mi!ka"), TicketRefusal::Malformed),
        (scene.sign(&Ticket { until: UnixSeconds(WALL.0 + 4000 * 86_400), ..good.clone() }), TicketRefusal::Malformed),
        (scene.sign(&Ticket { until: WALL, ..good.clone() }), TicketRefusal::Expired),
        (
            scene.sign(&Ticket { number: TicketNumber(good.number.0 + 100_000), ..good.clone() }),
            TicketRefusal::NotYetValid,
        ),
        (of_other, TicketRefusal::UnknownKey),
        (scene.sign(&revoked), TicketRefusal::Revoked),
        (forged, TicketRefusal::Forged),
        (format!("{unsigned}.{}", "A".repeat(signature.len())), TicketRefusal::WrongCase),
        (format!("{}.{signature}", unsigned.replace("mika", "zoe")), TicketRefusal::Forged),
    ] {
        address += 1;
        scene.refused(&format!("203.0.113.{address}"), &text, refusal);
        let page = scene.get(&format!("203.0.114.{address}"), &format!("/login/{text}"));
        assert!(page.starts_with("HTTP/1.1 403 ") && page.contains(&refusal.reason()[1..]), "{page}");
        scene.pass(1);
    }
    assert!(scene.listed().is_empty(), "nothing is stored");
    assert_eq!(scene.announce("203.0.113.99", &text), None);
    scene.refused("203.0.113.100", &scene.sign(&scene.ticket("zoe")), TicketRefusal::WhitelistFull);
    let mut policy = scene.tracker.policy().clone();
    policy.wan = Admission::Closed;
    scene.tracker.set_policy(policy);
    scene.refused("203.0.113.99", &text, TicketRefusal::WrongSide);
    let counters = scene.tracker.counters.named();
    let zero: Vec<_> = counters.filter(|(name, count)| name.starts_with("tickets_") && *count == 0).collect();
    let never = ["tickets_known", "tickets_moved", "tickets_over_limit", "tickets_try_later"];
    assert_eq!(zero.iter().map(|(name, _)| *name).collect::<Vec<_>>(), never);
}

#[test]
fn a_new_address_replaces_the_stalest_at_most_once_in_the_minimum_interval() {
    let mut scene = Scene::new(10);
    let ticket = scene.sign(&scene.ticket("mika"));
    for (address, seconds) in [("203.0.113.1", 10), ("203.0.113.2", 10), ("203.0.113.1", 10)] {
        assert_eq!(scene.announce(address, &ticket), None);
        scene.pass(seconds);
    }
    assert_eq!(scene.announce("203.0.113.3", &ticket), None);
    assert_eq!(scene.listed(), ["203.0.113.1/32", "203.0.113.3/32"]);
    let peers = |scene: &Scene, address: &str| {
        let lines = 0..scene.tracker.lines_touched();
        scene.tracker.peers_at(address.parse().expect(address), lines, scene.now)
    };
    assert_eq!(peers(&scene, "203.0.113.2"), 1);
    scene.pass(1);
    assert_eq!((peers(&scene, "203.0.113.2"), peers(&scene, "203.0.113.3")), (0, 1), "its peers leave");
    for _ in 0..20 {
        scene.refused("203.0.113.2", &ticket, TicketRefusal::OverLimit);
        scene.pass(10);
    }
    scene.pass(300);
    assert_eq!(scene.announce("203.0.113.2", &ticket), None);
    assert_eq!(scene.listed(), ["203.0.113.2/32", "203.0.113.3/32"]);
    let used = scene.tracker.tickets().map(|used| (used.user.as_str(), used.replaced, used.over_limit));
    assert_eq!(used.collect::<Vec<_>>(), [("mika", 2, 20)]);
    assert_eq!(scene.tracker.counters.tickets_moved, 2);
}

#[test]
fn a_renewed_ticket_takes_the_place_of_the_old_one() {
    let mut scene = Scene::new(10);
    let old = scene.ticket("mika");
    let ticket = scene.sign(&old);
    assert_eq!(scene.announce("203.0.113.1", &ticket), None);
    scene.pass(20 * 86_400);
    let new = scene.ticket("mika");
    let renewed = scene.sign(&new);
    let ends = |scene: &Scene| scene.tracker.whitelist.entries().map(|entry| entry.until).collect::<Vec<_>>();
    // An announce of an address on the list does not need its ticket before the end of the old one.
    assert_eq!(scene.announce("203.0.113.1", &renewed), None);
    assert_eq!(ends(&scene), [Some(old.until)]);
    assert!(scene.get("203.0.113.1", &format!("/login/{renewed}")).contains(&new.until.to_string()));
    assert_eq!(ends(&scene), [Some(new.until)]);
    // The old one does not shorten it.
    scene.get("203.0.113.1", &format!("/login/{ticket}"));
    assert_eq!(ends(&scene), [Some(new.until)]);
    scene.wall = old.until;
    scene.pass(1);
    scene.refused("203.0.113.9", &ticket, TicketRefusal::Expired);
    assert_eq!(scene.announce("203.0.113.9", &renewed), None);
    scene.wall = new.until;
    scene.pass(1);
    scene.refused("203.0.113.1", &renewed, TicketRefusal::Expired);
}

#[test]
fn an_entry_of_a_command_stays_as_it_is() {
    let mut scene = Scene::new(10);
    let entry = Entry { retire: Retire::Never, ..Entry::new("203.0.113.0/24".parse().expect("a prefix")) };
    scene.tracker.whitelist().put(entry.clone()).expect("room");
    let ticket = scene.sign(&scene.ticket("mika"));
    assert_eq!(scene.announce("203.0.113.1", &ticket), None);
    assert_eq!(scene.tracker.whitelist.entries().count(), 1);
    assert_eq!(scene.tracker.counters.tickets_known, 1);
}

#[test]
fn forged_tickets_use_up_a_small_budget_and_known_tickets_need_none() {
    let mut scene = Scene::new(100);
    let known = scene.sign(&scene.ticket("mika"));
    assert_eq!(scene.announce("203.0.113.1", &known), None);
    let other = SigningKey::of_seed([8; 32]).expect("a seed");
    let mut verified = 0;
    for number in 0..2000_u32 {
        let ticket = Ticket { number: TicketNumber(number), ..scene.ticket("zoe") };
        let from = format!("198.51.{}.{}", number / 250, number % 250);
        let reason = scene.announce(&from, &other.sign("", &ticket)).expect("it is forged");
        verified += u32::from(reason == TicketRefusal::Forged.reason());
        scene.now = scene.now.after(Duration::from_millis(1));
        assert_eq!(scene.announce("203.0.113.1", &known), None);
        assert_eq!(scene.announce("203.0.113.2", &known), None, "a new address of a verified ticket");
    }
    assert!(verified <= 25, "{verified} verifications in 2 s");
    assert!(scene.tracker.counters.tickets_try_later > 1900);
}

#[test]
fn one_address_has_one_failure_in_ten_seconds() {
    let mut scene = Scene::new(100);
    let other = SigningKey::of_seed([8; 32]).expect("a seed");
    let forged = |scene: &Scene, number| {
        other.sign("", &Ticket { number: TicketNumber(number), ..scene.ticket("zoe") }).to_string()
    };
    scene.refused("203.0.113.1", &forged(&scene, 1), TicketRefusal::Forged);
    scene.pass(9);
    scene.refused("203.0.113.1", &forged(&scene, 2), TicketRefusal::TryLater);
    scene.pass(1);
    scene.refused("203.0.113.1", &forged(&scene, 3), TicketRefusal::Forged);
}

#[test]
fn a_ticket_comes_in_the_url_data_of_udp() {
    let mut scene = Scene::new(10);
    let ticket = scene.sign(&scene.ticket("A-long_name-with-32-letters-0123"));
    let sender = SocketAddr::new("203.0.113.1".parse().expect("an address"), 50_001);
    let mut out = [0; MAX_REPLY_OCTETS];
    let mut connect = [0; 16];
    connect[..8].copy_from_slice(&0x0417_2710_1980_u64.to_be_bytes());
    let octets = scene.tracker.answer_datagram(scene.now, sender, &connect, &mut out);
    let id = out[8..octets].to_vec();
    let mut announce = |scene: &mut Scene, id: &[u8], url: &str, option: usize| {
        let mut datagram = [id, &1_u32.to_be_bytes(), &[0; 4], &[b'a'; 40]].concat();
        datagram.extend_from_slice(&[0; 40]);
        datagram.extend_from_slice(&6881_u16.to_be_bytes());
        for piece in url.as_bytes().chunks(option) {
            datagram.extend_from_slice(&[2, piece.len() as u8]);
            datagram.extend_from_slice(piece);
        }
        let octets = scene.tracker.answer_datagram(scene.now, sender, &datagram, &mut out);
        String::from_utf8_lossy(&out[..octets]).into_owned()
    };
    let url = format!("/{ticket}/announce?x={}", "y".repeat(300));
    let wrong_id = announce(&mut scene, &[0; 8], &url, 255);
    assert!(wrong_id.contains("connect again") && scene.listed().is_empty());
    assert!(announce(&mut scene, &id, "/announce", 255).contains("whitelist"));
    let cut = announce(&mut scene, &id, &format!("/{}/announce", &ticket[..100]), 255);
    assert!(cut.contains(TicketRefusal::CutShort.reason()), "{cut}");
    for option in [255, 40, 1] {
        scene.tracker.revoke(&["203.0.113.1/32".parse().expect("a prefix")]);
        assert!(announce(&mut scene, &id, &url, option).starts_with("\0\0\0\u{1}"), "{option} bytes an option");
        assert_eq!(scene.listed(), ["203.0.113.1/32"]);
    }
}

#[test]
fn the_login_page_names_the_user_the_address_the_end_and_the_url() {
    let mut scene = Scene::new(10);
    let ticket = scene.ticket("mika");
    let text = scene.sign(&ticket);
    let page = scene.get("203.0.113.1", &format!("/login/{text}"));
    for part in [
        "HTTP/1.1 200 OK\r\nContent-Type: text/html",
        "Referrer-Policy: no-referrer",
        "Your address 203.0.113.1 may use this tracker now",
        "for mika, ",
        &format!("until {}", ticket.until),
        &format!("<code>http://t.example:6969/{text}/announce</code>"),
    ] {
        assert!(page.contains(part), "{part} is missing: {page}");
    }
    assert_eq!(scene.listed(), ["203.0.113.1/32"]);
    assert!(scene.get("2001:db8::9", &format!("/login/{text}")).contains("Your network 2001:db8::/64 may"));
    // A program that previews links sends HEAD.
    let request = format!("HEAD /login/{text} HTTP/1.1\r\nHost: \"><script>\r\n\r\n");
    let mut out = vec![0; MAX_RESPONSE_OCTETS];
    let sender = SocketAddr::new("203.0.113.3".parse().expect("an address"), 50_001);
    scene.tracker.answer_request(scene.now, sender, request.as_bytes(), &mut out);
    assert_eq!(scene.listed().len(), 2);
    let sender = SocketAddr::new("203.0.113.1".parse().expect("an address"), 50_001);
    scene.tracker.answer_request(scene.now, sender, request.replace("HEAD", "GET").as_bytes(), &mut out);
    let page = String::from_utf8_lossy(&out);
    assert!(page.contains("http://HOST:PORT/") && !page.contains("<script>"), "{page}");
}

#[test]
fn any_bytes_in_place_of_a_ticket_are_refused() {
    let mut scene = Scene::new(10);
    let mut rng = fastrand::Rng::with_seed(3);
    let good = scene.sign(&scene.ticket("mika"));
    for _ in 0..20_000 {
        let mut text = good.clone().into_bytes();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..text.len());
            match rng.u8(..3) {
                0 => text[at] = rng.u8(..),
                1 => drop(text.remove(at)),
                _ => text.insert(at, rng.u8(..)),
            }
        }
        if text == good.as_bytes() {
            continue;
        }
        let caller = scene.tracker.caller("203.0.113.1".parse::<IpAddr>().expect("an address").into());
        assert!(
            scene.tracker.show_ticket(scene.now, &caller, &text, ShownBy::Announce).is_err(),
            "{}",
            text.escape_ascii()
        );
        scene.now = scene.now.after(Duration::from_secs(11));
    }
    assert!(scene.listed().is_empty());
}
