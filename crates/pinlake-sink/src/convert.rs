//! What a record's bytes stand for: nothing, bytes, text or JSON. JSON is kept as the text that came in, without the white space around its
//! tokens, so that numbers keep all their digits and fields their order. Must not look at what a value means.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use pinlake_core::{Offset, RecordView, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::problem::Stage;

/// What the bytes of keys or of values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Converter {
    /// Bytes, whatever they are.
    Bytes,
    /// UTF-8; what is none of it is replaced by U+FFFD, as Java does.
    Text,
    /// JSON.
    Json,
    /// JSON of the form `{"schema":..,"payload":..}`, of which the payload is the value.
    JsonWithSchema,
}

/// What the bytes of a key or of a value stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datum<'a> {
    /// Nothing: there are no bytes, or they are JSON's `null`.
    Null,
    /// Bytes.
    Bytes(&'a [u8]),
    /// Text.
    Text(Cow<'a, str>),
    /// One JSON value, valid and without white space around its tokens, so it is one line.
    Json(Cow<'a, str>),
}

impl Datum<'_> {
    /// Whether it is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// What the keys and what the values of a sink's records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Converters {
    /// What keys are.
    pub key: Converter,
    /// What values are.
    pub value: Converter,
}

/// A record with what its bytes stand for.
#[derive(Debug, Clone)]
pub struct Converted<'a> {
    /// Where it stands in its partition.
    pub offset: Offset,
    /// When it was made.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Datum<'a>,
    /// Its value.
    pub value: Datum<'a>,
    /// The names and values beside it.
    pub headers: Vec<(Cow<'a, str>, Option<&'a [u8]>)>,
    /// A number that stands for the schema beside the value; 0 if there is none.
    pub schema: u64,
}

/// Why a record's bytes do not stand for what they should, and which of them.
pub type Misfit = (Stage, String);

impl Converters {
    /// What the bytes of `record` stand for.
    ///
    /// # Errors
    /// The stage in which the bytes turned out to be something else, and why.
    pub fn convert<'a>(self, record: &RecordView<'a>) -> Result<Converted<'a>, Misfit> {
        let of = |converter: Converter, stage, what, bytes| {
            let wrong = |why| (stage, format!("the {what} at offset {} {why}", record.offset));
            converter.convert(bytes).map_err(wrong)
        };
        let (key, _) = of(self.key, Stage::Key, "key", record.key)?;
        let (value, schema) = of(self.value, Stage::Value, "value", record.value)?;
        let headers = record.decode_headers().map_err(|e| (Stage::Headers, e.to_string()))?;
        Ok(Converted { offset: record.offset, timestamp: record.timestamp, key, value, headers, schema })
    }
}

impl Converter {
    /// What `bytes` stand for and the number of its schema, or why they stand for nothing of this kind.
    fn convert(self, bytes: Option<&[u8]>) -> Result<(Datum<'_>, u64), String> {
        let Some(bytes) = bytes else { return Ok((Datum::Null, 0)) };
        match self {
            Self::Bytes => Ok((Datum::Bytes(bytes), 0)),
            Self::Text => Ok((Datum::Text(String::from_utf8_lossy(bytes)), 0)),
            Self::Json => Ok((json(checked(bytes)?), 0)),
            Self::JsonWithSchema => payload(checked(bytes)?),
        }
    }
}

/// The text of valid JSON.
fn checked(bytes: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("is no JSON: {e}"))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|e| format!("is no JSON: {e}"))?;
    Ok(text)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
}

fn payload(text: &str) -> Result<(Datum<'_>, u64), String> {
    if text.trim_ascii() == "null" {
        return Ok((Datum::Null, 0));
    }
    let envelope: Option<Envelope<'_>> = serde_json::from_str(text).ok().filter(|_| text.trim_ascii_start().starts_with('{'));
    let envelope = envelope.ok_or(
        "is JSON without the fields \"schema\" and \"payload\", or with others beside them: for plain JSON set schemas.enable to false \
         for its converter",
    )?;
    Ok((json(envelope.payload.get()), number_of(&compact(envelope.schema.get()))))
}

/// The same number for the same text, in every version (FNV-1a); not 0.
fn number_of(text: &str) -> u64 {
    let hash =
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash.max(1)
}

fn json(text: &str) -> Datum<'_> {
    let text = text.trim_ascii();
    if text == "null" { Datum::Null } else { Datum::Json(compact(text)) }
}

/// Valid JSON without the white space between its tokens.
fn compact(text: &str) -> Cow<'_, str> {
    let mut kept = Spaces { bytes: text.as_bytes(), at: 0, in_string: false };
    let Some(first) = kept.next() else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for space in std::iter::once(first).chain(kept) {
        out.push_str(&text[from..space]);
        from = space + 1;
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// Where the white space between the tokens of a valid JSON text is.
struct Spaces<'a> {
    bytes: &'a [u8],
    at: usize,
    in_string: bool,
}

impl Iterator for Spaces<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while let Some(byte) = self.bytes.get(self.at) {
            let here = self.at;
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => self.in_string = !self.in_string,
                b' ' | b'\t' | b'\n' | b'\r' if !self.in_string => return Some(here),
                _ => {}
            }
        }
        None
    }
}
