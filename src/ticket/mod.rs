//! Tickets: short signed texts. A client that shows one is admitted from the address at which it shows it.
//!
//! ```text
//! 1.KEY.USER.END.NUMBER.ADDRESSES.SIGNATURE
//! ```
//!
//! | part | content |
//! |---|---|
//! | `1` | the form |
//! | `KEY` | the first 4 characters of the public key in base64url |
//! | `USER` | 1 to 32 letters, digits, `-` or `_` |
//! | `END` | first hour after the ticket's end, in hours since 1970, base 36 |
//! | `NUMBER` | second of the signature, in seconds since 2026-01-01, base 36; it identifies a ticket of the user |
//! | `ADDRESSES` | number of addresses at once, `1` to `9` |
//! | `SIGNATURE` | Ed25519 in base64url without padding, 86 characters |
//!
//! The signed message is `nakodo-ticket:`, the audience, `:`, and the ticket up to its last dot. A number in base 36 has
//! the digits `0` to `9` and `a` to `z`, and no zero at its start. So each ticket has exactly one text.

mod book;
mod key;
mod revocation;
mod text;

pub use book::{Book, KEYS, Key};
pub use key::{KeyId, PUBLIC_TEXT_OCTETS, PublicKey, SigningKey};
pub use revocation::{REVOCATIONS, Revocation, Revocations};
pub use text::{Fault, Parsed, parse};

use crate::access::{TicketNumber, User};
use crate::clock::UnixSeconds;

/// Longest time for which a ticket is valid, in days. So a revocation is remembered for a bounded time.
pub const MOST_DAYS: u32 = 1_100;

/// Number of addresses at once that a ticket allows unless it is signed for another number.
pub const DEFAULT_ADDRESSES: u8 = 2;

/// Maximum number of addresses at once that a ticket can allow.
pub const MOST_ADDRESSES: u8 = 9;

/// Maximum length of an audience in bytes.
pub const AUDIENCE_OCTETS: usize = 64;

/// The content of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The key that signs it.
    pub key: KeyId,
    /// Its user.
    pub user: User,
    /// Its end: a full hour.
    pub until: UnixSeconds,
    /// Its number.
    pub number: TicketNumber,
    /// Number of addresses that it admits at once.
    pub addresses: u8,
}

impl Ticket {
    /// Return whether it is valid for longer than tickets can be.
    pub const fn is_too_long(&self) -> bool {
        self.until.0 > self.number.time().0 + (MOST_DAYS as u64 + 1) * 86_400
    }
}

/// Return whether `user` can be the user of a ticket.
pub fn is_user(user: &str) -> bool {
    (1..=crate::access::USER_OCTETS).contains(&user.len()) && user.bytes().all(is_letter)
}

/// Return whether a character needs no escape in the path of a URL, and separates no parts.
const fn is_letter(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')
}

#[cfg(test)]
pub(crate) mod tests;
