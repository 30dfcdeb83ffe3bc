//! Tickets and their keys: sign, explain, add, remove, revoke.

use super::nonsense;
use super::refused::{Because, Refused};
use crate::access::{TicketNumber, User};
use crate::api::{InspectTicket, Key, Keys, NewKey, Outcome, RemoveKey, SignTicket, TicketContent, TicketUse, Tickets};
use crate::clock::UnixSeconds;
use crate::config::quote;
use crate::shared::{Origin, Shared};
use crate::ticket::{self, Book, KeyId, MOST_ADDRESSES, MOST_DAYS, PublicKey, Revocation, SigningKey, Ticket};
use crate::tracker::TicketRefusal;

/// Number of days for which a ticket is valid unless another is requested.
const DEFAULT_DAYS: u32 = 365;

const DAY_SECONDS: u64 = 86_400;

/// Sign a ticket with the newest own key. The first ticket makes it.
pub(super) async fn sign(shared: &Shared, request: &SignTicket) -> Result<TicketContent, Refused> {
    let wall = shared.wall().ok_or_else(|| {
        Refused::new(Because::Failed, "the system clock is not set, and a ticket needs its date; set the clock first")
    })?;
    let user = ticket_user(&request.user)?;
    let days = within("days", request.days.unwrap_or(DEFAULT_DAYS), MOST_DAYS)?;
    let addresses = request.addresses.unwrap_or(ticket::DEFAULT_ADDRESSES);
    let addresses = within("addresses", u32::from(addresses), u32::from(MOST_ADDRESSES))? as u8;
    let key = signing_key(shared).await?;
    let until = UnixSeconds(wall.0 + u64::from(days) * DAY_SECONDS);
    let ticket = Ticket { key: key.public().id(), user, until, number: TicketNumber::at(wall), addresses };
    if shared.tracker.borrow().ticket_rules().revocations.concern(&ticket) {
        let user = quote(&request.user);
        return Err(nonsense(format!("the tickets of user {user} were revoked in this second; try again")));
    }
    let text = key.sign(&shared.tickets.audience(), &ticket);
    log::info!("signed ticket {} for user {}, for {days} days", ticket.number, quote(&ticket.user));
    // The text has the end as a full hour.
    let until = ticket::parse(text.as_bytes()).map_or(ticket.until, |parsed| parsed.until);
    Ok(content(&text, Some(&Ticket { until, ..ticket }), None))
}

/// Return the content of a ticket, if it can be read, and why it is refused.
fn content(text: &str, ticket: Option<&Ticket>, refused: Option<TicketRefusal>) -> TicketContent {
    let mut content = TicketContent {
        ticket: text.into(),
        refused: refused.map(|refusal| refusal.reason().into()),
        ..TicketContent::default()
    };
    if let Some(Ticket { key, user, until, number, addresses }) = ticket {
        content.user = user.to_string();
        content.number = number.to_string();
        content.key = key.to_string();
        content.signed_unix = number.time().0;
        content.until_unix = until.0;
        content.addresses = *addresses;
    }
    content
}

fn within(name: &str, number: u32, most: u32) -> Result<u32, Refused> {
    let is_within = (1..=most).contains(&number);
    is_within.then_some(number).ok_or_else(|| nonsense(format!("`{name}` is {number} and may be from 1 to {most}")))
}

fn ticket_user(name: &str) -> Result<User, Refused> {
    let user = Some(name).filter(|name| ticket::is_user(name)).and_then(|name| User::try_from(name).ok());
    user.ok_or_else(|| {
        nonsense(format!("{} cannot be the user of a ticket: use 1 to 32 letters, digits, `-` and `_`", quote(name)))
    })
}

async fn signing_key(shared: &Shared) -> Result<SigningKey, Refused> {
    let _changing = shared.changing().await;
    if let Some(key) = shared.tickets.signing_key() {
        return Ok(key);
    }
    let (book, key) = with_new_key(shared)?;
    save(shared, book).await?;
    Ok(key)
}

/// Return the book with another own key, and the key.
fn with_new_key(shared: &Shared) -> Result<(Book, SigningKey), Refused> {
    let failed = |error: String| Refused::new(Because::Failed, format!("cannot make a key: {error}"));
    let mut book = shared.tickets.book();
    loop {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| failed(error.to_string()))?;
        let key = SigningKey::of_seed(seed).map_err(|_| failed("the system's random numbers are zeros".into()))?;
        // Two keys with the same name would hide one another's tickets, and a dash would be an option of the command.
        let id = key.public().id();
        if !shared.tickets.has(id) && !id.begins_with_a_dash() {
            has_room(&book)?;
            book.keys.push(ticket::Key::Own(key.clone()));
            return Ok((book, key));
        }
    }
}

fn has_room(book: &Book) -> Result<(), Refused> {
    if book.keys.len() < ticket::KEYS {
        return Ok(());
    }
    Err(Refused::new(Because::Full, format!("there is room for {} keys; remove one first", ticket::KEYS)))
}

/// Write a changed book. The caller must hold the lock of changes.
async fn save(shared: &Shared, book: Book) -> Result<(), Refused> {
    let saved = shared.tickets.save(&shared.store, &shared.tracker, book).await;
    saved.map_err(|error| {
        log::error!("a change of the ticket keys was refused: {error}");
        let reason =
            format!("the disk failed: {error}. The change is not in effect, but a restart may bring it into effect");
        Refused::new(Because::DiskFailed(Outcome::Unknown), reason)
    })
}

/// Explain a ticket.
pub(super) fn inspect(shared: &Shared, request: &InspectTicket) -> TicketContent {
    let text = request.ticket.trim();
    match shared.tracker.borrow().judge_ticket(text.as_bytes()) {
        Ok(ticket) => content(text, Some(&ticket), None),
        Err((ticket, refusal)) => content(text, ticket.as_ref(), Some(refusal)),
    }
}

/// Return the tickets that were verified lately.
pub(super) fn list(shared: &Shared) -> Tickets {
    let tracker = shared.tracker.borrow();
    let tickets = tracker.tickets().map(|verified| TicketUse {
        user: verified.user.to_string(),
        number: verified.number.to_string(),
        replaced: verified.replaced,
        over_limit: verified.over_limit,
    });
    Tickets { tickets: tickets.collect() }
}

/// Return all keys.
pub(super) fn keys(shared: &Shared) -> Keys {
    let signing = shared.tickets.signing_key().map(|key| key.public());
    let keys = shared.tickets.keys().into_iter().map(|(key, origin)| described(&key, origin, signing == Some(key)));
    Keys { keys: keys.collect() }
}

fn described(key: &PublicKey, origin: Origin, signs: bool) -> Key {
    let origin = match origin {
        Origin::Own => "own",
        Origin::Added => "added",
        Origin::Configured => "configured",
    };
    Key { key: key.id().to_string(), public: key.to_string(), origin: origin.into(), signs }
}

/// Make an own key, or add a public one.
pub(super) async fn new_key(shared: &Shared, request: &NewKey) -> Result<Key, Refused> {
    let _changing = shared.changing().await;
    let Some(public) = &request.public else {
        let (book, key) = with_new_key(shared)?;
        save(shared, book).await?;
        log::info!("made the key {}, which signs tickets from now on", key.public().id());
        return Ok(described(&key.public(), Origin::Own, true));
    };
    let key = PublicKey::parse(public.trim()).map_err(|_| {
        nonsense(format!(
            "{} is no public key: send Ed25519 in base64url, {} characters",
            quote(public),
            ticket::PUBLIC_TEXT_OCTETS
        ))
    })?;
    if shared.tickets.has(key.id()) {
        return Err(Refused::new(Because::Conflict, format!("there is a key {} already", key.id())));
    }
    let mut book = shared.tickets.book();
    has_room(&book)?;
    book.keys.push(ticket::Key::Other(key));
    save(shared, book).await?;
    log::info!("added the key {}: its tickets are accepted", key.id());
    Ok(described(&key, Origin::Added, false))
}

/// Remove a key.
pub(super) async fn remove_key(shared: &Shared, request: &RemoveKey) -> Result<Key, Refused> {
    let _changing = shared.changing().await;
    let id = KeyId::parse(&request.key);
    let found = shared.tickets.keys().into_iter().find(|(key, _)| Some(key.id()) == id);
    match found {
        None => {
            let reason = format!("there is no key {}; `nakodo key list` shows the keys", quote(&request.key));
            Err(Refused::new(Because::NotFound, reason))
        }
        Some((key, Origin::Configured)) => {
            Err(nonsense(format!("the key {} is in `tickets.keys` of the configuration; remove it there", key.id())))
        }
        Some((key, origin)) => {
            let mut book = shared.tickets.book();
            book.keys.retain(|other| other.public() != key);
            save(shared, book).await?;
            log::info!("removed the key {}: its tickets are refused", key.id());
            Ok(described(&key, origin, false))
        }
    }
}

/// The tickets that a revocation names.
pub(super) enum Named {
    /// One ticket.
    One(NamedTicket),
    /// All tickets of a user that were signed until now.
    AllOf(User),
}

/// A ticket by its user and its number.
pub(super) struct NamedTicket {
    pub(super) user: User,
    pub(super) number: TicketNumber,
    /// Its end, if it is known.
    until: Option<UnixSeconds>,
}

/// Parse the name of a ticket: its text, or its user and number with a dot between them.
pub(super) fn named(text: &str) -> Result<NamedTicket, Refused> {
    let text = text.trim();
    if let Ok(Ticket { user, number, until, .. }) = ticket::parse(text.as_bytes()).and_then(|parsed| parsed.ticket()) {
        return Ok(NamedTicket { user, number, until: Some(until) });
    }
    let of_user = text.split_once('.').and_then(|(user, number)| {
        let (user, number) = (ticket_user(user).ok()?, TicketNumber::parse(number).ok()?);
        Some(NamedTicket { user, number, until: None })
    });
    of_user.ok_or_else(|| nonsense("that is neither a ticket nor USER.NUMBER, as `nakodo ticket --inspect` shows them"))
}

/// Refuse tickets from now on. Revoked tickets of another run are forgotten when they have ended.
pub(super) async fn revoke(shared: &Shared, named: &Named) -> Result<(), Refused> {
    let _changing = shared.changing().await;
    let wall = shared.wall();
    let at_most = wall.map(|wall| UnixSeconds(wall.0 + (u64::from(MOST_DAYS) + 2) * DAY_SECONDS));
    let (user, first, last, until) = match named {
        Named::One(NamedTicket { user, number, until }) => (user, *number, *number, until.or(at_most)),
        Named::AllOf(user) => (user, TicketNumber(0), wall.map_or(TicketNumber::MAX, TicketNumber::at), at_most),
    };
    let revocation = Revocation { user: user.clone(), first, last, until };
    let mut book = shared.tickets.book();
    if let Some(wall) = wall {
        book.revocations.forget_ended(wall);
    }
    if !book.revocations.add(revocation) {
        let reason =
            format!("there is room for {} revocations of tickets; remove the key instead", ticket::REVOCATIONS);
        return Err(Refused::new(Because::Full, reason));
    }
    save(shared, book).await
}
