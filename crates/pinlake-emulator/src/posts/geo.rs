//! The place's record: when and where. The coordinates have nothing to do with the country, as in the source.

use jiff::Timestamp;
use jiff::tz::Offset;

use super::draw::{Purpose, mix, unit};
use super::json::{push_number, push_text};
use super::shared::Shared;
use super::{Draw, Rows};

/// 2017-10-20 00:00:00, a day after the last user joined. Spread evenly up to the end, 4 % of the posts fall into 2017, 20 %
/// into each following year and 16 % into 2022.
const FIRST_SECOND: u64 = 1_508_457_600;

/// 2022-10-19 00:00:00.
const END_SECOND: u64 = 1_666_137_600;

/// Parts of 100,000 posts whose place no other has.
const OWN_PARTS: u64 = 47_000;

/// A row of `geolocation_data` without its key.
#[derive(Debug, Default)]
pub(crate) struct GeoRow {
    /// Seconds since 1970, UTC.
    pub(crate) timestamp: i64,
    /// Decimal text with up to six significant digits, as MySQL shows a FLOAT.
    pub(crate) latitude: String,
    /// As `latitude`.
    pub(crate) longitude: String,
    pub(crate) country: &'static str,
}

impl GeoRow {
    pub(super) fn fill(&mut self, rows: &Rows, key: u64) {
        let mut draw = Draw::new(rows.seed, key, Purpose::Geo);
        self.timestamp = (FIRST_SECOND + draw.below(END_SECOND - FIRST_SECOND)) as i64;
        let (number, share) = rows.words.country(unit(draw.bits()));
        self.country = rows.words.countries[number].1;
        // Places are shared within a country, so that the few seen very often do not bend the countries' shares.
        let place = Shared::pick(&mut draw, key, (rows.keys as f64 * share) as u64, OWN_PARTS);
        let mut draw = place.draw(rows.seed ^ mix(number as u64), Purpose::Place);
        coordinate(&mut draw, 90, &mut self.latitude);
        coordinate(&mut draw, 180, &mut self.longitude);
    }

    pub(super) fn push_json(&self, key: u64, separator: char, out: &mut String) {
        out.push_str("{\"ind\":");
        push_number(out, key);
        out.push_str(",\"timestamp\":\"");
        push_datetime(out, self.timestamp, separator);
        out.push_str("\",\"latitude\":");
        out.push_str(&self.latitude);
        out.push_str(",\"longitude\":");
        out.push_str(&self.longitude);
        out.push_str(",\"country\":");
        push_text(out, self.country);
        out.push('}');
    }
}

/// Draws an angle between `-limit` and `limit` degrees, a little more often near the lower end, and writes it to `out`.
fn coordinate(draw: &mut Draw, limit: u64, out: &mut String) {
    out.clear();
    let fraction = unit(draw.bits());
    let degrees = (fraction * fraction.sqrt() * 2.0 - 1.0) * limit as f64;
    // Six significant digits: the more before the point, the fewer behind it.
    let decimals = match degrees.abs() {
        size if size >= 99.999_5 => 3,
        size if size >= 9.999_95 => 4,
        size if size >= 0.999_995 => 5,
        _ => 6,
    };
    let scale = 10u64.pow(decimals);
    let scaled = (degrees.abs() * scale as f64).round() as u64;
    if degrees < 0.0 && scaled > 0 {
        out.push('-');
    }
    push_number(out, scaled / scale);
    out.push('.');
    for place in (0..decimals).rev() {
        out.push(char::from(b'0' + (scaled / 10u64.pow(place) % 10) as u8));
    }
    let kept = out.trim_end_matches('0').len();
    out.truncate(kept);
    if out.ends_with('.') {
        out.push('0');
    }
}

/// Appends `second` as `2020-08-28T03:52:47` with `separator` for the `T`.
pub(crate) fn push_datetime(out: &mut String, second: i64, separator: char) {
    let timestamp = Timestamp::from_second(second).expect("the generator's dates are of this century");
    let at = Offset::UTC.to_datetime(timestamp);
    push_padded(out, at.year() as u64, 4);
    for (before, part) in [('-', at.month()), ('-', at.day()), (separator, at.hour()), (':', at.minute()), (':', at.second())] {
        out.push(before);
        push_padded(out, part as u64, 2);
    }
}

fn push_padded(out: &mut String, number: u64, width: u32) {
    for place in (0..width).rev() {
        out.push(char::from(b'0' + (number / 10u64.pow(place) % 10) as u8));
    }
}
