//! The user's record: name, age, date joined.

use super::draw::{Purpose, quantile};
use super::geo::push_datetime;
use super::json::{push_number, push_text};
use super::shared::{Axis, Shared};
use super::{Draw, Rows};

/// Age at each share of posts: 46 % are 20 to 24, 26 % up to 35, 19 % up to 50, 9 % up to 60.
const AGES: [(f64, f64); 9] =
    [(0.0, 20.0), (0.2, 21.0), (0.315, 22.0), (0.37, 23.0), (0.425, 24.0), (0.46, 25.0), (0.72, 36.0), (0.91, 51.0), (1.0, 61.0)];

/// When users joined, in seconds since 1970, at each share of posts: 41 % in 2015 (from October 21), 43 % in 2016, 16 % in
/// 2017 (to October 19).
const JOINED: [(f64, f64); 5] =
    [(0.0, 1_445_385_600.0), (0.2, 1_446_681_600.0), (0.41, 1_451_606_400.0), (0.84, 1_483_228_800.0), (1.0, 1_508_457_600.0)];

/// Parts of 100,000 posts whose user has no other.
const OWN_PARTS: u64 = 38_000;

/// A row of `user_data` without its key.
#[derive(Debug, Default)]
pub(crate) struct UserRow {
    pub(crate) first_name: &'static str,
    pub(crate) last_name: &'static str,
    pub(crate) age: u64,
    /// Seconds since 1970, UTC.
    pub(crate) date_joined: i64,
}

impl UserRow {
    pub(super) fn fill(&mut self, rows: &Rows, key: u64) {
        let person = Shared::pick(&mut Draw::new(rows.seed, key, Purpose::User), key, rows.keys, OWN_PARTS);
        let mut draw = person.draw(rows.seed, Purpose::Person);
        self.first_name = draw.pick_early(&rows.words.first_names);
        self.last_name = draw.pick_early(&rows.words.last_names);
        self.age = quantile(&AGES, person.spread(Axis::First)) as u64;
        self.date_joined = quantile(&JOINED, person.spread(Axis::Second)) as i64;
    }

    pub(super) fn push_json(&self, key: u64, separator: char, out: &mut String) {
        out.push_str("{\"ind\":");
        push_number(out, key);
        out.push_str(",\"first_name\":");
        push_text(out, self.first_name);
        out.push_str(",\"last_name\":");
        push_text(out, self.last_name);
        out.push_str(",\"age\":");
        push_number(out, self.age);
        out.push_str(",\"date_joined\":\"");
        push_datetime(out, self.date_joined, separator);
        out.push_str("\"}");
    }
}
