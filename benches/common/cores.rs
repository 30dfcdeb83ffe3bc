//! Separate cores for the tracker and the load, so that they do not compete for CPU time.

use std::fs;
use std::process::{Child, Command};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// A core for each side, or none if fewer than two cores are available.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    tracker_and_load: Option<(usize, usize)>,
}

impl Cores {
    /// Choose the first two cores that this process may use, and pin this process to the one of the load.
    pub(crate) fn choose() -> Self {
        let allowed = sched_getaffinity(Pid::from_raw(0)).expect("the cores of this process");
        let mut cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false));
        let chosen = Self { tracker_and_load: cores.next().zip(cores.next()) };
        match chosen.tracker_and_load {
            Some((tracker, load)) => println!("{}: tracker on core {tracker}, load on core {load}", model()),
            None => println!("only ONE core is available: nothing is pinned, load and tracker compete for CPU time"),
        }
        chosen.pin_to_load();
        chosen
    }

    /// Start a program on the tracker's core. Children and their threads inherit this process's affinity.
    pub(crate) fn spawn_tracker(self, command: &mut Command) -> std::io::Result<Child> {
        if let Some((tracker, _)) = self.tracker_and_load {
            pin(tracker);
        }
        let child = command.spawn();
        self.pin_to_load();
        child
    }

    fn pin_to_load(self) {
        if let Some((_, load)) = self.tracker_and_load {
            pin(load);
        }
    }

    /// Pass the time while no reply is ready. If both share one core, yield it to the tracker.
    pub(crate) fn nothing_to_do(self) {
        match self.tracker_and_load {
            Some(_) => std::hint::spin_loop(),
            None => std::thread::yield_now(),
        }
    }
}

fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core).expect("a core's number");
    sched_setaffinity(Pid::from_raw(0), &set).expect("a core that this process may use");
}

fn model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name") || line.starts_with("Model"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
