//! Places by a time, rounded down in a time zone to a whole number of durations since 1970 there, and written as a pattern says.

use jiff::Timestamp as Instant;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Zoned};
use pinlake_core::{Error, Timestamp};
use serde_json::Value;

use super::{Pattern, Place, TimeOf, object};
use crate::convert::Converted;

/// Where local times are counted from.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// How places are chosen by time.
#[derive(Debug, Clone)]
pub struct TimePlaces {
    /// Which time counts.
    pub time: TimeOf,
    /// How long a place lasts, milliseconds, from 1.
    pub duration_ms: i64,
    /// How a place is written.
    pub pattern: Pattern,
    /// Where it is that time.
    pub zone: TimeZone,
}

/// The time zone of that name, such as `Europe/Paris`, `UTC` or `+01:00`.
///
/// # Errors
/// `Invalid` if there is none.
pub fn zone(name: &str) -> Result<TimeZone, Error> {
    if name.starts_with(['+', '-']) {
        let offset = fixed(name).ok_or_else(|| Error::invalid(format!("'{name}' is no offset of the form +hh:mm")))?;
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|e| Error::invalid(format!("time zone '{name}' is not known")).with_source(e))
}

/// `+hh:mm`, and forms of it without minutes or colon.
fn fixed(name: &str) -> Option<Offset> {
    let digits: String = name[1..].chars().filter(|c| *c != ':').collect();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(digits.len(), 2 | 4) {
        return None;
    }
    let (hours, minutes): (i32, i32) =
        (digits[..2].parse().ok()?, digits.get(2..).map_or(Ok(0), |rest| format!("0{rest}").parse()).ok()?);
    let seconds = (hours * 60 + minutes) * 60;
    (hours < 24 && minutes < 60).then_some(())?;
    Offset::from_seconds(if name.starts_with('-') { -seconds } else { seconds }).ok()
}

impl TimePlaces {
    pub(super) fn place(&self, record: &Converted<'_>, now: Timestamp) -> Result<Place, String> {
        let time = match &self.time {
            TimeOf::Clock => now,
            TimeOf::Record => record.timestamp,
            TimeOf::Field(field) => {
                let value = object(record)?;
                moment(field.find(&value)?)
                    .ok_or_else(|| format!("the field '{}' by which the record is placed is no time", field.text))?
            }
        };
        let start = self.start(time);
        let start = start.ok_or_else(|| format!("the record's time, {time} ms, is none of the years -9999 to 9999"))?;
        Ok(Place { name: self.pattern.format(&start), time })
    }

    /// Until when the place does not change, at least: its end, or a change of the clocks before that.
    pub(super) fn until(&self, at: Timestamp) -> Option<Timestamp> {
        let end = self.bound(at, 1)?.timestamp();
        let instant = Instant::from_millisecond(at.0).ok()?;
        let change = self.zone.following(instant).next().map(|change| change.timestamp());
        Some(Timestamp(change.map_or(end, |change| change.min(end)).as_millisecond()))
    }

    /// When the place begins in which `time` lies. Where the clocks there skip that moment it is the one as long after it as they skip.
    fn start(&self, time: Timestamp) -> Option<Zoned> {
        self.bound(time, 0)
    }

    /// The same for the place so many on.
    fn bound(&self, time: Timestamp, places_on: i128) -> Option<Zoned> {
        let local = Instant::from_millisecond(time.0).ok()?.to_zoned(self.zone.clone()).datetime();
        let since = local.duration_since(EPOCH).as_millis();
        let duration = i128::from(self.duration_ms.max(1));
        let bound = i64::try_from((since.div_euclid(duration) + places_on) * duration).ok()?;
        EPOCH.checked_add(SignedDuration::from_millis(bound)).ok()?.to_zoned(self.zone.clone()).ok()
    }
}

/// The time that a field states: milliseconds since 1970, or ISO 8601 with a `T` or a blank, UTC where it names no offset.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => {
            let whole = number.as_i64();
            // A float is rounded towards zero, as Java does; what is out of range is no time.
            let float = || number.as_f64().filter(|ms| ms.abs() < 1e18).map(|ms| ms as i64);
            Some(Timestamp(whole.or_else(float)?))
        }
        Value::String(text) => {
            let text = text.trim();
            let with_offset = text.parse::<Instant>().ok();
            let at_utc = || text.parse::<DateTime>().ok().or_else(|| Some(text.parse::<Date>().ok()?.at(0, 0, 0, 0)));
            let instant = with_offset.or_else(|| Some(at_utc()?.to_zoned(TimeZone::UTC).ok()?.timestamp()));
            Some(Timestamp(instant?.as_millisecond()))
        }
        _ => None,
    }
}
