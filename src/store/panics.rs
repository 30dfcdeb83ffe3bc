//! Panics of the database library while it opens a database.
//!
//! The library panics on some damage, and a panic ends the process. Without a count, this would repeat at every start.
//! So a panic leaves a file, and after two consecutive starts that ended in a panic the database is moved aside
//! unopened. Other causes of death do not count, because they do not depend on the database: a kill, a power cut, the
//! out-of-memory killer, a watchdog.

use std::fs;
use std::io::{self, Write as _};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use super::no_links;

/// Number of consecutive opens that may end in a panic before the database is moved aside unopened.
const PANICS: u32 = 2;

/// Files of the opens in progress. Only tests have more than one.
static OPENING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The number of consecutive opens that ended in a panic, stored in a file.
#[derive(Debug)]
pub(super) struct Panics(PathBuf);

impl Panics {
    /// Use the count in `file`.
    pub(super) fn counted_in(file: PathBuf) -> Self {
        Self(file)
    }

    /// Return whether to try an open. After one panic, a second copy makes another try unnecessary.
    pub(super) fn allow_an_open(&self, has_second_copy: bool) -> bool {
        let count = count(&self.0);
        if count > 0 && has_second_copy {
            return false;
        }
        if (1..PANICS).contains(&count) {
            log::warn!(
                "the database library panicked at the last start while it opened the whitelist; trying once more"
            );
        }
        count < PANICS
    }

    /// Run `open`, and count a panic of any thread meanwhile.
    pub(super) fn watch<T>(&self, open: impl FnOnce() -> T) -> T {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let others = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                // Each open counts once, even if several threads panic.
                for file in opening().drain(..) {
                    // If this cannot be written, the next start tries the same again.
                    let next = count(&file) + 1;
                    let _ = no_links::create_new(&file).and_then(|mut file| writeln!(file, "{next}"));
                }
                others(panic);
            }));
        });
        opening().push(self.0.clone());
        let opened = open();
        opening().retain(|file| *file != self.0);
        opened
    }

    /// Reset the count: the database was opened or replaced.
    ///
    /// # Errors
    /// When the file with the count cannot be removed.
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
    no_links::open(file).and_then(io::read_to_string).ok().and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::panic, reason = "the tests panic in place of the library")]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn an_open_is_tried_again_after_one_panic_and_not_after_two() {
        let dir = TempDir::new();
        let panics = Panics::counted_in(dir.file("panics"));
        assert!(panics.allow_an_open(false));
        for is_allowed in [true, false] {
            let library = || std::thread::spawn(|| panic::panic_any("as the library does")).join();
            assert!(panics.watch(library).is_err());
            assert_eq!(panics.allow_an_open(false), is_allowed);
            assert!(!panics.allow_an_open(true), "a second copy is there");
        }
        panics.forget().expect("a file");
        assert!(panics.allow_an_open(false));
        panics.forget().expect("no file is not an error");
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
    fn an_invalid_file_counts_as_zero() {
        let dir = TempDir::new();
        let panics = Panics::counted_in(dir.file("panics"));
        for nonsense in ["", "x y", "\0\0\0\0", "2 8c9b3c1e-0000-0000-0000-000000000000", "-1"] {
            fs::write(dir.file("panics"), nonsense).expect("a file");
            assert!(panics.allow_an_open(false), "{nonsense:?}");
        }
    }
}
