//! Building of a database from records, and its move to its place.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::StoreError;
use super::data_dir::DataDir;
use super::database::{Database, Meter, Record};
use super::record::{self, State};
use crate::access::Entry;

/// Records by key.
pub(super) type Records = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// Build a database and put it in its place. Return it, and the new path of the old one, if any.
pub(super) fn build(
    data_dir: &DataDir,
    records: impl Iterator<Item = Record>,
    state: &State,
    meter: &Arc<Meter>,
) -> Result<(Database, Option<PathBuf>), StoreError> {
    let directory = data_dir.building();
    data_dir.clear_building().map_err(StoreError::of("write in", data_dir.path()))?;
    let built = Database::build(&directory, records, state, Arc::clone(meter));
    match built {
        Ok(database) => match data_dir.replace_database() {
            Ok(aside) => Ok((database.moved_to(data_dir.database()), aside)),
            Err(error) => {
                database.abandon();
                Err(StoreError::new("move the new database to", data_dir.database(), error))
            }
        },
        Err(error) => {
            // The incomplete database may be the reason why the disk is full.
            data_dir.discard(&directory);
            Err(error)
        }
    }
}

/// Add the records of entries to other records. An entry replaces a record with its key.
pub(super) fn with_records_of(
    data_dir: &DataDir,
    mut records: Records,
    entries: &[Entry],
) -> Result<Records, StoreError> {
    for entry in entries {
        let (key, value) = record_of(data_dir, entry)?;
        records.insert(key, value);
    }
    Ok(records)
}

/// Return the record of an entry.
pub(super) fn record_of(data_dir: &DataDir, entry: &Entry) -> Result<Record, StoreError> {
    let value = record::value(entry).map_err(StoreError::of("write the whitelist in", &data_dir.database()))?;
    Ok((Box::from(&*record::key(&entry.prefix)), Box::from(&*value)))
}
