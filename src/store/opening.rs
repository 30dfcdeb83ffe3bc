//! Opening of both copies of the whitelist: they are compared, and a damaged one is restored from the other.

use std::sync::Arc;

use super::StoreError;
use super::build::{build, record_of, with_records_of};
use super::data_dir::DataDir;
use super::database::{Batch, Database, LoadError, Meter};
use super::digest::Digest;
use super::health::Noted;
use super::journal::{self, Change};
use super::list::List;
use super::load::{Condition, Found, Loaded, load};
use super::panics::Panics;
use super::record::{self, State};
use super::text_copy::{Summary, TextCopy};
use crate::access::Entry;

/// Description of a text copy that is whole, and whose list differs from the database's.
const OTHER_LIST: &str = "its list is another one";

/// A database in use, its state, the data that it was made from, and the text files beside it.
pub(super) struct Ready {
    pub(super) database: Database,
    pub(super) state: State,
    pub(super) found: Found,
    /// Digest of the entries found.
    pub(super) digest: Digest,
    pub(super) summary: Summary,
    /// Whether the text files have the same changes as the database.
    pub(super) is_text_current: bool,
}

/// Read the list from the text files, while the disk takes no writes. Return it, and a description of their damage.
pub(super) fn read_text(data_dir: &DataDir) -> (Found, Option<String>) {
    let (mut found, text) = (Found::default(), TextCopy::read(data_dir));
    let damage = text.summary.is_damaged().then(|| text.summary.damage());
    // A loss is reported when the database is opened: it may have the rest.
    merge(&mut found, text);
    (found, damage)
}

/// Open the database, or create one from the text files.
///
/// # Errors
/// When the disk takes no writes; it is not touched then if the text files have the list. When a later version wrote
/// the data, which stays unchanged.
pub(super) fn open(data_dir: &DataDir, meter: &Arc<Meter>, health: &Noted) -> Result<Ready, StoreError> {
    let summary = Summary::read(data_dir);
    if summary.is_of_a_later_version {
        return Err(StoreError::later_version(data_dir.path()));
    }
    data_dir.settle().map_err(StoreError::of("write in", data_dir.path()))?;
    let opening = Opening { data_dir, meter, health };
    let panics = Panics::counted_in(data_dir.panics());
    if summary.is_kept_up() && !summary.is_damaged() {
        data_dir.check_room(0).map_err(StoreError::of("write in", data_dir.path()))?;
    }
    let ready = if !data_dir.has_database() {
        opening.restore(None, Found::default())?
    } else if panics.allow_an_open(!summary.is_damaged() && summary.changes > 0) {
        match panics.watch(|| load(data_dir, Arc::clone(meter))) {
            Ok(loaded) => opening.compare(loaded, summary)?,
            Err(LoadError::Damaged(how)) => opening.restore(Some(how), Found::default())?,
            Err(LoadError::Unusable(error)) => return Err(error),
        }
    } else {
        let how = "the library panicked at the last start while it opened the database".to_owned();
        opening.restore(Some(how), Found::default())?
    };
    panics.forget().map_err(StoreError::of("write in", data_dir.path()))?;
    Ok(ready)
}

/// The directory of both copies while they are opened, and the places for reports.
struct Opening<'a> {
    data_dir: &'a DataDir,
    meter: &'a Arc<Meter>,
    health: &'a Noted,
}

impl Opening<'_> {
    /// Use the database if it is complete and has all changes that the text files have.
    fn compare(&self, loaded: Loaded, summary: Summary) -> Result<Ready, StoreError> {
        let Loaded { database, mut found, condition, mended } = loaded;
        if let Some(how) = mended
            && matches!(condition, Condition::Whole(_))
        {
            self.health.recovered(&format!("the database of the whitelist was damaged: {how}; no change is lost"));
        }
        match condition {
            Condition::Whole(state)
                if state.changes + 1 == summary.changes && !summary.is_damaged() && !found.unreadable_state =>
            {
                let state = self.catch_up(&database, state, &mut found)?;
                let digest = Digest::of(&found.entries);
                let is_text_current = summary.has(found.entries.len(), digest);
                if !is_text_current {
                    self.keep_text_aside(OTHER_LIST, state.entries)?;
                }
                Ok(Ready { database, state, found, digest, summary, is_text_current })
            }
            Condition::Whole(state) if state.changes >= summary.changes || found.unreadable_state => {
                let entries = state.entries - found.unreadable.len() as u32;
                let digest = Digest::of(&found.entries);
                let is_same = state.changes == summary.changes && summary.has(found.entries.len(), digest);
                let is_text_current = is_same && !summary.is_damaged() && !found.unreadable_state;
                if summary.is_damaged() {
                    self.keep_text_aside(&summary.damage(), entries)?;
                } else if summary.is_kept_up() && summary.changes == state.changes && !is_same {
                    self.keep_text_aside(OTHER_LIST, entries)?;
                } else if summary.is_kept_up() && summary.changes < state.changes {
                    let how = format!("it ends with change {}, the database with {}", summary.changes, state.changes);
                    self.keep_text_aside(&how, entries)?;
                }
                Ok(Ready { database, state, found, digest, summary, is_text_current })
            }
            Condition::New if summary.changes == 0 && summary.entries == 0 && !summary.is_damaged() => {
                let state = State::default();
                Ok(Ready { database, state, found, digest: Digest::default(), summary, is_text_current: false })
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
                self.restore(how, found)
            }
        }
    }

    /// Move damaged text files aside, and report it. The database has all `entries`.
    fn keep_text_aside(&self, how: &str, entries: u32) -> Result<(), StoreError> {
        let aside = self.data_dir.keep_text_aside().map_err(StoreError::of("write in", self.data_dir.path()))?;
        let aside: Vec<String> = aside.iter().map(|path| path.display().to_string()).collect();
        self.health.recovered(&format!(
            "the text copy of the whitelist was damaged ({how}); it is made anew from the database, which has all \
             {entries} entries; the damaged files are now {}",
            aside.join(" and ")
        ));
        Ok(())
    }

    /// Make the last change of the journal in the database: a change is first in the journal, and a crash came between.
    fn catch_up(&self, database: &Database, state: State, found: &mut Found) -> Result<State, StoreError> {
        let path = self.data_dir.journal();
        let mut last = Vec::new();
        let read = journal::read(&path, |change| {
            if change.number > state.changes {
                last.push(change.change);
            }
        });
        read.map_err(StoreError::of("read", &path))?;
        let mut list = List::of(found.entries.drain(..));
        let mut batch = Batch::default();
        for change in last {
            match &change {
                Change::Put(entries) => {
                    for entry in entries {
                        let (key, value) = record_of(self.data_dir, entry)?;
                        batch.insert(&*key, &*value);
                    }
                }
                Change::Remove(prefixes) => prefixes.iter().for_each(|prefix| batch.remove(&*record::key(prefix))),
            }
            list.replay(&change);
        }
        found.entries = list.entries().collect();
        let state = State { entries: found.count(), changes: state.changes + 1, ..state };
        database.commit(batch, &state)?;
        Ok(state)
    }

    /// Create a database from the text files and the readable data of a damaged database, and move that database aside.
    /// `how` describes its damage, and is `None` if the database was missing.
    fn restore(&self, how: Option<String>, mut found: Found) -> Result<Ready, StoreError> {
        let data_dir = self.data_dir;
        let text = TextCopy::read(data_dir);
        let text_damage = text.summary.is_damaged().then(|| text.summary.damage());
        let lost = merge(&mut found, text);
        // Running time never goes back before the last-seen time of an entry, even if a person wrote the entry.
        let seen = found.entries.iter().map(|entry| entry.last_seen).max().unwrap_or_default();
        found.running = found.running.max(seen);
        let records = with_records_of(data_dir, found.unreadable.iter().cloned().collect(), &found.entries)?;
        let state = State { running: found.running.millis(), entries: records.len() as u32, changes: found.changes };
        let (database, aside) = build(data_dir, records.into_iter(), &state, self.meter)?;
        if text_damage.is_some() {
            data_dir.keep_text_aside().map_err(StoreError::of("write in", data_dir.path()))?;
        }
        if how.is_some() || text_damage.is_some() || state.entries > 0 {
            let database = match how {
                Some(how) => format!(
                    "the database of the whitelist was damaged ({how}); it is now {}",
                    aside.as_deref().unwrap_or(data_dir.path()).display()
                ),
                None => "the whitelist has no database".to_owned(),
            };
            let text = text_damage.map(|how| format!("; the text copy was damaged too ({how})")).unwrap_or_default();
            self.health.recovered(&format!(
                "{database}. {} entries were recovered from the text copy and the database{text}{}",
                found.entries.len(),
                lost.as_deref().unwrap_or("; no change is lost")
            ));
        }
        found.moved_aside = aside;
        let digest = Digest::of(&found.entries);
        Ok(Ready { database, state, found, digest, summary: Summary::default(), is_text_current: false })
    }
}

/// Merge the text files into the readable data of a database. Return a description of the loss, if any.
///
/// - A database that has lost only its end is complete up to its last change: the later changes follow from the journal.
/// - Otherwise the export and the journal are the list, if they are whole.
/// - Otherwise the entries of all are kept, except those that a later change in the journal removes.
pub(super) fn merge(found: &mut Found, text: TextCopy) -> Option<String> {
    let TextCopy { summary, exported, changes } = text;
    let (in_database, database_ends) = (found.entries.len(), found.changes);
    let last = summary.changes.max(database_ends);
    let has_lost_only_its_end = found.is_whole && database_ends >= summary.exported.changes;
    let is_text_whole = !summary.is_damaged() && summary.changes >= database_ends;
    let running = found.running.max(summary.exported.running);
    let since = running.since(summary.exported.running);
    let mut list = List::of(found.entries.drain(..));
    let mut missing = Vec::new();
    if has_lost_only_its_end {
        let later = changes.iter().filter(|change| change.number > database_ends);
        later.for_each(|change| list.replay(&change.change));
        missing = summary.missing_after(database_ends);
    } else {
        // An entry that only the text has keeps the idle time that it had: nothing is known of the time since then.
        let last_seen = |entry: &Entry| match list.get(&entry.prefix) {
            Some(there) => there.last_seen.max(entry.last_seen),
            None => entry.last_seen.after(since).min(running.max(entry.last_seen)),
        };
        let exported = exported.entries();
        let mut merged = List::of(exported.map(|entry| Entry { last_seen: last_seen(&entry), ..entry }));
        if !is_text_whole {
            let others: Vec<Entry> = list.entries().filter(|entry| merged.get(&entry.prefix).is_none()).collect();
            others.iter().for_each(|entry| merged.put(entry));
            missing = summary.missing_after(summary.exported.changes);
            if database_ends > summary.changes {
                missing.push((summary.changes + 1, database_ends));
            }
        }
        changes.iter().for_each(|change| merged.replay(&change.change));
        list = merged;
    }
    let is_lost =
        !missing.is_empty() || (!has_lost_only_its_end && !is_text_whole && (in_database > 0 || !list.is_empty()));
    found.entries = list.entries().collect();
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
