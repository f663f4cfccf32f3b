//! Cron patterns: from a text of either form to what a clock shows when it is time. Must not know of time zones.
//!
//! The calendar is croner's. Its reading of texts is not ours: it takes names in any field and lists with holes, has no ranges over the end such as
//! `FRI-MON`, and Quartz's `L` for Saturday never comes true. So each field is read here, and given to it as a list of numbers.

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use pinlake_core::jobs::CronForm;

/// Short names of patterns, which stand for these.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const SECOND: Field = Field::plain("second", 0, 59);
const MINUTE: Field = Field::plain("minute", 0, 59);
const HOUR: Field = Field::plain("hour", 0, 23);
const DAY: Field = Field { kind: Kind::Day, ..Field::plain("day of the month", 1, 31) };
const MONTH: Field = Field { names: MONTHS, ..Field::plain("month", 1, 12) };
const WEEKDAY: Field = Field { kind: Kind::Weekday, names: WEEKDAYS, ..Field::plain("day of the week", 0, 6) };
const QUARTZ_WEEKDAY: Field = Field { low: 1, high: 7, ..WEEKDAY };
const YEAR: Field = Field { kind: Kind::Year, ..Field::plain("year", 1970, 2200) };

const UNIX: [Field; 5] = [MINUTE, HOUR, DAY, MONTH, WEEKDAY];
const QUARTZ: [Field; 7] = [SECOND, MINUTE, HOUR, DAY, MONTH, QUARTZ_WEEKDAY, YEAR];

/// One field of a pattern.
struct Field {
    name: &'static str,
    low: u16,
    high: u16,
    /// Of `low`, the next and so on.
    names: &'static [&'static str],
    kind: Kind,
}

/// What a field takes beside numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// `?`, `L`, `LW`, `15W`.
    Day,
    /// `?`, `L`, `5L`, `5#2`.
    Weekday,
    Year,
}

/// What a clock shows when it is time, in seconds as if the clock stood in UTC.
#[derive(Debug, Clone)]
pub(super) struct CronWalls {
    cron: Cron,
    fires_hourly: bool,
}

impl CronWalls {
    /// Takes a pattern; the error says what is wrong with it.
    pub(super) fn parse(text: &str, form: CronForm) -> Result<Self, String> {
        let text = if text.starts_with('@') { long(text, form)? } else { text };
        let texts: Vec<&str> = text.split_whitespace().collect();
        let fields: &[Field] = if form == CronForm::Quartz { &QUARTZ } else { &UNIX };
        let optional = usize::from(form == CronForm::Quartz);
        if !(fields.len() - optional..=fields.len()).contains(&texts.len()) {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            let last = if optional == 1 { ", which may be left out" } else { "" };
            return Err(format!("it has {} fields; there are {}{last}", texts.len(), names.join(", ")));
        }
        if form == CronForm::Quartz {
            days_of_quartz(texts[3], texts[5])?;
        }
        let read: Vec<String> =
            fields.iter().zip(&texts).map(|(field, text)| field.read(text, form)).collect::<Result<_, _>>()?;
        let quartz = form == CronForm::Quartz;
        let seconds = if quartz { Seconds::Required } else { Seconds::Optional };
        let parser = CronParser::builder().seconds(seconds).alternative_weekdays(quartz).build();
        let cron = parser.parse(&read.join(" ")).map_err(|error| error.to_string())?;
        let fires_hourly = cron.pattern.hours.values().len() == 24;
        Ok(Self { cron, fires_hourly })
    }

    /// Whether it fires in every hour of its days.
    pub(super) fn fires_hourly(&self) -> bool {
        self.fires_hourly
    }

    /// The first at `from` or later.
    pub(super) fn from(&self, from: i64) -> Option<i64> {
        // In UTC a clock shows everything once, so that croner's own rules for gaps and repeated hours never come into play.
        let found = self.cron.find_next_occurrence(&in_utc(from)?, true).ok()?;
        Some(found.timestamp().as_second())
    }

    /// The last at `up_to` or earlier.
    pub(super) fn up_to(&self, up_to: i64) -> Option<i64> {
        let found = self.cron.find_previous_occurrence(&in_utc(up_to)?, true).ok()?;
        Some(found.timestamp().as_second())
    }
}

impl Field {
    const fn plain(name: &'static str, low: u16, high: u16) -> Self {
        Self { name, low, high, names: &[], kind: Kind::Plain }
    }

    /// The field as croner takes it: `*`, or a list of numbers and of what is no number.
    fn read(&self, text: &str, form: CronForm) -> Result<String, String> {
        if text == "*" || text == "*/1" || (text == "?" && matches!(self.kind, Kind::Day | Kind::Weekday)) {
            return Ok("*".to_owned());
        }
        let mut read: Vec<String> = Vec::new();
        for part in text.split(',') {
            let upper = part.to_ascii_uppercase();
            let found = match self.special(&upper, form) {
                Some(special) => special.map(|special| vec![special]),
                None => self.numbers(&upper, form).map(|numbers| numbers.iter().map(u16::to_string).collect()),
            };
            read.extend(found.map_err(|why| format!("'{part}' is no {}: {why}", self.name))?);
        }
        Ok(read.join(","))
    }

    /// What is no number: `L`, `LW` and `15W` of days, `5L` and `5#2` of days of the week.
    fn special(&self, part: &str, form: CronForm) -> Option<Result<String, String>> {
        let day = |text: &str| self.number(text).map(|number| number.to_string());
        match self.kind {
            Kind::Day if part == "L" || part == "LW" => Some(Ok(part.to_owned())),
            Kind::Day if part.starts_with("L-") => Some(Err("days before the last one are not supported".to_owned())),
            Kind::Day => part.strip_suffix('W').map(|number| Ok(format!("{}W", day(number)?))),
            Kind::Weekday if part == "L" && form == CronForm::Quartz => Some(Ok("7".to_owned())),
            Kind::Weekday if part == "L" => Some(Err("the last Friday of a month is 5L".to_owned())),
            Kind::Weekday if part.contains('#') => {
                let (weekday, nth) = part.split_once('#').unwrap_or_default();
                let legal = matches!(nth, "1" | "2" | "3" | "4" | "5");
                let nth = if legal { Ok(nth) } else { Err("behind '#' stands which of the month it is, 1 to 5".to_owned()) };
                Some(nth.and_then(|nth| Ok(format!("{}#{nth}", day(weekday)?))))
            }
            Kind::Weekday => part.strip_suffix('L').map(|number| Ok(format!("{}L", day(number)?))),
            Kind::Plain | Kind::Year => None,
        }
    }

    /// `5`, `1-5`, `FRI-MON`, `*/2`, `1-5/2`; for Quartz `0/15`.
    fn numbers(&self, part: &str, form: CronForm) -> Result<Vec<u16>, String> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(whole(step).filter(|step| *step > 0).ok_or("a step is a number from 1 on")?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None if range == "*" => (self.low, self.high),
            None => match (self.number(range)?, step) {
                (number, None) => (number, number),
                (number, Some(_)) if form == CronForm::Quartz => (number, self.high),
                (number, Some(step)) => return Err(format!("a step takes a range, such as {number}-{}/{step}", self.high)),
            },
        };
        if first > last && self.kind == Kind::Year {
            return Err("the range ends before it begins".to_owned());
        }
        let size = self.high - self.low + 1;
        // The last of `FRI-MON` counts on behind the end.
        let last = if first > last { last + size } else { last };
        let step = usize::from(step.unwrap_or(1));
        Ok((first..=last).step_by(step).map(|number| (number - self.low) % size + self.low).collect())
    }

    /// A number or a name. Sunday is 7 too, where it is 0.
    fn number(&self, text: &str) -> Result<u16, String> {
        let named =
            self.names.iter().position(|name| *name == text).and_then(|at| u16::try_from(at).ok()).map(|at| self.low + at);
        let high = if self.kind == Kind::Weekday { 7 } else { self.high };
        let found = named.or_else(|| whole(text).filter(|number| (self.low..=high).contains(number)));
        found.ok_or_else(|| match self.names {
            [first, .., last] => format!("there are {} to {high} and {first} to {last}", self.low),
            _ => format!("there are {} to {high}", self.low),
        })
    }
}

/// The pattern that a nickname stands for.
fn long(text: &str, form: CronForm) -> Result<&'static str, String> {
    let found = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).filter(|_| form == CronForm::Unix);
    found.map(|(_, pattern)| *pattern).ok_or_else(|| match form {
        CronForm::Quartz => "Quartz has no nicknames".to_owned(),
        CronForm::Unix => format!("there are {}", NICKNAMES.map(|(name, _)| name).join(", ")),
    })
}

/// Quartz takes one of the two days; the other is `?`, or `*` to be lenient.
fn days_of_quartz(day: &str, weekday: &str) -> Result<(), String> {
    let open = |text: &str| text == "?" || text == "*";
    if day == "?" && weekday == "?" {
        return Err("only one of the day of the month and the day of the week can be '?'".to_owned());
    }
    if !open(day) && !open(weekday) {
        return Err("of the day of the month and the day of the week, one must be '?'".to_owned());
    }
    Ok(())
}

fn whole(text: &str) -> Option<u16> {
    Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())).and_then(|text| text.parse().ok())
}

fn in_utc(seconds: i64) -> Option<Zoned> {
    Some(Timestamp::from_second(seconds).ok()?.to_zoned(TimeZone::UTC))
}
