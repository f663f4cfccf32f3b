//! One record of a gateway body: which of the sent forms its data and key have, and Kinesis's limits on keys.

use std::borrow::Cow;

use super::error::{DoorError, Gateway};
use crate::json::Value;
use crate::records::{Records, Span};

/// Characters of a partition key, as in Kinesis.
const KEY_CHARS_MAX: usize = 256;

/// The fields of a record as they were sent.
#[derive(Debug, Default)]
pub(super) struct Entry<'a> {
    pub(super) data: Option<Value<'a>>,
    pub(super) key: Option<Value<'a>>,
    pub(super) hash: Option<Value<'a>>,
    /// A field that only a Kafka REST body has.
    pub(super) kafka_value: bool,
}

impl<'a> Entry<'a> {
    /// Takes a field in any of its spellings; other fields say nothing.
    pub(super) fn take(&mut self, field: &str, value: Value<'a>) {
        // A null is as good as none.
        let value = (!value.is_null()).then_some(value);
        match field {
            "Data" | "data" => self.data = value,
            "PartitionKey" | "partition-key" | "partitionKey" => self.key = value,
            "ExplicitHashKey" | "explicit-hash-key" | "explicitHashKey" => self.hash = value,
            "value" => self.kafka_value = true,
            _ => {}
        }
    }
}

/// How data that is a JSON string is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StringData {
    /// With its quotes, as the usual PutRecord template does.
    Literal,
    /// Its content.
    Content,
}

/// Where an entry's errors lie: `data`, or `records.3.member.data`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// From 1; `None` for a single record.
    pub(super) member: Option<usize>,
}

impl Place {
    pub(super) fn field(self, name: &str) -> String {
        self.member.map_or_else(|| name.to_owned(), |member| format!("records.{member}.member.{name}"))
    }
}

/// Adds the entry to `records`; answers the shard's hash if the client gives one.
pub(super) fn add(
    entry: &Entry<'_>,
    records: &mut Records,
    strings: StringData,
    place: Place,
) -> Result<Option<u128>, DoorError> {
    let Some(data) = &entry.data else { return Err(no_data(entry, place)) };
    let key = key_span(entry, records, place)?;
    let data = data_span(data, records, strings)?;
    records.push(Some(key), Some(data), None);
    entry.hash.as_ref().map(|hash| explicit_hash(hash, place)).transpose()
}

fn no_data(entry: &Entry<'_>, place: Place) -> DoorError {
    let field = place.field("data");
    let hint = if entry.kafka_value {
        ". This is a Kafka REST body: send it to POST /topics/TOPIC, or send {\"Data\":{...},\"PartitionKey\":\"...\"} here"
    } else {
        ". Send {\"StreamName\":\"...\",\"Data\":{...},\"PartitionKey\":\"...\"}: the row goes into Data"
    };
    DoorError::constraint(None, &field, &format!("not be null{hint}"))
}

fn key_span(entry: &Entry<'_>, records: &mut Records, place: Place) -> Result<Span, DoorError> {
    let field = || place.field("partitionKey");
    let Some(value) = &entry.key else { return Err(DoorError::constraint(None, &field(), "not be null")) };
    let key: Cow<'_, str> = match value.text().as_bytes()[0] {
        b'"' => string(value)?,
        b'{' | b'[' => {
            let message = "Start of structure or map found where not expected.";
            return Err(DoorError::kinesis("SerializationException", message));
        }
        // The usual template puts quotes around whatever it finds, so a number is its text.
        _ => Cow::Borrowed(value.text()),
    };
    if key.is_empty() {
        return Err(DoorError::constraint(Some(&key), &field(), "have length greater than or equal to 1"));
    }
    // A byte count within the limit needs no count of characters.
    if key.len() > KEY_CHARS_MAX && key.chars().count() > KEY_CHARS_MAX {
        return Err(DoorError::constraint(Some(&key), &field(), "have length less than or equal to 256"));
    }
    Ok(records.borrow(key.as_bytes()))
}

fn data_span(value: &Value<'_>, records: &mut Records, strings: StringData) -> Result<Span, DoorError> {
    if strings == StringData::Content && value.text().starts_with('"') {
        return Ok(records.borrow(string(value)?.as_bytes()));
    }
    Ok(value.span(records))
}

fn explicit_hash(value: &Value<'_>, place: Place) -> Result<u128, DoorError> {
    let text = value.text().trim_matches('"');
    // A number has one spelling here, without sign and leading zeros.
    text.parse().ok().filter(|hash: &u128| hash.to_string() == text).ok_or_else(|| {
        let field = place.field("explicitHashKey");
        DoorError::constraint(Some(text), &field, "satisfy regular expression pattern: 0|([1-9]\\d{0,38})")
    })
}

fn string<'a>(value: &'a Value<'_>) -> Result<Cow<'a, str>, DoorError> {
    value.string().ok_or_else(|| DoorError::gateway(Gateway::InvalidBody, "a string holds half a surrogate pair"))
}
