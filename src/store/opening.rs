//! Opening of both copies of the whitelist: they are compared, and a damaged one is restored from the other.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use ipnet::IpNet;

use super::StoreError;
use super::build::{build, record_of, with_records_of};
use super::data_dir::DataDir;
use super::database::{Batch, Database, LoadError, Meter};
use super::health::Noted;
use super::journal::{Change, Numbered};
use super::load::{Condition, Found, Loaded, load};
use super::panics::Panics;
use super::record::{self, State};
use super::text_copy::{Summary, TextCopy, replay};
use crate::access::Entry;

/// A database in use, its state, the data that it was made from, and the text files beside it.
pub(super) struct Ready {
    pub(super) database: Database,
    pub(super) state: State,
    pub(super) found: Found,
    pub(super) summary: Summary,
    /// Whether the text files have the same changes as the database.
    pub(super) is_text_current: bool,
}

/// Open the database, or create one from the text files.
pub(super) fn open(data_dir: &DataDir, meter: &Arc<Meter>, health: &Noted) -> Result<Ready, StoreError> {
    let panics = Panics::counted_in(data_dir.panics());
    let summary = Summary::read(data_dir);
    let ready = if !data_dir.has_database() {
        restore(data_dir, None, Found::default(), meter, health)?
    } else if panics.allow_an_open(!summary.is_damaged() && summary.changes > 0) {
        match panics.watch(|| load(data_dir, Arc::clone(meter))) {
            Ok(loaded) => compare(data_dir, loaded, summary, meter, health)?,
            Err(LoadError::Damaged(how)) => restore(data_dir, Some(how), Found::default(), meter, health)?,
            Err(LoadError::Unusable(error)) => return Err(error),
        }
    } else {
        let how = "the library panicked at the last start while it opened the database".to_owned();
        restore(data_dir, Some(how), Found::default(), meter, health)?
    };
    panics.forget().map_err(StoreError::of("write in", data_dir.path()))?;
    Ok(ready)
}

/// Use the database if it is complete and has all changes that the text files have.
fn compare(
    data_dir: &DataDir,
    loaded: Loaded,
    summary: Summary,
    meter: &Arc<Meter>,
    health: &Noted,
) -> Result<Ready, StoreError> {
    let Loaded { database, mut found, condition } = loaded;
    match condition {
        Condition::Whole(state)
            if state.changes + 1 == summary.changes && !summary.is_damaged() && !found.unreadable_state =>
        {
            let state = catch_up(data_dir, &database, state, &mut found)?;
            Ok(Ready { database, state, found, summary, is_text_current: true })
        }
        Condition::Whole(state) if state.changes >= summary.changes || found.unreadable_state => {
            let entries = state.entries - found.unreadable.len() as u32;
            let is_same = (state.changes, entries) == (summary.changes, summary.entries);
            let is_text_current = is_same && !summary.is_damaged() && !found.unreadable_state;
            let is_behind = summary.is_kept_up && summary.changes < state.changes;
            if summary.is_damaged() || is_behind {
                let aside = data_dir.keep_text_aside().map_err(StoreError::of("write in", data_dir.path()))?;
                let aside: Vec<String> = aside.iter().map(|path| path.display().to_string()).collect();
                let how = if summary.is_damaged() {
                    summary.damage()
                } else {
                    format!("it ends with change {}, the database with {}", summary.changes, state.changes)
                };
                health.recovered(&format!(
                    "the text copy of the whitelist was damaged ({how}); it is made anew from the database, which has all \
                     {entries} entries; the damaged files are now {}",
                    aside.join(" and ")
                ));
            }
            Ok(Ready { database, state, found, summary, is_text_current })
        }
        Condition::New if summary.changes == 0 && summary.entries == 0 && !summary.is_damaged() => {
            let state = State::default();
            Ok(Ready { database, state, found, summary, is_text_current: false })
        }
        condition => {
            drop(database);
            let how = match condition {
                Condition::New => None,
                Condition::Damaged(how) => Some(how),
                Condition::Whole(state) => {
                    Some(format!("changes {} to {} are missing at its end", state.changes + 1, summary.changes))
                }
            };
            restore(data_dir, how, found, meter, health)
        }
    }
}

/// Make the last change of the journal in the database: a change is first in the journal, and a crash came between.
fn catch_up(data_dir: &DataDir, database: &Database, state: State, found: &mut Found) -> Result<State, StoreError> {
    let mut entries: BTreeMap<IpNet, Entry> = found.entries.drain(..).map(|entry| (entry.prefix, entry)).collect();
    let mut batch = Batch::default();
    let changes = TextCopy::read(data_dir).changes.into_iter().filter(|change| change.number > state.changes);
    for Numbered { change, .. } in changes {
        match &change {
            Change::Put(entry) => {
                let (key, value) = record_of(data_dir, entry)?;
                batch.insert(&*key, &*value);
            }
            Change::Remove(prefixes) => prefixes.iter().for_each(|prefix| batch.remove(&*record::key(prefix))),
        }
        replay(&mut entries, change);
    }
    found.entries = entries.into_values().collect();
    let state = State { entries: found.count(), changes: state.changes + 1, ..state };
    database.commit(batch, &state)?;
    Ok(state)
}

/// Create a database from the text files and the readable data of a damaged database, and move that database aside.
/// `how` describes its damage; there is none if it was missing.
fn restore(
    data_dir: &DataDir,
    how: Option<String>,
    mut found: Found,
    meter: &Arc<Meter>,
    health: &Noted,
) -> Result<Ready, StoreError> {
    let text = TextCopy::read(data_dir);
    let is_text_damaged = text.summary.is_damaged();
    let text_damage = text.summary.damage();
    let lost = merge(&mut found, text);
    // Running time never goes back before the last-seen time of an entry, even if a person wrote the entry.
    let seen = found.entries.iter().map(|entry| entry.last_seen).max().unwrap_or_default();
    found.running = found.running.max(seen);
    let records = with_records_of(data_dir, found.unreadable.iter().cloned().collect(), &found.entries)?;
    let state = State { running: found.running.millis(), entries: records.len() as u32, changes: found.changes };
    let (database, aside) = build(data_dir, records.into_iter(), &state, meter)?;
    if is_text_damaged {
        data_dir.keep_text_aside().map_err(StoreError::of("write in", data_dir.path()))?;
    }
    if how.is_some() || is_text_damaged || state.entries > 0 {
        let mut report = match how {
            Some(how) => format!(
                "the database of the whitelist was damaged ({how}); it is now {}",
                aside.as_deref().unwrap_or(data_dir.path()).display()
            ),
            None => "the whitelist has no database".to_owned(),
        };
        // A write to a string cannot fail.
        let _ = write!(report, ". {} entries were recovered from the text copy and the database", found.entries.len());
        if is_text_damaged {
            let _ = write!(report, "; the text copy was damaged too ({text_damage})");
        }
        let _ = report.write_str(&lost.unwrap_or_else(|| "; no change is lost".to_owned()));
        health.recovered(&report);
    }
    found.moved_aside = aside;
    Ok(Ready { database, state, found, summary: Summary::default(), is_text_current: false })
}

/// Merge the text files into the readable data of a database. Return a description of what is lost, if anything.
///
/// - A database that has lost only its end is complete up to its last change: the later changes follow from the journal.
/// - Otherwise the export and the journal are the list, if they are whole.
/// - Otherwise the entries of all are kept, except those that a later change in the journal removes.
fn merge(found: &mut Found, text: TextCopy) -> Option<String> {
    let TextCopy { summary, exported, changes } = text;
    let (in_database, database_ends) = (found.entries.len(), found.changes);
    let last = summary.changes.max(database_ends);
    let has_lost_only_its_end = found.is_whole && database_ends >= summary.exported.changes;
    let is_text_whole = !summary.is_damaged() && summary.changes >= database_ends;
    let running = found.running.max(summary.exported.running);
    let since = running.since(summary.exported.running);
    let mut entries: BTreeMap<IpNet, Entry> = found.entries.drain(..).map(|entry| (entry.prefix, entry)).collect();
    let mut missing = Vec::new();
    if has_lost_only_its_end {
        changes.into_iter().filter(|change| change.number > database_ends).for_each(|change| {
            replay(&mut entries, change.change);
        });
        missing = summary.missing_after(database_ends);
    } else {
        // An entry that only the text has keeps the idle time that it had: nothing is known of the time since then.
        let last_seen = |entry: &Entry| match entries.get(&entry.prefix) {
            Some(there) => there.last_seen.max(entry.last_seen),
            None => entry.last_seen.after(since).min(running.max(entry.last_seen)),
        };
        let mut listed: BTreeMap<IpNet, Entry> = exported
            .into_values()
            .map(|entry| (entry.prefix, Entry { last_seen: last_seen(&entry), ..entry }))
            .collect();
        if !is_text_whole {
            for (prefix, entry) in entries {
                listed.entry(prefix).or_insert(entry);
            }
            missing = summary.missing_after(summary.exported.changes);
            if database_ends > summary.changes {
                missing.push((summary.changes + 1, database_ends));
            }
        }
        changes.into_iter().for_each(|change| replay(&mut listed, change.change));
        entries = listed;
    }
    let is_lost = !missing.is_empty() || (!has_lost_only_its_end && !is_text_whole && in_database + entries.len() > 0);
    found.entries = entries.into_values().collect();
    found.running = running;
    // The list now differs from both copies, so it counts as a change.
    found.changes = last + u64::from(is_lost);
    is_lost.then(|| description(&missing))
}

/// Describe changes that could not be recovered.
fn description(missing: &[(u64, u64)]) -> String {
    let numbers: Vec<String> = missing
        .iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first} to {last}") })
        .collect();
    let which = if numbers.is_empty() { String::new() } else { format!(" (numbers {})", numbers.join(", ")) };
    format!(
        "; SOME CHANGES ARE LOST{which}: make them again, and check `nakodo list`, where a revoked entry may be back"
    )
}
