//! Connections without the token so far. The oldest of them is closed when a new connection needs its place, so that
//! clients without the token cannot block those with it.

use core::cell::RefCell;
use std::collections::VecDeque;

use smol::channel::{self, Receiver, Sender};

/// Channels that ask the connections to close, oldest first.
#[derive(Debug, Default)]
pub(super) struct Strangers(RefCell<VecDeque<Sender<()>>>);

impl Strangers {
    /// Add a connection. It counts until it drops the receiver, which receives when the connection must close.
    pub(super) fn enter(&self) -> Receiver<()> {
        let (sender, receiver) = channel::bounded(1);
        let mut strangers = self.0.borrow_mut();
        strangers.retain(|stranger| !stranger.is_closed());
        strangers.push_back(sender);
        receiver
    }

    /// Ask the oldest connection to close, if any.
    pub(super) fn make_room(&self) {
        let mut strangers = self.0.borrow_mut();
        while let Some(oldest) = strangers.pop_front() {
            if oldest.try_send(()).is_ok() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_is_still_there_gives_way() {
        let strangers = Strangers::default();
        strangers.make_room();
        let [known, oldest, youngest] = [(); 3].map(|()| strangers.enter());
        drop(known);
        strangers.make_room();
        assert_eq!((oldest.try_recv().is_ok(), youngest.try_recv().is_ok()), (true, false));
        strangers.make_room();
        assert_eq!((oldest.try_recv().is_ok(), youngest.try_recv().is_ok()), (false, true));
        strangers.make_room();
    }
}
