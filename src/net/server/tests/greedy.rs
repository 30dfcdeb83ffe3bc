//! Tests with one address that takes every slot, in each state of a connection.

use core::iter;
use core::net::IpAddr;

use nix::sys::socket::{setsockopt, sockopt};

use super::*;
use crate::net::connection::Wait;

/// Number of slots of the server; an address with more than two of them is greedy.
const SLOTS: usize = 16;

/// The last bytes of the two client addresses in 127.0.0.0/24.
const GREEDY: u8 = 3;
const HONEST: u8 = 4;

/// Return the state that is tested after `state`. A new state does not compile until it has a place here.
const fn next(state: Wait) -> Option<Wait> {
    match state {
        Wait::Request => Some(Wait::Rest),
        Wait::Rest => Some(Wait::Room),
        Wait::Room => Some(Wait::Turn),
        Wait::Turn => Some(Wait::End),
        Wait::End => Some(Wait::Over),
        Wait::Over => None,
    }
}

fn states() -> impl Iterator<Item = Wait> {
    iter::successors(Some(Wait::Request), |state| next(*state))
}

/// Return a request with a long response.
fn scrape() -> Vec<u8> {
    let hashes: Vec<String> = (10..84).map(|number| format!("info_hash={}", number.to_string().repeat(10))).collect();
    format!("GET /scrape?{} HTTP/1.1\r\n\r\n", hashes.join("&")).into_bytes()
}

impl Served {
    /// Return the client and the state of each open connection.
    fn waits(&self) -> Vec<(IpAddr, Wait)> {
        self.server.http.borrow().waits()
    }

    /// Return the number of connections of the greedy address in `state`.
    fn held(&self, state: Wait) -> usize {
        let address = IpAddr::from([127, 0, 0, GREEDY]);
        self.waits().into_iter().filter(|held| *held == (address, state)).count()
    }

    /// Return how many connections of 127.0.0.`host` have a slot.
    fn held_by(&self, host: u8) -> usize {
        self.waits().into_iter().filter(|(client, _)| *client == IpAddr::from([127, 0, 0, host])).count()
    }

    /// Bring one more connection of the greedy address into `state`.
    fn hold(&mut self, state: Wait) -> TcpStream {
        let before = self.held(state);
        for _ in 0..20 {
            let stream = match state {
                Wait::Request => self.connect_from_and_say(GREEDY, REQUEST),
                Wait::Rest => self.connect_from_and_say(GREEDY, b"GET "),
                Wait::Room => self.connect_and_never_read(&scrape()),
                Wait::Turn => self.connect_and_never_read(REQUEST),
                Wait::End => self.connect_from_and_say(GREEDY, b"nonsense\r\n\r\n"),
                Wait::Over => return self.connect_from_and_say(GREEDY, LAST_REQUEST),
            };
            self.settle();
            if self.held(state) > before {
                return stream;
            }
        }
        unreachable!("no connection comes to {state:?}: {:?}", self.waits())
    }

    /// Connect from the greedy address, and repeat `request` until neither end takes any more.
    fn connect_and_never_read(&mut self, request: &[u8]) -> TcpStream {
        let small = |stream: &TcpStream| setsockopt(stream, sockopt::RcvBuf, &2048).expect("a small buffer");
        let mut stream = self.connect_from_as(GREEDY, small);
        stream.set_nonblocking(true).expect("it can be");
        let (requests, mut sent, mut refused) = (request.repeat(100), 0, 0);
        while refused < 5 {
            match stream.write(&requests[sent % requests.len()..]) {
                Ok(octets) => (sent, refused) = (sent + octets, 0),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    refused += 1;
                    thread::sleep(Duration::from_millis(1));
                }
            }
            self.settle();
            assert!(sent < 64 << 20, "the tracker takes no more");
        }
        stream
    }

    /// Let the greedy address take every slot.
    fn fill(&mut self, held: &mut Vec<TcpStream>, state: Wait) {
        for _ in 0..4 * SLOTS {
            if self.held(state) == SLOTS {
                return;
            }
            held.push(self.hold(state));
        }
        unreachable!("{state:?}: {:?}", self.waits())
    }

    fn close_overdue(&self, now: Running) {
        self.server.http.borrow_mut().close_overdue(&mut self.shared.tracker.borrow_mut(), now);
    }
}

#[test]
fn one_address_keeps_no_other_from_being_served_whatever_its_connections_wait_for() {
    for state in states() {
        let (mut served, mut held) = (Served::new(SLOTS), Vec::new());
        for round in 0..20 {
            match state {
                Wait::Request | Wait::Rest | Wait::Room | Wait::Turn | Wait::End => served.fill(&mut held, state),
                // It takes no slot, because it has been closed.
                Wait::Over => {
                    held.push(served.hold(state));
                    served.settle();
                    assert_eq!(served.waits(), []);
                }
            }
            let honest = served.connect_from_and_say(HONEST, LAST_REQUEST);
            assert!(served.rest(honest).starts_with(b"HTTP/1.1 200 "), "{state:?}, round {round}");
        }
        assert_eq!(served.counter("http_connections_timed_out"), 0);
    }
}

#[test]
fn a_greedy_address_whose_connections_are_all_busy_gives_way_and_loses_no_request() {
    // More than one wait reports, and more than are served before one is closed.
    let slots = 64 + 32 + 8;
    let mut served = Served::new(slots);
    let mut busy: Vec<TcpStream> = (0..slots).map(|_| served.connect_from_and_say(GREEDY, REQUEST)).collect();
    for stream in &mut busy {
        assert!(served.response(stream, 50).starts_with(b"HTTP/1.1 200 "));
    }
    let newcomer = served.connect_from_and_say(HONEST, LAST_REQUEST);
    thread::sleep(Duration::from_millis(20));
    for stream in &mut busy {
        stream.write_all(b"GET /x HTTP/1.1\r\n\r\n").expect("there is room");
    }
    served.server.turn(Patience::Endless).expect("the sockets work");
    assert_eq!(served.counter("http_connections_given_up"), 1, "in the first turn");
    assert!(served.rest(newcomer).starts_with(b"HTTP/1.1 200 "));
    for (number, stream) in busy.iter_mut().enumerate() {
        assert!(served.response(stream, 50).starts_with(b"HTTP/1.1 404 "), "{number}");
    }
}

#[test]
fn the_one_that_reads_what_it_asked_for_stays_and_those_that_do_not_go() {
    let (mut served, mut held) = (Served::new(SLOTS), Vec::new());
    let page = served.front_page().len() + "keep-alive".len() - "close".len();
    served.fill(&mut held, Wait::Turn);
    thread::sleep(Duration::from_millis(5));
    let mut brisk = served.connect_from_and_say(GREEDY, &REQUEST.repeat(400));
    served.server.turn(Patience::None).expect("the sockets work");
    for number in 0..5 {
        let honest = served.connect_from_and_say(HONEST, b"GET ");
        // A busy machine may deliver the connection late.
        let accepted = (0..1000).any(|_| {
            served.server.turn(Patience::None).expect("the sockets work");
            served.held_by(HONEST) > 0
        });
        assert!(accepted && served.held_by(GREEDY) >= SLOTS - 6, "{number}: {:?}", served.waits());
        drop(honest);
    }
    assert_eq!(served.response(&mut brisk, 400 * page).len(), 400 * page);
}

#[test]
fn a_byte_now_and_then_does_not_keep_a_connection_young() {
    for state in states() {
        let mut served = Served::new(SLOTS);
        let mut stream = served.hold(state);
        let (begun, patience) = match state {
            Wait::Rest | Wait::Room | Wait::Turn => (served.shared.now(), Duration::from_secs(60)),
            Wait::End => (served.shared.now(), Duration::from_secs(1)),
            // A byte changes the state of the first, and the second has ended.
            Wait::Request | Wait::Over => continue,
        };
        thread::sleep(Duration::from_millis(20));
        match state {
            Wait::Rest | Wait::End => stream.write_all(b"/").expect("there is room"),
            Wait::Room | Wait::Turn => assert_eq!(stream.read(&mut [0]).expect("a response is there"), 1),
            Wait::Request | Wait::Over => {}
        }
        served.settle();
        assert_eq!(served.held(state), 1, "{state:?}");
        served.close_overdue(begun.after(patience));
        assert_eq!(served.waits(), [], "{state:?}");
    }
}

/// The clients behind a proxy share its address, so it has no share limit. The timeouts still apply.
#[test]
fn a_proxy_that_holds_all_slots_is_served_again_once_they_are_out_of_time() {
    let mut served = Served::behind(&["127.0.0.3/32"], SLOTS);
    let mut held = Vec::new();
    served.fill(&mut held, Wait::Turn);
    let begun = served.shared.now();
    let honest = served.connect_from_and_say(GREEDY, LAST_REQUEST);
    served.settle();
    assert_eq!((served.waits().len(), served.counter("http_connections_given_up")), (SLOTS, 0));
    served.close_overdue(begun.after(Duration::from_secs(60)));
    assert!(served.rest(honest).starts_with(b"HTTP/1.1 200 "));
    assert_eq!(served.counter("http_connections_timed_out"), SLOTS as u64);
}
