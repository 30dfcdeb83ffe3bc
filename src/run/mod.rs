//! Running the tracker: everything is built once, in order, and then one thread does it all, in turns.
//!
//! [`Server::run`] waits for the sockets that peers talk to and serves them. Between two turns it polls the executor if
//! one of these tasks has something to do:
//!
//! | task | what it does |
//! |---|---|
//! | the administration's | the control socket |
//! | sweeping | removes dead peers, a few lines at a time |
//! | keeping house | once a second: closes slow connections |
//! | retiring | once a second: takes customers who went quiet off the whitelist |
//! | saving | once in ten minutes: when customers were last seen |
//! | mending the disk | after the disk has failed: writes the whitelist anew |
//! | reporting that we are alive | twice in the time that the supervisor asks for, where one does |
//! | looking at interfaces | once a minute, where one is named: the external address |
//! | the first | signals |

mod announce_urls;
mod housekeeping;
mod interfaces;
mod report;
mod retiring;
mod settings;
mod supervisor;

use core::net::SocketAddr;
use std::cell::RefCell;
use std::io::{self, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::ExitCode;
use std::rc::Rc;

use async_signal::{Signal, Signals};
use log::{error, info, warn};
use nix::sys::stat::{Mode, umask};
use smol::LocalExecutor;
use smol::stream::StreamExt;

pub use report::check;

use crate::config::{Config, Source, is_writable};
use crate::exit::{self, Failure};
use crate::net::admin::{Limits, SocketFile, TcpServer, UnixServer};
use crate::net::bind::{self, BindError};
use crate::net::http::HttpServer;
use crate::net::server::Server;
use crate::shared::Shared;
use crate::store::Store;
use crate::tracker::{HashKey, Seeds, Tracker};
use supervisor::State;

/// How many ports are tried where any will do.
const ANY_PORT_TRIES: u32 = 16;

/// Sockets that were opened, and are not served yet.
struct Sockets {
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
}

/// Run until told to stop. `source` is loaded again on SIGHUP.
pub fn serve(config: Config, source: &Source) -> ExitCode {
    // Filtered by the `log` crate, so that SIGHUP can change the level.
    env_logger::Builder::new().filter_level(log::LevelFilter::Trace).format_timestamp(None).init();
    log::set_max_level(config.log.level);
    // Customers' addresses and names are nobody else's business; our group may use the control socket.
    umask(Mode::S_IWGRP | Mode::S_IRWXO);
    match run(&config, source) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(failure) => failure.report(),
    }
}

fn run(config: &Config, source: &Source) -> Result<(), Failure> {
    // First of all, so that no signal ends us with something unsaved.
    let signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup])
        .map_err(|error| Failure::new(exit::OSERR, format_args!("cannot watch for signals: {error}")))?;
    // The sockets before the database: a second nakodo on the same port must not touch the first one's data.
    let Sockets { udp, tcp } = open_sockets(config)?;
    let paths = config.paths(is_writable);
    let shared = Rc::new(open_daemon(config, &paths.data_dir)?);
    let executor = LocalExecutor::new();
    // Taken away when this ends; the database's lock is ours, so whoever had the socket before is gone.
    let _socket_file = spawn_administration(config, &paths.socket, &shared, &executor)?;
    let urls = announce_urls::of(&tcp);
    let http = HttpServer::new(tcp, config.http.connections as usize, settings::http_timeouts(config));
    let http = Rc::new(RefCell::new(http));
    let unwatched = |error: io::Error| Failure::new(exit::OSERR, format_args!("cannot watch the sockets: {error}"));
    let mut server = Server::new(udp, Rc::clone(&http), Rc::clone(&shared)).map_err(unwatched)?;
    let housekeeping = Rc::new(housekeeping::Housekeeping::new(shared, http, config.clone()));
    housekeeping.spawn(&executor);
    executor.spawn(supervisor::keep_reporting()).detach();
    greet(config, &urls);
    supervisor::tell(State::Ready);
    let until_told = async {
        obey(signals, source, &housekeeping).await;
        supervisor::tell(State::Stopping);
        info!("stopping: saving the whitelist");
        housekeeping.save_all().await
    };
    let saved = server.run(executor.run(until_told)).map_err(unwatched)?;
    saved.map_err(|housekeeping::Unsaved| Failure::new(exit::IOERR, "stopped, but not all was saved: see the log"))
}

fn open_sockets(config: &Config) -> Result<Sockets, Failure> {
    let mut sockets = Sockets { udp: Vec::new(), tcp: Vec::new() };
    let mut missing = Vec::new();
    for &address in &config.listen {
        match open_both(address) {
            Ok((udp, tcp)) => {
                sockets.udp.push(udp);
                sockets.tcp.push(tcp);
            }
            Err(error) if error.is_missing_family() => missing.push(error),
            Err(error) => return Err(Failure::new(exit::OSERR, error)),
        }
    }
    // Told only once it is known that there is something to go on with.
    match missing.first() {
        Some(error) if sockets.tcp.is_empty() => return Err(Failure::new(exit::OSERR, error)),
        _ => missing.iter().for_each(|error| warn!("{error}; going on without it")),
    }
    Ok(sockets)
}

/// HTTP and UDP on one port; where any port will do, on the same one.
fn open_both(address: SocketAddr) -> Result<(UdpSocket, TcpListener), BindError> {
    let mut tries = if address.port() == 0 { ANY_PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match open_on_one_port(address) {
            // A port that is free for TCP may be taken for UDP: then we are given another.
            Err(error) if error.is_in_use() && tries > 0 => {}
            opened => return opened,
        }
    }
}

fn open_on_one_port(address: SocketAddr) -> Result<(UdpSocket, TcpListener), BindError> {
    let tcp = bind::tcp(address)?;
    let port = tcp.local_addr().map_or(address.port(), |bound| bound.port());
    Ok((bind::udp(SocketAddr::new(address.ip(), port))?, tcp))
}

fn open_daemon(config: &Config, data_dir: &std::path::Path) -> Result<Shared, Failure> {
    let opened = Store::open(data_dir).map_err(|error| Failure::new(exit::IOERR, error))?;
    let settings = settings::of(config);
    let memory = settings.memory_octets;
    let mut tracker = Tracker::new(settings, seeds()?).map_err(|_| {
        let message = format!("the system does not have the {memory} octets of `memory`: configure less");
        Failure::new(exit::OSERR, message)
    })?;
    let (stored, room) = (opened.entries.len(), tracker.whitelisted().capacity());
    let mut entries = opened.entries;
    let left_out = entries.split_off(stored.min(room));
    if !left_out.is_empty() {
        error!(
            "the whitelist on disk has {stored} entries, `access.capacity` is {room}: {} are left out; raise it and restart",
            left_out.len()
        );
        opened.store.keep(&left_out).map_err(|error| Failure::new(exit::IOERR, error))?;
    }
    for entry in entries {
        // There is room, and no prefix comes twice.
        let _ = tracker.whitelist().put(entry);
    }
    if opened.unreadable_records > 0 {
        error!(
            "{} whitelist records were written by another version of nakodo: they are kept, and do not count",
            opened.unreadable_records
        );
    }
    tracker.whitelist().take_moved(core::time::Duration::ZERO, 0..stored).for_each(drop);
    Ok(Shared::new(tracker, opened.store, opened.running))
}

fn seeds() -> Result<Seeds, Failure> {
    let word = || {
        getrandom::u64().map_err(|error| {
            Failure::new(exit::OSERR, format_args!("the system has no randomness for the keys: {error}"))
        })
    };
    let hash = HashKey(word()?, word()?);
    Ok(Seeds { hash, connection_ids: HashKey(word()?, word()?), random: word()? })
}

fn spawn_administration(
    config: &Config,
    socket: &std::path::Path,
    shared: &Rc<Shared>,
    executor: &LocalExecutor<'static>,
) -> Result<SocketFile, Failure> {
    let (unix, socket_file) =
        UnixServer::bind(socket, Limits::default()).map_err(|error| Failure::new(exit::OSERR, error))?;
    executor.spawn(unix.serve(Rc::clone(shared))).detach();
    if let (Some(address), Some(token_file)) = (config.admin.listen, &config.admin.token_file) {
        let tcp = TcpServer::bind(address, token_file, Limits::default())
            .map_err(|error| Failure::new(exit::OSERR, error))?;
        executor.spawn(tcp.serve(Rc::clone(shared))).detach();
    }
    Ok(socket_file)
}

/// Tell the person who started this what to put into a torrent.
fn greet(config: &Config, urls: &[String]) {
    let mut text = format!(
        "nakodo {} is running: LAN {}, WAN {}. Announce URLs:\n",
        env!("CARGO_PKG_VERSION"),
        config.access.lan.name(),
        config.access.wan.name()
    );
    urls.iter().for_each(|url| text.extend(["  ", url, "\n"]));
    // Nobody need be listening.
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Do what the signals say until one says stop.
async fn obey(mut signals: Signals, source: &Source, housekeeping: &housekeeping::Housekeeping) {
    while let Some(signal) = signals.next().await {
        match signal {
            Ok(Signal::Hup) => {
                supervisor::tell(State::Reloading);
                housekeeping.reload(source);
                supervisor::tell(State::Ready);
            }
            Ok(_) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_port_is_one_that_is_free_for_both() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        // So many that a port that is free for TCP is sure to be among them, sooner or later.
        let taken: Vec<_> = (0..400).filter_map(|_| UdpSocket::bind(any).ok()).collect();
        for _ in 0..400 {
            let (udp, tcp) = open_both(any).expect("a port is free");
            assert_eq!(udp.local_addr().ok(), tcp.local_addr().ok());
        }
        drop(taken);
    }
}
