//! Lines of text with a checksum at the end, which a person can read and a program can check: ` #` and the CRC-32 of the
//! text before it, in eight hexadecimal digits.

use std::fmt::Write as _;

/// Add the checksum and a line break to a line.
pub(super) fn seal(line: &mut String) {
    let checksum = crc32fast::hash(line.as_bytes());
    // A write to a string cannot fail.
    let _ = writeln!(line, " #{checksum:08x}");
}

/// Return the text of a line with a correct checksum.
pub(super) fn unseal(line: &str) -> Option<&str> {
    let (text, checksum) = line.rsplit_once(" #")?;
    let is_correct = checksum.len() == 8 && u32::from_str_radix(checksum, 16) == Ok(crc32fast::hash(text.as_bytes()));
    is_correct.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_line_is_read_and_a_changed_one_is_not() {
        let mut line = "192.0.2.7/32 user=#1".to_owned();
        seal(&mut line);
        assert_eq!(line, "192.0.2.7/32 user=#1 #9a536c47\n");
        assert_eq!(unseal(line.trim_end()), Some("192.0.2.7/32 user=#1"));
        let whole = line.trim_end().as_bytes();
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            let read = std::str::from_utf8(&changed).ok().and_then(unseal);
            // A digit in upper case means the same.
            assert!(read.is_none_or(|text| text == "192.0.2.7/32 user=#1"), "bit {bit}: {read:?}");
        }
        for length in 0..whole.len() {
            assert_eq!(unseal(std::str::from_utf8(&whole[..length]).expect("ASCII")), None);
        }
    }
}
