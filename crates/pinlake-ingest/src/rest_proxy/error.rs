//! Error answers of Kafka REST v2: `{"error_code":int,"message":text}`, and the one table from error kinds to its codes. The texts
//! name what was asked for and the nearest right form.

use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pinlake_core::{Error, ErrorKind, Reason};

use crate::doors::Call;
use crate::groups::GroupError;
use crate::json;
use crate::limits::Refusal;

/// The code of a record that can be sent again.
pub(super) const RETRIABLE: u16 = 50003;
/// The code of a record that the log refused.
pub(super) const KAFKA_ERROR: u16 = 50002;

/// A setting of an instance is out of its bounds.
pub(super) const OUT_OF_RANGE: u16 = 40001;
/// Kafka would refuse it too.
pub(super) const KAFKA_BAD_REQUEST: u16 = 40002;
/// Not for clients.
pub(super) const NOT_AUTHORISED: u16 = 40301;
pub(super) const TOPIC_NOT_FOUND: u16 = 40401;
const PARTITION_NOT_FOUND: u16 = 40402;
pub(super) const INSTANCE_NOT_FOUND: u16 = 40403;
pub(super) const GROUP_NOT_FOUND: u16 = 40405;
/// Records are asked for in another format than the instance's.
pub(super) const FORMAT_MISMATCH: u16 = 40601;
pub(super) const INSTANCE_EXISTS: u16 = 40902;
/// Not now, and not as it stands.
pub(super) const ILLEGAL_STATE: u16 = 40903;
/// A setting of an instance is none.
pub(super) const CONSUMER_SETTING: u16 = 42204;

/// An answer that is not 200. The status is the code's first three digits.
#[derive(Debug, Clone)]
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
            _ if error.reason() == Some(Reason::OwnTopic) => Self::new(NOT_AUTHORISED, message),
            ErrorKind::Retry => Self::new(RETRIABLE, message),
            ErrorKind::Invalid => Self::new(422, message),
            ErrorKind::NotFound => Self::new(TOPIC_NOT_FOUND, format!("Topic not found: {message}")),
            ErrorKind::Conflict => Self::new(409, message),
            ErrorKind::Corrupt | ErrorKind::Internal => Self::new(KAFKA_ERROR, message),
        }
    }

    /// What a group said.
    pub(super) fn of_group(error: &GroupError) -> Self {
        let code = match error {
            GroupError::UnknownPartition => PARTITION_NOT_FOUND,
            GroupError::GroupIdNotFound => GROUP_NOT_FOUND,
            GroupError::CoordinatorLoading
            | GroupError::CoordinatorNotAvailable
            | GroupError::NotCoordinator
            | GroupError::RebalanceInProgress
            | GroupError::UnstableOffset => RETRIABLE,
            GroupError::IllegalGeneration
            | GroupError::InconsistentProtocol
            | GroupError::UnknownMember
            | GroupError::NonEmptyGroup
            | GroupError::GroupMaxSize
            | GroupError::TooManyGroups
            | GroupError::TooManyOffsets
            | GroupError::FencedInstance
            | GroupError::SubscribedToTopic => ILLEGAL_STATE,
            GroupError::OffsetMetadataTooLarge
            | GroupError::InvalidGroupId
            | GroupError::InvalidSessionTimeout
            | GroupError::InvalidRequest(_)
            | GroupError::MemberIdRequired(_)
            | GroupError::InvalidProducerEpoch => KAFKA_BAD_REQUEST,
            GroupError::Storage => KAFKA_ERROR,
        };
        Self::new(code, error.to_string())
    }

    /// What is wrong with a body: it is not JSON, or not of the form that is wanted.
    pub(super) fn of_json(error: &serde_json::Error) -> Self {
        match error.classify() {
            serde_json::error::Category::Data => Self::new(422, format!("the body is of another form: {error}")),
            _ => Self::new(400, format!("the body is not JSON: {error}")),
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

    /// The code.
    pub(super) fn code(&self) -> u16 {
        self.code
    }

    /// The text.
    pub(super) fn message(&self) -> &str {
        &self.message
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
