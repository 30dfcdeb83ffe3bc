//! A contestant's process: its run time and its memory, as counted by the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

/// Nanoseconds that threads have run (user and kernel), and nanoseconds that they were runnable but waited for a core.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Schedule {
    pub(crate) run_nanos: u64,
    pub(crate) waited_nanos: u64,
}

impl Schedule {
    /// Read the values of this program's first thread.
    pub(crate) fn own() -> Self {
        Self::read(Path::new("/proc/self"))
    }

    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("schedstat")).unwrap_or_default();
        let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap_or_default());
        Self { run_nanos: numbers.next().unwrap_or_default(), waited_nanos: numbers.next().unwrap_or_default() }
    }

    pub(crate) const fn since(self, before: Self) -> Self {
        Self { run_nanos: self.run_nanos - before.run_nanos, waited_nanos: self.waited_nanos - before.waited_nanos }
    }
}

/// A running program with its own directory. Dropping it ends the program and removes the directory.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    directory: Option<PathBuf>,
}

impl Program {
    pub(crate) fn new(child: Child, directory: Option<PathBuf>) -> Self {
        Self { child, directory }
    }

    /// Sum the run and wait times of its threads until now.
    pub(crate) fn schedule(&self) -> Schedule {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("a running process");
        threads.flatten().map(|thread| Schedule::read(&thread.path())).fold(Schedule::default(), |sum, of_thread| {
            Schedule {
                run_nanos: sum.run_nanos + of_thread.run_nanos,
                waited_nanos: sum.waited_nanos + of_thread.waited_nanos,
            }
        })
    }

    /// Return the resident memory in bytes.
    pub(crate) fn rss(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir_all(directory);
        }
    }
}
