//! Which of our sockets are ready: an epoll of our own, level-triggered, so that nothing is lost where a turn leaves
//! octets unread.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// Sockets that one wait tells of; the kernel gives the others their turn with the next.
const EVENTS: usize = 64;

/// Which socket an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The bell, which ends a wait and does nothing else.
    ServerWaker,
    /// A UDP socket, by its number.
    Udp(usize),
    /// A socket that listens for HTTP, by its number.
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

/// What a socket is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// Only for its end, which is always told.
    Nothing,
    /// Octets, a connection, or the other end's having closed.
    Readable,
    /// Room for octets.
    Writable,
    /// Each of its becoming readable once, for a socket that is never read.
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

/// How long to wait where nothing is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    None,
    /// Until something is.
    Endless,
}

/// The sockets that are watched.
#[derive(Debug)]
pub(super) struct Readiness(Epoll);

/// What one wait told.
#[derive(Debug)]
pub(super) struct Ready {
    events: [EpollEvent; EVENTS],
    told: usize,
}

impl Readiness {
    /// Watch nothing yet.
    pub(super) fn new() -> nix::Result<Self> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Begin to watch a socket; closing it ends that.
    pub(super) fn add(&self, socket: impl AsFd, token: Token, interest: Interest) -> nix::Result<()> {
        self.0.add(socket, EpollEvent::new(interest.flags(), token.to_data()))
    }

    /// Watch a socket for something else than before.
    pub(super) fn change(&self, socket: impl AsFd, token: Token, interest: Interest) -> nix::Result<()> {
        self.0.modify(socket, &mut EpollEvent::new(interest.flags(), token.to_data()))
    }

    /// Watch a socket no more.
    pub(super) fn remove(&self, socket: impl AsFd) -> nix::Result<()> {
        self.0.delete(socket)
    }

    /// Wait until a socket is ready.
    pub(super) fn wait(&self, ready: &mut Ready, patience: Patience) -> nix::Result<()> {
        let timeout = match patience {
            Patience::None => EpollTimeout::ZERO,
            Patience::Endless => EpollTimeout::NONE,
        };
        ready.told = match self.0.wait(&mut ready.events, timeout) {
            // A signal, which has been noted by whom it concerns.
            Err(Errno::EINTR) => 0,
            told => told?,
        };
        Ok(())
    }
}

impl Ready {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Self { events: [EpollEvent::new(EpollFlags::empty(), 0); EVENTS], told: 0 }
    }

    /// Which sockets are ready.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.events[..self.told].iter().map(|event| Token::from_data(event.data()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn told(readiness: &Readiness) -> Vec<Token> {
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
    fn what_is_ready_is_told_until_it_is_not() {
        let readiness = Readiness::new().expect("an epoll");
        let (socket, mut peer) = UnixStream::pair().expect("a pair");
        readiness.add(&socket, Token::Connection(3), Interest::Readable).expect("it is taken");
        assert_eq!(told(&readiness), []);
        peer.write_all(b"x").expect("there is room");
        for _ in 0..2 {
            assert_eq!(told(&readiness), [Token::Connection(3)]);
        }
        readiness.change(&socket, Token::Connection(3), Interest::Nothing).expect("it is taken");
        assert_eq!(told(&readiness), []);
        readiness.change(&socket, Token::Connection(4), Interest::Writable).expect("it is taken");
        assert_eq!(told(&readiness), [Token::Connection(4)]);
        readiness.remove(&socket).expect("it was watched");
        assert_eq!(told(&readiness), []);
        readiness.add(&socket, Token::Connection(5), Interest::Writable).expect("it is taken again");
        assert_eq!(told(&readiness), [Token::Connection(5)]);
        drop(socket);
        assert_eq!(told(&readiness), []);
    }
}
