//! What an instance is created with: `POST /consumers/GROUP`. Values come as text or as they are; what is not known is passed over, as
//! Confluent's proxy does.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::groups::calls::{NAME_LEN_MAX, is_name};
use crate::rest_proxy::content_type::Format;
use crate::rest_proxy::error::{CONSUMER_SETTING, OUT_OF_RANGE, RestError};

/// How long a read waits if nobody says otherwise: `consumer.request.timeout.ms` of Confluent's proxy.
const REQUEST_WAIT: Duration = Duration::from_secs(1);
/// How long a read waits at most, whatever its instance or request says.
const REQUEST_WAIT_MAX: Duration = Duration::from_secs(60);
/// Confluent's bounds of `fetch.min.bytes`.
const RESPONSE_BYTES_MIN: std::ops::RangeInclusive<i64> = 1..=10_000_000;

/// Where an instance begins to read a partition of which its group has committed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reset {
    Earliest,
    Latest,
    /// Nowhere: that is an error.
    None,
}

/// The settings of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InstanceSettings {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) reset: Reset,
    pub(super) auto_commit: bool,
    /// A read ends once it has more than so many bytes; without, only by its time or when it is full.
    pub(super) response_bytes_min: Option<usize>,
    pub(super) request_wait: Duration,
}

impl InstanceSettings {
    /// Reads the settings; an empty body is none.
    pub(super) fn parse(body: &[u8]) -> Result<Self, RestError> {
        let fields: Map<String, Value> = match body.trim_ascii() {
            b"" => Map::new(),
            text => serde_json::from_slice(text).map_err(|error| RestError::of_json(&error))?,
        };
        let text = |name: &str| fields.get(name).and_then(as_text);
        Ok(Self {
            name: name_of(text("id").or_else(|| text("name")))?,
            format: format_of(text("format").as_deref())?,
            reset: reset_of(text("auto.offset.reset").as_deref())?,
            auto_commit: auto_commit_of(text("auto.commit.enable").as_deref())?,
            response_bytes_min: response_bytes_min_of(text("fetch.min.bytes").or_else(|| text("responseMinBytes")))?,
            request_wait: request_wait_of(text("consumer.request.timeout.ms").or_else(|| text("requestWaitMs")))?,
        })
    }

    /// How long a read may wait that asks for `timeout_ms`.
    pub(super) fn wait_of(&self, timeout_ms: Option<u64>) -> Duration {
        let asked = timeout_ms.map_or(self.request_wait, Duration::from_millis);
        asked.min(self.request_wait).min(REQUEST_WAIT_MAX)
    }
}

/// A setting's value as text; none if it is `null`, an object or a list.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn name_of(stated: Option<String>) -> Result<String, RestError> {
    match stated {
        None => Ok(format!("rest-consumer-{}", Uuid::new_v4())),
        Some(name) if is_name(&name) => Ok(name),
        Some(_) => Err(invalid(&format!("'name' takes 1 to {NAME_LEN_MAX} bytes of printable characters"))),
    }
}

fn format_of(stated: Option<&str>) -> Result<Format, RestError> {
    match stated.map(str::to_ascii_lowercase).as_deref() {
        None | Some("binary") => Ok(Format::Binary),
        Some("json") => Ok(Format::Json),
        Some("avro" | "jsonschema" | "protobuf") => {
            Err(invalid("'format' takes binary or json: the others need a schema registry, which is not there"))
        }
        Some(_) => Err(invalid("'format' takes binary or json")),
    }
}

fn reset_of(stated: Option<&str>) -> Result<Reset, RestError> {
    match stated {
        None | Some("latest") => Ok(Reset::Latest),
        Some("earliest") => Ok(Reset::Earliest),
        Some("none") => Ok(Reset::None),
        Some(_) => Err(invalid("'auto.offset.reset' takes earliest, latest or none")),
    }
}

fn auto_commit_of(stated: Option<&str>) -> Result<bool, RestError> {
    match stated.map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(invalid("'auto.commit.enable' takes true or false")),
    }
}

fn response_bytes_min_of(stated: Option<String>) -> Result<Option<usize>, RestError> {
    let Some(stated) = stated else { return Ok(None) };
    match stated.parse::<i64>() {
        Err(_) => Err(invalid("'fetch.min.bytes' takes a number")),
        Ok(-1) => Ok(None),
        Ok(bytes) if RESPONSE_BYTES_MIN.contains(&bytes) => Ok(usize::try_from(bytes).ok()),
        Ok(_) => Err(RestError::new(OUT_OF_RANGE, "'fetch.min.bytes' takes -1 or 1 to 10000000")),
    }
}

fn request_wait_of(stated: Option<String>) -> Result<Duration, RestError> {
    let Some(stated) = stated else { return Ok(REQUEST_WAIT) };
    match stated.parse::<i64>() {
        Err(_) => Err(invalid("'consumer.request.timeout.ms' takes a number")),
        Ok(ms) => match u64::try_from(ms) {
            Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
            _ => Err(RestError::new(OUT_OF_RANGE, "'consumer.request.timeout.ms' takes 1 or more")),
        },
    }
}

fn invalid(text: &str) -> RestError {
    RestError::new(CONSUMER_SETTING, format!("Invalid consumer configuration: {text}"))
}
