//! Turns of the server, for long work beside it: such work runs in bounded steps, and waits for a turn of the server
//! after each.
//!
//! It is not enough that a task wakes itself and returns: an executor polls its tasks some hundreds of times before it
//! returns to the server.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

/// The number of ended turns, and the tasks that wait for the next one.
#[derive(Debug, Default)]
pub struct Turns {
    is_served: Cell<bool>,
    ended: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Turns {
    /// Note that a server takes turns from now on.
    pub fn begin(&self) {
        self.is_served.set(true);
    }

    /// End a turn, and wake the tasks that wait for it.
    pub fn end_one(&self) {
        self.ended.set(self.ended.get() + 1);
        self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
    }

    /// Return the number of ended turns.
    #[cfg(test)]
    pub(crate) fn ended(&self) -> u64 {
        self.ended.get()
    }

    /// Return whether a task waits for the end of a turn.
    pub fn are_awaited(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }

    /// Wait until the server has had a turn. Without a server, as in tests, only the other tasks run.
    pub async fn next(&self) {
        if !self.is_served.get() {
            return smol::future::yield_now().await;
        }
        let before = self.ended.get();
        poll_fn(|context| {
            if self.ended.get() != before {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::Context;

    use super::*;

    #[test]
    fn a_task_goes_on_after_a_turn_and_not_before() {
        let turns = Turns::default();
        turns.begin();
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            let mut next = pin!(turns.next());
            assert!(!turns.are_awaited());
            for _ in 0..2 {
                assert!(next.as_mut().poll(&mut context).is_pending());
                assert!(turns.are_awaited());
            }
            turns.end_one();
            assert!(!turns.are_awaited());
            assert!(next.as_mut().poll(&mut context).is_ready());
        }
    }

    #[test]
    fn without_a_server_no_task_waits_for_a_turn() {
        let turns = Turns::default();
        smol::block_on(turns.next());
        assert!(!turns.are_awaited());
    }
}
