//! The measured programs: nakodo, its ceiling, and the other trackers on the PATH.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::iter::repeat_with;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use super::cores::Cores;
use super::mix::info_hash;
use super::program::Program;

/// Names of the ceiling and of nakodo in the tables.
pub(crate) const CEILING: &str = "ceiling";
pub(crate) const NAKODO: &str = "nakodo";

/// A running program that answers on a port.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) program: Program,
    directory: PathBuf,
}

impl Contestant {
    /// Start nakodo, open to all clients, with enough memory and with the additional `config`.
    pub(crate) fn nakodo(cores: Cores, config: &str) -> Self {
        let (port, directory) = (free_port(), directory());
        let text = format!(
            "listen = [\"0.0.0.0:{port}\"]\nmemory = \"256 MiB\"\ndata_dir = {:?}\naccess.wan = \"open\"\n\
             http.connections = 1024\nannounce.min_interval = \"1s\"\n{config}\n",
            directory.join("data")
        );
        let config = write(&directory, "nakodo.toml", text.as_bytes());
        let mut command = Command::new(env!("CARGO_BIN_EXE_nakodo"));
        command.args(["serve", "--config"]).arg(config);
        Self::start(NAKODO, cores, port, directory, &mut command)
    }

    /// Return the path of nakodo's control socket.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.directory.join("data/nakodo.sock")
    }

    /// Describe why the program does not answer: `reason` and the program's own output.
    pub(crate) fn silent(&self, reason: &str) -> String {
        let output = fs::read_to_string(self.directory.join("output")).unwrap_or_default();
        format!("{}: {reason} {}", self.name, output.trim())
    }

    /// Read one of nakodo's counters.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let mut stream = UnixStream::connect(self.control_socket()).expect("the control socket");
        stream
            .write_all(b"GET /v1/status HTTP/1.1\r\nHost: nakodo\r\n\r\n")
            .expect("the control socket takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, after) = answer.split_once(&format!("\"{name}\":")).expect("a counter of this name");
        let digits: String = after.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    }

    /// Start this bench again as its own ceiling: see [`super::udp::ceiling`] and [`super::http::ceiling`].
    pub(crate) fn ceiling(cores: Cores, argument: &str, octets: usize) -> Self {
        let port = free_port();
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.args([argument, &port.to_string(), &octets.to_string()]);
        Self::start(CEILING, cores, port, directory(), &mut command)
    }

    /// Start aquatic over UDP with one worker; return `None` if it is not installed.
    pub(crate) fn aquatic_udp(cores: Cores) -> Option<Self> {
        let program = find("aquatic_udp")?;
        let (port, directory) = (free_port(), directory());
        let text = format!(
            "socket_workers = 1\n[network]\naddress = \"0.0.0.0:{port}\"\n[protocol]\nmax_response_peers = 50\n"
        );
        let config = write(&directory, "aquatic.toml", text.as_bytes());
        let mut command = Command::new(program);
        command.arg("-c").arg(config);
        Some(Self::start("aquatic_udp", cores, port, directory, &mut command))
    }

    /// Start aquatic over HTTP with one worker of each kind; return `None` if it is not installed.
    pub(crate) fn aquatic_http(cores: Cores) -> Option<Self> {
        let program = find("aquatic_http")?;
        let (port, directory) = (free_port(), directory());
        let text = format!(
            "socket_workers = 1\nswarm_workers = 1\n[network]\naddress = \"0.0.0.0:{port}\"\nkeep_alive = true\n\
             enable_tls = false\n[protocol]\nmax_peers = 50\n"
        );
        let config = write(&directory, "aquatic.toml", text.as_bytes());
        let mut command = Command::new(program);
        command.arg("-c").arg(config);
        Some(Self::start("aquatic_http", cores, port, directory, &mut command))
    }

    /// Start opentracker; return `None` if it is not installed. Debian's build serves whitelisted torrents only, so it
    /// gets a list of all `torrents`, and searches that list for each request.
    pub(crate) fn opentracker(cores: Cores, torrents: u32) -> Option<Self> {
        let program = find("opentracker")?;
        let (port, directory) = (free_port(), directory());
        let number = port.to_string();
        let help = Command::new(&program).arg("-h").output().expect("opentracker runs");
        let help = [help.stdout, help.stderr].concat();
        let mut command = Command::new(program);
        command.args(["-i", "0.0.0.0", "-p", &number, "-P", &number, "-d"]).arg(&directory);
        if String::from_utf8_lossy(&help).contains("-w whitelistfile") {
            println!("this opentracker requires a whitelist of torrents: it gets a list of all {torrents}");
            let mut list = Vec::new();
            for torrent in 0..torrents {
                let octets = info_hash(torrent);
                octets.iter().for_each(|octet| write!(list, "{octet:02x}").expect("memory"));
                list.push(b'\n');
            }
            write(&directory, "whitelist", &list);
            // When started as root, opentracker changes its root to the directory, so the path is relative to it.
            command.args(["-w", "whitelist"]);
        }
        command.current_dir(&directory);
        Some(Self::start("opentracker", cores, port, directory, &mut command))
    }

    fn start(name: &str, cores: Cores, port: u16, directory: PathBuf, command: &mut Command) -> Self {
        let output = File::create(directory.join("output")).expect("a file for a contestant");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let child = cores.spawn_tracker(command).unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), port, program: Program::new(child, Some(directory.clone())), directory }
    }
}

/// Find a program on the PATH. Report a missing one.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    if found.is_none() {
        println!("{program} is not on the PATH: left out");
    }
    found
}

/// Return a port that is free for both transports. It is below the range that the system assigns to clients, so that
/// the load's own sockets cannot take it: many of its TCP connections keep their ports for a minute after their end.
pub(crate) fn free_port() -> u16 {
    let free = |port: &u16| {
        let address = (Ipv4Addr::UNSPECIFIED, *port);
        UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
    };
    let mut ports = repeat_with(|| fastrand::u16(10_000..30_000)).take(1000);
    ports.find(free).expect("a free port")
}

fn directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = env::temp_dir().join(format!("nakodo-bench-{}-{number}", process::id()));
    fs::create_dir_all(&directory).expect("a directory for a contestant");
    directory
}

fn write(directory: &Path, name: &str, octets: &[u8]) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, octets).expect("a file for a contestant");
    path
}
