//! Events for programs that watch the tracker: the latest ones, in a fixed number, and the tasks that wait for the next.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::collections::VecDeque;
use std::rc::Rc;

use ipnet::IpNet;

use crate::access::User;

/// Number of events that are kept for listeners that come late or are slow.
const KEPT: usize = 64;

/// Maximum number of listeners.
const MOST_LISTENERS: usize = 4;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An entry was added to the whitelist, or replaced one with the same prefix.
    Allowed {
        /// Its prefix.
        prefix: IpNet,
        /// Its user; empty for none.
        user: User,
        /// Whether it replaced one.
        replaced: bool,
    },
    /// Entries were imported.
    Imported {
        /// Number of new ones.
        added: u64,
        /// Number of those that replaced others.
        changed: u64,
    },
    /// Entries or tickets were revoked.
    Revoked {
        /// The prefix, the user or the ticket.
        subject: String,
        /// Number of entries.
        entries: u64,
    },
    /// Entries were retired, or ended.
    Retired {
        /// Number of entries.
        entries: u64,
    },
    /// A ticket brought an address to the whitelist.
    LoggedIn {
        /// Its prefix.
        prefix: IpNet,
        /// Its user.
        user: User,
        /// The address of the user that it replaced.
        replaced: Option<IpNet>,
    },
    /// The list of torrents was changed.
    Torrents {
        /// Number of new torrents.
        added: usize,
        /// Number of removed torrents.
        removed: usize,
    },
    /// Requests were refused in the last seconds: their number by counter.
    Refused(Vec<(&'static str, u64)>),
}

/// An event with its number. The numbers of a run have no gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Its number, from 1.
    pub number: u64,
    /// The event.
    pub event: Event,
}

/// The latest events of this run.
#[derive(Debug, Default)]
pub struct Events {
    sent: Cell<u64>,
    kept: RefCell<VecDeque<Numbered>>,
    waiting: RefCell<Vec<Waker>>,
    listeners: Rc<Cell<usize>>,
}

/// A listener, until it is dropped.
#[derive(Debug)]
pub struct Listening(Rc<Cell<usize>>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Events {
    /// Add an event, in place of the oldest if there are too many, and wake the listeners.
    pub fn send(&self, event: Event) {
        let number = self.sent.get() + 1;
        self.sent.set(number);
        let mut kept = self.kept.borrow_mut();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Numbered { number, event });
        self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
    }

    /// Return whether there is a listener.
    pub fn are_heard(&self) -> bool {
        self.listeners.get() > 0
    }

    /// Begin to listen; `None` if there are too many listeners.
    pub fn listen(&self) -> Option<Listening> {
        if self.listeners.get() >= MOST_LISTENERS {
            return None;
        }
        self.listeners.set(self.listeners.get() + 1);
        Some(Listening(Rc::clone(&self.listeners)))
    }

    /// Return the number of the last event; 0 before the first.
    pub fn last(&self) -> u64 {
        self.sent.get()
    }

    /// Wait for the first event after the one with this number. Earlier ones that are no longer kept are passed over.
    pub async fn after(&self, number: u64) -> Numbered {
        poll_fn(|context| {
            let next = self.kept.borrow().iter().find(|kept| kept.number > number).cloned();
            if let Some(next) = next {
                return Poll::Ready(next);
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::Context;

    use super::*;

    #[test]
    fn listeners_get_each_event_once_and_slow_ones_the_latest() {
        let events = Events::default();
        let mut context = Context::from_waker(Waker::noop());
        let retired = |entries| Event::Retired { entries };
        {
            let mut next = pin!(events.after(events.last()));
            assert!(next.as_mut().poll(&mut context).is_pending());
            events.send(retired(1));
            assert_eq!(next.as_mut().poll(&mut context), Poll::Ready(Numbered { number: 1, event: retired(1) }));
        }
        for entries in 2..=KEPT as u64 + 5 {
            events.send(retired(entries));
        }
        let oldest = smol::block_on(events.after(1));
        assert_eq!(oldest, Numbered { number: 6, event: retired(6) });
        assert_eq!(smol::block_on(events.after(6)).number, 7);
        assert!(events.kept.borrow().len() == KEPT);
    }

    #[test]
    fn the_number_of_listeners_is_limited() {
        let events = Events::default();
        let mut listeners: Vec<_> = (0..MOST_LISTENERS).map(|_| events.listen().expect("room")).collect();
        assert!(events.listen().is_none() && events.are_heard());
        listeners.clear();
        assert!(!events.are_heard() && events.listen().is_some());
    }
}
