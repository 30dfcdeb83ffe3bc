//! Parsing of address prefixes, and the default prefix of an address.

use core::fmt;
use core::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Default prefix length for IPv4, in bits: the address alone.
pub const DEFAULT_V4_LENGTH: u8 = 32;

/// Default prefix length for IPv6, in bits: one household. Its devices change the lower 64 bits of their addresses
/// daily.
pub const DEFAULT_V6_LENGTH: u8 = 64;

/// Length of the fixed part of a v4-mapped v6 address, in bits: RFC 4291, "IPv4-Mapped IPv6 Address".
const MAPPED_BITS: u8 = 96;

/// Beginning of the invalid text, for an error message.
pub type Found = heapless::String<40>;

/// Error: the text is not an address prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrefixError {
    /// The text is empty.
    Empty,
    /// The text before the `/` is not an IPv4 or IPv6 address. Host names are not resolved.
    NotAnAddress(Found),
    /// The text after the `/` is not a decimal number of bits.
    NotALength(Found),
    /// The prefix is longer than the address.
    TooLong {
        /// Length of the prefix, in bits.
        found: u32,
        /// Greatest length for this address family, in bits.
        most: u8,
    },
    /// The prefix of a v4-mapped address is shorter than its fixed part of 96 bits. Holds the length in bits.
    CutsMapped(u8),
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "no address; write one such as 192.0.2.7 or 2001:db8:1:2::/64"),
            Self::NotAnAddress(found) => {
                write!(
                    f,
                    "`{found}` is not an IPv4 or IPv6 address; write one such as 192.0.2.7 or 2001:db8:1:2::/64 \
                     (host names are not looked up)"
                )
            }
            Self::NotALength(found) => {
                write!(
                    f,
                    "`{found}` is not a prefix length; write a number of bits after the `/`, 0 to \
                     32 for IPv4 and 0 to 128 for IPv6"
                )
            }
            Self::TooLong { found, most } => {
                write!(f, "a prefix length of {found} is too long; this address has {most} bits")
            }
            Self::CutsMapped(found) => {
                write!(
                    f,
                    "a prefix length of {found} is too short for an IPv4 address written as IPv6; write it as IPv4, \
                     or with 96 to 128 bits"
                )
            }
        }
    }
}

impl core::error::Error for PrefixError {}

/// Parse `ADDR` or `ADDR/LEN`, ignoring space around it.
///
/// Host bits are cleared. The default length is 32 for IPv4 and 64 for IPv6. A v4-mapped v6 prefix is returned as IPv4.
pub fn parse(text: &str) -> Result<IpNet, PrefixError> {
    read(text, of)
}

/// Parse the prefix of a host or of a network. Unlike with [`parse`], the default length for IPv6 is 128: the host
/// alone.
pub fn parse_hosts(text: &str) -> Result<IpNet, PrefixError> {
    read(text, |address| address.to_canonical().into())
}

/// Parse a prefix. `bare` converts an address without a length to a prefix.
fn read(text: &str, bare: impl FnOnce(IpAddr) -> IpNet) -> Result<IpNet, PrefixError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(PrefixError::Empty);
    }
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| PrefixError::NotAnAddress(found(address)))?;
    match length {
        None => Ok(bare(address)),
        Some(length) => with_length(address, parse_length(length)?),
    }
}

/// Return the default prefix of `address`: the address itself for IPv4 (also if v4-mapped), its /64 for IPv6.
pub fn of(address: IpAddr) -> IpNet {
    let length = match address.to_canonical() {
        IpAddr::V4(_) => DEFAULT_V4_LENGTH,
        IpAddr::V6(_) => DEFAULT_V6_LENGTH,
    };
    cut(address.to_canonical(), length)
}

/// Return the prefix of the first `length` bits of `address`, which must have at least that many bits.
pub(super) fn cut(address: IpAddr, length: u8) -> IpNet {
    match address {
        IpAddr::V4(address) => Ipv4Net::new(address, length).map_or(Ipv4Net::from(address), |net| net.trunc()).into(),
        IpAddr::V6(address) => Ipv6Net::new(address, length).map_or(Ipv6Net::from(address), |net| net.trunc()).into(),
    }
}

/// Return the addresses that one client may have: its IPv4 address, or the /64 of its IPv6 address.
pub fn of_client(address: IpAddr) -> IpNet {
    let address = address.to_canonical();
    cut(address, if address.is_ipv4() { 32 } else { 64 })
}

/// Return `prefix` in the form of the table and the disk: host bits cleared, a v4-mapped prefix converted to IPv4.
pub fn canonical(prefix: &IpNet) -> IpNet {
    match with_length(prefix.addr(), u32::from(prefix.prefix_len())) {
        Ok(prefix) => prefix,
        // Only a prefix shorter than the mapped range fails. It is an IPv6 prefix that contains the whole range.
        Err(_) => prefix.trunc(),
    }
}

fn with_length(address: IpAddr, length: u32) -> Result<IpNet, PrefixError> {
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = u8::try_from(length)
        .ok()
        .filter(|&length| length <= most)
        .ok_or(PrefixError::TooLong { found: length, most })?;
    match address {
        IpAddr::V6(mapped) if mapped.to_ipv4_mapped().is_some() => {
            let length = length.checked_sub(MAPPED_BITS).ok_or(PrefixError::CutsMapped(length))?;
            Ok(cut(address.to_canonical(), length))
        }
        _ => Ok(cut(address, length)),
    }
}

/// Parse a prefix length. Only decimal digits are valid; `str::parse` alone would also accept a sign.
fn parse_length(text: &str) -> Result<u32, PrefixError> {
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| PrefixError::NotALength(found(text)))
}

/// Return the beginning of `text`, without control characters, which could move the cursor of a terminal.
pub(super) fn found(text: &str) -> Found {
    let mut found = Found::new();
    let printable = text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character });
    // Stop at the first character that does not fit.
    let _ = { printable }.try_for_each(|character| found.push(character));
    found
}

/// Return whether `parse` can return `prefix`.
#[cfg(test)]
pub(super) fn is_canonical(prefix: &IpNet) -> bool {
    *prefix == prefix.trunc() && !matches!(prefix, IpNet::V6(net) if net.addr().to_ipv4_mapped().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, expected: &str) {
        let prefix = parse(text).expect(text);
        assert_eq!(prefix.to_string(), expected, "{text}");
        assert!(is_canonical(&prefix), "{text}");
        assert_eq!(canonical(&prefix), prefix, "{text}");
    }

    #[test]
    fn prefixes_are_parsed_with_default_lengths_and_cleared_host_bits() {
        for (text, expected) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("  192.0.2.7\n", "192.0.2.7/32"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("192.0.2.7/0", "0.0.0.0/0"),
            ("192.0.2.7/032", "192.0.2.7/32"),
            ("2001:db8:1:2:3:4:5:6/128", "2001:db8:1:2:3:4:5:6/128"),
            ("2001:DB8::/48", "2001:db8::/48"),
            ("2001:db8:ffff::/33", "2001:db8:8000::/33"),
            ("::/0", "::/0"),
            ("::1", "::/64"),
        ] {
            reads(text, expected);
        }
    }

    #[test]
    fn rule_26_a_v6_address_without_a_length_is_its_64() {
        reads("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
        let tuesday: IpAddr = "2001:db8:1:2:aaaa::1".parse().expect("an address");
        let wednesday: IpAddr = "2001:db8:1:2:bbbb::2".parse().expect("an address");
        assert_eq!(of(tuesday), of(wednesday));
    }

    #[test]
    fn a_host_without_a_length_is_that_host() {
        for (text, expected) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("2001:db8::7", "2001:db8::7/128"),
            ("2001:db8::7/48", "2001:db8::/48"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(parse_hosts(text).map(|net| net.to_string()).as_deref(), Ok(expected));
        }
        assert_eq!(parse_hosts("192.0.2.7/33"), Err(PrefixError::TooLong { found: 33, most: 32 }));
    }

    #[test]
    fn rule_09_a_v4_mapped_prefix_is_made_v4() {
        for (text, expected) in [
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.7/128", "192.0.2.7/32"),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.7/96", "0.0.0.0/0"),
            ("::ffff:c000:207", "192.0.2.7/32"),
        ] {
            reads(text, expected);
        }
        assert_eq!(of("::ffff:192.0.2.7".parse().expect("an address")).to_string(), "192.0.2.7/32");
        assert_eq!(parse("::ffff:192.0.2.7/95"), Err(PrefixError::CutsMapped(95)));
    }

    #[test]
    fn each_error_message_names_the_fault() {
        for (text, expected) in [
            ("", "no address"),
            ("  ", "no address"),
            ("example.com", "`example.com` is not an IPv4 or IPv6 address"),
            ("192.168.1", "`192.168.1` is not"),
            ("192.168.1.256", "`192.168.1.256` is not"),
            ("/24", "`` is not an IPv4"),
            ("192.0.2.7:6881", "`192.0.2.7:6881` is not"),
            ("[2001:db8::1]", "`[2001:db8::1]` is not"),
            ("fe80::1%eth0", "`fe80::1%eth0` is not"),
            ("192.0.2.7/33", "a prefix length of 33 is too long; this address has 32 bits"),
            ("2001:db8::/129", "a prefix length of 129 is too long; this address has 128 bits"),
            ("2001:db8::/999999", "a prefix length of 999999 is too long"),
            ("192.0.2.7/", "`` is not a prefix length"),
            ("192.0.2.7/+8", "`+8` is not a prefix length"),
            ("192.0.2.7/-1", "`-1` is not a prefix length"),
            ("192.0.2.7/255.255.255.0", "`255.255.255.0` is not a prefix length"),
            ("192.0.2.7/24/24", "`24/24` is not a prefix length"),
            ("192.0.2.7/99999999999", "`99999999999` is not a prefix length"),
            ("::ffff:192.0.2.7/64", "a prefix length of 64 is too short for an IPv4 address written as IPv6"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_long_text_is_quoted_in_part() {
        let error = parse(&"ö".repeat(1000)).expect_err("not an address").to_string();
        assert!(error.len() < 250, "{error}");
        let error = parse("\u{1b}[2J").expect_err("not an address").to_string();
        assert!(error.starts_with("`\u{fffd}[2J` is not"), "{error}");
    }
}
