//! Times at which a job runs: cron patterns and spans, in a time zone, and the intervals between them. Must not know of jobs that run, nor what time it is.
//!
//! A pattern that fires in every hour of the day goes by elapsed time: it skips the hour that a clock leaves out, and fires in both passes of one that it
//! repeats. Any other is about times of the day, each of which counts once a day: what falls into a gap fires at the first moment after it, and of a repeated
//! hour only the first pass counts.

mod cron;
mod every;
mod zone;

#[cfg(test)]
mod tests;

use pinlake_core::jobs::{CronForm, Interval, Schedule};
use pinlake_core::pipeline::{PIPELINE_FILE, Pipeline, Problem};
use pinlake_core::{Error, Result, Timestamp};

use self::cron::CronWalls;
use self::every::Every;
use self::zone::{Wall, Zone};

/// Longest text of a schedule, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// Where schedules end, in seconds since the Unix epoch: the year 2201 begins. They begin at the epoch itself.
const SECONDS_END: i64 = 7_289_654_400;
/// How many gaps of a time zone one search may come upon. Only a pattern of a single year can meet more than one.
const GAPS_MAX: usize = 64;
/// What to write instead of something wrong.
const EXAMPLES: &str = "write five cron fields such as '0 6 * * *', '@daily' or 'every 6h'";
/// The same for Quartz.
const QUARTZ_EXAMPLE: &str = "write six or seven fields such as '0 0 6 * * ?'";

/// The times of a schedule, from 1970 to 2200.
#[derive(Debug, Clone)]
pub struct Times {
    pattern: Pattern,
}

#[derive(Debug, Clone)]
enum Pattern {
    /// Whole multiples of so many seconds since the Unix epoch.
    Epoch(i64),
    /// What clocks show in a zone.
    Walls { walls: Walls, zone: Zone },
}

/// What a clock shows when it is time.
#[derive(Debug, Clone)]
enum Walls {
    Cron(Box<CronWalls>),
    /// Each so many seconds from midnight on; they divide a day.
    OfDay(i64),
}

/// Every schedule of a pipeline that is none, with its line.
pub fn problems(pipeline: &Pipeline) -> Vec<Problem> {
    let mut problems = Vec::new();
    for job in &pipeline.jobs {
        let Some(schedule) = &job.schedule else { continue };
        let lines = pipeline.schedule_lines.get(&job.name).copied().unwrap_or_default();
        let mut add = |line: u64, error: &Error| {
            let message = format!("job '{}': {}", job.name, error.message());
            problems.push(Problem { file: PIPELINE_FILE.to_owned(), line, message });
        };
        // Each is judged by itself, so that one does not hide the other.
        let utc = Schedule { timezone: "UTC".to_owned(), ..schedule.clone() };
        let zone = Zone::named(&schedule.timezone).err();
        if let Some(error) = &zone {
            add(lines.timezone, error);
        }
        let judged = if zone.is_some() { &utc } else { schedule };
        if let Err(error) = Times::parse(judged) {
            add(lines.text, &error);
        }
    }
    problems
}

impl Times {
    /// Takes a schedule's text, in its time zone.
    ///
    /// # Errors
    /// `Invalid` for a text that is no schedule or never comes true, and for an unknown time zone.
    pub fn parse(schedule: &Schedule) -> Result<Self> {
        let zone = Zone::named(&schedule.timezone)?;
        let text = schedule.text.trim();
        let example = if schedule.form == CronForm::Quartz { QUARTZ_EXAMPLE } else { EXAMPLES };
        if text.len() > TEXT_BYTES_MAX {
            return Err(Error::invalid(format!("the schedule has over {TEXT_BYTES_MAX} bytes: {example}")));
        }
        let wrong = |why: String| Error::invalid(format!("'{text}' is no schedule: {why}; {example}"));
        let every = if schedule.form == CronForm::Unix { every::parse(text).map_err(wrong)? } else { None };
        let pattern = match every {
            Some(Every::SinceEpoch(seconds)) => Pattern::Epoch(seconds),
            Some(Every::OfDay(seconds)) => Pattern::Walls { walls: Walls::OfDay(seconds), zone },
            None => {
                let walls = CronWalls::parse(text, schedule.form).map_err(wrong)?;
                Pattern::Walls { walls: Walls::Cron(Box::new(walls)), zone }
            }
        };
        let times = Self { pattern };
        if times.next(-1).is_none() {
            return Err(wrong("it never comes true between 1970 and 2200".to_owned()));
        }
        Ok(times)
    }

    /// The first time after `at`; `None` if there is none up to the year 2200.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.next(at.0.div_euclid(1000).max(-1)).map(timestamp)
    }

    /// The last time that is not after `at`; `None` if there is none from 1970 on.
    pub fn last_at_or_before(&self, at: Timestamp) -> Option<Timestamp> {
        self.last(at.0.div_euclid(1000).min(SECONDS_END - 1)).map(timestamp)
    }

    /// The times from `from` up to, and without, `to`, the first first.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let first = self.next_after(Timestamp(from.0.saturating_sub(1)));
        std::iter::successors(first, |at| self.next_after(*at)).take_while(move |at| *at < to)
    }

    /// What the run at `fire` stands for: from the time before it up to it. The interval of the first time of all begins at the Unix epoch.
    pub fn interval_ending_at(&self, fire: Timestamp) -> Interval {
        let before = self.last_at_or_before(Timestamp(fire.0.saturating_sub(1)));
        Interval { from: before.unwrap_or(Timestamp(fire.0.min(0))), to: fire }
    }

    /// The intervals that begin at `from` or later and end at `to` or earlier, the oldest first.
    pub fn intervals_within(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Interval> + '_ {
        let first = self.next_after(Timestamp(from.0.saturating_sub(1))).map(|fire| self.interval_ending_at(fire));
        let next = |last: &Interval| Some(Interval { from: last.to, to: self.next_after(last.to)? });
        // The interval that ends with the first time began before `from`, as a rule.
        std::iter::successors(first, next)
            .skip_while(move |interval| interval.from < from || interval.from == interval.to)
            .take_while(move |interval| interval.to <= to)
    }

    /// The first second after `at` that is the schedule's.
    fn next(&self, at: i64) -> Option<i64> {
        let next = match &self.pattern {
            Pattern::Epoch(step) => at.div_euclid(*step).checked_add(1)?.checked_mul(*step),
            Pattern::Walls { walls, zone } => walls.next(at, zone),
        };
        next.filter(|next| (0..SECONDS_END).contains(next))
    }

    /// The last second up to `at` that is the schedule's.
    fn last(&self, at: i64) -> Option<i64> {
        if at < 0 {
            return None;
        }
        let last = match &self.pattern {
            Pattern::Epoch(step) => Some(at - at % step),
            Pattern::Walls { walls, zone } => walls.last(at, zone),
        };
        last.filter(|last| *last >= 0)
    }
}

/// Seconds here are of two kinds: since the epoch, and of a wall clock as if it stood in UTC. The zone turns one into the other.
impl Walls {
    fn next(&self, at: i64, zone: &Zone) -> Option<i64> {
        if at >= SECONDS_END {
            return None;
        }
        let now = zone.wall_at(at);
        let mut from = now + 1;
        let mut in_second_pass = None;
        if let Wall::Twice(twice) = zone.at_wall(now) {
            let second = at == now - twice.offset_after;
            if self.fires_hourly() {
                // What the clock showed before it was put back comes again.
                let again = if second { now + 1 } else { twice.start };
                let wall = self.wall_from(again).filter(|wall| *wall < twice.end);
                in_second_pass = wall.map(|wall| wall - twice.offset_after);
            }
            if second {
                from = twice.end;
            }
        }
        let first = self.first_after_gaps(from, zone);
        match (first, in_second_pass) {
            (Some(first), Some(second)) => Some(first.min(second)),
            (first, second) => first.or(second),
        }
    }

    fn last(&self, at: i64, zone: &Zone) -> Option<i64> {
        let now = zone.wall_at(at);
        let mut up_to = now;
        let mut in_second_pass = None;
        if let Wall::Twice(twice) = zone.at_wall(now)
            && at == now - twice.offset_after
        {
            if self.fires_hourly() {
                let wall = self.wall_up_to(now).filter(|wall| *wall >= twice.start);
                in_second_pass = wall.map(|wall| wall - twice.offset_after);
            }
            // All of the first pass is over.
            up_to = twice.end - 1;
        }
        in_second_pass.max(self.last_before_gaps(up_to, at, zone))
    }

    /// The first time of a wall from `from` on, in the first pass where there are two.
    fn first_after_gaps(&self, mut from: i64, zone: &Zone) -> Option<i64> {
        for _ in 0..GAPS_MAX {
            let wall = self.wall_from(from)?;
            match zone.at_wall(wall) {
                Wall::Once(at) => return Some(at),
                Wall::Twice(twice) => return Some(wall - twice.offset_before),
                Wall::Never(gap) if self.fires_hourly() => from = gap.end,
                Wall::Never(gap) => return Some(gap.over_at),
            }
        }
        None
    }

    /// The last time, `at` at the latest, of a wall up to `up_to`.
    fn last_before_gaps(&self, mut up_to: i64, at: i64, zone: &Zone) -> Option<i64> {
        for _ in 0..GAPS_MAX {
            let wall = self.wall_up_to(up_to)?;
            match zone.at_wall(wall) {
                Wall::Once(found) => return Some(found),
                Wall::Twice(twice) => {
                    let (first, second) = (wall - twice.offset_before, wall - twice.offset_after);
                    return Some(if self.fires_hourly() && second <= at { second } else { first });
                }
                Wall::Never(gap) if self.fires_hourly() => up_to = gap.start - 1,
                Wall::Never(gap) => return Some(gap.over_at),
            }
        }
        None
    }

    /// Whether it goes by elapsed time.
    fn fires_hourly(&self) -> bool {
        match self {
            Self::Cron(cron) => cron.fires_hourly(),
            Self::OfDay(step) => *step <= 3600,
        }
    }

    /// The first wall at `from` or later.
    fn wall_from(&self, from: i64) -> Option<i64> {
        match self {
            Self::Cron(cron) => cron.from(from),
            Self::OfDay(step) => Some(from + (-from).rem_euclid(*step)),
        }
    }

    /// The last wall at `up_to` or earlier.
    fn wall_up_to(&self, up_to: i64) -> Option<i64> {
        match self {
            Self::Cron(cron) => cron.up_to(up_to),
            Self::OfDay(step) => Some(up_to - up_to.rem_euclid(*step)),
        }
    }
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1000)
}

/// A time as people and protocols write it.
pub(crate) fn shown(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.to_string(), |at| at.to_string())
}
