//! The requests that have no reply yet, by transaction id.

use super::datagram::Expected;

/// As many transactions are remembered: at 100,000 requests a second, those of the last 0.65 s.
const REMEMBERED: usize = 1 << 16;

/// A request that was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    transaction: u32,
    pub(crate) expected: Expected,
    pub(crate) socket: u8,
    open: bool,
    /// When it was due, in nanoseconds since the load began.
    pub(crate) due: u64,
}

/// What a transaction id in a reply says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Open(Asked),
    /// It had its reply, or was given up.
    Closed,
    NeverAsked,
}

/// All of them, in a ring.
#[derive(Debug)]
pub(crate) struct Outstanding {
    ring: Box<[Asked]>,
    next: u32,
    /// Those before this one were made before the last call of [`Outstanding::give_up_old`].
    old: u32,
}

impl Outstanding {
    pub(crate) fn new() -> Self {
        let none = Asked { transaction: u32::MAX, expected: Expected::Connection, socket: 0, open: false, due: 0 };
        Self { ring: vec![none; REMEMBERED].into_boxed_slice(), next: 0, old: 0 }
    }

    /// A transaction id for a request, and the request whose place in the ring it takes, if that is open.
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

    /// Give up what was asked before the last call of this and still is open.
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
