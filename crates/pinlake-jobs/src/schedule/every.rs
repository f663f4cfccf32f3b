//! `every 6h`: spans of time between runs.

use pinlake_core::pipeline::units::Span;

const DAY_SECONDS: i64 = 24 * 3600;
const SECONDS_MAX: i64 = 366 * DAY_SECONDS;

/// The units that are always as long. humantime's months and years are averages, which nobody means.
const UNITS: [&str; 21] = [
    "s", "sec", "secs", "second", "seconds", "m", "min", "mins", "minute", "minutes", "h", "hr", "hour", "hours", "d", "day",
    "days", "w", "week", "weeks", "hrs",
];

/// What a span is aligned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Every {
    /// So many seconds, which divide a day: to midnight of the zone.
    OfDay(i64),
    /// So many seconds: to the Unix epoch.
    SinceEpoch(i64),
}

/// The span of `every SPAN`; `None` for a text that does not begin so. The error says what is wrong with the span.
pub(super) fn parse(text: &str) -> Result<Option<Every>, String> {
    let mut words = text.splitn(2, char::is_whitespace);
    if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("every")) {
        return Ok(None);
    }
    let written = words.next().unwrap_or_default().trim();
    let mut units = written.split(|c: char| !c.is_ascii_alphabetic()).filter(|unit| !unit.is_empty());
    if let Some(unit) = units.find(|unit| !UNITS.contains(unit)) {
        return Err(format!("'{unit}' is no unit of a span: there are s, m, h, d and w"));
    }
    let span: Span = written.parse()?;
    let seconds = i64::try_from(span.0.as_secs()).unwrap_or(i64::MAX);
    if span.0.subsec_nanos() != 0 || !(1..=SECONDS_MAX).contains(&seconds) {
        return Err("a span is whole seconds, from 1s to 366d".to_owned());
    }
    Ok(Some(if DAY_SECONDS % seconds == 0 { Every::OfDay(seconds) } else { Every::SinceEpoch(seconds) }))
}
