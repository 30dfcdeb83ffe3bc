//! The tracker's side of the admin API: the work and the answer of each request in [`api`].
//!
//! A change of the whitelist is made on the disk first and then in the table, so that an acknowledged change survives a
//! power cut. After a disk failure the whole table is written to a new database, so that a refused change stays
//! refused. While the disk accepts no write, the answer reports the outcome as unknown. A change that has begun must
//! run to its end: the network side limits the time of the client, and never of the disk.

mod explaining;
mod listing;
mod refused;
mod revoking;
mod tickets;

use serde::{Deserialize, Serialize};

pub use listing::Listing;
pub use refused::{Because, Refused};

use crate::access::{Entry, Full, Put, Retire, USER_OCTETS, User, UserError, parse_user};
use crate::api::{self, Allow, Allowed, Outcome, Status};
use crate::clock::UnixSeconds;
use crate::config::LONGEST_RETIRE_AFTER;
use crate::config::units::show_duration;
use crate::http::Method;
use crate::shared::Shared;
use crate::sides;
use crate::store::{self, StoreError};

/// Longest idle time that an entry may have. An entry without a limit is permanent.
const MOST_RETIRE_SECONDS: u64 = LONGEST_RETIRE_AFTER.as_secs();

/// The answer to a request that succeeded.
#[derive(Debug)]
pub enum Answer {
    /// One JSON text.
    Whole(String),
    /// [`api::Whitelist`], to be written in pieces: the whole of it may have several megabytes.
    List(Listing),
}

/// Do the work of a request.
///
/// # Errors
/// When the work was not done. The error has the reason, and after a disk failure also whether a restart may bring the
/// change into effect.
pub async fn answer(shared: &Shared, method: Method, path: &[u8], body: &[u8]) -> Result<Answer, Refused> {
    let path = str::from_utf8(path).unwrap_or_default();
    if let Some(address) = path.strip_prefix(api::EXPLAIN) {
        return match method {
            Method::Get => whole(&explaining::explain(shared, address).await?),
            _ => Err(Refused::method(api::EXPLAIN, "GET")),
        };
    }
    match (path, method) {
        (api::STATUS, Method::Get) => whole(&status(shared)),
        (api::WHITELIST, Method::Get) => Ok(Answer::List(Listing::default())),
        (api::WHITELIST, Method::Post) => whole(&allow(shared, read(path, body)?).await?),
        (api::WHITELIST, Method::Delete) => whole(&revoking::revoke(shared, &read(path, body)?).await?),
        (api::TICKETS, Method::Get) => whole(&tickets::list(shared)),
        (api::TICKETS, Method::Post) => whole(&tickets::sign(shared, &read(path, body)?).await?),
        (api::INSPECT, Method::Post) => whole(&tickets::inspect(shared, &read(path, body)?)),
        (api::KEYS, Method::Get) => whole(&tickets::keys(shared)),
        (api::KEYS, Method::Post) => whole(&tickets::new_key(shared, &read(path, body)?).await?),
        (api::KEYS, Method::Delete) => whole(&tickets::remove_key(shared, &read(path, body)?).await?),
        (api::TICKETS, _) => Err(Refused::method(path, "GET, POST")),
        (api::INSPECT, _) => Err(Refused::method(path, "POST")),
        (api::KEYS, _) => Err(Refused::method(path, "GET, POST, DELETE")),
        (api::STATUS, _) => Err(Refused::method(path, "GET")),
        (api::WHITELIST, _) => Err(Refused::method(path, "GET, POST, DELETE")),
        _ => {
            let paths = [api::STATUS, api::WHITELIST, api::TICKETS, api::INSPECT, api::KEYS].join(", ");
            let reason = format!("unknown path; the paths are {paths} and {}ADDRESS", api::EXPLAIN);
            Err(Refused::new(Because::NotFound, reason))
        }
    }
}

fn whole(answer: &impl Serialize) -> Result<Answer, Refused> {
    serde_json::to_string(answer)
        .map(Answer::Whole)
        .map_err(|error| Refused::new(Because::Failed, format!("cannot write the answer: {error}")))
}

fn read<'b, T: Deserialize<'b>>(path: &str, body: &'b [u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| nonsense(format!("the request's body is not valid for {path}: {error}")))
}

fn nonsense(reason: impl Into<String>) -> Refused {
    Refused::new(Because::Nonsense, reason)
}

/// Return the state of the tracker.
fn status(shared: &Shared) -> Status {
    let tracker = shared.tracker.borrow();
    let usage = tracker.usage();
    let named = tracker.counters.named().into_iter().map(|(name, count)| (name.into(), count));
    Status {
        version: env!("CARGO_PKG_VERSION").into(),
        uptime_seconds: shared.uptime_seconds(),
        running_seconds: shared.now().seconds(),
        memory: api::Memory {
            budget_octets: usage.budget_octets as u64,
            lines: usage.lines as u64,
            lines_in_use: usage.lines_in_use as u64,
            swarms: usage.swarms as u64,
            peers: (usage.seeders + usage.leechers) as u64,
            seeders: usage.seeders as u64,
            leechers: usage.leechers as u64,
        },
        whitelist: api::Room { entries: usage.whitelist_entries as u64, capacity: usage.whitelist_capacity as u64 },
        flash: api::Flash { octets_written: shared.store.flash_octets_written() },
        disk: disk(shared.store.health()),
        interfaces: shared.sides.borrow().interfaces.iter().map(interface).collect(),
        warnings: warnings(shared),
        counters: api::Counters(named.collect()),
    }
}

fn interface(of: &sides::Interface) -> api::Interface {
    api::Interface {
        name: of.name.clone(),
        side: of.side.to_string(),
        reason: of.reason.to_string(),
        networks: of.networks.iter().map(ToString::to_string).collect(),
    }
}

/// Return the warnings about the interfaces, the clock, and the sources of the requests.
fn warnings(shared: &Shared) -> Vec<String> {
    let mut warnings = shared.sides.borrow().warnings();
    if shared.wall().is_none() {
        warnings.push("the system clock is not set: end dates of whitelist entries have no effect until it is".into());
    }
    warnings.extend(shared.tracker.borrow().suspects().map(|suspect| suspect.to_string()));
    warnings
}

fn disk(health: store::Health) -> api::Disk {
    let store::Health { failing, export_failing, recovered, failures, rebuilds } = health;
    api::Disk { failing, export_failing, recovered, failures, rebuilds }
}

/// Add an entry to the whitelist. It replaces an entry with the same prefix, and its idle time starts at zero.
async fn allow(shared: &Shared, allow: Allow) -> Result<Allowed, Refused> {
    let entry = entry(shared, &allow)?;
    let _changing = shared.changing().await;
    shared.tracker.borrow().whitelisted().can_put(&entry.prefix).map_err(full)?;
    ready_disk(shared).await.map_err(|refused| refused.after(0))?;
    if let Err(error) = shared.store.put(&entry).await {
        return Err(NotTaken::give_up(shared, error).await.after(0));
    }
    let prefix = entry.prefix;
    let user = entry.user.clone();
    let put = shared.tracker.borrow_mut().whitelist().put(entry).map_err(full)?;
    let replaced = matches!(put, Put::Replaced(_));
    log::info!("{} {prefix}, user {user:?}", if replaced { "changed" } else { "allowed" });
    Ok(Allowed { prefix, replaced })
}

/// Return the requested entry, added and last seen now.
fn entry(shared: &Shared, allow: &Allow) -> Result<Entry, Refused> {
    let wall = shared.wall();
    Ok(Entry {
        prefix: allow.prefix,
        user: user(allow.user.as_deref())?,
        retire: retire(allow)?,
        until: until(allow, wall)?,
        added: wall,
        last_seen: shared.now(),
        ticket: None,
    })
}

fn user(name: Option<&str>) -> Result<User, Refused> {
    let Some(name) = name else { return Ok(User::new()) };
    parse_user(name).map_err(|error| {
        nonsense(match error {
            UserError::Blank => "`user` is blank; name the user, or leave `user` out".into(),
            UserError::ControlCharacters => format!("`user` has control characters ({name:?}); remove them"),
            UserError::TooLong => {
                format!("`user` has {} bytes and may have {USER_OCTETS}; choose a shorter name", name.len())
            }
        })
    })
}

fn retire(allow: &Allow) -> Result<Retire, Refused> {
    match (allow.retire_after_seconds, allow.permanent) {
        (Some(_), true) => Err(nonsense("`permanent` and `retire_after_seconds` exclude each other; send one of them")),
        (None, true) => Ok(Retire::Never),
        (None, false) => Ok(Retire::Default),
        (Some(seconds), false) => u32::try_from(seconds)
            .ok()
            .filter(|&seconds| (1..=MOST_RETIRE_SECONDS).contains(&u64::from(seconds)))
            .map(Retire::After)
            .ok_or_else(|| {
                nonsense(format!(
                    "`retire_after_seconds` is {seconds} and may be from 1 to {MOST_RETIRE_SECONDS} ({}); send \
                     `permanent` for an entry that is never retired",
                    show_duration(LONGEST_RETIRE_AFTER)
                ))
            }),
    }
}

fn until(allow: &Allow, wall: Option<UnixSeconds>) -> Result<Option<UnixSeconds>, Refused> {
    let until = allow.until_unix.map(UnixSeconds);
    match (until, wall) {
        (Some(until), Some(wall)) if until <= wall => Err(nonsense(format!(
            "the end ({} s since 1970) has passed: it is {} s by the tracker's clock; send a later one",
            until.0, wall.0
        ))),
        _ => Ok(until),
    }
}

fn full(full: Full) -> Refused {
    let reason = format!(
        "the whitelist is full: it has room for {} entries; revoke some, or raise access.capacity in the configuration \
         and restart nakodo",
        full.capacity
    );
    Refused::new(Because::Full, reason)
}

/// A change that the disk did not accept.
struct NotTaken {
    outcome: Outcome,
    error: StoreError,
}

impl NotTaken {
    /// Give up a change. The rewrite of the whole list makes sure that the change stays refused.
    async fn give_up(shared: &Shared, error: StoreError) -> Self {
        let is_mended = shared.mend_disk().await.is_ok();
        let outcome = match error.outcome() {
            store::Outcome::Unknown if !is_mended => Outcome::Unknown,
            store::Outcome::Unknown | store::Outcome::Unchanged => Outcome::Unchanged,
        };
        Self { outcome, error }
    }

    /// Return the refusal, after `removed` of the requested entries were removed in earlier batches.
    fn after(self, removed: usize) -> Refused {
        let Self { outcome, error } = self;
        let outcome = if removed > 0 && outcome == Outcome::Unchanged { Outcome::Partial } else { outcome };
        let done = if removed > 0 { format!("{removed} entries were removed; ") } else { String::new() };
        log::error!("a change of the whitelist was refused: {done}{error}");
        let reason = match outcome {
            Outcome::Unchanged => format!("nothing was changed, because the disk failed: {error}"),
            Outcome::Partial => format!("{done}the others were not removed, because the disk failed: {error}"),
            Outcome::Unknown => format!(
                "{done}the disk failed: {error}. The change is not in effect, but part of it may be on the disk: it is \
                 unknown whether a restart brings it into effect. nakodo keeps trying to write the list without it; \
                 `nakodo status` shows `failing` until that succeeds, and from then on the change stays refused"
            ),
        };
        Refused::new(Because::DiskFailed(outcome), reason)
    }
}

/// Make sure that the disk accepts changes. The caller must hold the lock of changes.
async fn ready_disk(shared: &Shared) -> Result<(), NotTaken> {
    shared.mend_disk().await.map_err(|error| NotTaken { outcome: Outcome::Unchanged, error })
}
