//! A strict parser of bencode: keys are sorted and unique, numbers have one form.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Integer(i64),
    Bytes(Vec<u8>),
    Dictionary(BTreeMap<Vec<u8>, Value>),
}

impl Value {
    /// Parse a value that fills all of `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let value = value(&mut rest);
        assert!(rest.is_empty(), "{} follows the value", rest.escape_ascii());
        value
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Self> {
        match self {
            Self::Dictionary(entries) => entries.get(key),
            _ => None,
        }
    }

    pub(crate) fn integer(&self, key: &str) -> Option<i64> {
        match self.get(key.as_bytes())? {
            Self::Integer(number) => Some(*number),
            other => unreachable!("{key} is {other:?}"),
        }
    }

    pub(crate) fn bytes(&self, key: &str) -> Option<&[u8]> {
        match self.get(key.as_bytes())? {
            Self::Bytes(bytes) => Some(bytes),
            other => unreachable!("{key} is {other:?}"),
        }
    }

    pub(crate) fn keys(&self) -> Vec<&[u8]> {
        match self {
            Self::Dictionary(entries) => entries.keys().map(Vec::as_slice).collect(),
            other => unreachable!("{other:?} is not a dictionary"),
        }
    }
}

fn value(rest: &mut &[u8]) -> Value {
    match rest.first() {
        Some(b'i') => {
            *rest = &rest[1..];
            Value::Integer(number(rest, b'e'))
        }
        Some(b'd') => {
            *rest = &rest[1..];
            dictionary(rest)
        }
        Some(b'0'..=b'9') => Value::Bytes(string(rest)),
        other => unreachable!("a value begins with {other:?}"),
    }
}

fn dictionary(rest: &mut &[u8]) -> Value {
    let mut entries = BTreeMap::new();
    while rest.first() != Some(&b'e') {
        let key = string(rest);
        let last = entries.last_key_value().map(|(last, _): (&Vec<u8>, _)| last.clone());
        assert!(last.is_none_or(|last| last < key), "{} is out of order", key.escape_ascii());
        entries.insert(key, value(rest));
    }
    *rest = &rest[1..];
    Value::Dictionary(entries)
}

fn string(rest: &mut &[u8]) -> Vec<u8> {
    let octets = usize::try_from(number(rest, b':')).expect("a length");
    let (text, after) = rest.split_at_checked(octets).expect("a string is whole");
    *rest = after;
    text.to_vec()
}

fn number(rest: &mut &[u8], end: u8) -> i64 {
    let octets = rest.iter().position(|&octet| octet == end).expect("a number ends");
    let text = std::str::from_utf8(&rest[..octets]).expect("digits");
    let number: i64 = text.parse().expect(text);
    assert_eq!(number.to_string(), text, "a number has one form");
    *rest = &rest[octets + 1..];
    number
}
