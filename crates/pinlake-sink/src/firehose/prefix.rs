//! Prefixes with expressions: `!{timestamp:..}`, `!{firehose:random-string}`, `!{firehose:error-output-type}`, `!{partitionKeyFromQuery:..}`. It
//! must not know what an object's name is beside its prefix.
//!
//! Expressions and defaults: "Understand custom prefixes for Amazon S3 objects" in the Data Firehose guide.

use std::collections::BTreeMap;

use jiff::Zoned;
use pinlake_core::{Error, Result};

use crate::place::Pattern;

/// The longest prefix as it is written, bytes.
const LEN_MAX: usize = 1024;
/// What stands behind a prefix that names no time, or when there is none.
const DEFAULT_TIME: &str = "!{timestamp:yyyy/MM/dd/HH/}";
const ERROR_TYPE: &str = "!{firehose:error-output-type}";

/// A prefix, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prefix {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Time(Pattern),
    Random,
    ErrorType,
    Key(String),
}

/// What expressions stand for in one object's name.
pub(super) struct Facts<'a> {
    pub(super) time: &'a Zoned,
    /// The text of the expression of that number.
    pub(super) random: &'a dyn Fn(usize) -> String,
    pub(super) error_type: &'a str,
    pub(super) keys: &'a BTreeMap<String, String>,
}

impl Prefix {
    /// That of delivered objects and that of errors, with what stands for what is not said.
    ///
    /// # Errors
    /// `Invalid` with what is wrong.
    pub(super) fn both(prefix: &str, errors: &str) -> Result<(Self, Self)> {
        let has_expressions = |text: &str| text.contains("!{");
        if has_expressions(prefix) && errors.is_empty() {
            return Err(Error::invalid("ErrorOutputPrefix must be specified when Prefix contains expressions"));
        }
        let parsed = Self::parse("Prefix", prefix)?;
        if parsed.pieces.contains(&Piece::ErrorType) {
            return Err(Error::invalid(format!("Prefix must not contain {ERROR_TYPE}")));
        }
        let names_time = parsed.pieces.iter().any(|piece| matches!(piece, Piece::Time(_)));
        let parsed = if names_time { parsed } else { Self::parse("Prefix", &format!("{prefix}{DEFAULT_TIME}"))? };
        let of_errors = if has_expressions(errors) {
            Self::parse("ErrorOutputPrefix", errors)?
        } else {
            // Both are literal, or that of errors alone.
            let literal = if errors.is_empty() { prefix } else { errors };
            Self::parse("ErrorOutputPrefix", &format!("{literal}{ERROR_TYPE}/{DEFAULT_TIME}"))?
        };
        if !of_errors.pieces.contains(&Piece::ErrorType) {
            return Err(Error::invalid(format!(
                "ErrorOutputPrefix must contain at least one instance of {ERROR_TYPE} when it contains expressions"
            )));
        }
        if let Some(key) = of_errors.keys().next() {
            return Err(Error::invalid(format!("ErrorOutputPrefix must not contain !{{partitionKeyFromQuery:{key}}}")));
        }
        Ok((parsed, of_errors))
    }

    fn parse(what: &str, text: &str) -> Result<Self> {
        if text.len() > LEN_MAX {
            return Err(Error::invalid(format!("{what} has {} bytes, {LEN_MAX} are the most", text.len())));
        }
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once("!{") {
            let wrong = |why: String| Error::invalid(format!("{what} can't be evaluated: {why}"));
            let (expression, behind) =
                behind.split_once('}').ok_or_else(|| wrong("the sequence !{ has no closing }".to_owned()))?;
            pieces.extend((!before.is_empty()).then(|| Piece::Text(before.to_owned())));
            pieces.push(expression_of(expression).map_err(wrong)?);
            rest = behind;
        }
        pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.to_owned())));
        Ok(Self { pieces })
    }

    /// The partition keys that it names.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Key(key) => Some(key.as_str()),
            _ => None,
        })
    }

    pub(super) fn evaluate(&self, facts: &Facts<'_>) -> String {
        let mut out = String::new();
        for (number, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Time(pattern) => out.push_str(&pattern.format(facts.time)),
                Piece::Random => out.push_str(&(facts.random)(number)),
                Piece::ErrorType => out.push_str(facts.error_type),
                // A record without it went to the errors.
                Piece::Key(key) => out.push_str(facts.keys.get(key).map(String::as_str).unwrap_or_default()),
            }
        }
        out
    }
}

fn expression_of(expression: &str) -> Result<Piece, String> {
    match expression.split_once(':') {
        Some(("timestamp", pattern)) => Ok(Piece::Time(time_pattern(pattern)?)),
        Some(("firehose", "random-string")) => Ok(Piece::Random),
        Some(("firehose", "error-output-type")) => Ok(Piece::ErrorType),
        Some(("partitionKeyFromQuery", key)) if !key.is_empty() => Ok(Piece::Key(key.to_owned())),
        Some(("partitionKeyFromLambda", _)) => {
            Err(format!("!{{{expression}}} wants a Lambda function, and there are none here: use partitionKeyFromQuery"))
        }
        _ => Err(format!(
            "!{{{expression}}} is not known: use timestamp:PATTERN, firehose:random-string, firehose:error-output-type or partitionKeyFromQuery:KEY"
        )),
    }
}

/// A pattern of Java's `DateTimeFormatter`, in the letters that mean the same in [`Pattern`].
fn time_pattern(pattern: &str) -> Result<Pattern, String> {
    let (mut out, mut in_text, mut letters) = (String::new(), false, pattern.chars().peekable());
    if pattern.is_empty() {
        return Err("!{timestamp:} has no pattern".to_owned());
    }
    while let Some(letter) = letters.next() {
        if letter == '\'' {
            in_text = !in_text;
        }
        if in_text || !letter.is_ascii_alphabetic() {
            if !in_text && "[]{}#".contains(letter) {
                return Err(format!("'{letter}' is not served in the pattern '{pattern}': put it in 'quotes'"));
            }
            out.push(letter);
            continue;
        }
        let mut width = 1;
        while letters.next_if_eq(&letter).is_some() {
            width += 1;
        }
        let written = match (letter, width) {
            ('y' | 'u', _) => 'y',
            ('M' | 'L', _) => 'M',
            ('d' | 'D' | 'H' | 'h' | 'K' | 'k' | 'm' | 's' | 'S' | 'a', _) | ('E', 1..=4) | ('Z', 1) | ('z', 1..=3) => letter,
            ('Y', _) => return Err(format!("'Y' in the pattern '{pattern}' is the year of weeks, which is not served: use y")),
            _ => {
                let shown: String = std::iter::repeat_n(letter, width).take(20).collect();
                return Err(format!(
                    "'{shown}' in the pattern '{pattern}' is not served: use y, M, d, D, E, H, h, K, k, m, s, S, a, z or Z"
                ));
            }
        };
        out.extend(std::iter::repeat_n(written, width));
    }
    Pattern::new(&out).map_err(|e| format!("the pattern '{pattern}' is none: {}", e.message()))
}
