//! The admin API's sockets: the Unix socket that the commands talk to, and a TCP address for those who know the token.
//!
//! | file | holds |
//! |---|---|
//! | `exchange` | one connection: a request in, its answer out |
//! | `socket_file` | the Unix socket's file, from its making to its removal |
//! | `strangers` | which connection of the TCP address gives way to a newcomer |
//! | `token` | who may talk to the TCP address |

mod exchange;
mod socket_file;
mod strangers;
mod token;

use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
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
pub use exchange::REQUEST_OCTETS;
pub use socket_file::{SocketError, SocketFile};
use strangers::Strangers;
use token::BearerToken;
pub use token::TokenError;

/// How long to wait after an error of accepting, such as too many open files, before trying again.
const PAUSE: Duration = Duration::from_secs(1);

/// The log hears of such errors at most this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What one listener gives its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are served at a time; more wait. At the TCP address they do not wait for clients that have not
    /// shown the token.
    pub connections: usize,
    /// How long a request may take to arrive, and how long a client may take to make room for the next piece of its
    /// answer.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 8, patience: Duration::from_secs(10) }
    }
}

/// The admin API on the Unix socket. Who may open the socket's file may do everything.
#[derive(Debug)]
pub struct UnixServer {
    listener: UnixListener,
    limits: Limits,
}

impl UnixServer {
    /// Listen on `path`, whose file the owner and the group may use. The socket of a tracker that died is replaced.
    ///
    /// The file is removed when the [`SocketFile`] is dropped: keep it for as long as the tracker runs, and not in a task
    /// that an executor may never drop.
    ///
    /// # Errors
    /// Says why there is no socket, where, and what to do.
    pub fn bind(path: &Path, limits: Limits) -> Result<(Self, SocketFile), SocketError> {
        let (socket, file) = SocketFile::listen(path)?;
        let listener = Async::new_nonblocking(socket).map_err(|error| SocketError::Unusable(path.into(), error))?;
        Ok((Self { listener: listener.into(), limits }, file))
    }

    /// Serve until dropped.
    pub async fn serve(self, shared: Rc<Shared>) {
        let accept = async || self.listener.accept().await.map(|(stream, _)| stream);
        serve(accept, "the control socket", &shared, None, self.limits).await;
    }
}

/// The admin API on a TCP address. Who knows the token may do everything.
#[derive(Debug)]
pub struct TcpServer {
    listener: TcpListener,
    token: BearerToken,
    limits: Limits,
}

/// Why there is no admin API on a TCP address.
#[derive(Debug)]
pub enum TcpError {
    /// The address cannot be had.
    Address(BindError),
    /// The token is none.
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
    /// Listen on `address` for those who know the token in `token_file`.
    ///
    /// # Errors
    /// Says why the address or the token cannot be had, where, and what to do.
    pub fn bind(address: SocketAddr, token_file: &Path, limits: Limits) -> Result<Self, TcpError> {
        let token = BearerToken::read(token_file).map_err(TcpError::BearerToken)?;
        let socket = bind::tcp(address).map_err(|error| TcpError::Address(error.set_by("`admin.listen`")))?;
        let listener = Async::new_nonblocking(socket).map_err(TcpError::Reactor)?;
        Ok(Self { listener: listener.into(), token, limits })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the socket does not know.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serve until dropped.
    pub async fn serve(self, shared: Rc<Shared>) {
        let accept = async || self.listener.accept().await.map(|(stream, _)| stream);
        serve(accept, "admin.listen", &shared, Some(&self.token), self.limits).await;
    }
}

/// Accept connections and serve as many at a time as the limits say.
///
/// The connections live in an executor of their own, which this future owns: they end with it.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    accept: impl AsyncFn() -> io::Result<S>,
    place: &str,
    shared: &Shared,
    token: Option<&BearerToken>,
    limits: Limits,
) {
    let (free, strangers) = (Semaphore::new(limits.connections), Strangers::default());
    let connections = LocalExecutor::new();
    let accept_all = async {
        let mut told = None;
        loop {
            match accept().await {
                Ok(stream) => {
                    // Without a token to show, all clients are trusted, and take turns.
                    let place = free.try_acquire();
                    if place.is_none() && token.is_some() {
                        strangers.make_room();
                    }
                    let place = match place {
                        Some(place) => place,
                        None => free.acquire().await,
                    };
                    let served = exchange::serve(stream, shared, token, strangers.enter(), limits.patience);
                    connections.spawn(holding(place, served)).detach();
                }
                Err(error) => {
                    tell_seldom(&mut told, place, &error);
                    Timer::after(PAUSE).await;
                }
            }
        }
    };
    connections.run(accept_all).await;
}

/// Do `work` and let go of `guard` after it.
async fn holding<G>(guard: G, work: impl Future<Output = io::Result<()>>) {
    if let Err(error) = work.await {
        // Clients come and go: that is their business.
        log::debug!("an admin connection was lost: {error}");
    }
    drop(guard);
}

fn tell_seldom(told: &mut Option<Instant>, place: &str, error: &io::Error) {
    if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
        log::warn!("cannot accept a connection on {place}: {error}; trying again every second");
        *told = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests;
