//! Reading of a database in any condition: its readable data, and whether any is missing.

use std::path::PathBuf;
use std::sync::Arc;

use super::StoreError;
use super::conf;
use super::data_dir::DataDir;
use super::database::{Database, LoadError, Meter, OpenedDatabase, Record, load_error};
use super::record::{self, State};
use crate::access::Entry;
use crate::clock::Running;

/// The data found at the start.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) running: Running,
    /// Records that this version cannot read, to be kept unchanged.
    pub(super) unreadable: Vec<Record>,
    /// Whether the state is unreadable too. It is not kept, because this version writes its own.
    pub(super) unreadable_state: bool,
    pub(super) moved_aside: Option<PathBuf>,
    /// Number of the last change that the state has.
    pub(super) changes: u64,
    /// Whether all entries are there that the state counts.
    pub(super) is_whole: bool,
}

impl Found {
    /// Return the number of records found.
    pub(super) fn count(&self) -> u32 {
        (self.entries.len() + self.unreadable.len()) as u32
    }
}

/// An open database, complete or not.
pub(super) struct Loaded {
    pub(super) database: Database,
    pub(super) found: Found,
    pub(super) condition: Condition,
    /// Description of damage that was mended without loss.
    pub(super) mended: Option<&'static str>,
}

/// The condition of a database.
pub(super) enum Condition {
    /// The database is empty and was never finished.
    New,
    /// The database is complete.
    Whole(State),
    /// Some data is missing, with a description.
    Damaged(String),
}

/// Open the database and read all of it.
pub(super) fn load(data_dir: &DataDir, meter: Arc<Meter>) -> Result<Loaded, LoadError> {
    let directory = data_dir.database();
    let conf = conf::mend(&directory).map_err(|error| load_error(&directory, error.into()))?;
    if conf == conf::Condition::OfAnotherVersion {
        return Err(LoadError::Unusable(StoreError::later_version(&directory)));
    }
    let OpenedDatabase { database, loss, has_lost_snapshot } = Database::open(&directory, meter)?;
    let (found, mut condition) = read_records(&database);
    if let Some(how) = loss {
        condition = Condition::Damaged(how);
    }
    let mended = match conf {
        conf::Condition::Mended => Some("its file conf was damaged, and was written again"),
        _ => has_lost_snapshot.then_some("its snapshot was damaged, and was made anew from its log"),
    };
    Ok(Loaded { database, found, condition, mended })
}

/// Read every record, and so check every page.
fn read_records(database: &Database) -> (Found, Condition) {
    let mut found = Found::default();
    let mut state = None;
    let mut damage = None;
    for record in database.records() {
        match record {
            Ok((key, value)) if *key == record::STATE_KEY => {
                state = Some(record::state(&value));
                found.unreadable_state = state == Some(None);
            }
            Ok((key, value)) => match record::entry(&key, &value) {
                Some(entry) => found.entries.push(entry),
                None => found.unreadable.push((key, value)),
            },
            Err(error) => {
                damage = Some(error.to_string());
                break;
            }
        }
    }
    let seen = found.entries.iter().map(|entry| entry.last_seen).max().unwrap_or_default();
    let condition = damage.map_or_else(|| condition(&found, state, seen), Condition::Damaged);
    found.is_whole = matches!(condition, Condition::Whole(_)) && !found.unreadable_state;
    let said = state.flatten().unwrap_or_default();
    found.running = Running::from_millis(said.running).max(seen);
    found.changes = said.changes.max(u64::from(!found.entries.is_empty()));
    (found, condition)
}

fn condition(found: &Found, state: Option<Option<State>>, seen: Running) -> Condition {
    let there = found.count();
    match state {
        None if there == 0 => Condition::New,
        None => Condition::Damaged(format!("it has {there} entries and does not say how many it should have")),
        Some(Some(state)) if state.entries == there => {
            Condition::Whole(State { running: state.running.max(seen.millis()), ..state })
        }
        Some(Some(state)) => Condition::Damaged(format!("it has {there} entries and should have {}", state.entries)),
        // A later version wrote it.
        Some(None) => Condition::Whole(State { running: seen.millis(), entries: there, changes: 0 }),
    }
}
