//! Sizes and durations as text: a number with its unit, never a bare number.

use core::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Convert `n` KiB to bytes.
pub const fn kib(n: u64) -> u64 {
    n * KIB
}

/// Convert `n` MiB to bytes.
pub const fn mib(n: u64) -> u64 {
    n * MIB
}

/// Return a duration of `n` seconds.
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Return a duration of `n` minutes.
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * MINUTE)
}

/// Return a duration of `n` days of 24 hours.
pub const fn days(n: u64) -> Duration {
    Duration::from_secs(n * DAY)
}

/// Return the number of bytes in a unit of size, ignoring case. A bare `M` is ambiguous (decimal or binary), so it is
/// no unit.
fn unit_octets(unit: &str) -> Option<u64> {
    let known =
        [("b", 1), ("kib", KIB), ("mib", MIB), ("gib", GIB), ("kb", 1_000), ("mb", 1_000_000), ("gb", 1_000_000_000)];
    let (_, octets) = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    Some(octets)
}

/// Parse a size such as "8 MiB", "512KiB", "8 MB" (decimal) or "65536 B", and return it in bytes.
pub fn parse_octets(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    number.parse::<u64>().ok()?.checked_mul(unit_octets(unit.trim_start())?)
}

/// Format a number of bytes exactly, in the largest binary unit that divides it: "8 MiB", "1000 B".
pub fn show_octets(octets: u64) -> String {
    [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")]
        .into_iter()
        .find(|(unit, _)| octets >= *unit && octets.is_multiple_of(*unit))
        .map_or_else(|| format!("{octets} B"), |(unit, name)| format!("{} {name}", octets / unit))
}

/// Format a number of bytes briefly, rounded down to a tenth: "1.4 MiB".
pub fn brief_octets(octets: u64) -> String {
    let Some((unit, name)) = [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")].into_iter().find(|(unit, _)| octets >= *unit)
    else {
        return format!("{octets} B");
    };
    let tenths = u128::from(octets) * 10 / u128::from(unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// Maximum number of digits in a duration. More are a mistake, and their sum could overflow.
const MOST_DURATION_DIGITS: usize = 15;

/// Parse a duration in whole seconds such as "90s", "30m", "1h 30m" or "30d".
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    // humantime accepts a lone "0" without a unit, and overflows when a sum exceeds 64 bits.
    if !text.is_ascii() || text.trim() == "0" || digits > MOST_DURATION_DIGITS {
        return None;
    }
    humantime::parse_duration(text).ok().filter(|duration| duration.subsec_nanos() == 0)
}

/// Return the non-zero days, hours, minutes and seconds of a duration, the largest unit first.
fn parts(duration: Duration) -> impl Iterator<Item = String> {
    let seconds = duration.as_secs();
    [(seconds / DAY, 'd'), (seconds % DAY / HOUR, 'h'), (seconds % HOUR / MINUTE, 'm'), (seconds % MINUTE, 's')]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
}

/// Format the first `most` parts of a duration.
fn show_parts(duration: Duration, most: usize) -> String {
    let shown: Vec<String> = parts(duration).take(most).collect();
    if shown.is_empty() { "0s".into() } else { shown.join(" ") }
}

/// Format the whole seconds of a duration exactly, so that [`parse_duration`] can read them back: "30d", "1h 30m". Days
/// are the largest unit: humantime would use months of 30.44 days, which makes "45d" unrecognizable.
pub fn show_duration(duration: Duration) -> String {
    show_parts(duration, usize::MAX)
}

/// Format a duration briefly, in its two largest units: "3h 2m".
pub fn brief_duration(duration: Duration) -> String {
    show_parts(duration, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed() {
        for (text, octets) in [
            ("8 MiB", Some(8 << 20)),
            ("512KiB", Some(512 << 10)),
            ("1GiB", Some(1 << 30)),
            ("1 gib", Some(1 << 30)),
            ("8 MB", Some(8_000_000)),
            ("7 kB", Some(7_000)),
            ("1 GB", Some(1_000_000_000)),
            ("65536 B", Some(65_536)),
            (" 8  MiB ", Some(8 << 20)),
            ("0 B", Some(0)),
            ("18446744073709551615 B", Some(u64::MAX)),
            ("18446744073709551616 B", None),
            ("18446744073709551615 KiB", None),
            ("8", None),
            ("8 M", None),
            ("8 Mib b", None),
            ("1.5 MiB", None),
            ("-8 MiB", None),
            ("+8 MiB", None),
            ("MiB", None),
            ("8 octets", None),
            ("8µ", None),
            ("٨ MiB", None),
            ("", None),
        ] {
            assert_eq!(parse_octets(text), octets, "{text:?}");
        }
    }

    #[test]
    fn durations_are_parsed() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("30m", Some(1_800)),
            ("1h 30m", Some(5_400)),
            ("30d", Some(2_592_000)),
            ("2 weeks", Some(1_209_600)),
            ("0s", Some(0)),
            ("1.5h", Some(5_400)),
            ("0", None),
            (" 0 ", None),
            ("30", None),
            ("30 parsecs", None),
            ("1500ms", None),
            ("-1s", None),
            ("", None),
            ("3 µs", None),
            // These overflow inside humantime, or nearly do.
            ("18446744073709551615s 1000ms", None),
            ("584542046089y 1y", Some(584_542_046_090 * 31_557_600)),
            ("999999999999999y", None),
        ] {
            assert_eq!(parse_duration(text), seconds.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn formatted_values_parse_back() {
        for octets in [0, 1, 1_000, 1 << 10, 1_536, 8 << 20, 1 << 30, (1 << 30) + 1, u64::MAX] {
            assert_eq!(parse_octets(&show_octets(octets)), Some(octets));
        }
        for seconds in [0, 1, 59, 60, 61, 3_600, 5_400, 86_399, 86_400, 3_888_000, 315_360_001] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        assert_eq!(show_duration(days(45)), "45d");
    }

    #[test]
    fn brief_formats_are_short() {
        assert_eq!(brief_duration(seconds(10_939)), "3h 2m");
        assert_eq!(brief_duration(seconds(86_401)), "1d 1s");
        assert_eq!(brief_duration(seconds(0)), "0s");
        assert_eq!(brief_octets(1_023), "1023 B");
        assert_eq!(brief_octets(1_500_000), "1.4 MiB");
        assert_eq!(brief_octets(u64::MAX), "17179869183.9 GiB");
    }
}
