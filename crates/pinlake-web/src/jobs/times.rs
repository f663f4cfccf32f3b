//! Points in time as people and programs write them, and as they are shown: always UTC. Must not know what they are times of.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use pinlake_core::Timestamp;
use pinlake_core::jobs::Interval;

/// Reads RFC 3339 with its zone (`2026-03-01T06:00:00Z`), a date (`2026-03-01`, which is its midnight in UTC), or milliseconds since the Unix epoch.
///
/// # Errors
/// Says what would be right.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    let wrong =
        || format!("'{text}' is no time: give a date such as 2026-03-01, RFC 3339 such as 2026-03-01T06:00:00Z, or milliseconds");
    if let Ok(number) = text.parse() {
        return of_millis(number).ok_or_else(wrong);
    }
    // A date's own parser takes a time behind it and drops it.
    if text.len() == DATE_CHARS {
        let midnight = text.parse().ok().and_then(|date: Date| date.to_zoned(TimeZone::UTC).ok());
        return midnight.map(|midnight| Timestamp(midnight.timestamp().as_millisecond())).ok_or_else(wrong);
    }
    text.parse().map(|time: jiff::Timestamp| Timestamp(time.as_millisecond())).map_err(|_| wrong())
}

/// `YYYY-MM-DD`.
const DATE_CHARS: usize = 10;

/// The time of so many milliseconds since the Unix epoch; `None` outside the years that a calendar here has.
pub(super) fn of_millis(number: i64) -> Option<Timestamp> {
    jiff::Timestamp::from_millisecond(number).ok().map(|_| Timestamp(number))
}

/// RFC 3339 in UTC; a time that no calendar here has becomes the last or first that one has.
pub fn rfc3339(time: Timestamp) -> String {
    calendar(time).to_string()
}

/// For people: `2026-03-01 06:00`, with seconds where there are any.
pub fn readable(time: Timestamp) -> String {
    let time = calendar(time);
    let form = if time.as_second().rem_euclid(60) == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
    time.strftime(form).to_string()
}

/// For people: `data from 2026-03-01 00:00 to 2026-03-02 00:00 UTC`.
pub fn readable_data(interval: &Interval) -> String {
    format!("data from {} to {} UTC", readable(interval.from), readable(interval.to))
}

fn calendar(time: Timestamp) -> jiff::Timestamp {
    let furthest = if time.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(time.0).unwrap_or(furthest)
}

#[cfg(test)]
mod tests;
