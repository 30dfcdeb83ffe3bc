//! The removal of entries from the whitelist, and its effect: an address may be admitted nevertheless.

use core::fmt;

use ipnet::IpNet;

use super::disk::{NotTaken, ready_disk};
use super::explaining;
use super::refused::{Because, Refused};
use super::tickets::{self, Named};
use crate::access::{Entry, REMOVALS_A_CALL, SLOTS_A_CALL, TicketNumber, User};
use crate::api::{NAMED_ENTRIES, Revoke, Revoked, StillAdmitted};
use crate::config::quote;
use crate::shared::{Event, Shared};
use crate::ticket;

/// The entries that a request names.
enum Meant<'r> {
    /// The entry with exactly this prefix.
    Prefix(IpNet),
    /// Those of this user.
    User(&'r str),
    /// Those that a ticket of this user with this number brought.
    Ticket(User, TicketNumber),
}

/// Remove entries and then their peers. Many entries are removed in batches, and other changes may come between two
/// batches.
pub(super) async fn revoke(shared: &Shared, revoke: &Revoke) -> Result<Revoked, Refused> {
    let (meant, tickets) = match revoke {
        Revoke::Prefix(prefix) => (Meant::Prefix(*prefix), None),
        Revoke::User(user) => (Meant::User(user), tickets_of(shared, user)),
        Revoke::Ticket(text) => {
            let named = tickets::named(text)?;
            (Meant::Ticket(named.user.clone(), named.number), Some(Named::One(named)))
        }
    };
    let (mut removed, mut failure) = (Vec::new(), None);
    // First: otherwise a ticket could bring an entry again that was just removed.
    if let Some(tickets) = &tickets {
        tickets::revoke(shared, tickets).await?;
        failure = save_departed(shared).await.err().map(|refused| refused.after(0));
    }
    let named = if failure.is_none() { named_by(shared, &meant).await } else { Vec::new() };
    for prefixes in named.chunks(REMOVALS_A_CALL) {
        match revoke_batch(shared, &meant, prefixes).await {
            Ok(of_batch) => removed.extend(of_batch),
            Err(refused) => {
                failure = Some(refused.after(removed.len()));
                break;
            }
        }
        shared.turns.next().await;
    }
    if !removed.is_empty() {
        shared.forget().await;
    }
    match failure {
        Some(failure) if tickets.is_some() => {
            Err(Refused { reason: format!("the tickets are refused from now on, but {}", failure.reason), ..failure })
        }
        Some(failure) => Err(failure),
        None if removed.is_empty() && tickets.is_none() => Err(Refused::new(Because::NotFound, no_such_entry(&meant))),
        None => {
            log::info!("revoked {meant}: {} of the whitelist's entries", removed.len());
            shared.events.send(Event::Revoked { subject: meant.to_string(), entries: removed.len() as u64 });
            Ok(Revoked {
                removed: removed.len() as u64,
                tickets_revoked: tickets.is_some(),
                still_admitted: still_admitted(shared, &removed),
            })
        }
    }
}

/// Return the tickets of a user. Without a key no ticket is accepted, and none needs a revocation.
fn tickets_of(shared: &Shared, user: &str) -> Option<Named> {
    let is_needed = ticket::is_user(user) && !shared.tickets.keys().is_empty();
    User::try_from(user).ok().filter(|_| is_needed).map(Named::AllOf)
}

/// Return and log the removed prefixes that are admitted nevertheless, as far as the answer has room for them.
fn still_admitted(shared: &Shared, removed: &[IpNet]) -> Vec<StillAdmitted> {
    let admitted = removed.iter().filter_map(|prefix| explaining::still_admitted(shared, *prefix));
    let admitted: Vec<_> = admitted.take(NAMED_ENTRIES).collect();
    for StillAdmitted { prefix, by } in &admitted {
        log::warn!("{prefix} is revoked, and still admitted by {by}");
    }
    admitted
}

/// Remove the entries of `prefixes` that still match the request, from the disk first, and return their prefixes.
async fn revoke_batch(shared: &Shared, meant: &Meant<'_>, prefixes: &[IpNet]) -> Result<Vec<IpNet>, NotTaken> {
    let _changing = shared.changing().await;
    let prefixes = still_meant(shared, meant, prefixes);
    if !prefixes.is_empty() {
        ready_disk(shared).await?;
        if let Err(error) = shared.store.remove(&prefixes).await {
            return Err(NotTaken::give_up(shared, error).await);
        }
    }
    shared.tracker.borrow_mut().revoke(&prefixes);
    Ok(prefixes)
}

/// Remove the earlier addresses of users from the disk: those of a revoked user must not come back.
async fn save_departed(shared: &Shared) -> Result<(), NotTaken> {
    let _changing = shared.changing().await;
    ready_disk(shared).await?;
    match shared.save_brought().await {
        Ok(()) => Ok(()),
        Err(error) => Err(NotTaken::give_up(shared, error).await),
    }
}

/// Return the prefixes that match the request, collected in bounded steps.
async fn named_by(shared: &Shared, meant: &Meant<'_>) -> Vec<IpNet> {
    let user = match meant {
        Meant::Prefix(prefix) => return vec![*prefix],
        Meant::User(user) => user,
        Meant::Ticket(user, _) => user.as_str(),
    };
    // Held so that the entries keep their slots during the search.
    let _changing = shared.changing().await;
    let (mut named, mut slot) = (Vec::new(), 0);
    while slot < shared.tracker.borrow().whitelisted().len() {
        let slots = slot..slot + SLOTS_A_CALL;
        named.extend(shared.tracker.borrow().whitelisted().of_user(user, slots).map(|entry| entry.prefix));
        slot += SLOTS_A_CALL;
        shared.turns.next().await;
    }
    named
}

/// Return those of `prefixes` that still match the request: the list may have changed since the search.
fn still_meant(shared: &Shared, meant: &Meant<'_>, prefixes: &[IpNet]) -> Vec<IpNet> {
    let tracker = shared.tracker.borrow();
    let is_meant = |entry: &&Entry| match meant {
        Meant::Prefix(_) => true,
        Meant::User(user) => entry.user == *user,
        Meant::Ticket(user, number) => entry.user == *user && entry.ticket == Some(*number),
    };
    let entries = prefixes.iter().filter_map(|prefix| tracker.whitelisted().get(prefix));
    entries.filter(is_meant).map(|entry| entry.prefix).collect()
}

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => write!(f, "{prefix}"),
            Self::User(user) => write!(f, "user {}", quote(user)),
            Self::Ticket(user, number) => write!(f, "ticket {user}.{number}"),
        }
    }
}

fn no_such_entry(meant: &Meant<'_>) -> String {
    let exactly = if let Meant::Prefix(_) = meant { "; use a prefix exactly as listed" } else { "" };
    format!("{meant} is not on the whitelist; `nakodo list` shows its entries{exactly}")
}
