//! What is wrong with a configuration, in one line.

use core::fmt;

use toml::de::DeValue;

/// One line that names the file, the line, the key, what was found and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub(super) String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Error {}

/// Enough of what was found to recognize it.
const MOST_QUOTED_CHARS: usize = 60;

/// What was found, on one line and not too long.
pub(crate) fn quote(text: &str) -> String {
    let start: String = text.chars().take(MOST_QUOTED_CHARS).collect();
    if start.len() == text.len() { format!("{text:?}") } else { format!("{start:?}…") }
}

/// A TOML value as an error message names it.
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
