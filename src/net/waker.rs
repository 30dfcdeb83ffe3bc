//! The waker of the server: a task beside the sockets wakes it from any thread, and that ends the wait for sockets.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use nix::sys::eventfd::{EfdFlags, EventFd};

/// A waker that ends a wait for sockets.
///
/// No wake-up is lost: a wake-up sets the flag before it writes to the descriptor, and the server clears the flag
/// before it polls the work. A wake-up after that makes the descriptor ready, and so ends the next wait.
#[derive(Debug)]
pub(super) struct ServerWaker {
    rung: AtomicBool,
    /// Never read: each write is an edge for epoll, and the counter cannot reach 2⁶⁴.
    descriptor: EventFd,
}

impl ServerWaker {
    /// Create a waker that is already woken, because the work must be polled once at the start.
    pub(super) fn new() -> nix::Result<Self> {
        let descriptor = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { rung: AtomicBool::new(true), descriptor })
    }

    /// Return whether it was woken since the last [`Self::answer`].
    pub(super) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    /// Clear the flag and return whether it was set. If so, the caller must poll the work now.
    pub(super) fn answer(&self) -> bool {
        self.is_rung() && self.rung.swap(false, Ordering::AcqRel)
    }
}

impl AsFd for ServerWaker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Wake for ServerWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // It can fail only when the counter is full, and then the descriptor is ready as well.
            let _ = self.descriptor.write(1);
        }
    }
}
