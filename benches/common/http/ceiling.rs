//! The cost of the system itself: a program that answers any request with fixed bytes, in one thread with epoll.

use std::env;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{Backlog, listen};

/// Argument that runs the bench as its ceiling. The port and the length of a response in bytes follow it.
pub(crate) const ARGUMENT: &str = "--ceiling";

const LISTENER: u64 = u64::MAX;
const EVENTS: usize = 64;

/// If the command line requests the ceiling, serve as the ceiling until the process is killed.
pub(crate) fn run_if_asked() {
    let mut arguments = env::args().skip_while(|argument| argument != ARGUMENT).skip(1);
    if let (Some(port), Some(octets)) = (arguments.next(), arguments.next()) {
        serve(port.parse().expect("a port"), octets.parse().expect("octets"));
    }
}

/// Build a response of the requested length that the load accepts.
fn response(octets: usize) -> Vec<u8> {
    let (start, end) = ("d8:intervali1800e5:peers", "e");
    let with_body = |length: usize| {
        let fill = length - start.len() - end.len();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{start}{}{end}", "x".repeat(fill))
    };
    let head = with_body(100).len() - 100;
    with_body(octets.saturating_sub(head).max(start.len() + end.len())).into_bytes()
}

struct Server {
    epoll: Epoll,
    listener: TcpListener,
    connections: Vec<Option<TcpStream>>,
    response: Vec<u8>,
}

fn serve(port: u16, octets: usize) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("the port");
    listener.set_nonblocking(true).expect("a socket");
    listen(&listener, Backlog::new(1024).expect("a backlog")).expect("a listener");
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER)).expect("epoll");
    let mut server = Server { epoll, listener, connections: Vec::new(), response: response(octets) };
    loop {
        let mut events = [EpollEvent::empty(); EVENTS];
        let ready = server.epoll.wait(&mut events, EpollTimeout::NONE).unwrap_or_default();
        for event in &events[..ready] {
            match event.data() {
                LISTENER => server.accept(),
                place => server.answer(place as usize),
            }
        }
    }
}

impl Server {
    /// Accept connections, and answer at once: a new connection has usually sent its request already.
    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true).expect("a socket");
            let place = self.connections.iter().position(Option::is_none).unwrap_or(self.connections.len());
            if place == self.connections.len() {
                self.connections.push(None);
            }
            let fd = stream.as_fd();
            if self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, place as u64)).is_ok() {
                self.connections[place] = Some(stream);
                self.answer(place);
            }
        }
    }

    fn answer(&mut self, place: usize) {
        let Some(stream) = &mut self.connections[place] else { return };
        let mut request = [0; 2048];
        let closes = match stream.read(&mut request) {
            Ok(0) => true,
            Ok(octets) => {
                let asks_to_close = request[..octets].windows(7).any(|octets| octets == b": close");
                stream.write_all(&self.response).is_err() || asks_to_close
            }
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        };
        if closes {
            self.connections[place] = None;
        }
    }
}
