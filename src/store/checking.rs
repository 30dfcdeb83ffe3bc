//! The check of a data directory without a change of it, for `nakodo check --data`. The database is read in a copy: the
//! library writes when it opens one.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data_dir::DataDir;
use super::database::{LoadError, Meter};
use super::digest::Digest;
use super::load::{Condition, Found, Loaded, load};
use super::lock;
use super::opening::merge;
use super::text_copy::{Summary, TextCopy};
use super::ticket_file;

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Lines for a person, without indentation.
    pub lines: Vec<String>,
    /// Whether something is damaged, or would prevent a start.
    pub is_damaged: bool,
}

impl Checked {
    fn say(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    fn damaged(&mut self, line: impl Into<String>) {
        self.is_damaged = true;
        self.say(line);
    }
}

/// Check the text copy in a data directory, and whether a tracker could use the directory.
pub fn check_text(data_dir: &Path) -> Checked {
    let (data_dir, mut checked) = (DataDir::new(data_dir), Checked::default());
    // The tracker may run as another user than this command.
    if let Err(why) = data_dir.check_others() {
        checked.damaged(format!("nakodo would not start: {why}"));
    }
    let summary = Summary::read(&data_dir);
    if summary.is_of_a_later_version {
        checked.damaged("a later version of nakodo wrote the text copy");
    }
    if summary.changes > 0 || summary.is_kept_up() {
        checked.say(format!("text copy  change {}, {} entries", summary.changes, summary.entries));
    }
    if summary.is_damaged() {
        checked.damaged(format!("damaged    {}", summary.damage()));
    }
    match ticket_file::read(&data_dir) {
        Ok((book, damage)) => {
            if book.changes > 0 {
                let (keys, revocations) = (book.keys.len(), book.revocations.iter().len());
                checked.say(format!("tickets    {keys} keys, {revocations} revocations"));
            }
            damage.into_iter().for_each(|damage| checked.damaged(format!("damaged    {damage}")));
        }
        Err(error) => checked.damaged(error.to_string()),
    }
    data_dir.aside().into_iter().for_each(|(_, path)| checked.say(format!("kept aside {}", path.display())));
    checked
}

/// Check the database in a data directory, and compare it with the text copy. The library may panic on a damaged
/// database.
///
/// # Errors
/// When the database cannot be copied.
pub fn check_database(data_dir: &Path) -> io::Result<Checked> {
    let (data_dir, mut checked) = (DataDir::new(data_dir), Checked::default());
    if !data_dir.has_database() {
        let text = TextCopy::read(&data_dir);
        if text.summary.changes == 0 && !text.summary.is_damaged() && text.exported.is_empty() {
            checked.say("there is no whitelist yet");
        } else {
            checked.damaged("damaged    the database is missing");
            recover(&mut checked, Found::default(), text);
        }
        return Ok(checked);
    }
    if lock::is_taken(&data_dir) {
        checked.say("database   in use by a running tracker: `nakodo status` reports its state");
        return Ok(checked);
    }
    let copy = Copy::of(&data_dir)?;
    match load(&DataDir::new(&copy.0), Arc::<Meter>::default()) {
        Ok(loaded) => compare(&mut checked, loaded, TextCopy::read(&data_dir)),
        Err(LoadError::Damaged(how)) => {
            checked.damaged(format!("damaged    the database: {how}"));
            recover(&mut checked, Found::default(), TextCopy::read(&data_dir));
        }
        Err(LoadError::Unusable(error)) => checked.damaged(format!("database   {error}")),
    }
    Ok(checked)
}

fn compare(checked: &mut Checked, loaded: Loaded, text: TextCopy) {
    let Loaded { database, found, condition, mended } = loaded;
    drop(database);
    checked.say(format!("database   change {}, {} entries", found.changes, found.entries.len()));
    if let Some(how) = mended {
        checked.damaged(format!("damaged    the database: {how}"));
    }
    let summary = &text.summary;
    let is_same = |changes: u64| {
        changes == summary.changes
            && summary.has(found.entries.len(), Digest::of(&found.entries))
            && !summary.is_damaged()
    };
    match &condition {
        Condition::Damaged(how) => checked.damaged(format!("damaged    the database: {how}")),
        Condition::New => {}
        Condition::Whole(state) if is_same(state.changes) => {
            return checked.say("both copies are whole, and the same");
        }
        // The text copy is written first.
        Condition::Whole(state) if state.changes + 1 == summary.changes => {
            return checked.say("the last change is in the text copy only; the next start makes it in the database");
        }
        Condition::Whole(state) if !summary.is_damaged() && summary.is_kept_up() => {
            checked
                .damaged(format!("damaged    the copies differ, after change {}", summary.changes.min(state.changes)));
        }
        Condition::Whole(_) if summary.is_damaged() => checked.is_damaged = true,
        Condition::Whole(_) => return checked.say("the text copy is older; the next start makes it anew"),
    }
    match condition {
        // The database has all changes.
        Condition::Whole(state) if state.changes >= summary.changes => recovered(checked, found.entries.len(), None),
        _ => recover(checked, found, text),
    }
}

/// Add the result of a start, which would recover entries from the readable data of the database and the text copy.
fn recover(checked: &mut Checked, mut found: Found, text: TextCopy) {
    let lost = merge(&mut found, text);
    recovered(checked, found.entries.len(), lost);
}

fn recovered(checked: &mut Checked, entries: usize, lost: Option<String>) {
    let lost = lost.as_deref().unwrap_or("; no change is lost");
    checked.say(format!("the next start recovers {entries} entries{lost}"));
}

/// A copy of the database, removed on drop.
struct Copy(PathBuf);

impl Copy {
    fn of(data_dir: &DataDir) -> io::Result<Self> {
        let copy = Self(copy_path());
        let into = DataDir::new(&copy.0).database();
        fs::DirBuilder::new().mode(0o700).create(&copy.0)?;
        if !data_dir.database().is_dir() {
            return fs::copy(data_dir.database(), into).map(|_| copy);
        }
        fs::create_dir(&into)?;
        for file in fs::read_dir(data_dir.database())? {
            let file = file?;
            // A link would be damage; the copy lacks it.
            if file.file_type()?.is_file() {
                fs::copy(file.path(), into.join(file.file_name()))?;
            }
        }
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        remove_copy();
    }
}

fn copy_path() -> PathBuf {
    std::env::temp_dir().join(format!("nakodo-check-{}", std::process::id()))
}

/// Remove the copy that [`check_database`] has made, after a panic of the library.
pub fn remove_copy() {
    // Best effort: it is in the directory for temporary files.
    let _ = fs::remove_dir_all(copy_path());
}
