//! One record of a gateway body: which of the sent forms its data and key have, and Kinesis's limits on them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::error::{DoorError, Gateway};
use crate::json;
use crate::records::{Records, Span};

/// Characters of a partition key, as in Kinesis.
const KEY_CHARS_MAX: usize = 256;

/// The fields of a record as they were sent.
#[derive(Debug, Default)]
pub(super) struct Entry<'a> {
    pub(super) data: Option<&'a RawValue>,
    pub(super) key: Option<&'a RawValue>,
    pub(super) hash: Option<&'a RawValue>,
    /// A field that only a Kafka REST body has.
    pub(super) kafka_value: bool,
}

impl<'a> Entry<'a> {
    /// Takes a field of any of the forms; `false` if it is none of them.
    pub(super) fn take(&mut self, field: &str, raw: &'a RawValue) -> bool {
        // A null is as good as none.
        let raw = (raw.get() != "null").then_some(raw);
        match field {
            "Data" | "data" => self.data = raw,
            "PartitionKey" | "partition-key" | "partitionKey" => self.key = raw,
            "ExplicitHashKey" | "explicit-hash-key" | "explicitHashKey" => self.hash = raw,
            "value" => self.kafka_value = true,
            _ => return false,
        }
        true
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
    fn field(self, name: &str) -> String {
        self.member.map_or_else(|| name.to_owned(), |member| format!("records.{member}.member.{name}"))
    }
}

/// Adds the entry to `records`; answers the shard's hash if the client gives one.
pub(super) fn add(
    entry: &Entry<'_>,
    records: &mut Records,
    strings: StringData,
    bytes_max: usize,
    place: Place,
) -> Result<Option<u128>, DoorError> {
    let Some(data) = entry.data else { return Err(no_data(entry, place)) };
    let key = key_span(entry, records, place)?;
    let data = data_span(data, records, strings)?;
    if data.len() + key.len() > bytes_max {
        let must = format!("have length less than or equal to {bytes_max}");
        return Err(DoorError::constraint(Some("java.nio.HeapByteBuffer"), &place.field("data"), &must));
    }
    records.push(Some(key), Some(data), None);
    entry.hash.map(|hash| explicit_hash(hash, place)).transpose()
}

fn no_data(entry: &Entry<'_>, place: Place) -> DoorError {
    let field = place.field("data");
    let hint = if entry.kafka_value {
        ". This is a Kafka REST body: send it to POST /topics/TOPIC, or send {\"Data\":{...},\"PartitionKey\":\"...\"} here"
    } else {
        ". Send {\"StreamName\":\"...\",\"Data\":{...},\"PartitionKey\":\"...\"}: the row goes into Data"
    };
    match DoorError::constraint(None, &field, "not be null") {
        DoorError::Kinesis { status, kind, message, retry_after } => {
            DoorError::Kinesis { status, kind, message: message + hint, retry_after }
        }
        other @ DoorError::Gateway { .. } => other,
    }
}

fn key_span(entry: &Entry<'_>, records: &mut Records, place: Place) -> Result<Span, DoorError> {
    let field = || place.field("partitionKey");
    let Some(raw) = entry.key else { return Err(DoorError::constraint(None, &field(), "not be null")) };
    let key: Cow<'_, str> = match (json::plain_string(raw), raw.get().as_bytes().first()) {
        (Some(plain), _) => Cow::Borrowed(plain),
        (None, Some(b'{' | b'[')) => {
            let message = "Start of structure or map found where not expected.";
            return Err(DoorError::kinesis("SerializationException", message));
        }
        // The usual template puts quotes around whatever it finds, so a number is its text.
        (None, Some(b'"')) => Cow::Owned(unescaped(raw)?),
        (None, _) => Cow::Borrowed(raw.get()),
    };
    if key.is_empty() {
        return Err(DoorError::constraint(Some(&key), &field(), "have length greater than or equal to 1"));
    }
    // A byte count within the limit needs no count of characters.
    if key.len() > KEY_CHARS_MAX && key.chars().count() > KEY_CHARS_MAX {
        return Err(DoorError::constraint(Some(&key), &field(), "have length less than or equal to 256"));
    }
    Ok(match key {
        Cow::Borrowed(key) => records.borrow(key.as_bytes()),
        Cow::Owned(key) => records.copy(key.as_bytes()),
    })
}

fn data_span(raw: &RawValue, records: &mut Records, strings: StringData) -> Result<Span, DoorError> {
    if strings == StringData::Content && json::is_string(raw) {
        return Ok(match json::plain_string(raw) {
            Some(plain) => records.borrow(plain.as_bytes()),
            None => records.copy(unescaped(raw)?.as_bytes()),
        });
    }
    let start = records.scratch().len();
    let changed = json::compact(raw.get(), records.scratch());
    Ok(if changed { records.written(start) } else { records.borrow(raw.get().as_bytes()) })
}

fn explicit_hash(raw: &RawValue, place: Place) -> Result<u128, DoorError> {
    let text = raw.get().trim_matches('"');
    text.parse().map_err(|_| {
        let field = place.field("explicitHashKey");
        DoorError::constraint(Some(text), &field, "satisfy regular expression pattern: 0|([1-9]\\d{0,38})")
    })
}

fn unescaped(raw: &RawValue) -> Result<String, DoorError> {
    serde_json::from_str(raw.get())
        .map_err(|error| DoorError::gateway(Gateway::InvalidBody, format!("a string does not decode: {error}")))
}
