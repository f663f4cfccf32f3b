//! The body of a produce request: `{"records":[{"key"?,"value"?,"partition"?}]}`. Parsed without a tree: each value is found in
//! the body as text and copied once, into its batch.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::content_type::Format;
use super::error::RestError;
use crate::json::{JsonError, Scanner, Value};
use crate::records::{Records, Span};

/// Base64 as clients send it, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const FORM: &str = "expected {\"records\":[{\"value\":...}]}";

/// The records of a body: all of them or none. `partition` is the path's.
pub(super) fn parse(body: &Bytes, format: Format, partition: Option<u32>, records_max: usize) -> Result<Records, RestError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| RestError::new(400, format!("the body is not UTF-8: byte {} is wrong", error.valid_up_to())))?;
    let mut parsing = Parsing { records: Records::over(body.clone()), format, partition, records_max };
    let mut seen = false;
    let mut scanner = Scanner::new(text);
    scanner.object("an object {\"records\":[{\"value\":...}]}", |scanner, field| match field {
        "records" => {
            // Of a repeated field the last one counts.
            parsing.records.clear();
            seen = true;
            scanner.list("a list of records [{\"value\":...}]", |scanner| parsing.record(scanner))
        }
        "key_schema" | "key_schema_id" | "value_schema" | "value_schema_id" => Ok(scanner.value().map(drop)?),
        other => Err(unknown_field(other)),
    })?;
    scanner.end()?;
    if !seen {
        return Err(RestError::new(422, format!("the body has no 'records': {FORM}")));
    }
    if parsing.records.is_empty() {
        return Err(RestError::new(422, "'records' is empty: send one record at least"));
    }
    Ok(parsing.records)
}

impl From<JsonError> for RestError {
    fn from(error: JsonError) -> Self {
        if error.is_form { Self::new(422, error.to_string()) } else { Self::new(400, format!("the body is not JSON: {error}")) }
    }
}

/// Names the form that an unknown field of the envelope belongs to.
fn unknown_field(field: &str) -> RestError {
    let hint = match field {
        "StreamName" | "Data" | "PartitionKey" | "Records" => {
            "this is a Kinesis body, which PUT /streams/STREAM/record takes; here "
        }
        "value" | "key" | "partition" => "a record belongs into the list 'records': ",
        _ => "a row goes into the value of a record: ",
    };
    RestError::new(422, format!("Unrecognized field: {}; {hint}{FORM}", shown(field)))
}

struct Parsing {
    records: Records,
    format: Format,
    partition: Option<u32>,
    records_max: usize,
}

impl Parsing {
    fn record(&mut self, scanner: &mut Scanner<'_>) -> Result<(), RestError> {
        let at = self.records.len();
        if at >= self.records_max {
            let message = format!("HTTP 413 Request Entity Too Large: a request takes at most {} records", self.records_max);
            return Err(RestError::new(413, message));
        }
        let (mut key, mut value, mut partition) = (None, None, self.partition);
        scanner.object("a record {\"value\":...}", |scanner, field| {
            match field {
                "value" => value = self.span(scanner.value()?, "the value")?,
                "key" => key = self.span(scanner.value()?, "the key")?,
                "partition" => partition = partition_number(scanner.value()?, at)?.or(self.partition),
                other => return Err(unknown_record_field(other, at)),
            }
            Ok(())
        })?;
        self.records.push(key, value, partition);
        Ok(())
    }

    /// A key or a value; `null` is none.
    fn span(&mut self, value: Value<'_>, what: &str) -> Result<Option<Span>, RestError> {
        if value.is_null() {
            return Ok(None);
        }
        match self.format {
            Format::Json => Ok(Some(value.span(&mut self.records))),
            Format::Binary => self.base64(value, what).map(Some),
        }
    }

    fn base64(&mut self, value: Value<'_>, what: &str) -> Result<Span, RestError> {
        let at = self.records.len();
        let Some(encoded) = value.string() else {
            let hint = "send JSON values with Content-Type application/vnd.kafka.json.v2+json";
            return Err(RestError::new(42203, format!("{what} of record {at} is not a base64 string: {hint}")));
        };
        let mut decoded = Ok(());
        let span = self.records.write(|scratch| decoded = BASE64.decode_vec(encoded.as_bytes(), scratch));
        decoded.map(|()| span).map_err(|error| RestError::new(42203, format!("{what} of record {at} is not base64: {error}")))
    }
}

fn partition_number(value: Value<'_>, at: usize) -> Result<Option<u32>, RestError> {
    if value.is_null() {
        return Ok(None);
    }
    let wrong = |_| RestError::new(422, format!("partition {} of record {at} is not a number from 0", shown(value.text())));
    value.text().parse().map(Some).map_err(wrong)
}

fn unknown_record_field(field: &str, at: usize) -> RestError {
    let form = "a record is {\"key\"?, \"value\"?, \"partition\"?}: a row goes into \"value\"";
    RestError::new(422, format!("Unrecognized field: {} in record {at}; {form}", shown(field)))
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}
