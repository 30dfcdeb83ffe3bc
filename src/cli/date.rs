//! Dates on the command line, as seconds since 1970.

use toml_datetime::{Date, Datetime, Offset};

/// Parse a date, and return the second at which it ends. A date without a time ends with its day; a time needs an offset.
pub(super) fn end_since_1970(text: &str) -> Option<u64> {
    let Datetime { date, time, offset } = text.parse().ok()?;
    let day = days_since_1970(date?);
    let minute = match (time, offset) {
        (None, _) => (day + 1) * 24 * 60,
        (Some(time), Some(offset)) => {
            let ahead = if let Offset::Custom { minutes } = offset { minutes } else { 0 };
            (day * 24 + i64::from(time.hour)) * 60 + i64::from(time.minute) - i64::from(ahead)
        }
        // Without an offset, the time zone is unknown.
        (Some(_), None) => return None,
    };
    let second = time.and_then(|time| time.second).unwrap_or(0);
    u64::try_from(minute * 60 + i64::from(second)).ok()
}

/// Return the number of days from 1970 to `date`, by the Gregorian calendar. Years begin in March here, so that a leap
/// day is the last day of its year.
fn days_since_1970(date: Date) -> i64 {
    let (year, month, day) = (i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // The lengths of the months repeat every five months, which have 153 days. 1970-01-01 is 719,468 days after the
    // origin, 0000-03-01.
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}
