//! Retirement: entries that have been idle for too long, or have ended, leave the whitelist or are suspended, and then
//! their peers leave the swarms.
//!
//! Many entries may end at the same time, so they leave in batches. Each batch is removed from the disk in one write
//! and logged in one or two lines. Other tasks may change the whitelist between two batches.

use core::fmt;

use ipnet::IpNet;
use log::{error, info};

use crate::access::{Entry, REMOVALS_A_CALL, Retired};
use crate::shared::{Event, Shared};

/// Number of entries that a log line names.
const NAMED: usize = 8;

/// Retire all entries that are due, and then remove the peers of all of them.
pub(super) async fn retire(shared: &Shared) {
    while retire_batch(shared).await {
        shared.turns.next().await;
    }
    shared.forget().await;
}

/// Retire a batch of entries, from the tracker first, since no caller waits for the disk here. Return false when none
/// is due, or when the disk fails: one error a second is enough.
async fn retire_batch(shared: &Shared) -> bool {
    let _changing = shared.changing().await;
    let mut batch = RetiredBatch::default();
    while batch.has_room() {
        let retired = shared.tracker.borrow_mut().retire(shared.now(), shared.wall(), |retired| batch.add(&retired));
        if retired == 0 {
            break;
        }
        shared.turns.next().await;
    }
    batch.lines().for_each(|line| info!("{line}"));
    let retired = batch.count();
    if retired > 0 {
        shared.tracker.borrow_mut().counters.entries_retired += retired;
        shared.events.send(Event::Retired { entries: retired });
    }
    if batch.prefixes.is_empty() {
        return false;
    }
    if let Err(error) = shared.store.remove(&batch.prefixes).await {
        error!("{error}; the entries that were just retired stay on the disk and are retired again after a restart");
        return false;
    }
    true
}

/// A batch of retired entries.
#[derive(Debug, Default)]
struct RetiredBatch {
    /// The prefixes of the removed ones.
    prefixes: Vec<IpNet>,
    removed: Names,
    suspended: Names,
}

impl RetiredBatch {
    /// Return whether the batch has room for the entries of one more call. So a batch has at most two calls' worth.
    fn has_room(&self) -> bool {
        self.prefixes.len() <= REMOVALS_A_CALL
    }

    fn add(&mut self, retired: &Retired) {
        match retired {
            Retired::Removed(entry) => {
                self.removed.add(entry);
                self.prefixes.push(entry.prefix);
            }
            Retired::Suspended(entry) => self.suspended.add(entry),
        }
    }

    /// Return the number of entries.
    fn count(&self) -> u64 {
        (self.removed.entries + self.suspended.entries) as u64
    }

    /// Return the lines for the log.
    fn lines(&self) -> impl Iterator<Item = String> {
        let removed = (&self.removed, "retired from the whitelist");
        let suspended = (&self.suspended, "past the end date, and admitted no more; removal follows after a day");
        let lines = [removed, suspended].into_iter().filter(|(names, _)| names.entries > 0);
        lines.map(|(names, event)| format!("{names} {event}"))
    }
}

/// The names of some entries, and the number of all.
#[derive(Debug, Default)]
struct Names {
    named: Vec<String>,
    entries: usize,
}

impl Names {
    fn add(&mut self, entry: &Entry) {
        if self.named.len() < NAMED {
            let user = if entry.user.is_empty() { "no user" } else { &entry.user };
            self.named.push(format!("{} ({user})", entry.prefix));
        }
        self.entries += 1;
    }
}

impl fmt::Display for Names {
    /// Write the subject of a sentence, and its "is" or "are".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named.join(", "))?;
        match self.entries - self.named.len() {
            0 => {}
            more => write!(f, " and {more} more")?,
        }
        f.write_str(if self.entries == 1 { " is" } else { " are" })
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;
    use crate::access::{Retire, User};
    use crate::admin;

    use crate::http::Method;
    use crate::testing::{self, TempDir};

    /// Number of entries that end at the same time.
    const ENDING: u32 = 10_000;

    fn entry(number: u32, user: &str, retire: Retire) -> Entry {
        let (prefix, user) = (IpNet::from(IpAddr::from((0x0a00_0000 + number).to_be_bytes())), User::try_from(user));
        Entry { user: user.expect("a short name"), retire, ..Entry::new(prefix) }
    }

    #[test]
    fn others_change_the_whitelist_while_many_entries_are_retired() {
        let dir = TempDir::new();
        let shared = testing::shared(&dir, testing::settings(ENDING as usize + 1));
        for number in 0..ENDING {
            shared.tracker.borrow_mut().whitelist().put(entry(number, "", Retire::After(0))).expect("room");
        }
        shared.tracker.borrow_mut().whitelist().put(entry(ENDING, "mika", Retire::Never)).expect("room");
        std::thread::sleep(core::time::Duration::from_millis(2));
        let left_on_revocation = smol::block_on(async {
            let revoking = async {
                let request = admin::Request {
                    method: Method::Delete,
                    path: b"/v1/whitelist".to_vec(),
                    query: Vec::new(),
                    body: br#"{"user":"mika"}"#.to_vec(),
                };
                let revoked = admin::answer(&shared, request).await;
                assert!(revoked.is_ok(), "{revoked:?}");
                shared.tracker.borrow().whitelisted().len()
            };
            smol::future::zip(retire(&shared), revoking).await.1
        });
        assert!(left_on_revocation > 0, "the revocation is answered before the last of them is retired");
        assert_eq!(shared.tracker.borrow().whitelisted().len(), 0, "all are retired in the end");
    }

    fn batch(entries: u32, user: &str) -> RetiredBatch {
        let mut batch = RetiredBatch::default();
        for number in 0..entries {
            batch.add(&Retired::Removed(entry(number, user, Retire::Default)));
        }
        batch
    }

    #[test]
    fn a_few_are_named_and_the_others_counted() {
        let lines = |batch: RetiredBatch| batch.lines().collect::<Vec<_>>();
        assert_eq!(lines(batch(0, "")), Vec::<String>::new());
        assert_eq!(lines(batch(1, "mika")), ["10.0.0.0/32 (mika) is retired from the whitelist"]);
        assert_eq!(
            lines(batch(2, "")),
            ["10.0.0.0/32 (no user), 10.0.0.1/32 (no user) are retired from the whitelist"]
        );
        let many = lines(batch(200, "mika")).concat();
        assert!(many.ends_with(", 10.0.0.7/32 (mika) and 192 more are retired from the whitelist"), "{many}");
        let mut suspended = batch(1, "mika");
        suspended.add(&Retired::Suspended(entry(7, "ann", Retire::Never)));
        assert_eq!(suspended.prefixes.len(), 1, "a suspended entry stays on the disk");
        assert_eq!(
            lines(suspended)[1],
            "10.0.0.7/32 (ann) is past the end date, and admitted no more; removal follows after a day"
        );
    }

    #[test]
    fn a_batch_ends_with_the_call_that_fills_it() {
        let calls = REMOVALS_A_CALL as u32;
        assert!(batch(calls, "").has_room());
        assert!(!batch(calls + 1, "").has_room());
    }
}
