//! Cursor that writes text replies into the caller's buffer.

use super::Full;

/// Writer into a buffer that the caller owns, from its start. It rejects data that does not fit. The methods for
/// bencode are in [`bencode`](super::bencode).
#[derive(Debug)]
pub struct Writer<'a> {
    rest: &'a mut [u8],
    octets: usize,
}

impl<'a> Writer<'a> {
    /// Start at the beginning of `out`.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { rest: out, octets: 0 }
    }

    /// Return the number of bytes written so far.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Write `bytes` unchanged.
    ///
    /// # Errors
    /// [`Full`] when they do not fit; then nothing is written.
    #[inline(always)]
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let rest = core::mem::take(&mut self.rest);
        if rest.len() < bytes.len() {
            self.rest = rest;
            return Err(Full);
        }
        let (head, tail) = rest.split_at_mut(bytes.len());
        head.copy_from_slice(bytes);
        self.rest = tail;
        self.octets += bytes.len();
        Ok(())
    }

    /// Write `number` in decimal, without leading zeros.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    #[inline(always)]
    pub fn decimal(&mut self, number: u64) -> Result<(), Full> {
        self.raw(itoa::Buffer::new().format(number).as_bytes())
    }
}

impl core::fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.raw(text.as_bytes()).map_err(|_| core::fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_without_leading_zeros() {
        for number in [0, 1, 9, 10, 99, 100, 1800, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = [0xa5; 24];
            let mut writer = Writer::new(&mut out);
            writer.decimal(number).expect("24 octets hold any u64");
            let octets = writer.octets();
            assert_eq!(&out[..octets], number.to_string().as_bytes());
            assert!(out[octets..].iter().all(|&octet| octet == 0xa5), "nothing is written beyond the number");
        }
    }

    #[test]
    fn data_that_does_not_fit_is_rejected_and_leaves_the_buffer_unchanged() {
        let mut out = [0xa5; 4];
        let mut writer = Writer::new(&mut out);
        assert_eq!(writer.raw(b"abc"), Ok(()));
        assert_eq!(writer.raw(b"de"), Err(Full));
        assert_eq!(writer.decimal(10), Err(Full));
        assert_eq!(writer.decimal(7), Ok(()));
        assert_eq!(writer.raw(b""), Ok(()));
        assert_eq!(writer.octets(), 4);
        assert_eq!(&out, b"abc7");
    }
}
