//! The removal of entries from the whitelist, and its effect: an address may be admitted nevertheless.

use ipnet::IpNet;

use super::refused::{Because, Refused};
use super::tickets::{self, Named};
use super::{NotTaken, explaining, ready_disk};
use crate::access::{Entry, REMOVALS_A_CALL, SLOTS_A_CALL, User};
use crate::api::{Revoke, Revoked, STILL_ADMITTED, StillAdmitted};
use crate::config::quote;
use crate::shared::Shared;
use crate::ticket;

/// Remove entries and then their peers. Many entries are removed in batches, and other changes may come between two
/// batches.
pub(super) async fn revoke(shared: &Shared, revoke: &Revoke) -> Result<Revoked, Refused> {
    let tickets = named_tickets(shared, revoke)?;
    // First: otherwise a ticket could bring an entry again that was just removed.
    if let Some(tickets) = &tickets {
        tickets::revoke(shared, tickets).await?;
    }
    let (mut removed, mut failure) = (Vec::new(), None);
    for prefixes in named_by(shared, revoke).await.chunks(REMOVALS_A_CALL) {
        match revoke_batch(shared, revoke, prefixes).await {
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
        None if removed.is_empty() && tickets.is_none() => Err(Refused::new(Because::NotFound, no_such_entry(revoke))),
        None => {
            log::info!("revoked {}: {} of the whitelist's entries", meant(revoke), removed.len());
            Ok(Revoked {
                removed: removed.len() as u64,
                tickets_revoked: tickets.is_some(),
                still_admitted: still_admitted(shared, &removed),
            })
        }
    }
}

/// Return the tickets that a request revokes. Without a key no ticket is accepted, and none needs a revocation.
fn named_tickets(shared: &Shared, revoke: &Revoke) -> Result<Option<Named>, Refused> {
    match revoke {
        Revoke::Ticket(text) => tickets::named(text).map(Some),
        Revoke::User(user) if ticket::is_user(user) && !shared.tickets.keys().is_empty() => {
            Ok(User::try_from(user.as_str()).ok().map(Named::AllOf))
        }
        Revoke::User(_) | Revoke::Prefix(_) => Ok(None),
    }
}

/// Return and log the removed prefixes that are admitted nevertheless, as far as the answer has room for them.
fn still_admitted(shared: &Shared, removed: &[IpNet]) -> Vec<StillAdmitted> {
    let admitted = removed.iter().filter_map(|prefix| explaining::still_admitted(shared, *prefix));
    let admitted: Vec<_> = admitted.take(STILL_ADMITTED).collect();
    for StillAdmitted { prefix, by } in &admitted {
        log::warn!("{prefix} is revoked, and still admitted by {by}");
    }
    admitted
}

/// Remove the entries of `prefixes` that still match the request, from the disk first, and return their prefixes.
async fn revoke_batch(shared: &Shared, revoke: &Revoke, prefixes: &[IpNet]) -> Result<Vec<IpNet>, NotTaken> {
    let _changing = shared.changing().await;
    let prefixes = still_meant(shared, revoke, prefixes);
    if !prefixes.is_empty() {
        ready_disk(shared).await?;
        // Earlier addresses of the same user may still be on the disk.
        if let Err(error) = shared.save_brought().await {
            return Err(NotTaken::give_up(shared, error).await);
        }
        if let Err(error) = shared.store.remove(&prefixes).await {
            return Err(NotTaken::give_up(shared, error).await);
        }
    }
    shared.tracker.borrow_mut().revoke(&prefixes);
    Ok(prefixes)
}

/// Return the prefixes that match the request, collected in bounded steps.
async fn named_by(shared: &Shared, revoke: &Revoke) -> Vec<IpNet> {
    let named_ticket;
    let user = match revoke {
        Revoke::Prefix(prefix) => return vec![*prefix],
        Revoke::User(user) => user,
        Revoke::Ticket(text) => {
            let Ok(Named::One(user, ..)) = tickets::named(text) else { return Vec::new() };
            named_ticket = user;
            named_ticket.as_str()
        }
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
fn still_meant(shared: &Shared, revoke: &Revoke, prefixes: &[IpNet]) -> Vec<IpNet> {
    let tracker = shared.tracker.borrow();
    let is_meant = |entry: &&Entry| match revoke {
        Revoke::Prefix(_) => true,
        Revoke::User(user) => entry.user == user.as_str(),
        Revoke::Ticket(text) => matches!(
            tickets::named(text),
            Ok(Named::One(user, number, _)) if entry.user == user && entry.ticket == Some(number)
        ),
    };
    let entries = prefixes.iter().filter_map(|prefix| tracker.whitelisted().get(prefix));
    entries.filter(is_meant).map(|entry| entry.prefix).collect()
}

fn meant(revoke: &Revoke) -> String {
    match revoke {
        Revoke::Prefix(prefix) => prefix.to_string(),
        Revoke::User(user) => format!("user {}", quote(user)),
        Revoke::Ticket(text) => match tickets::named(text) {
            Ok(Named::One(user, number, _)) => format!("ticket {user}.{number}"),
            Ok(Named::AllOf(_)) | Err(_) => "a ticket".into(),
        },
    }
}

fn no_such_entry(revoke: &Revoke) -> String {
    let exactly = match revoke {
        Revoke::Prefix(_) => "; use a prefix exactly as listed",
        Revoke::User(_) | Revoke::Ticket(_) => "",
    };
    format!("{} is not on the whitelist; `nakodo list` shows its entries{exactly}", meant(revoke))
}
