//! Shared parts of the benches: a tracker in its own process, and a UDP client with many pending requests. The benches
//! that compare trackers also use the files here, one for each concept.

#![allow(dead_code, reason = "each bench uses some of it")]
#![allow(clippy::panic, reason = "a bench that cannot continue panics with the reason")]

pub(crate) mod arguments;
pub(crate) mod contestants;
pub(crate) mod cores;
pub(crate) mod field;
pub(crate) mod http;
pub(crate) mod latency;
pub(crate) mod mix;
pub(crate) mod program;
pub(crate) mod table;
pub(crate) mod turn;
pub(crate) mod udp;
pub(crate) mod whitelist_writer;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};

/// A running tracker with its own data directory. Dropping it ends the tracker and removes the directory.
pub(crate) struct Daemon {
    child: Child,
    dir: PathBuf,
    pub(crate) port: u16,
}

impl Daemon {
    /// Start the tracker with `memory` and the additional `config`, and wait until it answers.
    pub(crate) fn start(name: &str, memory: &str, config: &str) -> Self {
        let dir = env::temp_dir().join(format!("nakodo-bench-{}-{name}", process::id()));
        fs::create_dir_all(&dir).expect("a directory for the bench");
        let port = contestants::free_port();
        let text = format!(
            "listen = [\"0.0.0.0:{port}\", \"[::]:{port}\"]\nmemory = \"{memory}\"\ndata_dir = {:?}\n{config}\n",
            dir.join("data")
        );
        fs::write(dir.join("nakodo.toml"), text).expect("a configuration");
        let child = Command::new(env!("CARGO_BIN_EXE_nakodo"))
            .args(["serve", "--config"])
            .arg(dir.join("nakodo.toml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tracker starts");
        let daemon = Self { child, dir, port };
        let mut client = Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        client.renew();
        daemon
    }

    /// Return the output of `nakodo check` for this configuration.
    pub(crate) fn check(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_nakodo"))
            .args(["check", "--config"])
            .arg(self.dir.join("nakodo.toml"))
            .output()
            .expect("nakodo check");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Return the resident memory of the tracker's process in bytes.
    pub(crate) fn rss(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    pub(crate) fn client4(&self) -> Client {
        Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }

    pub(crate) fn client6(&self) -> Client {
        Client::connect(SocketAddr::from((Ipv6Addr::LOCALHOST, self.port)))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Content of one peer's announce.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) swarm: u32,
    pub(crate) port: u16,
    pub(crate) left: u64,
}

/// Number of simultaneously pending announces.
const WINDOW: usize = 48;

/// A UDP client (BEP 15).
pub(crate) struct Client {
    socket: UdpSocket,
    connection_id: u64,
    renewed: Instant,
}

impl Client {
    pub(crate) fn connect(tracker: SocketAddr) -> Self {
        let any: SocketAddr =
            if tracker.is_ipv4() { (Ipv4Addr::LOCALHOST, 0).into() } else { (Ipv6Addr::LOCALHOST, 0).into() };
        let socket = UdpSocket::bind(any).expect("a socket");
        socket.connect(tracker).expect("a route to loopback");
        socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        Self { socket, connection_id: 0, renewed: Instant::now() }
    }

    /// Get a connection id; wait for the tracker to start if necessary.
    pub(crate) fn renew(&mut self) {
        let mut request = [0; 16];
        request[..8].copy_from_slice(&0x417_2710_1980_u64.to_be_bytes());
        for _ in 0..100 {
            let mut reply = [0; 64];
            if self.socket.send(&request).is_ok() && matches!(self.socket.recv(&mut reply), Ok(16)) {
                self.connection_id = u64::from_be_bytes(reply[8..16].try_into().expect("8 octets"));
                self.renewed = Instant::now();
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the tracker does not answer");
    }

    /// Announce all of these peers and return the number of announce replies. Lost requests are sent again.
    pub(crate) fn announce_all(&mut self, peers: impl Iterator<Item = Peer>) -> u64 {
        let mut answered = 0;
        let mut window = Vec::with_capacity(WINDOW);
        for peer in peers {
            window.push(peer);
            if window.len() == WINDOW {
                answered += self.announce_window(&mut window);
            }
        }
        answered + self.announce_window(&mut window)
    }

    fn announce_window(&mut self, window: &mut Vec<Peer>) -> u64 {
        if self.renewed.elapsed() > Duration::from_secs(60) || self.connection_id == 0 {
            self.renew();
        }
        let mut open: Vec<bool> = vec![true; window.len()];
        for _ in 0..20 {
            for (transaction, peer) in window.iter().enumerate().filter(|(transaction, _)| open[*transaction]) {
                self.socket.send(&self.request(transaction as u32, *peer)).expect("loopback takes datagrams");
            }
            self.receive(&mut open).ok();
            if !open.contains(&true) {
                break;
            }
        }
        let answered = open.iter().filter(|open| !**open).count();
        window.clear();
        answered as u64
    }

    fn receive(&self, open: &mut [bool]) -> io::Result<()> {
        let mut reply = [0; 2048];
        while open.contains(&true) {
            let octets = self.socket.recv(&mut reply)?;
            let word = |at: usize| u32::from_be_bytes(reply[at..at + 4].try_into().expect("4 octets"));
            if octets >= 20 && word(0) == 1 {
                open[word(4) as usize] = false;
            }
        }
        Ok(())
    }

    fn request(&self, transaction: u32, peer: Peer) -> [u8; 98] {
        let mut request = [0; 98];
        request[..8].copy_from_slice(&self.connection_id.to_be_bytes());
        request[8..12].copy_from_slice(&1_u32.to_be_bytes());
        request[12..16].copy_from_slice(&transaction.to_be_bytes());
        request[16..20].copy_from_slice(&peer.swarm.wrapping_mul(0x9e37_79b1).to_be_bytes());
        request[64..72].copy_from_slice(&peer.left.to_be_bytes());
        request[92..96].copy_from_slice(&30_i32.to_be_bytes());
        request[96..98].copy_from_slice(&peer.port.to_be_bytes());
        request
    }
}
