//! Turns of the server, for work beside it that takes long: such work goes by bounded steps, and waits for a turn of the
//! server after each.
//!
//! To wake itself and return is not enough for a task: an executor polls its tasks some hundreds of times before the
//! server hears of it again.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

/// The turns that the server has taken, and the tasks that wait for the next.
#[derive(Debug, Default)]
pub struct Turns {
    is_served: Cell<bool>,
    ended: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Turns {
    /// A server takes turns from now on.
    pub fn begin(&self) {
        self.is_served.set(true);
    }

    /// A turn has ended: wake the tasks that wait for it.
    pub fn end_one(&self) {
        self.ended.set(self.ended.get() + 1);
        self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
    }

    /// The turns that have ended.
    pub fn ended(&self) -> u64 {
        self.ended.get()
    }

    /// Is there a task that waits for a turn to end?
    pub fn are_awaited(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }

    /// Wait until the server has had a turn. Without a server, as in tests, only the other tasks have theirs.
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
    fn without_a_server_nothing_waits_for_it() {
        let turns = Turns::default();
        smol::block_on(turns.next());
        assert!(!turns.are_awaited());
    }
}
