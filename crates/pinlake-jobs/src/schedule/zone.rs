//! Time zones: what a clock on the wall shows at a time, and when it shows it: once, twice or never.

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use pinlake_core::{Error, Result};

/// Longest name of a time zone, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// How like a known name an unknown one must be for the known one to be named, from 0 to 1.
const LIKENESS_MIN: f64 = 0.8;
/// How many changes of a clock are looked at for the one that makes a gap: some change only its name.
const CHANGES_MAX: usize = 8;

/// A time zone of the IANA database.
#[derive(Debug, Clone)]
pub(super) struct Zone(TimeZone);

/// When a clock shows something, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wall {
    /// Once, at this time.
    Once(i64),
    /// Twice: the clock is put back.
    Twice(Twice),
    /// Never: the clock is put forward.
    Never(Gap),
}

/// What a clock shows twice, from `start` up to, and without, `end`, and its two distances from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Twice {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) offset_before: i64,
    pub(super) offset_after: i64,
}

/// What a clock never shows, from `start` up to, and without, `end`, and the first time after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) over_at: i64,
}

impl Zone {
    /// The time zone of that name, from the machine's database or else the built-in one.
    pub(super) fn named(name: &str) -> Result<Self> {
        let unknown = |known: &str| Error::invalid(format!("time zone '{name}' is unknown: {known}"));
        if name.len() > NAME_BYTES_MAX {
            return Err(Error::invalid(format!("the name of the time zone has over {NAME_BYTES_MAX} bytes")));
        }
        // Of some databases these are second copies, one of them with leap seconds.
        let copy = ["right/", "posix/"].iter().any(|folder| name.to_ascii_lowercase().starts_with(folder));
        match TimeZone::get(name) {
            Ok(zone) if !copy && !zone.is_unknown() => Ok(Self(zone)),
            _ => Err(nearest(name).map_or_else(
                || unknown("write an IANA name such as Europe/London or UTC"),
                |near| unknown(&format!("did you mean {near}?")),
            )),
        }
    }

    /// What its clock shows at a time.
    pub(super) fn wall_at(&self, at: i64) -> i64 {
        at + seconds(self.0.to_offset(instant(at)))
    }

    /// When its clock shows `wall`.
    pub(super) fn at_wall(&self, wall: i64) -> Wall {
        let shown = Offset::UTC.to_datetime(instant(wall));
        match self.0.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => Wall::Once(wall - seconds(offset)),
            AmbiguousOffset::Fold { before, after } => {
                let (offset_before, offset_after) = (seconds(before), seconds(after));
                let change = self.change_after(wall - offset_before, after);
                Wall::Twice(Twice { start: change + offset_after, end: change + offset_before, offset_before, offset_after })
            }
            AmbiguousOffset::Gap { before, after } => {
                let change = self.change_after(wall - seconds(after), after);
                Wall::Never(Gap { start: change + seconds(before), end: change + seconds(after), over_at: change })
            }
        }
    }

    /// The first change after `at` to an offset.
    fn change_after(&self, at: i64, to: Offset) -> i64 {
        let mut changes = self.0.following(instant(at)).take(CHANGES_MAX);
        changes.find(|change| change.offset() == to).map_or(at, |change| change.timestamp().as_second())
    }
}

/// The known name that an unknown one was most likely meant to be: its city or, but for some letters, itself.
fn nearest(name: &str) -> Option<String> {
    let name = name.trim().to_ascii_lowercase().replace(' ', "_");
    let known = || jiff::tz::db().available().map(|known| known.as_str().to_owned()).filter(|known| !known.starts_with("right/"));
    let city = |known: &String| known.to_ascii_lowercase().rsplit('/').next() == Some(&name);
    let like = |known: &str| strsim::jaro_winkler(&known.to_ascii_lowercase(), &name);
    known().find(city).or_else(|| {
        let near = known().map(|known| (like(&known), known)).filter(|(likeness, _)| *likeness >= LIKENESS_MIN);
        near.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
    })
}

fn seconds(offset: Offset) -> i64 {
    i64::from(offset.seconds())
}

/// Times of schedules are far within jiff's years.
fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
