//! Names of the customers that entries belong to.

/// Maximum length of a user's name, in bytes.
pub const USER_OCTETS: usize = 32;

/// Name of the customer that an entry belongs to; empty for none.
pub type User = heapless::String<USER_OCTETS>;

/// Error: the text is no name of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserError {
    /// It is empty, or has white space only.
    Blank,
    /// It has control characters, which could move the cursor of a terminal, or turn the direction of the text.
    ControlCharacters,
    /// It is longer than [`USER_OCTETS`].
    TooLong,
}

/// Return whether a character controls a terminal, or the direction of text: Unicode Standard Annex #9, "Directional
/// Formatting Characters". With the latter, a name could look like another.
pub fn controls(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Parse the name of a user.
///
/// # Errors
/// A [`UserError`]: the first rule that the text breaks.
pub fn parse_user(text: &str) -> Result<User, UserError> {
    if text.trim().is_empty() {
        return Err(UserError::Blank);
    }
    if text.chars().any(controls) {
        return Err(UserError::ControlCharacters);
    }
    User::try_from(text).map_err(|_| UserError::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_printable() {
        for (text, expected) in [
            ("mika", None),
            ("仲人", None),
            ("O'Neill, Åsa", None),
            ("0123456789abcdef0123456789abcdef", None),
            ("0123456789abcdef0123456789abcdef0", Some(UserError::TooLong)),
            ("", Some(UserError::Blank)),
            (" \t", Some(UserError::Blank)),
            ("mi\nka", Some(UserError::ControlCharacters)),
            ("\u{9b}2J", Some(UserError::ControlCharacters)),
            ("ann\u{202e}akim", Some(UserError::ControlCharacters)),
            ("\u{2066}ann\u{2069}", Some(UserError::ControlCharacters)),
            ("\u{200f}ann", Some(UserError::ControlCharacters)),
            ("\u{5e8}\u{5d5}\u{5ea}", None),
        ] {
            assert_eq!(parse_user(text).err(), expected, "{text:?}");
        }
    }
}
