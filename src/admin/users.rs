//! The users of the whitelist, a page at a time.

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
    let mut users = Vec::new();
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

/// Add an entry to its user, unless the user is not among the first `most` of them. The users are in the order of their
/// names.
fn add(users: &mut Vec<UserSummary>, entry: &Entry, idle_seconds: u64, most: usize) {
    let until_unix = entry.until.map(|until| until.0);
    let by_ticket = u64::from(entry.ticket.is_some());
    match users.binary_search_by(|user| user.user.as_str().cmp(entry.user.as_str())) {
        Ok(place) => {
            if let Some(user) = users.get_mut(place) {
                user.entries += 1;
                user.entries_by_ticket += by_ticket;
                user.idle_seconds = user.idle_seconds.min(idle_seconds);
                user.until_unix = user.until_unix.zip(until_unix).map(|(one, other)| one.max(other));
            }
        }
        Err(place) if place < most => {
            let user = entry.user.to_string();
            let user = UserSummary { user, entries: 1, entries_by_ticket: by_ticket, idle_seconds, until_unix };
            users.insert(place, user);
            users.truncate(most);
        }
        Err(_) => {}
    }
}

fn page(mut users: Vec<UserSummary>, limit: usize) -> Users {
    let has_more = users.len() > limit;
    users.truncate(limit);
    let next = users.last().filter(|_| has_more).map(|last| last.user.clone());
    Users { users, next }
}
