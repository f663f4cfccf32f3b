//! Patterns for times as Joda-Time has them: letters stand for fields, and how many of one stand together says how it is written; text stands
//! in `'quotes'`. Names of days and months are English.

#[cfg(test)]
mod tests;

use std::fmt::Write;

use jiff::Zoned;
use pinlake_core::{Error, Result};

/// The longest pattern, bytes.
pub const PATTERN_LEN_MAX: usize = 500;
/// The most letters of one field that stand together.
const WIDTH_MAX: usize = 20;

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A pattern, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A letter and how many of it.
    Field(char, usize),
}

impl Pattern {
    /// Takes a pattern apart.
    ///
    /// # Errors
    /// `Invalid` for a letter that stands for nothing, and a text without its end.
    pub fn new(pattern: &str) -> Result<Self> {
        if pattern.len() > PATTERN_LEN_MAX {
            return Err(Error::invalid(format!("the pattern has {} bytes, {PATTERN_LEN_MAX} are the most", pattern.len())));
        }
        let mut pieces = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\'' {
                pieces.push(Piece::Text(quoted(&mut chars)?));
            } else if c.is_ascii_alphabetic() {
                let mut width = 1;
                while chars.next_if_eq(&c).is_some() {
                    width += 1;
                }
                pieces.push(field(c, width)?);
            } else {
                pieces.push(Piece::Text(c.to_string()));
            }
        }
        Ok(Self { pieces })
    }

    /// Whether names of days, months or halves of a day are in it, which depend on a language.
    pub fn has_names(&self) -> bool {
        let is_name = |piece: &Piece| matches!(piece, Piece::Field('E' | 'a' | 'G', _) | Piece::Field('M', 3..));
        self.pieces.iter().any(is_name)
    }

    /// `time` as the pattern writes it.
    pub fn format(&self, time: &Zoned) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(letter, width) => push_field(&mut out, *letter, *width, time),
            }
        }
        out
    }
}

/// The text behind an opening quote; two quotes are one.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.next_if_eq(&'\'').is_some() => text.push('\''),
            // An empty text is a quote outside of any.
            '\'' => return Ok(if text.is_empty() { "'".to_owned() } else { text }),
            c => text.push(c),
        }
    }
    Err(Error::invalid("a text in the pattern has no closing quote"))
}

fn field(letter: char, width: usize) -> Result<Piece> {
    if width > WIDTH_MAX {
        return Err(Error::invalid(format!("the letter '{letter}' stands {width} times in a row, {WIDTH_MAX} are the most")));
    }
    match letter {
        'z' if width > 3 => Err(Error::invalid("the long names of time zones, zzzz, are not written: use z, Z, ZZ or ZZZ")),
        'C' | 'Y' | 'x' | 'w' | 'e' | 'E' | 'y' | 'D' | 'M' | 'd' | 'a' | 'K' | 'h' | 'H' | 'k' | 'm' | 's' | 'S' | 'z' | 'Z'
        | 'G' => Ok(Piece::Field(letter, width)),
        _ => Err(Error::invalid(format!("Illegal pattern component: {}", letter.to_string().repeat(width)))),
    }
}

fn push_field(out: &mut String, letter: char, width: usize, time: &Zoned) {
    let hour = i64::from(time.hour());
    let year = i64::from(time.year());
    // The year before year 1 is the first before Christ.
    let year_of_era = if year > 0 { year } else { 1 - year };
    let week = time.date().iso_week_date();
    let number = match letter {
        'C' => year_of_era / 100,
        'Y' if width == 2 => year_of_era % 100,
        'Y' => year_of_era,
        'y' if width == 2 => year.rem_euclid(100),
        'y' => year,
        'x' if width == 2 => i64::from(week.year()).rem_euclid(100),
        'x' => i64::from(week.year()),
        'w' => i64::from(week.week()),
        'e' => i64::from(time.weekday().to_monday_one_offset()),
        'D' => i64::from(time.day_of_year()),
        'M' if width <= 2 => i64::from(time.month()),
        'd' => i64::from(time.day()),
        'K' => hour % 12,
        'h' => (hour + 11) % 12 + 1,
        'H' => hour,
        'k' => (hour + 23) % 24 + 1,
        'm' => i64::from(time.minute()),
        's' => i64::from(time.second()),
        _ => return push_text(out, letter, width, time),
    };
    let sign = if number < 0 { "-" } else { "" };
    write!(out, "{sign}{:0width$}", number.abs()).expect("text takes any text");
}

/// A field that is no plain number.
fn push_text(out: &mut String, letter: char, width: usize, time: &Zoned) {
    let name = |names: &[&'static str], at: i8, is_long: bool| {
        let name = names[usize::try_from(at - 1).unwrap_or_default()];
        if is_long { name } else { &name[..3] }
    };
    match letter {
        'M' => out.push_str(name(&MONTHS, time.month(), width > 3)),
        'E' => out.push_str(name(&DAYS, time.weekday().to_monday_one_offset(), width > 3)),
        'a' => out.push_str(if time.hour() < 12 { "AM" } else { "PM" }),
        'G' => out.push_str(if time.year() > 0 { "AD" } else { "BC" }),
        'S' => {
            let nanoseconds = format!("{:09}", time.subsec_nanosecond());
            out.extend(nanoseconds.chars().chain(std::iter::repeat('0')).take(width));
        }
        'z' => out.push_str(time.time_zone().to_offset_info(time.timestamp()).abbreviation()),
        'Z' if width > 2 => match time.time_zone().iana_name() {
            Some(name) => out.push_str(name),
            None => push_offset(out, time, ":"),
        },
        _ => push_offset(out, time, if width == 2 { ":" } else { "" }),
    }
}

/// `+0100`, with something between hours and minutes.
fn push_offset(out: &mut String, time: &Zoned, between: &str) {
    let seconds = time.offset().seconds();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    write!(out, "{sign}{:02}{between}{:02}", minutes / 60, minutes % 60).expect("text takes any text");
}
