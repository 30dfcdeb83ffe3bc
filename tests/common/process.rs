//! The tracker as a process with its own folder. A test can start it, run commands and send signals; the process ends
//! with the test.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nakodo::api::{Status, Whitelist};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

/// Time limit for every wait in a test. It is long enough for a busy machine: only a failing test reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Time between two polls.
const PAUSE: Duration = Duration::from_millis(10);

/// Poll `happened` until it returns a value, and return that value.
pub(crate) fn wait_for<T>(what: &str, mut happened: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(happened) = happened() {
            return happened;
        }
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(PAUSE);
    }
}

/// Build a command that runs the binary. In tests for another architecture, `NAKODO_TEST_EMULATOR` names the emulator;
/// `boards/toolchain` sets it. So the emulator does not have to be registered in the kernel (`binfmt_misc`), which
/// often needs more rights.
fn nakodo() -> Command {
    let binary = env!("CARGO_BIN_EXE_nakodo");
    let Some(emulator) = std::env::var_os("NAKODO_TEST_EMULATOR") else { return Command::new(binary) };
    let mut command = Command::new(emulator);
    command.arg(binary);
    command
}

/// A directory for one test, removed at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nakodo-{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("the folder is writable");
    }

    /// Build a command in this folder, without the environment of the user that runs the tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = nakodo();
        command.args(arguments).current_dir(&self.0).env_clear().stdin(Stdio::null());
        command
    }

    /// Run a command to its end and return its output.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let command = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = Ends(command.expect("the binary can be run"));
        // Both outputs fit into a pipe's buffer, so that reading after the end is safe.
        let status = wait_for("the end of a command", || child.0.try_wait().expect("a child of this test"));
        Ran { code: status.code(), out: text(child.0.stdout.take()), err: text(child.0.stderr.take()) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(pipe: Option<impl Read>) -> String {
    let mut text = String::new();
    pipe.expect("a pipe").read_to_string(&mut text).expect("text");
    text
}

/// Result of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Expect success and return the output.
    pub(crate) fn well(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "the output was {}", self.out);
        self.out
    }

    /// Expect a failure with this exit code, and return its single line of error text.
    pub(crate) fn failed(self, code: i32) -> String {
        let said = self.err.lines().filter(|line| !line.starts_with("nakodo: configuration: "));
        let said: Vec<_> = said.collect();
        assert_eq!((self.code, said.len(), self.out.as_str()), (Some(code), 1, ""), "{}", self.err);
        said[0].strip_prefix("nakodo: ").expect("the prefix `nakodo: `").into()
    }
}

/// A process that is killed at the end of its test.
pub(crate) struct Ends(pub(crate) Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Output of a process, read by a thread.
struct Written {
    octets: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Written {
    fn to(mut pipe: impl Read + Send + 'static) -> Self {
        let octets = Arc::<Mutex<Vec<u8>>>::default();
        let read = Arc::clone(&octets);
        let reader = thread::spawn(move || {
            let mut piece = [0; 16 * 1024];
            // Output that was written at once also appears at once.
            while let Ok(octets @ 1..) = pipe.read(&mut piece) {
                read.lock().expect("no holder of the lock panics").extend_from_slice(&piece[..octets]);
            }
        });
        Self { octets, reader: Some(reader) }
    }

    /// Return the complete lines until now.
    fn so_far(&self) -> Vec<String> {
        let octets = self.octets.lock().expect("no holder of the lock panics");
        let whole = octets.iter().rposition(|&octet| octet == b'\n').map_or(0, |last| last + 1);
        String::from_utf8_lossy(&octets[..whole]).lines().map(String::from).collect()
    }

    /// Return all output, after the process has ended.
    fn all(&mut self) -> String {
        self.reader.take().map(JoinHandle::join);
        String::from_utf8_lossy(&self.octets.lock().expect("no holder of the lock panics")).into()
    }
}

/// A running tracker.
pub(crate) struct Daemon<'f> {
    folder: &'f Folder,
    child: Ends,
    out: Written,
    err: Written,
    /// The printed announce URLs, alternately HTTP and UDP.
    pub(crate) urls: Vec<String>,
}

/// The option that names the configuration file.
pub(crate) const CONFIG: [&str; 2] = ["--config", "nakodo.toml"];

impl<'f> Daemon<'f> {
    /// Write `config` to the configuration file, with a data directory in the same folder, and start the tracker.
    pub(crate) fn configured(folder: &'f Folder, config: &str) -> Self {
        folder.write("nakodo.toml", format!("data_dir = \"data\"\n{config}"));
        Self::again(folder)
    }

    /// Start the tracker with the existing file and data.
    pub(crate) fn again(folder: &'f Folder) -> Self {
        Self::start(folder, &["serve", CONFIG[0], CONFIG[1]]).unwrap_or_else(|ran| unreachable!("{ran:?}"))
    }

    /// Start the tracker and wait until it prints its URLs, or until it ends.
    pub(crate) fn start(folder: &'f Folder, arguments: &[&str]) -> Result<Self, Ran> {
        Self::start_with(folder, folder.command(arguments))
    }

    /// Start the tracker with the test's own command, and wait like [`Daemon::start`].
    pub(crate) fn start_with(folder: &'f Folder, mut command: Command) -> Result<Self, Ran> {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = Ends(command.expect("the binary can be run"));
        let out = Written::to(child.0.stdout.take().expect("a pipe"));
        let err = Written::to(child.0.stderr.take().expect("a pipe"));
        let mut daemon = Self { folder, child, out, err, urls: Vec::new() };
        let ended = wait_for("announce URLs", || match daemon.child.0.try_wait().expect("a child of this test") {
            Some(status) => Some(Some(status.code())),
            // All URLs are printed at once.
            None => daemon.out.so_far().iter().any(|line| line.starts_with("  udp://")).then_some(None),
        });
        if let Some(code) = ended {
            return Err(Ran { code, out: daemon.out.all(), err: daemon.err.all() });
        }
        let lines = daemon.out.so_far();
        let url = |line: &str| line.strip_prefix("  ")?.split_whitespace().next().map(String::from);
        daemon.urls = lines.iter().filter_map(|line| url(line)).collect();
        Ok(daemon)
    }

    /// Return the standard output until now.
    pub(crate) fn printed(&self) -> String {
        self.out.so_far().join("\n")
    }

    /// Parse the address in one of the URLs.
    pub(crate) fn address_in(url: &str) -> SocketAddr {
        let address = url.split("://").nth(1).and_then(|rest| rest.strip_suffix("/announce")).expect(url);
        address.parse().expect(address)
    }

    /// Return the first address.
    pub(crate) fn address(&self) -> SocketAddr {
        Self::address_in(self.urls.first().expect("a URL"))
    }

    /// Return the port, which is the same for all addresses.
    pub(crate) fn port(&self) -> u16 {
        self.address().port()
    }

    /// Return the lines of the log until now.
    pub(crate) fn log(&self) -> Vec<String> {
        self.err.so_far()
    }

    /// Wait for a line in the log that contains `needle`.
    pub(crate) fn logged(&self, needle: &str) -> String {
        wait_for(needle, || self.log().into_iter().find(|line| line.contains(needle)))
    }

    /// Run a command against this tracker.
    pub(crate) fn command(&self, arguments: &[&str]) -> Ran {
        self.folder.run(&[arguments, &CONFIG].concat())
    }

    pub(crate) fn allow(&self, arguments: &[&str]) {
        self.command(&[&["allow"], arguments].concat()).well();
    }

    pub(crate) fn whitelist(&self) -> Whitelist {
        let json = self.command(&["list", "--json"]).well();
        serde_json::from_str(&json).expect(&json)
    }

    /// Return the prefixes on the whitelist.
    pub(crate) fn listed(&self) -> Vec<String> {
        self.whitelist().entries.iter().map(|entry| entry.prefix.to_string()).collect()
    }

    pub(crate) fn status(&self) -> Status {
        let json = self.command(&["status", "--json"]).well();
        serde_json::from_str(&json).expect(&json)
    }

    pub(crate) fn counters(&self) -> BTreeMap<String, u64> {
        self.status().counters.0.into_iter().map(|(name, count)| (name.into_owned(), count)).collect()
    }

    pub(crate) fn counter(&self, name: &str) -> u64 {
        *self.counters().get(name).expect(name)
    }

    /// Return the process id.
    pub(crate) fn pid(&self) -> i32 {
        self.child.0.id().cast_signed()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal::kill(Pid::from_raw(self.pid()), signal).expect("the process exists");
    }

    /// Return the CPU time of the process until now, from `proc(5)`, in ticks of 10 ms.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.0.id())).expect("the process exists");
        let after_name = stat.rsplit(')').next().expect("a name in brackets");
        let ticks = after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks"));
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.0.try_wait().expect("a child of this test").is_some()
    }

    /// Stop the tracker, and return its exit code, the duration of the stop, and its log.
    pub(crate) fn stop(self) -> (Option<i32>, Duration, Vec<String>) {
        self.stop_by(Signal::SIGTERM)
    }

    pub(crate) fn stop_by(mut self, signal: Signal) -> (Option<i32>, Duration, Vec<String>) {
        let asked = Instant::now();
        self.signal(signal);
        let status = wait_for("the end of the tracker", || self.child.0.try_wait().expect("a child of this test"));
        (status.code(), asked.elapsed(), self.err.all().lines().map(String::from).collect())
    }

    /// Kill the tracker, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.0.kill().expect("the process exists");
        self.child.0.wait().expect("the process ends");
    }
}

/// Does `path` exist? A dangling link counts, too.
pub(crate) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
