//! Error answers of the Kinesis gateway door: the gateway's own (`{"message"}` and `x-amzn-ErrorType`), Kinesis's
//! (`{"__type","message"}`), and the one table from error kinds to Kinesis's types.
//!
//! A gateway's message is fixed text; what to do instead stands beside it in `hint`.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pinlake_core::{Error, ErrorKind};

use crate::doors::Call;
use crate::json;
use crate::limits::Refusal;
use crate::settings::KinesisSettings;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer that is not a Kinesis result.
#[derive(Debug)]
pub(super) enum DoorError {
    /// The gateway's own.
    Gateway { condition: Gateway, hint: String },
    /// Kinesis's.
    Kinesis { status: StatusCode, kind: &'static str, message: String, retry_after: Option<u64> },
}

/// What a gateway refuses by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gateway {
    UnknownRoute,
    TooManyRequests(u64),
    Unavailable(u64),
    InvalidBody,
    BodyTooLarge,
    BodyTooSlow,
    MediaType,
}

impl Gateway {
    /// Status, error type, message.
    fn words(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::UnknownRoute => (StatusCode::FORBIDDEN, "MissingAuthenticationTokenException", "Missing Authentication Token"),
            Self::TooManyRequests(_) => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Too Many Requests"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", "Service Unavailable"),
            Self::InvalidBody => (StatusCode::BAD_REQUEST, "BadRequestException", "Invalid request body"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", "Request Too Long"),
            Self::BodyTooSlow => (StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", "Request Timeout"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaTypeException", "Unsupported Media Type"),
        }
    }

    fn retry_after(self) -> Option<u64> {
        match self {
            Self::TooManyRequests(seconds) | Self::Unavailable(seconds) => Some(seconds),
            _ => None,
        }
    }
}

impl DoorError {
    pub(super) fn gateway(condition: Gateway, hint: impl Into<String>) -> Self {
        Self::Gateway { condition, hint: hint.into() }
    }

    /// A client's error in Kinesis's words.
    pub(super) fn kinesis(kind: &'static str, message: impl Into<String>) -> Self {
        Self::Kinesis { status: StatusCode::BAD_REQUEST, kind, message: message.into(), retry_after: None }
    }

    /// One broken constraint: `Value v at 'field' failed to satisfy constraint: Member must ...`.
    pub(super) fn constraint(value: Option<&str>, field: &str, must: &str) -> Self {
        let value = value.map_or_else(|| "null".to_owned(), |value| format!("'{}'", value.chars().take(300).collect::<String>()));
        Self::kinesis(
            "ValidationException",
            format!("1 validation error detected: Value {value} at '{field}' failed to satisfy constraint: Member must {must}"),
        )
    }

    /// No such stream; `hint` says what to do.
    pub(super) fn no_stream(settings: &KinesisSettings, stream: &str, hint: &str) -> Self {
        let account = &settings.account;
        Self::kinesis("ResourceNotFoundException", format!("Stream {stream} under account {account} not found.{hint}"))
    }

    /// What the log said about a call.
    pub(super) fn of(error: &Error) -> Self {
        let (status, kind) = match error.kind() {
            ErrorKind::Retry => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException"),
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "ValidationException"),
            ErrorKind::NotFound => (StatusCode::BAD_REQUEST, "ResourceNotFoundException"),
            ErrorKind::Conflict => (StatusCode::BAD_REQUEST, "ResourceInUseException"),
            ErrorKind::Corrupt | ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
        };
        let retry_after = (error.kind() == ErrorKind::Retry).then_some(1);
        Self::Kinesis { status, kind, message: error.message().to_owned(), retry_after }
    }

    pub(super) fn refused(refusal: Refusal, retry_after: u64) -> Self {
        match refusal {
            Refusal::TooManyRequests => {
                Self::gateway(Gateway::TooManyRequests(retry_after), "as many requests as may be are under way, try again later")
            }
            Refusal::TooManyBytes => {
                Self::gateway(Gateway::Unavailable(retry_after), "as many bytes as may be are under way, try again later")
            }
            Refusal::BodyTooLarge(limit) => Self::gateway(Gateway::BodyTooLarge, format!("a body takes at most {limit} bytes")),
            Refusal::BodyTooSlow => Self::gateway(Gateway::BodyTooSlow, "the body took too long to arrive"),
            Refusal::BodyCompressed => Self::gateway(Gateway::MediaType, "send the body uncompressed, without Content-Encoding"),
            Refusal::BodyCharset => Self::gateway(
                Gateway::MediaType,
                "Content-Type states another charset than utf-8, and the body holds more than ASCII: send UTF-8",
            ),
            Refusal::BodyCutOff => Self::gateway(Gateway::InvalidBody, "the body ended early"),
        }
    }

    /// The answer at a door, which says in the log if it can't do its work.
    pub(super) fn answer(self, call: &Call<'_>) -> Response {
        let mut body = String::new();
        match self {
            Self::Gateway { condition, hint } => {
                let (status, kind, message) = condition.words();
                if status.is_server_error() {
                    call.metrics.warn(&hint);
                }
                body.push_str("{\"message\":");
                json::push_string(&mut body, message);
                body.push_str(",\"hint\":");
                json::push_string(&mut body, &hint);
                body.push('}');
                finish(status, kind, body, condition.retry_after())
            }
            Self::Kinesis { status, kind, message, retry_after } => {
                if status.is_server_error() {
                    call.metrics.warn(&message);
                }
                body.push_str("{\"__type\":");
                json::push_string(&mut body, kind);
                body.push_str(",\"message\":");
                json::push_string(&mut body, &message);
                body.push('}');
                let status = if call.shared.settings.kinesis.errors_as_200 { StatusCode::OK } else { status };
                finish(status, kind, body, retry_after)
            }
        }
    }
}

/// The code of one record of a PutRecords that could not be stored.
pub(super) fn record_code(error: &Error) -> &'static str {
    if error.kind() == ErrorKind::Retry { "ProvisionedThroughputExceededException" } else { "InternalFailure" }
}

fn finish(status: StatusCode, kind: &'static str, body: String, retry_after: Option<u64>) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, JSON)], body).into_response();
    let headers = response.headers_mut();
    headers.insert(ERROR_TYPE, HeaderValue::from_static(kind));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
