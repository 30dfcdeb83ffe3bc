//! Bencode writer for tracker replies: BEP 3, "bencoding".
//!
//! | type | layout |
//! |---|---|
//! | string | length in decimal, `:`, that many bytes |
//! | integer | `i`, decimal without leading zeros, `e` |
//! | dictionary | `d`, then each key (a string) and its value, `e`; keys are unique and sorted as raw bytes |
//!
//! A tracker only writes bencode. The caller must write the keys of a dictionary in sorted order. Each dictionary is
//! written in one function with constant keys, and the tests check it with a strict parser.

use super::{Full, Writer};

impl Writer<'_> {
    /// Open a dictionary. Write its keys in sorted order, each followed by its value, and then [`end`](Self::end).
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    pub fn dictionary(&mut self) -> Result<(), Full> {
        self.raw(b"d")
    }

    /// Close the innermost open dictionary.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    pub fn end(&mut self) -> Result<(), Full> {
        self.raw(b"e")
    }

    /// Write a string: a value or a key.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    #[inline(always)]
    pub fn string(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.decimal(bytes.len() as u64)?;
        self.raw(b":")?;
        self.raw(bytes)
    }

    /// Write an integer.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    #[inline(always)]
    pub fn integer(&mut self, number: u64) -> Result<(), Full> {
        self.raw(b"i")?;
        self.decimal(number)?;
        self.raw(b"e")
    }

    /// Write a key and its string value.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    #[inline(always)]
    pub fn string_entry(&mut self, key: &str, bytes: &[u8]) -> Result<(), Full> {
        self.string(key.as_bytes())?;
        self.string(bytes)
    }

    /// Write a key and its integer value.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    #[inline(always)]
    pub fn integer_entry(&mut self, key: &str, number: u32) -> Result<(), Full> {
        self.string(key.as_bytes())?;
        self.integer(u64::from(number))
    }
}

/// Strict parser for the tests of all bencoded replies. It shares no code with the writer.
#[cfg(test)]
pub(crate) mod strict {
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) enum Value {
        Integer(i64),
        Bytes(Vec<u8>),
        Dictionary(BTreeMap<Vec<u8>, Value>),
    }

    impl Value {
        /// Return the value at `key` of a dictionary.
        pub(crate) fn get(&self, key: impl AsRef<[u8]>) -> Option<&Value> {
            match self {
                Value::Dictionary(entries) => entries.get(key.as_ref()),
                Value::Integer(_) | Value::Bytes(_) => None,
            }
        }

        /// Return the integer at `key` of a dictionary.
        pub(crate) fn integer(&self, key: &str) -> Option<i64> {
            match self.get(key)? {
                Value::Integer(number) => Some(*number),
                Value::Bytes(_) | Value::Dictionary(_) => None,
            }
        }

        /// Return the string at `key` of a dictionary.
        pub(crate) fn bytes(&self, key: &str) -> Option<&[u8]> {
            match self.get(key)? {
                Value::Bytes(bytes) => Some(bytes),
                Value::Integer(_) | Value::Dictionary(_) => None,
            }
        }

        /// Return the keys of a dictionary in sorted order. [`parse`] has checked that they were written in this order.
        pub(crate) fn keys(&self) -> Vec<&[u8]> {
            match self {
                Value::Dictionary(entries) => entries.keys().map(Vec::as_slice).collect(),
                Value::Integer(_) | Value::Bytes(_) => Vec::new(),
            }
        }
    }

    /// Parse `bytes` as exactly one value.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Value, String> {
        match value(bytes)? {
            (parsed, []) => Ok(parsed),
            (_, rest) => Err(format!("{} bytes after the value", rest.len())),
        }
    }

    fn value(bytes: &[u8]) -> Result<(Value, &[u8]), String> {
        match bytes.first() {
            Some(b'i') => {
                let end = bytes.iter().position(|&byte| byte == b'e').ok_or("an integer without end")?;
                Ok((Value::Integer(number(&bytes[1..end])?), &bytes[end + 1..]))
            }
            Some(b'd') => dictionary(&bytes[1..]),
            Some(b'0'..=b'9') => string(bytes).map(|(text, rest)| (Value::Bytes(text), rest)),
            other => Err(format!("a value cannot begin with {other:?}")),
        }
    }

    fn dictionary(mut rest: &[u8]) -> Result<(Value, &[u8]), String> {
        let mut entries = BTreeMap::new();
        let mut last: Option<Vec<u8>> = None;
        while rest.first() != Some(&b'e') {
            let (key, after_key) = string(rest)?;
            if last.as_ref().is_some_and(|last| *last >= key) {
                return Err(format!("{} is out of order", key.escape_ascii()));
            }
            let (entry, after_value) = value(after_key)?;
            entries.insert(key.clone(), entry);
            last = Some(key);
            rest = after_value;
        }
        Ok((Value::Dictionary(entries), &rest[1..]))
    }

    fn string(bytes: &[u8]) -> Result<(Vec<u8>, &[u8]), String> {
        let colon = bytes.iter().position(|&byte| byte == b':').ok_or("a string without a colon")?;
        let length = usize::try_from(number(&bytes[..colon])?).map_err(|_| "a negative length")?;
        let text = bytes.get(colon + 1..colon + 1 + length).ok_or("a string longer than the rest")?;
        Ok((text.to_vec(), &bytes[colon + 1 + length..]))
    }

    fn number(digits: &[u8]) -> Result<i64, String> {
        let text = core::str::from_utf8(digits).map_err(|error| error.to_string())?;
        let parsed: i64 = text.parse().map_err(|error| format!("{text}: {error}"))?;
        if parsed.to_string() == text { Ok(parsed) } else { Err(format!("{text} has leading zeros or a sign")) }
    }
}

#[cfg(test)]
mod tests {
    use super::strict::{Value, parse};
    use super::*;

    type Write = fn(&mut Writer<'_>) -> Result<(), Full>;

    #[test]
    fn each_type_has_the_layout_of_bep_3() {
        let table: [(Write, &[u8]); 6] = [
            (|w| w.string(b"spam"), b"4:spam"),
            (|w| w.string(b""), b"0:"),
            (|w| w.string(&[0xff, 0x00]), b"2:\xff\x00"),
            (|w| w.integer(0), b"i0e"),
            (|w| w.integer(u64::MAX), b"i18446744073709551615e"),
            (
                |w| {
                    w.dictionary()?;
                    w.integer_entry("cow", 3)?;
                    w.string_entry("spam", b"eggs")?;
                    w.end()
                },
                b"d3:cowi3e4:spam4:eggse",
            ),
        ];
        for (write, expected) in table {
            let mut out = [0xa5; 32];
            let mut writer = Writer::new(&mut out);
            assert_eq!(write(&mut writer), Ok(()));
            let octets = writer.octets();
            assert_eq!(&out[..octets], expected);
            for short in 0..expected.len() {
                assert_eq!(write(&mut Writer::new(&mut [0xa5; 32][..short])), Err(Full));
            }
        }
    }

    #[test]
    fn the_parser_of_the_tests_is_strict() {
        assert_eq!(parse(b"d1:ai1e1:b0:e").expect("well formed").keys(), [b"a", b"b"]);
        assert_eq!(parse(b"i-7e"), Ok(Value::Integer(-7)));
        let refused: [&[u8]; 11] = [
            b"",
            b"i01e",
            b"i-0e",
            b"i+1e",
            b"ie",
            b"02:ab",
            b"3:ab",
            b"d1:bi1e1:ai1ee",
            b"d1:ai1e1:ai1ee",
            b"i1ei1e",
            b"d1:ai1e",
        ];
        for bytes in refused {
            assert!(parse(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }
}
