//! Tickets in both directions.

use super::key::BadKey;
use super::text::TICKET_OCTETS;
use super::*;

/// The test vector of docs/tickets.md.
pub(crate) const VECTOR_SEED: [u8; 32] = *b"nakodo test vector, never a key!";

pub(crate) fn key() -> SigningKey {
    SigningKey::of_seed(VECTOR_SEED).expect("a seed")
}

/// Return a ticket of the key of the test vector.
pub(crate) fn ticket(user: &str, addresses: u8) -> Ticket {
    Ticket {
        key: key().public().id(),
        user: User::try_from(user).expect("a short name"),
        until: UnixSeconds(1_800_000_000),
        number: TicketNumber(28_000_000),
        addresses,
    }
}

#[test]
fn the_bytes_of_a_ticket_do_not_change() {
    let text = key().sign("", &ticket("mika", 2));
    assert_eq!(key().public().to_string(), "M4Oit3RvDQDSXWQnQVmyOW99ZFLKMYsuMy-45VFc_Dw");
    assert_eq!(
        text,
        "1.M4Oi.mika.apsw.go4xs.2.\
         G5QvYwERbjbtOnxFD01Kpq9gRFYiksITmHvfDPj5SjOVIQ7em30UkzrLpMSdxgh8Wzs7ZNxIJDx8ufw59qr7DA"
    );
    assert_eq!(
        key().sign("films.example", &ticket("mika", 2)),
        "1.M4Oi.mika.apsw.go4xs.2.\
         P2x_MoBLzBEkDuZYsEHLYExEAN9kW_tyXuMNZUU6D5mfGjqFeDYl-0gO3ewQkhMBirB2mYic2qdi5iwbP9aFAA"
    );
}

#[test]
fn a_signed_ticket_reads_back() {
    for (user, addresses) in [("m", 1), ("mika", 2), ("A-long_name-with-32-letters-0123", 9)] {
        let ticket = ticket(user, addresses);
        let text = key().sign("films.example", &ticket);
        assert!(text.len() <= TICKET_OCTETS);
        let parsed = parse(text.as_bytes()).expect("a ticket");
        assert_eq!(parsed.ticket(), Ok(ticket));
        let signature = parsed.signature().expect("base64url");
        assert!(key().public().has_signed("films.example", parsed.unsigned, &signature));
        assert!(!key().public().has_signed("films.exampl", parsed.unsigned, &signature), "another audience");
        let other = SigningKey::of_seed([7; 32]).expect("a seed");
        assert!(!other.public().has_signed("films.example", parsed.unsigned, &signature), "another key");
    }
    let longest = Ticket {
        until: UnixSeconds(u64::MAX),
        number: TicketNumber::MAX,
        ..ticket("A-long_name-with-32-letters-0123", 9)
    };
    assert_eq!(key().sign("", &longest).len(), TICKET_OCTETS);
}

#[test]
fn an_end_is_rounded_up_to_a_full_hour() {
    for (until, rounded) in [(3600, 3600), (3601, 7200), (7199, 7200)] {
        let text = key().sign("", &Ticket { until: UnixSeconds(until), ..ticket("mika", 2) });
        assert_eq!(parse(text.as_bytes()).expect("a ticket").until, UnixSeconds(rounded));
    }
}

/// Read all parts of a ticket.
fn whole(text: &[u8]) -> Result<Ticket, Fault> {
    let parsed = parse(text)?;
    parsed.signature()?;
    parsed.ticket()
}

#[test]
fn each_fault_has_its_name() {
    let good = key().sign("", &ticket("mika", 2)).to_string();
    let (unsigned, signature) = good.rsplit_once('.').expect("a dot");
    let parts: Vec<&str> = unsigned.split('.').collect();
    let with = |at: usize, part: &str| {
        let mut parts = parts.clone();
        parts[at] = part;
        format!("{}.{signature}", parts.join("."))
    };
    for (text, fault) in [
        (format!("{good}A"), Fault::TooLong),
        ("1.".repeat(100), Fault::TooLong),
        (good[..good.len() - 1].into(), Fault::CutShort),
        (unsigned.into(), Fault::CutShort),
        ("1.".into(), Fault::CutShort),
        ("1".into(), Fault::Malformed),
        (good.replace('.', "%2E"), Fault::Escaped),
        (with(3, &parts[3].to_uppercase()), Fault::WrongCase),
        (with(4, &parts[4].to_uppercase()), Fault::WrongCase),
        (String::new(), Fault::Malformed),
        (with(0, "2"), Fault::Malformed),
        (with(0, "01"), Fault::Malformed),
        (with(1, "abc"), Fault::Malformed),
        (with(1, "ab c"), Fault::Malformed),
        (with(2, ""), Fault::Malformed),
        (with(2, "mi ka"), Fault::Malformed),
        (with(2, "mík"), Fault::Malformed),
        (with(3, &format!("0{}", parts[3])), Fault::Malformed),
        (with(4, ""), Fault::Malformed),
        (with(5, "0"), Fault::Malformed),
        (with(5, "a"), Fault::Malformed),
        (with(5, "22"), Fault::Malformed),
        (format!("1.{good}"), Fault::TooLong),
    ] {
        assert_eq!(whole(text.as_bytes()), Err(fault), "{text}");
    }
    assert_eq!(whole(b"1.\xff"), Err(Fault::CutShort));
}

#[test]
fn no_ticket_has_a_second_text() {
    let good = key().sign("", &ticket("mika", 2));
    for at in 0..good.len() {
        for octet in 0..=u8::MAX {
            let mut other = good.as_bytes().to_vec();
            if core::mem::replace(&mut other[at], octet) == octet {
                continue;
            }
            let verifies = whole(&other).is_ok()
                && parse(&other).is_ok_and(|parsed| {
                    // The signature is over all parts but itself, so only texts with the same bytes need a look.
                    parsed.signature().is_ok_and(|signature| {
                        signature == parse(good.as_bytes()).expect("a ticket").signature().expect("base64url")
                            && parsed.unsigned == parse(good.as_bytes()).expect("a ticket").unsigned
                    })
                });
            assert!(!verifies, "{}", other.escape_ascii());
        }
    }
    let parsed = parse(good.as_bytes()).expect("a ticket");
    let mut signature = parsed.signature().expect("base64url");
    for bit in 0..signature.len() * 8 {
        signature[bit / 8] ^= 1 << (bit % 8);
        assert!(!key().public().has_signed("", parsed.unsigned, &signature), "bit {bit}");
        signature[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_signature_in_one_case_was_changed_by_a_program() {
    let text = key().sign("", &ticket("mika", 2));
    let (unsigned, signature) = text.rsplit_once('.').expect("a dot");
    for changed in [signature.to_lowercase(), signature.to_uppercase()] {
        let text = format!("{unsigned}.{changed}");
        let parsed = parse(text.as_bytes()).expect("a ticket");
        assert_eq!(parsed.wrong_signature(), Some(Fault::WrongCase));
    }
    assert_eq!(parse(text.as_bytes()).expect("a ticket").wrong_signature(), None);
}

#[test]
fn a_key_is_43_characters_and_not_weak() {
    let public = key().public();
    assert_eq!(PublicKey::parse(&public.to_string()), Ok(public));
    let parsed = SigningKey::parse(&key().secret()).expect("a seed");
    assert_eq!(parsed.public(), public);
    assert!(!format!("{parsed:?}").contains(&*parsed.secret()));
    let text = public.to_string();
    for bad in [
        "",
        &text[1..],
        &format!("{text}A"),
        &format!("{}=", &text[..42]),
        &"A".repeat(43),
        &text.replace(&text[..1], "+"),
    ] {
        assert_eq!(PublicKey::parse(bad), Err(BadKey), "{bad}");
    }
    assert!(SigningKey::of_seed([0; 32]).is_err());
}

#[test]
fn a_revocation_concerns_its_numbers_of_its_user() {
    let revocation = |user: &str, first, last| Revocation {
        user: User::try_from(user).expect("a short name"),
        first: TicketNumber(first),
        last: TicketNumber(last),
        until: Some(UnixSeconds(1_800_000_000)),
    };
    let concern = |revocations: &Revocations, user, number| {
        revocations.concern(&Ticket { number: TicketNumber(number), ..ticket(user, 2) })
    };
    let mut revocations = Revocations::default();
    assert!(revocations.add(revocation("mika", 7, 7)));
    assert!(revocations.add(revocation("mika", 9, 9)));
    assert!(revocations.add(revocation("ann", 0, 20)));
    assert!(concern(&revocations, "mika", 7) && !concern(&revocations, "mika", 8) && concern(&revocations, "ann", 0));
    assert!(!concern(&revocations, "zoe", 7) && !concern(&revocations, "a", 7));
    assert!(revocations.add(revocation("mika", 0, 30)));
    assert_eq!(revocations.iter().len(), 2, "one that includes others replaces them");
    assert!(concern(&revocations, "mika", 8));
    revocations.forget_ended(UnixSeconds(1_799_999_999));
    assert_eq!(revocations.iter().len(), 2);
    revocations.forget_ended(UnixSeconds(1_800_000_000));
    assert_eq!(revocations.iter().len(), 0);
    for number in 0..REVOCATIONS as u32 {
        assert!(revocations.add(revocation("mika", number, number)));
    }
    assert!(!revocations.add(revocation("ann", 1, 1)), "full");
    assert!(revocations.add(revocation("mika", 0, u32::MAX)), "it replaces others");
}

#[test]
fn any_bytes_in_place_of_a_ticket_are_refused_without_a_panic() {
    let key = key();
    let good = key.sign("", &ticket("mika", 2)).to_string();
    let mut random = fastrand::Rng::with_seed(6);
    for _ in 0..20_000 {
        let mut text: Vec<u8> = match random.u32(..3) {
            0 => (0..random.usize(..200)).map(|_| random.u8(..)).collect(),
            1 => (0..random.usize(..200))
                .map(|_| random.choice(b"1.aZ-_09%".iter().copied()).expect("not empty"))
                .collect(),
            _ => good.clone().into_bytes(),
        };
        for _ in 0..random.usize(1..4) {
            if let Some(octet) = text.get_mut(random.usize(..200)) {
                *octet = random.choice(b"1.aZ-_09%\0\xff ".iter().copied()).expect("not empty");
            }
        }
        let is_signed = parse(&text).is_ok_and(|parsed| {
            parsed.ticket().is_ok()
                && parsed.signature().is_ok_and(|signature| key.public().has_signed("", parsed.unsigned, &signature))
        });
        assert_eq!(is_signed, text == good.as_bytes(), "{}", text.escape_ascii());
    }
}
