//! Readiness of the sockets, from an epoll instance of our own. It is level-triggered, so that a socket with unread
//! bytes stays ready after a turn.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// Number of sockets that one wait reports. The kernel reports the others in the next waits.
const EVENTS: usize = 64;

/// The socket that an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The waker, which ends a wait and has no other effect.
    ServerWaker,
    /// A UDP socket, by its number.
    Udp(usize),
    /// A listening HTTP socket, by its number.
    Listener(usize),
    /// An HTTP connection, by its slot.
    Connection(usize),
}

impl Token {
    const fn to_data(self) -> u64 {
        let (kind, number) = match self {
            Self::ServerWaker => (0, 0),
            Self::Udp(number) => (1, number),
            Self::Listener(number) => (2, number),
            Self::Connection(slot) => (3, slot),
        };
        kind << 32 | number as u64
    }

    const fn from_data(data: u64) -> Self {
        let number = data as u32 as usize;
        match data >> 32 {
            1 => Self::Udp(number),
            2 => Self::Listener(number),
            3 => Self::Connection(number),
            _ => Self::ServerWaker,
        }
    }
}

/// The events that a socket is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// Only errors and hang-up, which epoll always reports.
    Nothing,
    /// Received bytes, a new connection, or the end of the peer's data.
    Readable,
    /// Room to send.
    Writable,
    /// Each change to readable, reported once, for a descriptor that is never read.
    Edge,
}

impl Interest {
    const fn flags(self) -> EpollFlags {
        match self {
            Self::Nothing => EpollFlags::empty(),
            Self::Readable => EpollFlags::EPOLLIN,
            Self::Writable => EpollFlags::EPOLLOUT,
            Self::Edge => EpollFlags::EPOLLIN.union(EpollFlags::EPOLLET),
        }
    }
}

/// Time to wait while no socket is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// No time at all.
    None,
    /// Until a socket is ready.
    Endless,
}

/// The epoll instance.
#[derive(Debug)]
pub(super) struct Readiness(Epoll);

/// The events of one wait.
#[derive(Debug)]
pub(super) struct Ready {
    events: [EpollEvent; EVENTS],
    count: usize,
}

impl Readiness {
    /// Create an epoll instance that watches no socket.
    pub(super) fn new() -> nix::Result<Self> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Watch a socket until [`Self::remove`] or until it is closed.
    pub(super) fn add(&self, socket: impl AsFd, token: Token, interest: Interest) -> nix::Result<()> {
        self.0.add(socket, EpollEvent::new(interest.flags(), token.to_data()))
    }

    /// Watch a socket for other events than before.
    pub(super) fn change(&self, socket: impl AsFd, token: Token, interest: Interest) -> nix::Result<()> {
        self.0.modify(socket, &mut EpollEvent::new(interest.flags(), token.to_data()))
    }

    /// Stop watching a socket.
    pub(super) fn remove(&self, socket: impl AsFd) -> nix::Result<()> {
        self.0.delete(socket)
    }

    /// Wait until a socket is ready.
    pub(super) fn wait(&self, ready: &mut Ready, patience: Patience) -> nix::Result<()> {
        let timeout = match patience {
            Patience::None => EpollTimeout::ZERO,
            Patience::Endless => EpollTimeout::NONE,
        };
        ready.count = match self.0.wait(&mut ready.events, timeout) {
            // A signal: its own handler has recorded it.
            Err(Errno::EINTR) => 0,
            count => count?,
        };
        Ok(())
    }
}

impl Ready {
    /// Create a list without events.
    pub(super) const fn new() -> Self {
        Self { events: [EpollEvent::new(EpollFlags::empty(), 0); EVENTS], count: 0 }
    }

    /// Return the sockets that are ready.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.events[..self.count].iter().map(|event| Token::from_data(event.data()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn reported(readiness: &Readiness) -> Vec<Token> {
        let mut ready = Ready::new();
        readiness.wait(&mut ready, Patience::None).expect("it waits");
        ready.tokens().collect()
    }

    #[test]
    fn tokens_survive_the_kernel() {
        for token in [Token::ServerWaker, Token::Udp(0), Token::Udp(7), Token::Listener(1), Token::Connection(4095)] {
            assert_eq!(Token::from_data(token.to_data()), token);
        }
    }

    #[test]
    fn a_ready_socket_is_reported_until_it_is_no_longer_ready() {
        let readiness = Readiness::new().expect("an epoll");
        let (socket, mut peer) = UnixStream::pair().expect("a pair");
        readiness.add(&socket, Token::Connection(3), Interest::Readable).expect("it is taken");
        assert_eq!(reported(&readiness), []);
        peer.write_all(b"x").expect("there is room");
        for _ in 0..2 {
            assert_eq!(reported(&readiness), [Token::Connection(3)]);
        }
        readiness.change(&socket, Token::Connection(3), Interest::Nothing).expect("it is taken");
        assert_eq!(reported(&readiness), []);
        readiness.change(&socket, Token::Connection(4), Interest::Writable).expect("it is taken");
        assert_eq!(reported(&readiness), [Token::Connection(4)]);
        readiness.remove(&socket).expect("it was watched");
        assert_eq!(reported(&readiness), []);
        readiness.add(&socket, Token::Connection(5), Interest::Writable).expect("it is taken again");
        assert_eq!(reported(&readiness), [Token::Connection(5)]);
        drop(socket);
        assert_eq!(reported(&readiness), []);
    }
}
