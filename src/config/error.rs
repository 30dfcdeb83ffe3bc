//! Error in a configuration, as one line of text.

use core::fmt;

use toml::de::DeValue;

/// Error message of one line: file, line, key, the value found and the values allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub(super) String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Error {}

/// Maximum number of characters to quote: enough to recognize the value.
const MOST_QUOTED_CHARS: usize = 60;

/// Quote `text` on one line, cut to a recognizable length.
pub(crate) fn quote(text: &str) -> String {
    let start: String = text.chars().take(MOST_QUOTED_CHARS).collect();
    if start.len() == text.len() { format!("{text:?}") } else { format!("{start:?}…") }
}

/// Describe a TOML value for an error message.
pub(super) fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quote(text),
        DeValue::Integer(number) => format!("the integer {}", short(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", short(number.as_str())),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => format!("the date {time}"),
        DeValue::Array(values) if values.is_empty() => "an empty list".into(),
        DeValue::Array(values) => format!("a list of {}", values.len()),
        DeValue::Table(_) => "a table".into(),
    }
}

fn short(digits: &str) -> String {
    digits.chars().take(MOST_QUOTED_CHARS).collect()
}
