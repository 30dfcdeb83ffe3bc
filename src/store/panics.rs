//! Panics of the database library while it opens a database.
//!
//! The library panics on some damage, and a panic ends the process: without a count it would do so at every start. So a
//! panic leaves a file, and after two starts in a row that ended so the database is moved aside unopened. Other deaths do
//! not count, for they say nothing about the database: a kill, a power cut, the out-of-memory killer, a watchdog.

use std::fs;
use std::io;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// How many opens in a row may end in a panic before the database is moved aside unopened.
const PANICS: u32 = 2;

/// The files of the opens that are under way: one, but in tests.
static OPENING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// How many opens in a row have ended in a panic, and where that is kept.
#[derive(Debug)]
pub(super) struct Panics(PathBuf);

impl Panics {
    /// The count that is kept in `file`.
    pub(super) fn counted_in(file: PathBuf) -> Self {
        Self(file)
    }

    /// Whether an open is worth while.
    pub(super) fn allow_an_open(&self) -> bool {
        let count = count(&self.0);
        if (1..PANICS).contains(&count) {
            log::warn!("the database library panicked at the last start, opening the whitelist; trying once more");
        }
        count < PANICS
    }

    /// Do `open`, and count a panic of any thread meanwhile.
    pub(super) fn watch<T>(&self, open: impl FnOnce() -> T) -> T {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let others = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                // Each open counts once, however many threads panic.
                for file in opening().drain(..) {
                    // Where this cannot be written, the next start tries the same again.
                    let _ = fs::write(&file, format!("{}\n", count(&file) + 1));
                }
                others(panic);
            }));
        });
        opening().push(self.0.clone());
        let opened = open();
        opening().retain(|file| *file != self.0);
        opened
    }

    /// Begin to count anew: the database has been opened, or another is in its place.
    ///
    /// # Errors
    /// When there is a count that cannot be removed.
    pub(super) fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn opening() -> MutexGuard<'static, Vec<PathBuf>> {
    OPENING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(file: &Path) -> u32 {
    fs::read_to_string(file).ok().and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::panic, reason = "the library's part is played")]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn an_open_is_tried_again_after_one_panic_and_not_after_two() {
        let dir = TempDir::new();
        let panics = Panics::counted_in(dir.file("panics"));
        assert!(panics.allow_an_open());
        for is_allowed in [true, false] {
            let library = || std::thread::spawn(|| panic::panic_any("as the library does")).join();
            assert!(panics.watch(library).is_err());
            assert_eq!(panics.allow_an_open(), is_allowed);
        }
        panics.forget().expect("a file");
        assert!(panics.allow_an_open());
        panics.forget().expect("none to forget");
    }

    #[test]
    fn a_panic_at_another_time_is_not_counted() {
        let dir = TempDir::new();
        let panics = Panics::counted_in(dir.file("panics"));
        panics.watch(|| ());
        assert!(std::thread::spawn(|| panic::panic_any("something else")).join().is_err());
        assert!(!dir.file("panics").exists());
    }

    #[test]
    fn a_file_with_nonsense_counts_none() {
        let dir = TempDir::new();
        let panics = Panics::counted_in(dir.file("panics"));
        for nonsense in ["", "x y", "\0\0\0\0", "2 8c9b3c1e-0000-0000-0000-000000000000", "-1"] {
            fs::write(dir.file("panics"), nonsense).expect("a file");
            assert!(panics.allow_an_open(), "{nonsense:?}");
        }
    }
}
