//! The text of a ticket, in both directions.

use core::fmt::{self, Write as _};

use base64ct::{Base64UrlUnpadded, Encoding as _};

use super::{KeyId, MOST_ADDRESSES, Ticket, is_user};
use crate::access::{NumberError, TicketNumber, User, parse_base_36, write_base_36};
use crate::clock::UnixSeconds;

/// Length in bytes of a signature as text.
pub(super) const SIGNATURE_TEXT_OCTETS: usize = 86;

/// Maximum length in bytes of a ticket.
pub(super) const TICKET_OCTETS: usize = 140;

/// The text of a ticket.
pub(super) type Text = heapless::String<TICKET_OCTETS>;

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

/// A ticket as it was shown. Its user, its key and its signature are not checked.
#[derive(Clone, Copy, Debug)]
pub struct Parsed<'a> {
    key: &'a [u8],
    /// The user as text.
    pub user: &'a [u8],
    /// The end.
    pub until: UnixSeconds,
    /// The number.
    pub number: TicketNumber,
    addresses: u8,
    /// The signed part.
    pub unsigned: &'a [u8],
    /// The signature as text.
    signature: &'a [u8],
}

impl Parsed<'_> {
    /// Return the content.
    ///
    /// # Errors
    /// When the user or the key has characters of another alphabet.
    pub fn ticket(&self) -> Result<Ticket, Fault> {
        let Self { key, user, until, number, addresses, .. } = *self;
        Ok(Ticket {
            key: KeyId::of(key).ok_or(Fault::Malformed)?,
            user: parse_user(user).ok_or(Fault::Malformed)?,
            until,
            number,
            addresses,
        })
    }

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
        let has = |is_case: fn(&u8) -> bool| self.signature.iter().any(is_case);
        // A signature has both, except one of more than 10^12.
        (!has(u8::is_ascii_uppercase) || !has(u8::is_ascii_lowercase)).then_some(Fault::WrongCase)
    }
}

/// Parse the text of a ticket. This neither verifies the signature nor looks at the clock.
///
/// # Errors
/// A [`Fault`].
pub fn parse(text: &[u8]) -> Result<Parsed<'_>, Fault> {
    parse_parts(text).map_err(|fault| fault_of(text, fault))
}

/// Return the fault of a text, which is an escape if it has one. A bad ticket may take longer than a good one.
fn fault_of(text: &[u8], fault: Fault) -> Fault {
    if text.contains(&b'%') { Fault::Escaped } else { fault }
}

fn parse_parts(text: &[u8]) -> Result<Parsed<'_>, Fault> {
    if text.len() > TICKET_OCTETS {
        return Err(Fault::TooLong);
    }
    // A search for each dot would take longer: they are close to each other, and the signature has none.
    let (mut ends, mut dots) = ([0; PARTS - 1], 0);
    for (at, octet) in text.iter().enumerate() {
        if *octet == b'.' {
            let Some(end) = ends.get_mut(dots) else { break };
            *end = at;
            dots += 1;
            if dots == PARTS - 1 {
                break;
            }
        }
    }
    if !text.starts_with(b"1.") {
        return Err(Fault::Malformed);
    }
    let [_, key, user, end, number, addresses] = ends;
    let signature = text.len().saturating_sub(addresses + 1);
    if dots < PARTS - 1 || signature < SIGNATURE_TEXT_OCTETS {
        return Err(Fault::CutShort);
    }
    if signature > SIGNATURE_TEXT_OCTETS {
        return Err(Fault::TooLong);
    }
    let part = |start: usize, end: usize| text.get(start..end).unwrap_or_default();
    Ok(Parsed {
        key: part(2, key),
        user: part(key + 1, user),
        until: UnixSeconds(u64::from(parse_base_36(part(user + 1, end), END_DIGITS)?) * HOUR),
        number: TicketNumber::of(part(end + 1, number))?,
        addresses: parse_addresses(part(number + 1, addresses)).ok_or(Fault::Malformed)?,
        unsigned: part(0, addresses),
        signature: part(addresses + 1, text.len()),
    })
}

fn parse_user(text: &[u8]) -> Option<User> {
    let text = str::from_utf8(text).ok().filter(|user| is_user(user))?;
    User::try_from(text).ok()
}

fn parse_addresses(text: &[u8]) -> Option<u8> {
    let &[digit] = text else { return None };
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
