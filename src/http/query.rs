//! Query of a request: `name=value` pairs with percent-encoded values.
//!
//! | part | layout |
//! |---|---|
//! | query | parameters, separated by `&` |
//! | parameter | name, the first `=`, value; a parameter without `=` is skipped |
//! | value | bytes, each raw or as `%` and two hexadecimal digits of either case; `+` is a plus sign |
//!
//! Names are compared undecoded, because no client escapes them. A value is decoded only when the tracker uses it, so a
//! stray `%` in an ignored parameter causes no error.

use memchr::{memchr, memchr_iter};
use percent_encoding::{PercentDecode, percent_decode};

/// Error: a `%` is not followed by two hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEscape;

/// Error: the value is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotANumber {
    /// The value has a bad escape.
    BadEscape,
    /// The value has no digits, or a byte that is not a digit.
    BadDigit,
}

impl From<BadEscape> for NotANumber {
    fn from(_: BadEscape) -> Self {
        Self::BadEscape
    }
}

/// Whole number of any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Number without a sign; capped at `u64::MAX`.
    Natural(u64),
    /// Number with a minus sign.
    Negative,
}

/// Iterate over the parameters of `query` as (name, value), not decoded, in order and with duplicates.
pub fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = query;
    core::iter::from_fn(move || {
        loop {
            // Names are too short for memchr: its setup costs more than it saves.
            let end_of_name = rest.iter().position(|byte| matches!(byte, b'=' | b'&'))?;
            let (name, from_mark) = rest.split_at_checked(end_of_name)?;
            let (mark, value_and_rest) = from_mark.split_first()?;
            rest = value_and_rest;
            if *mark == b'=' {
                let (value, from_end) = rest.split_at_checked(memchr(b'&', rest).unwrap_or(rest.len()))?;
                rest = from_end.get(1..).unwrap_or_default();
                return Some((name, value));
            }
        }
    })
}

/// Decode `value`, and iterate over its bytes.
///
/// # Errors
/// [`BadEscape`]. All escapes are checked before decoding starts.
pub fn decode(value: &[u8]) -> Result<PercentDecode<'_>, BadEscape> {
    // The decoder passes a bad escape through as plain text, so check first.
    let mut pieces = value.split(|&byte| byte == b'%');
    pieces.next();
    if pieces.all(starts_with_two_hex_digits) { Ok(percent_decode(value)) } else { Err(BadEscape) }
}

fn starts_with_two_hex_digits(piece: &[u8]) -> bool {
    piece.first_chunk::<2>().is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// Decode `value` into exactly `N` bytes; return `None` when it has another length.
///
/// # Errors
/// [`BadEscape`], as for [`decode`].
pub fn decode_exactly<const N: usize>(value: &[u8]) -> Result<Option<[u8; N]>, BadEscape> {
    let (mut bytes, mut decoded) = ([0; N], percent_decode(value));
    // Fast path. A bad escape stays in the output as text, which then has more than `N` bytes.
    if value.len() == N + 2 * memchr_iter(b'%', value).count()
        && bytes.iter_mut().zip(&mut decoded).map(|(byte, next)| *byte = next).count() == N
        && decoded.next().is_none()
    {
        return Ok(Some(bytes));
    }
    // Bad escape or wrong length.
    decode(value).map(|_| None)
}

/// Parse a number in decimal.
///
/// # Errors
/// [`NotANumber`]. A number that is too large is no error: see [`Number::Natural`].
pub fn parse_number(value: &[u8]) -> Result<Number, NotANumber> {
    if memchr(b'%', value).is_some() { parse_digits(decode(value)?) } else { parse_digits(value.iter().copied()) }
}

fn parse_digits(digits: impl Iterator<Item = u8>) -> Result<Number, NotANumber> {
    let mut digits = digits.peekable();
    let negative = digits.next_if_eq(&b'-').is_some();
    if digits.peek().is_none() {
        return Err(NotANumber::BadDigit);
    }
    let mut number = 0_u64;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10).ok_or(NotANumber::BadDigit)?;
        number = number.saturating_mul(10).saturating_add(u64::from(digit));
    }
    Ok(if negative { Number::Negative } else { Number::Natural(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(value: &[u8]) -> Result<Vec<u8>, BadEscape> {
        decode(value).map(Iterator::collect)
    }

    #[test]
    fn rule_19_parameters_are_split_at_ampersands_and_then_at_the_first_equals_sign() {
        type Pair<'a> = (&'a [u8], &'a [u8]);
        let table: [(&[u8], &[Pair<'_>]); 8] = [
            (b"", &[]),
            (b"a=1", &[(b"a", b"1")]),
            (b"a=1&b=2", &[(b"a", b"1"), (b"b", b"2")]),
            (b"compact&a=1", &[(b"a", b"1")]),
            (b"a=1&&no_peer_id&b=", &[(b"a", b"1"), (b"b", b"")]),
            (b"a=x=y=", &[(b"a", b"x=y=")]),
            (b"=1", &[(b"", b"1")]),
            (b"a=1&a=2&", &[(b"a", b"1"), (b"a", b"2")]),
        ];
        for (query, expected) in table {
            assert_eq!(parameters(query).collect::<Vec<_>>(), expected, "{}", query.escape_ascii());
        }
    }

    #[test]
    fn rule_19_escapes_of_either_case_and_raw_bytes_are_bytes() {
        let table: [(&[u8], &[u8]); 7] = [
            (b"", b""),
            (b"plain", b"plain"),
            (b"%aB%Ab%ff%00", b"\xab\xab\xff\x00"),
            (b"\x80\xff%80", b"\x80\xff\x80"),
            (b"a+b", b"a+b"),
            (b"%2B%26%3d%25", b"+&=%"),
            (b"%41B%43", b"ABC"),
        ];
        for (value, expected) in table {
            assert_eq!(decoded(value).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn rule_19_every_byte_survives_both_cases_of_its_escape() {
        for byte in 0..=255_u8 {
            assert_eq!(decoded(format!("%{byte:02x}").as_bytes()), Ok(vec![byte]));
            assert_eq!(decoded(format!("%{byte:02X}").as_bytes()), Ok(vec![byte]));
        }
    }

    #[test]
    fn rule_19_a_bad_escape_is_an_error() {
        let table: [&[u8]; 9] = [b"%", b"a%", b"%4", b"a%4", b"%zz", b"%4g", b"%%41", b"%u0041", b"%41%-1"];
        for value in table {
            assert_eq!(decoded(value), Err(BadEscape), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn rule_02_numbers_have_64_bits_and_saturate() {
        let table: [(&[u8], Result<Number, NotANumber>); 16] = [
            (b"0", Ok(Number::Natural(0))),
            (b"007", Ok(Number::Natural(7))),
            (b"%31%32", Ok(Number::Natural(12))),
            (b"4294967296", Ok(Number::Natural(1 << 32))),
            (b"18446744073709551615", Ok(Number::Natural(u64::MAX))),
            (b"18446744073709551616", Ok(Number::Natural(u64::MAX))),
            (b"99999999999999999999999999999999", Ok(Number::Natural(u64::MAX))),
            (b"-1", Ok(Number::Negative)),
            (b"-0", Ok(Number::Negative)),
            (b"", Err(NotANumber::BadDigit)),
            (b"-", Err(NotANumber::BadDigit)),
            (b"+1", Err(NotANumber::BadDigit)),
            (b"1e3", Err(NotANumber::BadDigit)),
            (b"1 ", Err(NotANumber::BadDigit)),
            (b"\xb2", Err(NotANumber::BadDigit)),
            (b"1%", Err(NotANumber::BadEscape)),
        ];
        for (value, expected) in table {
            assert_eq!(parse_number(value), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn parameters_match_a_simple_split_for_any_bytes() {
        let mut random = fastrand::Rng::with_seed(23);
        for _ in 0..20_000 {
            let query: Vec<u8> = (0..random.usize(..24)).map(|_| random.choice(*b"&=ab%").unwrap_or(0)).collect();
            let split = query.split(|&byte| byte == b'&').filter_map(|parameter| {
                let equals = parameter.iter().position(|&byte| byte == b'=')?;
                Some((&parameter[..equals], &parameter[equals + 1..]))
            });
            assert_eq!(parameters(&query).collect::<Vec<_>>(), split.collect::<Vec<_>>(), "{}", query.escape_ascii());
        }
    }

    #[test]
    fn rule_19_decode_exactly_rejects_other_lengths_and_bad_escapes() {
        type Exactly = Result<Option<[u8; 2]>, BadEscape>;
        let table: [(&[u8], Exactly); 12] = [
            (b"ab", Ok(Some(*b"ab"))),
            (b"%61b", Ok(Some(*b"ab"))),
            (b"a%62", Ok(Some(*b"ab"))),
            (b"%25%25", Ok(Some(*b"%%"))),
            (b"", Ok(None)),
            (b"a", Ok(None)),
            (b"%61", Ok(None)),
            (b"abc", Ok(None)),
            (b"%61%62%63", Ok(None)),
            (b"%%", Err(BadEscape)),
            (b"a%%62", Err(BadEscape)),
            (b"%6%62", Err(BadEscape)),
        ];
        for (value, expected) in table {
            assert_eq!(decode_exactly::<2>(value), expected, "{}", value.escape_ascii());
        }
        let mut random = fastrand::Rng::with_seed(29);
        for _ in 0..20_000 {
            let value: Vec<u8> = (0..random.usize(..9)).map(|_| random.choice(*b"%%26a").unwrap_or(0)).collect();
            let expected = decoded(&value).map(|bytes| <[u8; 2]>::try_from(bytes).ok());
            assert_eq!(decode_exactly::<2>(&value), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn no_bytes_cause_a_panic_and_good_escapes_are_decoded() {
        let mut random = fastrand::Rng::with_seed(19);
        for _ in 0..4_000 {
            let bytes: Vec<u8> = (0..random.usize(..64)).map(|_| random.u8(..)).collect();
            for (_, value) in parameters(&bytes) {
                let _ = (decode(value).map(Iterator::count), parse_number(value));
            }
            let escaped: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
            assert_eq!(decoded(escaped.as_bytes()), Ok(bytes));
        }
    }
}
