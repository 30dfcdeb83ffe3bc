//! The keys and revocations of tickets: those of the configuration, and those of the book on the disk.

use std::cell::RefCell;

use crate::store::{Store, StoreError};
use crate::ticket::{Book, Key, KeyId, PublicKey, SigningKey};
use crate::tracker::{TicketRules, Tracker};

/// The book, and the settings that the tracker joins with it.
#[derive(Debug, Default)]
pub struct Tickets {
    book: RefCell<Book>,
    configured: RefCell<Vec<PublicKey>>,
    audience: RefCell<String>,
}

/// Source of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A key of this tracker.
    Own,
    /// A command added it.
    Added,
    /// The configuration has it.
    Configured,
}

impl Tickets {
    /// Begin with the book that is on the disk.
    pub fn new(book: Book) -> Self {
        Self { book: RefCell::new(book), ..Self::default() }
    }

    /// Use these settings from now on, and pass them to `tracker`.
    pub fn configure(&self, tracker: &mut Tracker, keys: Vec<PublicKey>, audience: String) {
        *self.configured.borrow_mut() = keys;
        *self.audience.borrow_mut() = audience;
        tracker.set_ticket_rules(self.rules());
    }

    /// Return the audience for which tickets are signed.
    pub fn audience(&self) -> String {
        self.audience.borrow().clone()
    }

    /// Return the key that signs tickets, if there is one.
    pub fn signing_key(&self) -> Option<SigningKey> {
        self.book.borrow().signing_key().cloned()
    }

    /// Return all keys.
    pub fn keys(&self) -> Vec<(PublicKey, Origin)> {
        let book = self.book.borrow();
        let of_book =
            book.keys.iter().map(|key| (key.public(), if let Key::Own(_) = key { Origin::Own } else { Origin::Added }));
        of_book.chain(self.configured.borrow().iter().map(|key| (*key, Origin::Configured))).collect()
    }

    /// Return whether a key has this id.
    pub fn has(&self, id: KeyId) -> bool {
        self.keys().iter().any(|(key, _)| key.id() == id)
    }

    /// Return a copy of the book, to be changed and then passed to [`Self::save`].
    pub fn book(&self) -> Book {
        self.book.borrow().clone()
    }

    /// Write a changed book to the disk, and pass it to the tracker then. The caller must hold the lock of changes.
    ///
    /// # Errors
    /// When the disk fails. The change is not in effect, but a restart may bring it into effect.
    pub async fn save(&self, store: &Store, tracker: &RefCell<Tracker>, mut book: Book) -> Result<(), StoreError> {
        book.changes += 1;
        store.save_tickets(book.clone()).await?;
        *self.book.borrow_mut() = book;
        tracker.borrow_mut().set_ticket_rules(self.rules());
        Ok(())
    }

    fn rules(&self) -> TicketRules {
        TicketRules {
            keys: self.keys().into_iter().map(|(key, _)| key).collect(),
            audience: self.audience(),
            revocations: self.book.borrow().revocations.clone(),
        }
    }
}
