//! The keys and revocations that the tracker keeps itself.

use super::{KeyId, PublicKey, Revocations, SigningKey};

/// Maximum number of keys in a book.
pub const KEYS: usize = 16;

/// A key in the book.
#[derive(Clone, Debug)]
pub enum Key {
    /// A key of this tracker, which signs tickets.
    Own(SigningKey),
    /// The public key of another signer.
    Other(PublicKey),
}

impl Key {
    /// Return the public key.
    pub fn public(&self) -> PublicKey {
        match self {
            Self::Own(key) => key.public(),
            Self::Other(key) => *key,
        }
    }
}

/// The keys and revocations, as they are on the disk.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Number of changes of the book.
    pub changes: u64,
    /// The keys, the oldest first.
    pub keys: Vec<Key>,
    /// The revocations.
    pub revocations: Revocations,
}

impl Book {
    /// Return the newest own key: it signs.
    pub fn signing_key(&self) -> Option<&SigningKey> {
        self.keys.iter().rev().find_map(|key| if let Key::Own(own) = key { Some(own) } else { None })
    }

    /// Return whether a key has this id.
    pub fn has(&self, id: KeyId) -> bool {
        self.keys.iter().any(|key| key.public().id() == id)
    }
}
