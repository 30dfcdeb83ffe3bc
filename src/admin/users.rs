//! The users of the whitelist, a page at a time.

use std::collections::BTreeMap;

use super::parameters::Parameters;
use super::refused::Refused;
use crate::access::Entry;
use crate::api::{UserSummary, Users};
use crate::shared::Shared;

/// Number of users on a page unless another is requested.
const USERS_A_PAGE: usize = 100;

/// Maximum number of users on a page: they are collected in memory.
const MOST_USERS_A_PAGE: usize = 1000;

/// Number of entries that one step reads.
const ENTRIES_A_STEP: usize = 512;

/// Return a page of users.
pub(super) async fn users(shared: &Shared, parameters: &Parameters) -> Result<Users, Refused> {
    let after = parameters.text("after").unwrap_or_default();
    let limit = parameters.limit()?.unwrap_or(USERS_A_PAGE).min(MOST_USERS_A_PAGE);
    // One more than the page, to learn whether there is another page.
    let mut users = BTreeMap::<String, UserSummary>::new();
    let mut last = None;
    loop {
        {
            let tracker = shared.tracker.borrow();
            for _ in 0..ENTRIES_A_STEP {
                let Some(entry) = tracker.whitelisted().after(last.as_ref()) else {
                    return Ok(page(users, limit));
                };
                last = Some(entry.prefix);
                if entry.user.as_str() > after {
                    let idle_seconds = tracker.whitelisted().idle(entry, shared.now()).as_secs();
                    add(&mut users, entry, idle_seconds, limit + 1);
                }
            }
        }
        shared.turns.next().await;
    }
}

/// Add an entry to its user, unless the user is not among the first `most` of them.
fn add(users: &mut BTreeMap<String, UserSummary>, entry: &Entry, idle_seconds: u64, most: usize) {
    let until_unix = entry.until.map(|until| until.0);
    let by_ticket = u64::from(entry.ticket.is_some());
    if let Some(user) = users.get_mut(entry.user.as_str()) {
        user.entries += 1;
        user.entries_by_ticket += by_ticket;
        user.idle_seconds = user.idle_seconds.min(idle_seconds);
        user.until_unix = user.until_unix.zip(until_unix).map(|(one, other)| one.max(other));
        return;
    }
    let is_among =
        users.len() < most || users.last_key_value().is_some_and(|(last, _)| entry.user.as_str() < last.as_str());
    if is_among {
        let user = entry.user.to_string();
        let summary =
            UserSummary { user: user.clone(), entries: 1, entries_by_ticket: by_ticket, idle_seconds, until_unix };
        users.insert(user, summary);
        if users.len() > most {
            users.pop_last();
        }
    }
}

fn page(users: BTreeMap<String, UserSummary>, limit: usize) -> Users {
    let has_more = users.len() > limit;
    let users: Vec<UserSummary> = users.into_values().take(limit).collect();
    let next = users.last().filter(|_| has_more).map(|last| last.user.clone());
    Users { users, next }
}
