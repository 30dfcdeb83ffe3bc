//! Connections whose clients have not shown the token yet: the oldest of them gives way to a newcomer, so that clients
//! without the token cannot keep those with it from being served.

use core::cell::RefCell;
use std::collections::VecDeque;

use smol::channel::{self, Receiver, Sender};

/// How each of the connections is asked to give way, oldest first.
#[derive(Debug, Default)]
pub(super) struct Strangers(RefCell<VecDeque<Sender<()>>>);

impl Strangers {
    /// Add a connection. It counts until it drops the receiver, which receives when it has to give way.
    pub(super) fn enter(&self) -> Receiver<()> {
        let (sender, receiver) = channel::bounded(1);
        let mut strangers = self.0.borrow_mut();
        strangers.retain(|stranger| !stranger.is_closed());
        strangers.push_back(sender);
        receiver
    }

    /// Ask the oldest to give way, if there is one.
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
