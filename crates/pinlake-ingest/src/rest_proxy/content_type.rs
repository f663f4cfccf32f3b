//! Content types of Kafka REST v2: `application/vnd.kafka[.F].v2+json`, F = binary, json, avro, jsonschema, protobuf.

#[cfg(test)]
mod tests;

use axum::http::{HeaderMap, header};

use super::error::{FORMAT_MISMATCH, RestError};

/// How keys and values stand in a produce request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Any JSON value, stored as compact text.
    Json,
    /// Base64.
    Binary,
}

/// What an answer is labelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// `application/vnd.kafka.v2+json`
    Kafka,
    /// `application/json`, for a browser and for those who ask for nothing else.
    Json,
}

impl Answer {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Kafka => "application/vnd.kafka.v2+json",
            Self::Json => "application/json",
        }
    }
}

/// The format of a produce request.
pub(super) fn format_of(headers: &HeaderMap, topic: &str, accept_plain_json: bool) -> Result<Format, RestError> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = values.next() else {
        return Err(RestError::unsupported_media_type(topic, "the request has no Content-Type"));
    };
    if values.any(|other| other != value) {
        return Err(RestError::unsupported_media_type(topic, "the request has several"));
    }
    let stated = value.to_str().unwrap_or_default();
    if stated == "application/vnd.kafka.json.v2+json" {
        return Ok(Format::Json);
    }
    match essence(stated).to_ascii_lowercase().as_str() {
        "application/vnd.kafka.json.v2+json" => Ok(Format::Json),
        "application/vnd.kafka.binary.v2+json" => Ok(Format::Binary),
        "application/json" if accept_plain_json => Ok(Format::Json),
        "application/vnd.kafka.avro.v2+json"
        | "application/vnd.kafka.jsonschema.v2+json"
        | "application/vnd.kafka.protobuf.v2+json" => {
            let why = format!("'{}' needs a schema registry, which is not there", essence(stated));
            Err(RestError::unsupported_media_type(topic, &why))
        }
        other => Err(RestError::unsupported_media_type(topic, &format!("'{other}' is not one of them"))),
    }
}

/// What the client takes; 406 if it is nothing that can be answered.
pub(super) fn answer_type(headers: &HeaderMap) -> Result<Answer, RestError> {
    let mut any = false;
    let mut kafka = false;
    let mut plain = false;
    let mut asked = String::new();
    for value in headers.get_all(header::ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        if value == "application/vnd.kafka.v2+json" || value == "*/*" {
            return Ok(Answer::Kafka);
        }
        // An empty header asks for nothing, and neither does an empty place in a list.
        for range in value.split(',').filter(|range| !range.trim().is_empty()) {
            any = true;
            let kind = essence(range).to_ascii_lowercase();
            match kind.as_str() {
                _ if is_refused(range) => {}
                // A browser shows JSON and offers to save what it does not know.
                "text/html" => return Ok(Answer::Json),
                "application/json" | "application/vnd.kafka+json" => plain = true,
                "*/*" | "application/*" => kafka = true,
                kind if kind.starts_with("application/vnd.kafka.") && kind.ends_with(".v2+json") => kafka = true,
                "application/vnd.kafka.v2+json" => kafka = true,
                _ => asked = kind,
            }
        }
    }
    match (kafka || !any, plain) {
        (true, _) => Ok(Answer::Kafka),
        (false, true) => Ok(Answer::Json),
        (false, false) => Err(RestError::not_acceptable(&asked)),
    }
}

/// Refuses a body of a call other than produce that says it is no JSON of Kafka REST v2. One that says nothing is taken.
pub(super) fn check_body_type(headers: &HeaderMap) -> Result<(), RestError> {
    for value in headers.get_all(header::CONTENT_TYPE) {
        let stated = essence(value.to_str().unwrap_or_default()).to_ascii_lowercase();
        let is_kafka = stated.starts_with("application/vnd.kafka.") && stated.ends_with("v2+json");
        if !is_kafka && !matches!(stated.as_str(), "application/json" | "application/vnd.kafka+json" | "application/octet-stream")
        {
            let shown: String = stated.chars().take(100).collect();
            let text = format!("HTTP 415 Unsupported Media Type: send application/vnd.kafka.v2+json, not '{shown}'");
            return Err(RestError::new(415, text));
        }
    }
    Ok(())
}

/// What the records of an instance are labelled with, if that is what the client takes: the instance's format, or anything. A client that
/// asks for nothing asks for `binary`.
pub(super) fn records_type(headers: &HeaderMap, format: Format) -> Result<&'static str, RestError> {
    let own = match format {
        Format::Json => "application/vnd.kafka.json.v2+json",
        Format::Binary => "application/vnd.kafka.binary.v2+json",
    };
    let asked = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let asked: Vec<String> = asked
        .filter(|range| !range.trim().is_empty() && !is_refused(range))
        .map(|range| essence(range).to_ascii_lowercase())
        .collect();
    let takes = |kind: &str| asked.iter().any(|asked| asked == kind);
    let takes_any =
        ["*/*", "application/*", "application/vnd.kafka.v2+json", "application/vnd.kafka+json"].iter().any(|kind| takes(kind));
    if takes(own) || takes_any || (asked.is_empty() && format == Format::Binary) {
        return Ok(own);
    }
    if takes("application/json") || takes("text/html") {
        return Ok("application/json");
    }
    if asked.is_empty() || asked.iter().any(|kind| kind.starts_with("application/vnd.kafka.")) {
        let text = format!(
            "The requested embedded data format does not match the deserializer for this consumer instance: send Accept {own}"
        );
        return Err(RestError::new(FORMAT_MISMATCH, text));
    }
    Err(RestError::not_acceptable(asked.first().map_or("", String::as_str)))
}

/// A media range or type without its parameters.
fn essence(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// Whether a range is there to be refused: `;q=0`.
fn is_refused(range: &str) -> bool {
    let weight = |parameter: &str| parameter.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse::<f32>().ok());
    range.split(';').skip(1).filter_map(weight).any(|weight| weight <= 0.0)
}
