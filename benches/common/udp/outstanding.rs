//! The requests without a reply, by transaction id.

use super::datagram::Expected;

/// Number of transactions in the ring: at 100,000 requests a second, those of the last 0.65 s.
const REMEMBERED: usize = 1 << 16;

/// A sent request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    transaction: u32,
    pub(crate) expected: Expected,
    pub(crate) socket: u8,
    open: bool,
    /// Due time in nanoseconds since the start of the load.
    pub(crate) due: u64,
}

/// State of the request with a given transaction id.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Open(Asked),
    /// The request was answered or given up.
    Closed,
    NeverAsked,
}

/// The latest requests, in a ring.
#[derive(Debug)]
pub(crate) struct Outstanding {
    ring: Box<[Asked]>,
    next: u32,
    /// Next transaction id at the last call of [`Outstanding::give_up_old`].
    old: u32,
}

impl Outstanding {
    pub(crate) fn new() -> Self {
        let none = Asked { transaction: u32::MAX, expected: Expected::Connection, socket: 0, open: false, due: 0 };
        Self { ring: vec![none; REMEMBERED].into_boxed_slice(), next: 0, old: 0 }
    }

    /// Return a transaction id for a request, and the request that it replaces in the ring, if that is still open.
    pub(crate) fn ask(&mut self, expected: Expected, socket: u8, due: u64) -> (u32, Option<Asked>) {
        let transaction = self.next;
        self.next = self.next.wrapping_add(1);
        let place = &mut self.ring[transaction as usize % REMEMBERED];
        let lost = Some(*place).filter(|asked| asked.open);
        *place = Asked { transaction, expected, socket, open: true, due };
        (transaction, lost)
    }

    pub(crate) fn find(&self, transaction: u32) -> Found {
        let asked = self.ring[transaction as usize % REMEMBERED];
        match (asked.transaction == transaction, asked.open) {
            (true, true) => Found::Open(asked),
            (true, false) => Found::Closed,
            (false, _) if transaction < self.next => Found::Closed,
            (false, _) => Found::NeverAsked,
        }
    }

    pub(crate) fn close(&mut self, asked: &Asked) {
        self.ring[asked.transaction as usize % REMEMBERED].open = false;
    }

    /// Give up the open requests from before the last call of this function.
    pub(crate) fn give_up_old(&mut self, mut lost: impl FnMut(&Asked)) {
        let (old, next) = (self.old, self.next);
        for asked in self.ring.iter_mut().filter(|asked| asked.open) {
            if next.wrapping_sub(asked.transaction) > next.wrapping_sub(old) {
                asked.open = false;
                lost(asked);
            }
        }
        self.old = next;
    }
}
