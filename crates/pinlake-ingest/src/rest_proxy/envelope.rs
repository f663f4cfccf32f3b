//! The body of a produce request: `{"records":[{"key"?,"value"?,"partition"?}]}`. Parsed without a tree: each value is found in
//! the body as raw text and copied once, into its batch.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::content_type::Format;
use super::error::RestError;
use crate::json::{self, FieldName};
use crate::records::{Records, Span};

/// Base64 as clients send it, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The records of a body: all of them or none.
pub(super) fn parse(body: &Bytes, format: Format, partition: Option<u32>, records_max: usize) -> Result<Records, RestError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| RestError::new(400, format!("the body is not UTF-8: byte {} is wrong", error.valid_up_to())))?;
    let mut parsing =
        Parsing { records: Records::over(body.clone()), format, partition, records_max, seen: false, problem: None };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = Envelope(&mut parsing).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    let Parsing { records, seen, problem, .. } = parsing;
    match parsed {
        Ok(()) if !seen => Err(RestError::new(422, format!("the body has no 'records': {FORM}"))),
        Ok(()) if records.is_empty() => Err(RestError::new(422, "'records' is empty: send one record at least")),
        Ok(()) => Ok(records),
        Err(error) => Err(problem.unwrap_or_else(|| match error.classify() {
            Category::Data => RestError::new(422, error.to_string()),
            _ => RestError::new(400, format!("the body is not JSON: {error}")),
        })),
    }
}

const FORM: &str = "expected {\"records\":[{\"value\":...}]}";

struct Parsing {
    records: Records,
    format: Format,
    partition: Option<u32>,
    records_max: usize,
    /// Whether there is a list of records.
    seen: bool,
    /// What is wrong, if it is more than a type.
    problem: Option<RestError>,
}

impl Parsing {
    /// Takes note of a problem and stops the deserializer.
    fn stop<E: serde::de::Error>(&mut self, code: u16, message: String) -> E {
        self.problem = Some(RestError::new(code, message));
        E::custom("stopped")
    }

    /// A key or a value; `null` is none.
    fn text<E: serde::de::Error>(&mut self, raw: &RawValue, what: &str) -> Result<Option<Span>, E> {
        if raw.get() == "null" {
            return Ok(None);
        }
        match self.format {
            Format::Json => {
                let start = self.records.scratch().len();
                let changed = json::compact(raw.get(), self.records.scratch());
                let records = &mut self.records;
                Ok(Some(if changed { records.written(start) } else { records.borrow(raw.get().as_bytes()) }))
            }
            Format::Binary => self.base64(raw, what).map(Some),
        }
    }

    fn base64<E: serde::de::Error>(&mut self, raw: &RawValue, what: &str) -> Result<Span, E> {
        let at = self.records.len();
        if !json::is_string(raw) {
            return Err(self.stop(
                42203,
                format!("{what} of record {at} is not a base64 string: send JSON values with Content-Type application/vnd.kafka.json.v2+json"),
            ));
        }
        let encoded: Cow<'_, str> = match json::plain_string(raw) {
            Some(plain) => Cow::Borrowed(plain),
            None => Cow::Owned(serde_json::from_str(raw.get()).map_err(E::custom)?),
        };
        let start = self.records.scratch().len();
        if let Err(error) = BASE64.decode_vec(encoded.as_bytes(), self.records.scratch()) {
            return Err(self.stop(42203, format!("{what} of record {at} is not base64: {error}")));
        }
        Ok(self.records.written(start))
    }

    /// Names the form that an unknown field of the envelope belongs to.
    fn wrong_body(field: &str) -> String {
        let hint = match field {
            "StreamName" | "Data" | "PartitionKey" | "Records" => {
                "this is a Kinesis body, which PUT /streams/STREAM/record takes; here "
            }
            "value" | "key" | "partition" => "a record belongs into the list 'records': ",
            _ => "a row goes into the value of a record: ",
        };
        format!("Unrecognized field: {}; {hint}{FORM}", field.chars().take(60).collect::<String>())
    }
}

struct Envelope<'a>(&'a mut Parsing);

impl<'de> DeserializeSeed<'de> for Envelope<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Envelope<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object {\"records\":[{\"value\":...}]}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(FieldName)? {
            match &*field {
                "records" => {
                    // Of a repeated field the last one counts.
                    self.0.records.clear();
                    self.0.seen = true;
                    map.next_value_seed(List(self.0))?;
                }
                "key_schema" | "key_schema_id" | "value_schema" | "value_schema_id" => {
                    map.next_value::<IgnoredAny>()?;
                }
                other => return Err(self.0.stop(422, Parsing::wrong_body(other))),
            }
        }
        Ok(())
    }
}

struct List<'a>(&'a mut Parsing);

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records [{\"value\":...}]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Record(self.0))?.is_some() {}
        Ok(())
    }
}

struct Record<'a>(&'a mut Parsing);

impl<'de> DeserializeSeed<'de> for Record<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Record<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record {\"value\":...}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let parsing = self.0;
        if parsing.records.len() >= parsing.records_max {
            let limit = parsing.records_max;
            return Err(parsing.stop(413, format!("HTTP 413 Request Entity Too Large: a request takes at most {limit} records")));
        }
        let (mut key, mut value, mut partition) = (None, None, parsing.partition);
        while let Some(field) = map.next_key_seed(FieldName)? {
            match &*field {
                "value" => value = parsing.text(map.next_value::<&RawValue>()?, "the value")?,
                "key" => key = parsing.text(map.next_value::<&RawValue>()?, "the key")?,
                "partition" => partition = partition_number(parsing, map.next_value::<&RawValue>()?)?.or(parsing.partition),
                other => {
                    let (at, field) = (parsing.records.len(), other.chars().take(60).collect::<String>());
                    let message = format!(
                        "Unrecognized field: {field} in record {at}; a record is {{\"key\"?, \"value\"?, \"partition\"?}}: a row goes into \"value\""
                    );
                    return Err(parsing.stop(422, message));
                }
            }
        }
        parsing.records.push(key, value, partition);
        Ok(())
    }
}

fn partition_number<E: serde::de::Error>(parsing: &mut Parsing, raw: &RawValue) -> Result<Option<u32>, E> {
    match raw.get() {
        "null" => Ok(None),
        number => number.parse().map(Some).map_err(|_| {
            let shown: String = number.chars().take(40).collect();
            parsing.stop(422, format!("partition {shown} of record {} is not a number from 0", parsing.records.len()))
        }),
    }
}
