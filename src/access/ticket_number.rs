//! Numbers of tickets.

use core::fmt;

use crate::clock::UnixSeconds;

/// Second to which the numbers are relative: 2026-01-01, in seconds since 1970.
const FIRST_SECOND: u64 = 1_767_225_600;

/// Number of a ticket: the second of its signature, since 2026-01-01. As text it is in base 36.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TicketNumber(pub u32);

/// Error: the text is no number in base 36.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// A letter is in upper case.
    WrongCase,
    /// It is empty or too long, starts with a zero, or has another character.
    Malformed,
}

impl TicketNumber {
    /// Maximum number of digits.
    const DIGITS: usize = 6;

    /// Largest number.
    pub const MAX: Self = Self(36_u32.pow(Self::DIGITS as u32) - 1);

    /// Return the number of a ticket that is signed at `time`.
    pub fn at(time: UnixSeconds) -> Self {
        Self(time.0.saturating_sub(FIRST_SECOND).min(u64::from(Self::MAX.0)) as u32)
    }

    /// Return the time of the signature.
    pub const fn time(self) -> UnixSeconds {
        UnixSeconds(FIRST_SECOND + self.0 as u64)
    }

    /// Parse the form of `Display`.
    ///
    /// # Errors
    /// A [`NumberError`].
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        Self::of(text.as_bytes())
    }

    /// Parse the form of `Display`, as bytes.
    ///
    /// # Errors
    /// A [`NumberError`].
    pub fn of(text: &[u8]) -> Result<Self, NumberError> {
        parse_base_36(text, Self::DIGITS).map(Self)
    }
}

impl fmt::Display for TicketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_base_36(f, self.0)
    }
}

/// Parse a number of at most `digits` digits, without a zero at its start.
///
/// # Errors
/// A [`NumberError`].
pub fn parse_base_36(text: &[u8], digits: usize) -> Result<u32, NumberError> {
    if text.is_empty() || text.len() > digits || (text.len() > 1 && text.starts_with(b"0")) {
        return Err(NumberError::Malformed);
    }
    text.iter().try_fold(0, |number, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'z' => digit - b'a' + 10,
            b'A'..=b'Z' => return Err(NumberError::WrongCase),
            _ => return Err(NumberError::Malformed),
        };
        Ok(number * 36 + u32::from(value))
    })
}

/// Write a number in base 36, with the digits `0` to `9` and `a` to `z`.
///
/// # Errors
/// When `to` fails.
pub fn write_base_36(to: &mut impl fmt::Write, number: u32) -> fmt::Result {
    if number >= 36 {
        write_base_36(to, number / 36)?;
    }
    let digit = (number % 36) as u8;
    to.write_char(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_one_text() {
        for (number, text) in [(0, "0"), (35, "z"), (36, "10"), (28_512_000, "gz400"), (36_u32.pow(6) - 1, "zzzzzz")] {
            assert_eq!(TicketNumber(number).to_string(), text);
            assert_eq!(TicketNumber::parse(text), Ok(TicketNumber(number)));
        }
        for text in ["", "01", "1000000", "+1", "1.", "ä"] {
            assert_eq!(TicketNumber::parse(text), Err(NumberError::Malformed), "{text}");
        }
        assert_eq!(TicketNumber::parse("gZ"), Err(NumberError::WrongCase));
    }

    #[test]
    fn a_number_is_the_second_of_the_signature() {
        assert_eq!(TicketNumber::at(UnixSeconds(FIRST_SECOND + 7)), TicketNumber(7));
        assert_eq!(TicketNumber(7).time(), UnixSeconds(FIRST_SECOND + 7));
        assert_eq!(TicketNumber::at(UnixSeconds(0)), TicketNumber(0));
        assert_eq!(TicketNumber::at(UnixSeconds(u64::MAX)), TicketNumber::MAX);
    }
}
