//! The bell: whoever wakes the work beside the sockets rings it, from any thread, and so ends the wait for sockets.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use nix::sys::eventfd::{EfdFlags, EventFd};

/// A waker that a wait for sockets hears.
///
/// Nothing is lost: who rings sets the flag before the descriptor, and who answers clears the flag before looking at what
/// there is to do. A ring that comes after that ends the wait, which begins later still.
#[derive(Debug)]
pub(super) struct ServerWaker {
    rung: AtomicBool,
    /// Never read: each write to it is an edge, and 2⁶⁴ rings are not to be had.
    descriptor: EventFd,
}

impl ServerWaker {
    /// A bell that has been rung, for there is work in the beginning.
    pub(super) fn new() -> nix::Result<Self> {
        let descriptor = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { rung: AtomicBool::new(true), descriptor })
    }

    /// Whether it has been rung since it was answered.
    pub(super) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    /// Whether it has been rung; if so, that is answered for, and the work must be looked at now.
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
            // It cannot fail but for a full counter, which ends the wait as well.
            let _ = self.descriptor.write(1);
        }
    }
}
