//! Verify the signature of one ticket as often as the argument says. `benches/arm-instructions` counts the instructions.
//!
//! An example and not a bench, because Cargo builds benches with unwinding panics, and the boards' profile has none.

use std::hint::black_box;

use nakodo::access::{TicketNumber, User};
use nakodo::clock::UnixSeconds;
use nakodo::ticket::{SigningKey, Ticket, parse};

fn main() {
    let times: u32 = std::env::args().nth(1).and_then(|times| times.parse().ok()).expect("a number as the argument");
    let key = SigningKey::of_seed([7; 32]).expect("a seed");
    let text = key.sign("", &ticket(&key));
    let parsed = parse(text.as_bytes()).expect("a ticket");
    let signature = parsed.signature().expect("a signature");
    let valid = (0..times).filter(|_| key.public().has_signed("", black_box(parsed.unsigned), &signature)).count();
    assert_eq!(valid, times as usize, "the ticket is valid");
}

fn ticket(key: &SigningKey) -> Ticket {
    Ticket {
        key: key.public().id(),
        user: User::try_from("customer").expect("a short name"),
        until: UnixSeconds(1_800_000_000),
        number: TicketNumber::at(UnixSeconds(1_700_000_000)),
        addresses: 1,
    }
}
