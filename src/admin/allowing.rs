//! Additions to the whitelist, one entry or many.

use super::disk::{NotTaken, ready_disk};
use super::nonsense;
use super::pieces::named;
use super::refused::{Because, Refused};
use crate::access::{Entry, Full, Put, Retire, USER_OCTETS, User, UserError, parse_user};
use crate::api::{Allow, Allowed, IMPORT_ENTRIES, Import, Imported, Known, NAMED_ENTRIES};
use crate::clock::UnixSeconds;
use crate::config::LONGEST_RETIRE_AFTER;
use crate::config::units::show_duration;
use crate::shared::{Event, Shared};

/// Longest idle time that an entry may have. An entry without a limit is permanent.
const MOST_RETIRE_SECONDS: u64 = LONGEST_RETIRE_AFTER.as_secs();

/// Number of entries that one step puts into the table.
const PUTS_A_STEP: usize = 64;

/// Add an entry to the whitelist. It replaces an entry with the same prefix, and its idle time starts at zero.
pub(super) async fn allow(shared: &Shared, allow: Allow) -> Result<Allowed, Refused> {
    let entry = entry(shared, &allow)?;
    let _changing = shared.changing().await;
    shared.tracker.borrow().whitelisted().can_put(&entry.prefix).map_err(full)?;
    let (prefix, user) = (entry.prefix, entry.user.clone());
    let replaced = shared.tracker.borrow().whitelisted().get(&prefix).cloned();
    write(shared, vec![entry], usize::from(replaced.is_none())).await?;
    log::info!("{} {prefix}, user {user:?}", if replaced.is_some() { "changed" } else { "allowed" });
    shared.events.send(Event::Allowed { prefix, user, replaced: replaced.is_some() });
    let user_before = replaced.as_ref().and_then(|before| named(&before.user));
    Ok(Allowed { prefix, replaced: replaced.is_some(), user_before })
}

/// Add entries to the whitelist, all or none of them.
pub(super) async fn import(shared: &Shared, import: Import) -> Result<Imported, Refused> {
    let entries = distinct(shared, &import)?;
    let _changing = shared.changing().await;
    let (mut news, mut imported) = (Vec::new(), Imported::default());
    let mut conflicts = Vec::new();
    {
        let tracker = shared.tracker.borrow();
        let whitelist = tracker.whitelisted();
        for entry in entries {
            let Some(before) = whitelist.get(&entry.prefix) else {
                imported.added += 1;
                news.push(entry);
                continue;
            };
            if is_same(before, &entry) {
                imported.unchanged += 1;
                continue;
            }
            let known = Known { prefix: before.prefix, user: named(&before.user) };
            if !before.user.is_empty() && before.user != entry.user && conflicts.len() < NAMED_ENTRIES {
                conflicts.push(known.clone());
            }
            imported.changed += 1;
            if imported.replaced.len() < NAMED_ENTRIES {
                imported.replaced.push(known);
            }
            news.push(entry);
        }
        let (room, added) = (whitelist.capacity() - whitelist.len(), imported.added as usize);
        if added > room {
            let reason =
                format!("{added} of the entries are new, and the whitelist has room for {room}; nothing was changed");
            return Err(Refused::new(Because::Full, reason));
        }
    }
    if !conflicts.is_empty() && !import.replace {
        return Err(Refused { conflicts, ..Refused::new(Because::Conflict, OF_OTHER_USERS) });
    }
    write(shared, news, imported.added as usize).await?;
    let (added, changed) = (imported.added, imported.changed);
    if added + changed > 0 {
        log::info!("imported {added} new entries of the whitelist, and changed {changed}");
        shared.events.send(Event::Imported { added, changed });
    }
    Ok(imported)
}

const OF_OTHER_USERS: &str = "entries with some of the prefixes belong to other users; nothing was changed: remove those \
                              entries, or leave them out, or send `replace`";

/// Return the requested entries, each prefix once.
///
/// # Errors
/// The first entry that is wrong, or a prefix with two different entries.
fn distinct(shared: &Shared, import: &Import) -> Result<Vec<Entry>, Refused> {
    let requested = import.entries.len();
    if requested > IMPORT_ENTRIES {
        let reason =
            format!("the request has {requested} entries and may have {IMPORT_ENTRIES}; send several requests");
        return Err(nonsense(reason));
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(requested);
    for (number, allow) in import.entries.iter().enumerate() {
        let at = |refused: Refused| {
            nonsense(format!("entry {} of the request, {}: {}", number + 1, allow.prefix, refused.reason))
        };
        entries.push(entry(shared, allow).map_err(at)?);
    }
    entries.sort_unstable_by_key(|entry| entry.prefix);
    entries.dedup_by(|later, earlier| later.prefix == earlier.prefix && is_same(earlier, later));
    match entries.iter().zip(entries.iter().skip(1)).find(|(one, other)| one.prefix == other.prefix) {
        None => Ok(entries),
        Some((twice, _)) => {
            Err(nonsense(format!("two entries of the request have the prefix {}, with different terms", twice.prefix)))
        }
    }
}

/// Return whether an entry that is on the list has the terms of another: user, retirement and end.
fn is_same(before: &Entry, entry: &Entry) -> bool {
    let terms = |entry: &Entry| (entry.retire, entry.until, entry.ticket);
    before.user == entry.user && terms(before) == terms(entry)
}

/// Write entries to the disk, and then put them into the table. There must be room for the `added` ones that are new.
async fn write(shared: &Shared, entries: Vec<Entry>, added: usize) -> Result<(), Refused> {
    let reserve = |places| shared.tracker.borrow_mut().whitelist().reserve(places);
    reserve(added);
    let written = write_reserved(shared, entries, added).await;
    reserve(0);
    written
}

async fn write_reserved(shared: &Shared, entries: Vec<Entry>, mut added: usize) -> Result<(), Refused> {
    ready_disk(shared).await.map_err(|refused| refused.after(0))?;
    if let Err(error) = shared.store.put(entries.clone()).await {
        return Err(NotTaken::give_up(shared, error).await.after(0));
    }
    for entries in entries.chunks(PUTS_A_STEP) {
        {
            let mut tracker = shared.tracker.borrow_mut();
            for entry in entries {
                let put = tracker.whitelist().put(entry.clone()).map_err(full)?;
                added = added.saturating_sub(usize::from(put == Put::Added));
            }
            tracker.whitelist().reserve(added);
        }
        shared.turns.next().await;
    }
    Ok(())
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
