//! The running tracker: build everything once, in order, and then run all of it on one thread, in turns.
//!
//! [`Server::run`] waits for the sockets of the peers and serves them. Between two turns it polls the executor, if one
//! of these tasks is ready:
//!
//! | task | work |
//! |---|---|
//! | admin API | serves the control socket, and `admin.listen` if configured |
//! | sweeping | removes expired peers, a few lines at a time |
//! | housekeeping | every second: closes slow connections, notices suspensions of the system |
//! | retiring | every second: removes idle and ended entries from the whitelist |
//! | saving | every ten minutes: saves the running clock, and idle times every `access.save_every`, if due |
//! | mending the disk | after a disk failure: rewrites the whitelist |
//! | removed database | every ten seconds: looks for the database; if it was removed, mending the disk makes it anew |
//! | removed socket | every ten seconds: looks for the control socket, and makes it anew |
//! | watchdog | twice in the supervisor's interval, if it has a watchdog: reports that the tracker works |
//! | interfaces | every minute: reads the interfaces, their sides and the external addresses |
//! | signals | reloads the configuration, or stops |

mod announce_urls;
mod control_socket;
mod housekeeping;
mod interfaces;
mod log_output;
mod open_files;
mod report;
mod retiring;
mod settings;
mod supervisor;
mod suspension;
mod tasks;

use core::net::SocketAddr;
use std::cell::RefCell;
use std::io::{self, IsTerminal as _, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::ExitCode;
use std::rc::Rc;

use async_signal::{Signal, Signals};
use env_logger::Target;
use log::{error, info, warn};
use nix::sys::stat::{Mode, umask};
use smol::LocalExecutor;
use smol::stream::StreamExt;

pub use report::{check, check_data};

use crate::config::{Config, DEFAULT_ADMIN_ADDRESS, Paths, Source, is_writable};
use crate::exit::{self, Failure};
use crate::net::admin::{Limits, TcpError, TcpServer};
use crate::net::bind::{self, BindError};
use crate::net::http::HttpServer;
use crate::net::server::Server;
use crate::shared::Shared;
use crate::store::Store;
use crate::tracker::{Seeds, Tracker};
use control_socket::ControlSocket;
use log_output::LogOutput;
use supervisor::State;

/// Number of attempts to find a port that is free for both protocols, when any port will do.
const ANY_PORT_TRIES: u32 = 16;

/// Open sockets that are not served yet.
struct Sockets {
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
}

/// Run until a signal stops the tracker. SIGHUP loads `source` again.
pub fn serve(config: Config, source: &Source) -> ExitCode {
    // The `log` crate filters instead, so that SIGHUP can change the level.
    env_logger::Builder::new()
        .filter_level(log::LevelFilter::Trace)
        .format_timestamp(None)
        .target(Target::Pipe(Box::new(LogOutput::default())))
        .init();
    log::set_max_level(config.log.level);
    // Addresses and names of users are private. The group keeps access to the control socket.
    umask(Mode::S_IWGRP | Mode::S_IRWXO);
    match run(&config, source) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(failure) => failure.report(),
    }
}

fn run(config: &Config, source: &Source) -> Result<(), Failure> {
    // Before all else, so that no signal can end the program with unsaved data.
    let signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup])
        .map_err(|error| Failure::new(exit::OSERR, format_args!("cannot watch for signals: {error}")))?;
    let connections = open_files::connections_for(config.http.connections);
    // The sockets before the database: a second nakodo on the same port must not touch the data of the first.
    let Sockets { udp, tcp } = open_sockets(config)?;
    let paths = config.paths(is_writable);
    let shared = Rc::new(open_daemon(config, &paths)?);
    let executor = Rc::new(LocalExecutor::new());
    // Its file is removed at the end of this function. This process has the database's lock, so any earlier owner of the
    // socket has ended.
    let control_socket =
        ControlSocket::listen(&paths.socket, &shared, &executor).map_err(|error| Failure::new(exit::OSERR, error))?;
    control_socket.watch();
    let host = interfaces::host();
    let networks = housekeeping::sides_of(config, &host).networks();
    shared.announce_urls.replace(announce_urls::of(&tcp, &host, &networks));
    let page = spawn_tcp_administration(config, &shared, &executor)?;
    shared.page_urls.replace(page.map(|address| announce_urls::of_page(address, &host, &networks)).unwrap_or_default());
    shared.http_capacity.set(connections);
    let http = HttpServer::new(tcp, connections as usize, settings::http_timeouts(config));
    let http = Rc::new(RefCell::new(http));
    let unwatched = |error: io::Error| Failure::new(exit::OSERR, format_args!("cannot watch the sockets: {error}"));
    let mut server = Server::new(udp, Rc::clone(&http), Rc::clone(&shared)).map_err(unwatched)?;
    let greeting = greeting(config, &shared);
    let housekeeping = Rc::new(housekeeping::Housekeeping::new(shared, http, config.clone()));
    housekeeping.spawn(&executor);
    tasks::spawn(&executor, supervisor::keep_reporting());
    // Best effort: standard output may be closed.
    let _ = io::stdout().write_all(greeting.as_bytes());
    supervisor::notify(State::Ready);
    let until_stopped = async {
        obey(signals, source, &housekeeping).await;
        supervisor::notify(State::Stopping);
        info!("stopping: saving the whitelist");
        housekeeping.save_all().await
    };
    let saved = server.run(executor.run(until_stopped)).map_err(unwatched)?;
    saved
        .map_err(|housekeeping::Unsaved| Failure::new(exit::IOERR, "stopped, but some data was not saved; see the log"))
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
    // Warn only if another socket was opened; otherwise it is an error.
    match missing.first() {
        Some(error) if sockets.tcp.is_empty() => return Err(Failure::new(exit::OSERR, error)),
        _ => missing.iter().for_each(|error| warn!("{error}; continuing without it")),
    }
    Ok(sockets)
}

/// Open HTTP and UDP on one port. If any port will do, find one that is free for both.
fn open_both(address: SocketAddr) -> Result<(UdpSocket, TcpListener), BindError> {
    let mut tries = if address.port() == 0 { ANY_PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match open_on_one_port(address) {
            // The port is free for TCP but not for UDP: the next attempt gets another one.
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

fn open_daemon(config: &Config, paths: &Paths) -> Result<Shared, Failure> {
    let opened = Store::open(&paths.data_dir).map_err(|error| Failure::new(exit::IOERR, error))?;
    let settings = settings::of(config);
    let memory = settings.memory_octets;
    let tracker = Tracker::new(settings, seeds()?).map_err(|_| {
        let message = format!("the system does not have the {memory} bytes of `memory`; configure less");
        Failure::new(exit::OSERR, message)
    })?;
    if opened.unreadable_records > 0 {
        error!(
            "{} whitelist records were written by another version of nakodo: they stay on the disk and have no effect",
            opened.unreadable_records
        );
    }
    let shared = Shared::new(tracker, opened.store, opened.book, opened.running);
    #[cfg(feature = "page")]
    shared.sessions.load(opened.sessions);
    settings::configure_tickets(config, &shared);
    shared.torrents.begin(&mut shared.tracker.borrow_mut(), settings::torrents(config, paths.torrents.clone()));
    if let Some(history) = opened.clock_history {
        shared.tracker.borrow_mut().whitelist().continue_clock_history(history);
    }
    shared.load(opened.entries).map_err(|error| Failure::new(exit::IOERR, error))?;
    Ok(shared)
}

fn seeds() -> Result<Seeds, Failure> {
    let failed = |error: getrandom::Error| {
        Failure::new(exit::OSERR, format_args!("the system has no random numbers for the keys: {error}"))
    };
    let key = || suspension::random_key().map_err(failed);
    Ok(Seeds { hash: key()?, connection_ids: key()?, random: getrandom::u64().map_err(failed)? })
}

/// Open the TCP address of the admin API and the page, and return it. At its default it is left out if another program
/// has the port, because a second tracker must not fail for it.
fn spawn_tcp_administration(
    config: &Config,
    shared: &Rc<Shared>,
    executor: &LocalExecutor<'static>,
) -> Result<Option<SocketAddr>, Failure> {
    let Some(address) = config.admin.listen else { return Ok(None) };
    let tcp = match TcpServer::bind(address, &settings::gate(config), Limits::default()) {
        Err(TcpError::Address(error)) if error.is_in_use() && address == DEFAULT_ADMIN_ADDRESS => {
            warn!("{error}; continuing without the page; set admin.listen to another port, or to \"off\"");
            return Ok(None);
        }
        opened => opened.map_err(|error| Failure::new(exit::OSERR, error))?,
    };
    if tcp.is_shut() {
        return Ok(None);
    }
    let bound = tcp.local_addr().unwrap_or(address);
    tasks::spawn(executor, tcp.serve(Rc::clone(shared)));
    Ok(Some(bound))
}

/// Return the announce URLs, for the user to put into a torrent, and the address of the page.
fn greeting(config: &Config, shared: &Shared) -> String {
    let mut text = format!(
        "nakodo {} is running: LAN {}, WAN {}. Announce URLs:\n",
        env!("CARGO_PKG_VERSION"),
        config.access.lan.name(),
        config.access.wan.name()
    );
    let urls = shared.announce_urls.borrow();
    urls.iter().filter_map(|url| announce_urls::line(url, config)).for_each(|line| text.extend([&line, "\n"]));
    if let Some(page) = shared.page_urls.borrow().first().filter(|_| cfg!(feature = "page")) {
        // A log keeps no code: other users may read it.
        let code = if io::stdout().is_terminal() { shared.sessions.issue(shared.now()).ok() } else { None };
        match code {
            Some(code) => text.push_str(&format!("Page, for the next ten minutes:\n  {page}/enter?code={}\n", code.0)),
            None => text.push_str(&format!("Page: {page}/ (`nakodo page` prints a link with a code)\n")),
        }
    }
    text
}

/// Handle signals, until one of them stops the tracker.
async fn obey(mut signals: Signals, source: &Source, housekeeping: &housekeeping::Housekeeping) {
    while let Some(signal) = signals.next().await {
        match signal {
            Ok(Signal::Hup) => {
                supervisor::notify(State::Reloading);
                housekeeping.reload(source).await;
                supervisor::notify(State::Ready);
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
        // Enough ports that the test is almost certain to meet one that is free for TCP and taken for UDP.
        let taken: Vec<_> = (0..400).filter_map(|_| UdpSocket::bind(any).ok()).collect();
        for _ in 0..400 {
            let (udp, tcp) = open_both(any).expect("a port is free");
            assert_eq!(udp.local_addr().ok(), tcp.local_addr().ok());
        }
        drop(taken);
    }
}
