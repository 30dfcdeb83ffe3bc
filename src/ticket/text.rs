//! The text of a ticket, in both directions.

use core::fmt::{self, Write as _};

use base64ct::{Base64UrlUnpadded, Encoding as _};

use super::{KeyId, MOST_ADDRESSES, Ticket, is_user};
use crate::access::{NumberError, TicketNumber, User, parse_base_36, write_base_36};
use crate::clock::UnixSeconds;

/// Length in bytes of a signature as text.
pub(super) const SIGNATURE_TEXT_OCTETS: usize = 86;

/// Maximum length in bytes of a ticket.
pub const TICKET_OCTETS: usize = 140;

/// The text of a ticket.
pub type Text = heapless::String<TICKET_OCTETS>;

/// Number of parts of a ticket.
const PARTS: usize = 7;

/// Seconds of the unit of a ticket's end.
const HOUR: u64 = 3600;

/// Last end of a ticket: four digits in base 36, in the year 2161.
const LAST_END_HOUR: u64 = 36_u64.pow(END_DIGITS as u32) - 1;
const END_DIGITS: usize = 4;

/// Reason why a text is no ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than a ticket can be.
    TooLong,
    /// Its end is missing.
    CutShort,
    /// It has `%`: its characters were escaped, or the text around it was copied too.
    Escaped,
    /// A letter of a number is in upper case, or all letters of the signature are in one case.
    WrongCase,
    /// It is of another form, or has an invalid part.
    Malformed,
}

/// A ticket as it was shown. Its signature is not verified.
#[derive(Clone, Debug)]
pub struct Parsed<'a> {
    /// Its content.
    pub ticket: Ticket,
    /// The signed part.
    pub unsigned: &'a [u8],
    /// The signature as text.
    signature: &'a str,
}

impl Parsed<'_> {
    /// Decode the signature.
    ///
    /// # Errors
    /// When it is not in base64url, or has another text for the same bytes.
    pub fn signature(&self) -> Result<[u8; 64], Fault> {
        let mut octets = [0; 64];
        match Base64UrlUnpadded::decode(self.signature, &mut octets) {
            Ok(decoded) if decoded.len() == 64 => Ok(octets),
            _ => Err(self.wrong_signature().unwrap_or(Fault::Malformed)),
        }
    }

    /// Return the fault of a signature that is wrong because somebody changed the case of its letters.
    pub fn wrong_signature(&self) -> Option<Fault> {
        let has = |is_case: fn(&u8) -> bool| self.signature.as_bytes().iter().any(is_case);
        // A signature has both, except one of more than 10^12.
        (!has(u8::is_ascii_uppercase) || !has(u8::is_ascii_lowercase)).then_some(Fault::WrongCase)
    }
}

/// Parse the text of a ticket. This neither verifies the signature nor looks at the clock.
///
/// # Errors
/// The first [`Fault`].
pub fn parse(text: &[u8]) -> Result<Parsed<'_>, Fault> {
    if text.contains(&b'%') {
        return Err(Fault::Escaped);
    }
    if text.len() > TICKET_OCTETS {
        return Err(Fault::TooLong);
    }
    let text = str::from_utf8(text).map_err(|_| Fault::Malformed)?;
    let mut parts = [""; PARTS];
    let mut found = text.split('.');
    let mut count = 0;
    for (part, text) in parts.iter_mut().zip(&mut found) {
        *part = text;
        count += 1;
    }
    let [form, key, user, end, number, addresses, signature] = parts;
    if form != "1" || found.next().is_some() {
        return Err(Fault::Malformed);
    }
    if count < PARTS || signature.len() < SIGNATURE_TEXT_OCTETS {
        return Err(Fault::CutShort);
    }
    let unsigned = text.as_bytes().get(..text.len() - signature.len() - 1).ok_or(Fault::Malformed)?;
    if signature.len() > SIGNATURE_TEXT_OCTETS {
        return Err(Fault::TooLong);
    }
    let end = parse_base_36(end, END_DIGITS)?;
    Ok(Parsed {
        ticket: Ticket {
            key: KeyId::parse(key).ok_or(Fault::Malformed)?,
            user: Some(user)
                .filter(|user| is_user(user))
                .and_then(|user| User::try_from(user).ok())
                .ok_or(Fault::Malformed)?,
            until: UnixSeconds(u64::from(end) * HOUR),
            number: TicketNumber::parse(number)?,
            addresses: parse_addresses(addresses).ok_or(Fault::Malformed)?,
        },
        unsigned,
        signature,
    })
}

fn parse_addresses(text: &str) -> Option<u8> {
    let &[digit] = text.as_bytes() else { return None };
    let number = digit.checked_sub(b'0')?;
    (1..=MOST_ADDRESSES).contains(&number).then_some(number)
}

/// Write a ticket up to the dot before its signature. Its end is rounded up to a full hour.
///
/// # Errors
/// When `to` has no room.
pub(super) fn write_unsigned(to: &mut Text, ticket: &Ticket) -> fmt::Result {
    let Ticket { key, user, until, number, addresses } = ticket;
    write!(to, "1.{key}.{user}.")?;
    write_base_36(to, until.0.div_ceil(HOUR).min(LAST_END_HOUR) as u32)?;
    write!(to, ".{number}.{addresses}")
}

impl From<NumberError> for Fault {
    fn from(error: NumberError) -> Self {
        match error {
            NumberError::WrongCase => Self::WrongCase,
            NumberError::Malformed => Self::Malformed,
        }
    }
}
