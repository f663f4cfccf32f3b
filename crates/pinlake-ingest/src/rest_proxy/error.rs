//! Error answers of Kafka REST v2: `{"error_code":int,"message":text}`, and the one table from error kinds to its codes. The texts
//! name what was asked for and the nearest right form.

use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pinlake_core::{Error, ErrorKind};

use crate::doors::Call;
use crate::json;
use crate::limits::Refusal;

/// The code of a record that can be sent again.
pub(super) const RETRIABLE: u16 = 50003;
/// The code of a record that the log refused.
pub(super) const KAFKA_ERROR: u16 = 50002;

const TOPIC_NOT_FOUND: u16 = 40401;
const PARTITION_NOT_FOUND: u16 = 40402;

/// An answer that is not 200. The status is the code's first three digits.
#[derive(Debug)]
pub(super) struct RestError {
    code: u16,
    message: String,
    /// Methods that the path has.
    allow: Option<&'static str>,
}

impl RestError {
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), allow: None }
    }

    pub(super) fn no_path(parts: &Parts) -> Self {
        let path = shown(parts.uri.path());
        Self::new(
            404,
            format!(
                "HTTP 404 Not Found: there is nothing at {} {path}. Kafka REST: POST /topics/TOPIC, GET /topics; Kinesis gateway: PUT \
                 /streams/STREAM/record; each also behind one stage segment, such as /prod/topics/TOPIC; Pinlake's own API: \
                 /api/v1/openapi.json",
                parts.method
            ),
        )
    }

    pub(super) fn method(parts: &Parts, allow: &'static str, hint: &str) -> Self {
        let path = shown(parts.uri.path());
        let message = format!("HTTP 405 Method Not Allowed: {path} has no {}: {hint}", parts.method);
        Self { allow: Some(allow), ..Self::new(405, message) }
    }

    pub(super) fn consumers(parts: &Parts) -> Self {
        let path = shown(parts.uri.path());
        let message = format!(
            "HTTP 501 Not Implemented: {} {path}: consumer instances are not served by this version. Read records with GET \
             /api/v1/topics/TOPIC/records?offset=start, or the cleaned rows with POST /api/v1/sql; POST /topics/TOPIC and GET \
             /topics/... work",
            parts.method
        );
        Self::new(501, message)
    }

    pub(super) fn unsupported_media_type(topic: &str, why: &str) -> Self {
        let topic = shown(topic);
        Self::new(
            415,
            format!(
                "HTTP 415 Unsupported Media Type: records for /topics/{topic} take Content-Type application/vnd.kafka.json.v2+json \
                 (values are JSON) or application/vnd.kafka.binary.v2+json (values are base64); {}",
                shown(why)
            ),
        )
    }

    pub(super) fn not_acceptable(asked: &str) -> Self {
        let asked = shown(asked);
        Self::new(
            406,
            format!("HTTP 406 Not Acceptable: answers are application/vnd.kafka.v2+json or application/json, not '{asked}'"),
        )
    }

    pub(super) fn partition_not_found(topic: &str, partition: &str) -> Self {
        Self::new(
            PARTITION_NOT_FOUND,
            format!("Partition not found: topic '{}' has no partition '{}'", shown(topic), shown(partition)),
        )
    }

    /// What the log or the producer said about the whole request.
    pub(super) fn of(error: &Error) -> Self {
        let message = error.message();
        match error.kind() {
            ErrorKind::Retry => Self::new(RETRIABLE, message),
            ErrorKind::Invalid => Self::new(422, message),
            ErrorKind::NotFound => Self::new(TOPIC_NOT_FOUND, format!("Topic not found: {message}")),
            ErrorKind::Conflict => Self::new(409, message),
            ErrorKind::Corrupt | ErrorKind::Internal => Self::new(KAFKA_ERROR, message),
        }
    }

    /// What the producer said about the partitions that records ask for.
    pub(super) fn of_partition(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::new(PARTITION_NOT_FOUND, format!("Partition not found: {}", error.message())),
            _ => Self::of(error),
        }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooManyRequests => {
                Self::new(42901, "HTTP 429 Too Many Requests: as many requests as may be are under way, try again later")
            }
            Refusal::TooManyBytes => {
                Self::new(503, "HTTP 503 Service Unavailable: as many bytes as may be are under way, try again later")
            }
            Refusal::BodyTooLarge(limit) => Self::new(
                413,
                format!("HTTP 413 Request Entity Too Large: a body takes at most {limit} bytes, send fewer records"),
            ),
            Refusal::BodyTooSlow => Self::new(408, "HTTP 408 Request Timeout: the body took too long to arrive"),
            Refusal::BodyCompressed => {
                Self::new(415, "HTTP 415 Unsupported Media Type: send the body uncompressed, without Content-Encoding")
            }
            Refusal::BodyCharset => Self::new(
                415,
                "HTTP 415 Unsupported Media Type: Content-Type states another charset than utf-8, and the body holds more than \
                 ASCII: send UTF-8",
            ),
            Refusal::BodyCutOff => Self::new(400, "HTTP 400 Bad Request: the body ended early"),
        }
    }

    /// The answer at a door, which says in the log if it can't do its work.
    pub(super) fn answer(self, call: &Call<'_>) -> Response {
        if first_three_digits(self.code).is_server_error() {
            call.metrics.warn(&self.message);
        }
        let may_be_tried_again = matches!(self.code, 42901 | 503 | RETRIABLE);
        let response = self.response();
        if may_be_tried_again { call.try_again_later(response) } else { response }
    }

    /// The answer.
    pub(super) fn response(self) -> Response {
        let status = first_three_digits(self.code);
        let mut body = String::with_capacity(64 + self.message.len());
        body.push_str("{\"error_code\":");
        json::push_number(&mut body, self.code);
        body.push_str(",\"message\":");
        json::push_string(&mut body, &self.message);
        body.push('}');
        let mut response = (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response();
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

/// The code of one record that could not be stored.
pub(super) fn record_code(error: &Error) -> u16 {
    if error.kind() == ErrorKind::Retry { RETRIABLE } else { KAFKA_ERROR }
}

fn first_three_digits(code: u16) -> StatusCode {
    // The settings of consumer instances are the exception that Confluent makes.
    let status = match code {
        40001 => 422,
        code if code >= 1000 => code / 100,
        code => code,
    };
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A client's text, cut to what an answer needs.
fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}
