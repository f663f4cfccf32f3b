//! Parameters of a statement: `:name` becomes a literal of the parameter's type. A value never becomes part of anything else: what stands in strings, quoted
//! names and comments is left alone, by the rules of the engine's SQL, and a statement in which those are hard to tell is refused.

use std::collections::BTreeMap;

use pinlake_core::{Error, Result};

use crate::databricks::args::short;

/// Most digits of a decimal.
const PRECISION_MAX: u8 = 38;
/// Letters before a quote that give the text in it rules of its own.
const PREFIXES: [&str; 8] = ["e", "q", "nq", "x", "r", "b", "n", "u"];

/// A parameter's value and type, as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) value: Option<String>,
    pub(super) kind: String,
}

/// The statement with its parameters in their places.
///
/// # Errors
/// `Invalid` for a marker without a parameter, a value that is not of its type, and text that can't be told from SQL.
pub(super) fn bind(sql: &str, parameters: &BTreeMap<String, Parameter>) -> Result<String> {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    // Whether what stands before is a name, a number or a quoted one: `a:b` is a path into a value, `a::text` a cast.
    let mut behind_name = false;
    let mut has_strange = false;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' | '`' => quoted(rest, first),
            '-' if rest.starts_with("--") => rest.find('\n').map_or(rest.len(), |end| end + 1),
            '/' if rest.starts_with("/*") => comment(rest),
            '$' => dollars(rest),
            ':' if rest.starts_with("::") => 2,
            ':' if !behind_name && starts_name(&rest[1..]) => {
                let name = &rest[1..=word(&rest[1..], false)];
                let parameter = parameters.get(name).ok_or_else(|| unbound(name))?;
                out.push_str(&literal(name, parameter)?);
                rest = &rest[1 + name.len()..];
                behind_name = true;
                continue;
            }
            first if is_part(first, true) => {
                let length = word(rest, true);
                has_strange |= is_strange(&rest[..length], &rest[length..]);
                length
            }
            other => other.len_utf8(),
        };
        let (taken, left) = rest.split_at(length);
        behind_name =
            taken.chars().last().is_some_and(|last| is_part(last, true) || matches!(last, ')' | ']' | '"' | '`' | '\''))
                && !taken.starts_with("--")
                && !taken.starts_with("/*");
        out.push_str(taken);
        rest = left;
    }
    if has_strange && !parameters.is_empty() {
        return Err(Error::invalid(
            "a statement with parameters can't hold a literal with letters before its quote, such as E'...': write it without, or as a parameter",
        ));
    }
    Ok(out)
}

fn unbound(name: &str) -> Error {
    let name = short(name);
    Error::invalid(format!(
        "[UNBOUND_SQL_PARAMETER] found the marker ':{name}', but no parameter '{name}': add it to 'parameters'"
    ))
}

/// The length of text in quotes; a doubled quote is one of the text.
fn quoted(text: &str, quote: char) -> usize {
    let mut from = 1;
    loop {
        let Some(end) = text[from..].find(quote).map(|end| from + end + 1) else { return text.len() };
        if !text[end..].starts_with(quote) {
            return end;
        }
        from = end + 1;
    }
}

/// The length of a comment, in which others may stand.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (1_usize, 2);
    while depth > 0 {
        let Some(next) = text[at..].find(['/', '*']).map(|next| at + next) else { return text.len() };
        match &text.as_bytes()[next..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, next + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, next + 2),
            _ => at = next + 1,
        }
    }
    at
}

/// The length of `$tag$text$tag$`, or of the dollar alone.
fn dollars(text: &str) -> usize {
    let tag = text[1..].find(|letter: char| !letter.is_alphanumeric() && letter != '_').map_or(text.len(), |end| end + 1);
    if !text[tag..].starts_with('$') {
        return 1;
    }
    let mark = &text[..=tag];
    text[mark.len()..].find(mark).map_or(text.len(), |end| end + 2 * mark.len())
}

/// The length of a word.
fn word(text: &str, with_signs: bool) -> usize {
    text.find(|letter| !is_part(letter, with_signs)).unwrap_or(text.len())
}

fn is_part(letter: char, with_signs: bool) -> bool {
    letter.is_alphanumeric() || letter == '_' || (with_signs && matches!(letter, '@' | '$' | '#'))
}

fn starts_name(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// Whether a word gives the quoted text right behind it rules of its own.
fn is_strange(word: &str, behind: &str) -> bool {
    let word = word.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let behind = behind.strip_prefix('&').unwrap_or(behind);
    behind.starts_with(['\'', '"']) && PREFIXES.iter().any(|prefix| word.eq_ignore_ascii_case(prefix))
}

/// A value as a literal.
fn literal(name: &str, parameter: &Parameter) -> Result<String> {
    let kind = parameter.kind.trim().to_ascii_uppercase();
    let (base, digits) = match kind.split_once('(') {
        Some((base, digits)) => (base.trim(), Some(digits.trim_end().trim_end_matches(')'))),
        None => (&*kind, None),
    };
    let wrong = || {
        let (name, value) = (short(name), short(parameter.value.as_deref().unwrap_or_default()));
        Error::invalid(format!("the parameter '{name}' is of type {}, which '{value}' is not", short(&kind)))
    };
    let sql_type = match base {
        "" | "STRING" | "CHAR" | "VARCHAR" => "VARCHAR".to_owned(),
        "TINYINT" | "BYTE" | "SMALLINT" | "SHORT" | "INT" | "INTEGER" | "BIGINT" | "LONG" => "BIGINT".to_owned(),
        "FLOAT" | "REAL" => "FLOAT".to_owned(),
        "DOUBLE" => "DOUBLE".to_owned(),
        "BOOLEAN" => "BOOLEAN".to_owned(),
        "DATE" => "DATE".to_owned(),
        "TIMESTAMP" | "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ" => "TIMESTAMP".to_owned(),
        "DECIMAL" | "NUMERIC" | "DEC" => decimal(digits.unwrap_or("10,0")).ok_or_else(wrong)?,
        "VOID" if parameter.value.is_none() => return Ok("NULL".to_owned()),
        _ => {
            let (name, kind) = (short(name), short(&kind));
            return Err(Error::invalid(format!("the parameter '{name}' is of type {kind}, which can't be had here")));
        }
    };
    let Some(value) = &parameter.value else { return Ok(format!("CAST(NULL AS {sql_type})")) };
    let trimmed = value.trim();
    match base {
        "" | "STRING" | "CHAR" | "VARCHAR" => Ok(text(value)),
        "TINYINT" | "BYTE" | "SMALLINT" | "SHORT" | "INT" | "INTEGER" | "BIGINT" | "LONG" => {
            whole(base, trimmed).ok_or_else(wrong)
        }
        "BOOLEAN" => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Ok("TRUE".to_owned()),
            "false" | "f" | "no" | "n" | "0" => Ok("FALSE".to_owned()),
            _ => Err(wrong()),
        },
        "DATE" | "TIMESTAMP" | "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ" => Ok(format!("CAST({} AS {sql_type})", text(trimmed))),
        _ => match trimmed.parse::<f64>() {
            Ok(_) => Ok(format!("CAST({} AS {sql_type})", text(trimmed))),
            Err(_) => Err(wrong()),
        },
    }
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn whole(base: &str, value: &str) -> Option<String> {
    let number: i64 = value.parse().ok()?;
    let fits = match base {
        "TINYINT" | "BYTE" => i8::try_from(number).is_ok(),
        "SMALLINT" | "SHORT" => i16::try_from(number).is_ok(),
        "INT" | "INTEGER" => i32::try_from(number).is_ok(),
        _ => true,
    };
    // The least number can't be written as one with a sign before it.
    let written = match number {
        i64::MIN => format!("CAST('{number}' AS BIGINT)"),
        _ if number < 0 => format!("({number})"),
        _ => number.to_string(),
    };
    fits.then_some(written)
}

fn decimal(digits: &str) -> Option<String> {
    let (precision, scale) = digits.split_once(',').unwrap_or((digits, "0"));
    let (precision, scale): (u8, u8) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    let fits = (1..=PRECISION_MAX).contains(&precision) && scale <= precision;
    fits.then(|| format!("DECIMAL({precision},{scale})"))
}
