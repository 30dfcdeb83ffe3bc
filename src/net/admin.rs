//! The sockets of the admin API: the Unix socket for the commands, and a TCP address for clients with the token.
//!
//! | file | content |
//! |---|---|
//! | `exchange` | one connection: receive a request, send its answer |
//! | `gate` | admission to the TCP address: side, tokens, host, session, origin |
//! | `socket_file` | the file of the Unix socket, from its creation to its removal |
//! | `strangers` | the choice of an unauthenticated connection to close for a new one |
//! | `token` | the token that authorises a client of the TCP address |

pub mod exchange;
mod gate;
mod socket_file;
mod strangers;
mod token;

use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::time::Duration;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use async_io::Async;
use async_net::TcpListener;
use async_net::unix::UnixListener;
use smol::io::{AsyncRead, AsyncWrite};
use smol::lock::Semaphore;
use smol::{LocalExecutor, Timer};

use super::bind::{self, BindError};
use crate::shared::Shared;
use exchange::Guarded;
use gate::Gate;
pub use gate::GateSettings;
pub use socket_file::{SocketError, SocketFile};
use strangers::Strangers;
pub use token::TokenError;

/// Delay after an accept error, such as too many open files, before the next attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// Shortest time between two log lines about accept errors.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// Limits of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Number of connections that are served at the same time; more wait in the kernel. At the TCP address a connection
    /// with the token does not wait for those without it.
    pub connections: usize,
    /// Time limit for a request to arrive, and for a client to take each piece of its answer.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 8, patience: Duration::from_secs(10) }
    }
}

/// The admin API on the Unix socket. Every process that may open the socket's file has full access.
#[derive(Debug)]
pub struct UnixServer {
    listener: UnixListener,
    limits: Limits,
}

impl UnixServer {
    /// Listen on `path`. The owner and the group may use the file. The socket file of a dead tracker is replaced.
    ///
    /// The file is removed when the [`SocketFile`] is dropped: keep it for as long as the tracker runs, and not in a
    /// task that an executor may never drop.
    ///
    /// # Errors
    /// When the socket cannot be created. The message names the path and a remedy.
    pub fn bind(path: &Path, limits: Limits) -> Result<(Self, SocketFile), SocketError> {
        let (socket, file) = SocketFile::listen(path)?;
        let listener = Async::new_nonblocking(socket).map_err(|error| SocketError::Unusable(path.into(), error))?;
        Ok((Self { listener: listener.into(), limits }, file))
    }

    /// Serve until dropped.
    pub async fn serve(self, shared: Rc<Shared>) {
        let accept = || -> Accepting<'_> {
            Box::pin(async { self.listener.accept().await.map(|(stream, _)| (Box::new(stream) as Connection, None)) })
        };
        serve(&accept, "the control socket", &shared, None, self.limits).await;
    }
}

/// The admin API and the page on a TCP address, behind a gate.
#[derive(Debug)]
pub struct TcpServer {
    listener: TcpListener,
    gate: Gate,
    limits: Limits,
}

/// The reason why the admin API does not listen on a TCP address.
#[derive(Debug)]
pub enum TcpError {
    /// The system refuses the address.
    Address(BindError),
    /// The token is missing or unusable.
    BearerToken(TokenError),
    /// The reactor does not take the socket.
    Reactor(io::Error),
}

impl fmt::Display for TcpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => write!(f, "{error}"),
            Self::BearerToken(error) => write!(f, "{error}"),
            Self::Reactor(error) => write!(f, "cannot wait for connections at admin.listen: {error}"),
        }
    }
}

impl std::error::Error for TcpError {}

impl TcpServer {
    /// Listen on `address` for clients with the token in `token_file`.
    ///
    /// # Errors
    /// When the address or the token is unusable. The message names it and a remedy.
    pub fn bind(address: SocketAddr, settings: &GateSettings<'_>, limits: Limits) -> Result<Self, TcpError> {
        let socket = bind::tcp(address).map_err(|error| TcpError::Address(error.set_by("`admin.listen`")))?;
        let port = socket.local_addr().map_or(address.port(), |bound| bound.port());
        let gate = Gate::new(settings, port).map_err(TcpError::BearerToken)?;
        let listener = Async::new_nonblocking(socket).map_err(TcpError::Reactor)?;
        Ok(Self { listener: listener.into(), gate, limits })
    }

    /// Return whether no request could be admitted, because there is neither a token nor the page.
    pub fn is_shut(&self) -> bool {
        self.gate.is_shut()
    }

    /// Return the address that the socket listens on.
    ///
    /// # Errors
    /// When the socket cannot report its address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serve until dropped.
    pub async fn serve(self, shared: Rc<Shared>) {
        let accept = || -> Accepting<'_> {
            Box::pin(async {
                let (stream, from) = self.listener.accept().await?;
                Ok((Box::new(stream) as Connection, Some((&self.gate, from))))
            })
        };
        serve(&accept, "admin.listen", &shared, Some(&self.gate), self.limits).await;
    }
}

/// A connection of either kind. It is boxed, so that the binary has the code of the API once and not for each kind.
pub(super) type Connection = Box<dyn Stream>;

/// A stream of bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// The wait for the next connection.
type Accepting<'a> = Pin<Box<dyn Future<Output = io::Result<(Connection, Guarded<'a>)>> + 'a>>;

/// Accept connections, and serve as many at the same time as the limits allow.
///
/// The connections run in an executor of their own, which this future owns: they end with it.
async fn serve<'a>(
    accept: &dyn Fn() -> Accepting<'a>,
    place: &str,
    shared: &Shared,
    gate: Option<&Gate>,
    limits: Limits,
) {
    let (free, strangers) = (Semaphore::new(limits.connections), Strangers::default());
    let connections = LocalExecutor::new();
    let accept_all = async {
        let mut reported = None;
        loop {
            match accept().await {
                Ok((stream, guarded)) => {
                    // Without a gate all clients are trusted, and wait for a free place.
                    let place = free.try_acquire();
                    if place.is_none() && gate.is_some() {
                        strangers.make_room();
                    }
                    let place = match place {
                        Some(place) => place,
                        None => free.acquire().await,
                    };
                    let served = exchange::serve(stream, shared, guarded, strangers.enter(), limits.patience);
                    connections.spawn(holding(place, served)).detach();
                }
                Err(error) => {
                    report_seldom(&mut reported, place, &error);
                    Timer::after(PAUSE).await;
                }
            }
        }
    };
    connections.run(accept_all).await;
}

/// Do `work`, and drop `guard` after it.
async fn holding<G>(guard: G, work: impl Future<Output = io::Result<()>>) {
    if let Err(error) = work.await {
        // A client may disconnect at any time: this is not an error of the tracker.
        log::debug!("an admin connection was lost: {error}");
    }
    drop(guard);
}

fn report_seldom(reported: &mut Option<Instant>, place: &str, error: &io::Error) {
    if reported.is_none_or(|reported| reported.elapsed() >= REPORT_EVERY) {
        log::warn!("cannot accept a connection on {place}: {error}; trying again every second");
        *reported = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests;
