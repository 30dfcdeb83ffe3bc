//! The tracker as its users have it: a process with a folder, started, asked, signalled, and gone at the end of the test.

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

/// How long anything may take before a test fails: no test takes that long unless it fails, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks whether something has happened.
const PAUSE: Duration = Duration::from_millis(10);

/// What `happened` returns, as soon as it returns something.
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

/// The binary, to be run. Tests for another architecture say with `NAKODO_TEST_EMULATOR` what runs it; `boards/toolchain`
/// sets that. So the kernel need not know of the emulator, which it is told where one may (`binfmt_misc`).
fn nakodo() -> Command {
    let binary = env!("CARGO_BIN_EXE_nakodo");
    let Some(emulator) = std::env::var_os("NAKODO_TEST_EMULATOR") else { return Command::new(binary) };
    let mut command = Command::new(emulator);
    command.arg(binary);
    command
}

/// A directory of its own for a test, removed at its end.
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

    /// A command in this folder, which finds nothing of the tester's.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = nakodo();
        command.args(arguments).current_dir(&self.0).env_clear().stdin(Stdio::null());
        command
    }

    /// What a command says that ends by itself.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let command = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = Ends(command.expect("the binary can be run"));
        // Either is shorter than what a pipe holds.
        let status = wait_for("the end of a command", || child.0.try_wait().expect("it is our child"));
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
    pipe.expect("it is piped").read_to_string(&mut text).expect("it is text");
    text
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What it printed, where all went well.
    pub(crate) fn well(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "it printed {}", self.out);
        self.out
    }

    /// The line that tells what went wrong: there is one.
    pub(crate) fn failed(self, code: i32) -> String {
        let said = self.err.lines().filter(|line| !line.starts_with("nakodo: configuration: "));
        let said: Vec<_> = said.collect();
        assert_eq!((self.code, said.len(), self.out.as_str()), (Some(code), 1, ""), "{}", self.err);
        said[0].strip_prefix("nakodo: ").expect("it says who says so").into()
    }
}

/// A process that does not outlive its test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a process writes.
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
            // What was written in one piece is seen in one.
            while let Ok(octets @ 1..) = pipe.read(&mut piece) {
                read.lock().expect("nobody panics with it").extend_from_slice(&piece[..octets]);
            }
        });
        Self { octets, reader: Some(reader) }
    }

    /// The whole lines so far.
    fn so_far(&self) -> Vec<String> {
        let octets = self.octets.lock().expect("nobody panics with it");
        let whole = octets.iter().rposition(|&octet| octet == b'\n').map_or(0, |last| last + 1);
        String::from_utf8_lossy(&octets[..whole]).lines().map(String::from).collect()
    }

    /// All of it, once the process has ended.
    fn all(&mut self) -> String {
        self.reader.take().map(JoinHandle::join);
        String::from_utf8_lossy(&self.octets.lock().expect("nobody panics with it")).into()
    }
}

/// A running tracker.
pub(crate) struct Daemon<'f> {
    folder: &'f Folder,
    child: Ends,
    out: Written,
    err: Written,
    /// Where it says that it is, HTTP and UDP in turn.
    pub(crate) urls: Vec<String>,
}

/// The configuration's file, as the commands are told it.
pub(crate) const CONFIG: [&str; 2] = ["--config", "nakodo.toml"];

impl<'f> Daemon<'f> {
    /// Start it with `config` as its file, and with its data beside that.
    pub(crate) fn configured(folder: &'f Folder, config: &str) -> Self {
        folder.write("nakodo.toml", format!("data_dir = \"data\"\n{config}"));
        Self::again(folder)
    }

    /// Start it with the file and the data that are there.
    pub(crate) fn again(folder: &'f Folder) -> Self {
        Self::start(folder, &["serve", CONFIG[0], CONFIG[1]]).unwrap_or_else(|ran| unreachable!("{ran:?}"))
    }

    /// Start it and wait until it says where it is; or until it ends.
    pub(crate) fn start(folder: &'f Folder, arguments: &[&str]) -> Result<Self, Ran> {
        Self::start_with(folder, folder.command(arguments))
    }

    /// Start it with a command of the test's, and wait likewise.
    pub(crate) fn start_with(folder: &'f Folder, mut command: Command) -> Result<Self, Ran> {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = Ends(command.expect("the binary can be run"));
        let out = Written::to(child.0.stdout.take().expect("it is piped"));
        let err = Written::to(child.0.stderr.take().expect("it is piped"));
        let mut daemon = Self { folder, child, out, err, urls: Vec::new() };
        let ended = wait_for("announce URLs", || match daemon.child.0.try_wait().expect("it is our child") {
            Some(status) => Some(Some(status.code())),
            // They are printed in one piece.
            None => daemon.out.so_far().iter().any(|line| line.starts_with("  udp://")).then_some(None),
        });
        if let Some(code) = ended {
            return Err(Ran { code, out: daemon.out.all(), err: daemon.err.all() });
        }
        let lines = daemon.out.so_far();
        daemon.urls = lines.iter().filter_map(|line| line.strip_prefix("  ")).map(String::from).collect();
        Ok(daemon)
    }

    /// What it has printed.
    pub(crate) fn printed(&self) -> String {
        self.out.so_far().join("\n")
    }

    /// The address in one of its URLs.
    pub(crate) fn address_in(url: &str) -> SocketAddr {
        let address = url.split("://").nth(1).and_then(|rest| rest.strip_suffix("/announce")).expect(url);
        address.parse().expect(address)
    }

    /// Its first address.
    pub(crate) fn address(&self) -> SocketAddr {
        Self::address_in(self.urls.first().expect("it has a URL"))
    }

    /// Its port, behind which it listens on all of its addresses.
    pub(crate) fn port(&self) -> u16 {
        self.address().port()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> Vec<String> {
        self.err.so_far()
    }

    /// Wait for a line in the log that has `needle`.
    pub(crate) fn logged(&self, needle: &str) -> String {
        wait_for(needle, || self.log().into_iter().find(|line| line.contains(needle)))
    }

    /// A command to it.
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

    /// The prefixes on the whitelist.
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

    /// The number of its process.
    pub(crate) fn pid(&self) -> i32 {
        self.child.0.id().cast_signed()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal::kill(Pid::from_raw(self.pid()), signal).expect("it is there");
    }

    /// The time of the processor that it has taken so far, as `proc(5)` tells it: in ticks of 10 ms.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.0.id())).expect("it is there");
        let after_name = stat.rsplit(')').next().expect("a name in brackets");
        let ticks = after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks"));
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.0.try_wait().expect("it is our child").is_some()
    }

    /// Tell it to stop, and return its exit code, how long it took, and what it had logged by then.
    pub(crate) fn stop(self) -> (Option<i32>, Duration, Vec<String>) {
        self.stop_by(Signal::SIGTERM)
    }

    pub(crate) fn stop_by(mut self, signal: Signal) -> (Option<i32>, Duration, Vec<String>) {
        let asked = Instant::now();
        self.signal(signal);
        let status = wait_for("the end of the tracker", || self.child.0.try_wait().expect("it is our child"));
        (status.code(), asked.elapsed(), self.err.all().lines().map(String::from).collect())
    }

    /// Pull the plug.
    pub(crate) fn kill(mut self) {
        self.child.0.kill().expect("it is there");
        self.child.0.wait().expect("it ends");
    }
}

/// Whether there is something at `path`, links followed.
pub(crate) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
