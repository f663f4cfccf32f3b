//! One record of v3: `{"partition_id"?,"headers"?,"key":{"type","data"},"value":{...},"timestamp"?}`, and the line that answers it.

#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use pinlake_core::{Offset, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::rest_proxy::error::RestError;

/// The payload of a record is not what it says.
const PAYLOAD: u16 = 42206;
/// There is nothing that could serialise it.
const SERIALISATION: u16 = 42207;
/// The most headers of one record.
const HEADERS_MAX: usize = 1000;

#[derive(Deserialize)]
struct RecordBody<'a> {
    partition_id: Option<i64>,
    #[serde(default)]
    headers: Option<Vec<HeaderBody>>,
    #[serde(borrow)]
    key: Option<DataBody<'a>>,
    #[serde(borrow)]
    value: Option<DataBody<'a>>,
    timestamp: Option<Value>,
}

#[derive(Deserialize)]
struct HeaderBody {
    name: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct DataBody<'a> {
    r#type: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    subject: Option<Value>,
    subject_name_strategy: Option<Value>,
    schema: Option<Value>,
    schema_id: Option<Value>,
    schema_version: Option<Value>,
}

/// How a key or value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Binary,
    Json,
    String,
}

/// A key or value: how it was written, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Data {
    pub(super) kind: Kind,
    pub(super) bytes: Bytes,
}

/// A record on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewRecord {
    pub(super) partition: Option<u32>,
    pub(super) timestamp: Option<Timestamp>,
    pub(super) headers: Vec<(String, Option<Bytes>)>,
    pub(super) key: Option<Data>,
    pub(super) value: Option<Data>,
}

/// Where a record went.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) partition: u32,
    pub(super) offset: Offset,
    pub(super) timestamp: Timestamp,
    pub(super) key: Option<(Kind, usize)>,
    pub(super) value: Option<(Kind, usize)>,
}

impl NewRecord {
    /// Reads a record's JSON.
    pub(super) fn parse(text: &[u8]) -> Result<Self, RestError> {
        let body: RecordBody<'_> = serde_json::from_slice(text).map_err(|error| RestError::of_json(&error))?;
        let partition = match body.partition_id.map(u32::try_from) {
            None => None,
            Some(Ok(number)) => Some(number),
            Some(Err(_)) => return Err(RestError::new(422, "'partition_id' is a number from 0 on")),
        };
        let headers = body.headers.unwrap_or_default();
        if headers.len() > HEADERS_MAX {
            return Err(RestError::new(PAYLOAD, format!("a record takes at most {HEADERS_MAX} headers")));
        }
        Ok(Self {
            partition,
            timestamp: body.timestamp.as_ref().filter(|time| !time.is_null()).map(time_of).transpose()?,
            headers: headers.into_iter().map(header_of).collect::<Result<_, _>>()?,
            key: data_of(body.key.as_ref(), "key")?,
            value: data_of(body.value.as_ref(), "value")?,
        })
    }

    /// Whether it goes the way of all records: it has nothing beside key and value.
    pub(super) fn is_plain(&self) -> bool {
        self.headers.is_empty() && self.timestamp.is_none()
    }

    /// Its place, once it has one.
    pub(super) fn stored(&self, partition: u32, offset: Offset, timestamp: Timestamp) -> Stored {
        let shown = |data: &Option<Data>| data.as_ref().map(|data| (data.kind, data.bytes.len()));
        Stored { partition, offset, timestamp, key: shown(&self.key), value: shown(&self.value) }
    }
}

impl Stored {
    /// The answer for it.
    pub(super) fn answer(&self, cluster_id: &str, topic: &str) -> Value {
        let mut answer = json!({
            "error_code": 200,
            "cluster_id": cluster_id,
            "topic_name": topic,
            "partition_id": self.partition,
            "offset": self.offset,
            "timestamp": shown_time(self.timestamp),
        });
        for (name, data) in [("key", self.key), ("value", self.value)] {
            if let Some((kind, size)) = data {
                answer[name] = json!({"type": kind.as_str(), "size": size});
            }
        }
        answer
    }
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "BINARY",
            Self::Json => "JSON",
            Self::String => "STRING",
        }
    }
}

/// The answer for a record that is not stored.
pub(super) fn error_answer(error: &RestError) -> Value {
    json!({"error_code": error.code(), "message": error.message()})
}

fn shown_time(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.0).map_or_else(|_| time.0.to_string(), |time| time.to_string())
}

/// ISO 8601, or milliseconds since 1970.
fn time_of(value: &Value) -> Result<Timestamp, RestError> {
    let of_text = |text: &str| text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond());
    let millis = match value {
        Value::String(text) => of_text(text),
        number => number.as_i64(),
    };
    let wrong = || RestError::new(422, "'timestamp' is a time such as \"2026-01-31T12:00:00Z\", in 1970 or later");
    millis.filter(|millis| *millis >= 0).map(Timestamp).ok_or_else(wrong)
}

fn header_of(header: HeaderBody) -> Result<(String, Option<Bytes>), RestError> {
    let decode = |text: String| base64(&text).ok_or_else(|| RestError::new(PAYLOAD, "the value of a header is not base64"));
    Ok((header.name, header.value.map(decode).transpose()?))
}

fn data_of(body: Option<&DataBody<'_>>, what: &str) -> Result<Option<Data>, RestError> {
    let Some(body) = body else { return Ok(None) };
    let kind = match body.r#type.as_deref() {
        Some("BINARY") => Kind::Binary,
        Some("JSON") => Kind::Json,
        Some("STRING") => Kind::String,
        Some("AVRO" | "JSONSCHEMA" | "PROTOBUF") => return Err(no_registry(what)),
        Some(_) => return Err(RestError::new(PAYLOAD, format!("'type' of the {what} is BINARY, JSON or STRING"))),
        None if body.names_schema() => return Err(no_registry(what)),
        None if body.data.is_none_or(|data| data.get() == "null") => return Ok(None),
        None => return Err(RestError::new(PAYLOAD, format!("the {what} has no 'type': it is BINARY, JSON or STRING"))),
    };
    let Some(text) = body.data.map(RawValue::get).filter(|text| *text != "null") else { return Ok(None) };
    let string = || serde_json::from_str::<String>(text).ok();
    let bytes = match kind {
        Kind::Json => Some(crate::json::compacted(text)),
        Kind::String => string().map(Bytes::from),
        Kind::Binary => string().and_then(|text| base64(&text)),
    };
    let form = if kind == Kind::Binary { "base64" } else { "a string" };
    let bytes = bytes.ok_or_else(|| RestError::new(PAYLOAD, format!("the 'data' of the {what} is not {form}")))?;
    Ok(Some(Data { kind, bytes }))
}

impl DataBody<'_> {
    fn names_schema(&self) -> bool {
        let fields = [&self.subject, &self.subject_name_strategy, &self.schema, &self.schema_id, &self.schema_version];
        fields.iter().any(|field| field.as_ref().is_some_and(|value| !value.is_null()))
    }
}

fn no_registry(what: &str) -> RestError {
    RestError::new(
        SERIALISATION,
        format!("the {what} needs a schema registry, which is not there: its 'type' is BINARY, JSON or STRING"),
    )
}

fn base64(text: &str) -> Option<Bytes> {
    STANDARD.decode(text).ok().map(Bytes::from)
}
