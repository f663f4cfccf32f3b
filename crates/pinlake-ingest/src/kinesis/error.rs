//! Error answers of the Kinesis gateway door: the gateway's own (`{"message"}` and `x-amzn-ErrorType`), Kinesis's
//! (`{"__type","message"}`).
//!
//! A gateway's message is fixed text; what to do instead stands beside it in `hint`.

use std::borrow::Cow;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pinlake_core::Error;

use crate::aws::error::AwsError;
use crate::doors::Call;
pub(super) use crate::gateway::Condition as Gateway;
use crate::json;
use crate::limits::Refusal;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer that is not a Kinesis result.
#[derive(Debug)]
pub(super) enum DoorError {
    /// The gateway's own.
    Gateway { condition: Gateway, hint: String },
    /// Kinesis's.
    Kinesis { status: StatusCode, kind: Cow<'static, str>, message: String },
}

impl DoorError {
    pub(super) fn gateway(condition: Gateway, hint: impl Into<String>) -> Self {
        Self::Gateway { condition, hint: hint.into() }
    }

    /// A client's error in Kinesis's words.
    pub(super) fn kinesis(kind: &'static str, message: impl Into<String>) -> Self {
        AwsError::new(kind, message).into()
    }

    /// One broken constraint: `Value v at 'field' failed to satisfy constraint: Member must ...`.
    pub(super) fn constraint(value: Option<&str>, field: &str, must: &str) -> Self {
        let value = value.map_or_else(|| "null".to_owned(), |value| format!("'{}'", value.chars().take(300).collect::<String>()));
        Self::kinesis(
            "ValidationException",
            format!("1 validation error detected: Value {value} at '{field}' failed to satisfy constraint: Member must {must}"),
        )
    }

    /// What the log said about a call.
    pub(super) fn of(error: &Error) -> Self {
        AwsError::from(error).into()
    }

    /// The same with what to do about it behind the message.
    pub(super) fn with_hint(self, hint: &str) -> Self {
        match self {
            Self::Kinesis { status, kind, message } => Self::Kinesis { status, kind, message: message + hint },
            gateway => gateway,
        }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooManyRequests => {
                Self::gateway(Gateway::TooManyRequests, "as many requests as may be are under way, try again later")
            }
            Refusal::TooManyBytes => {
                Self::gateway(Gateway::Unavailable, "as many bytes as may be are under way, try again later")
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
        let (status, shown, kind, reason, body) = match self {
            Self::Gateway { condition, hint } => {
                let (status, kind, message) = condition.words();
                let body = object([("message", message), ("hint", &hint)]);
                (status, status, Cow::Borrowed(kind), hint, body)
            }
            Self::Kinesis { status, kind, message } => {
                let body = object([("__type", &kind), ("message", &message)]);
                let shown = if call.shared.settings.kinesis.errors_as_200 { StatusCode::OK } else { status };
                (status, shown, kind, message, body)
            }
        };
        if status.is_server_error() {
            call.metrics.warn(reason);
        }
        let kind = HeaderValue::from_str(&kind).unwrap_or(HeaderValue::from_static("InternalFailure"));
        let response = (shown, [(header::CONTENT_TYPE, JSON), (ERROR_TYPE, kind)], body).into_response();
        let may_be_tried_again = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        if may_be_tried_again { call.try_again_later(response) } else { response }
    }
}

impl From<AwsError> for DoorError {
    fn from(error: AwsError) -> Self {
        Self::Kinesis { status: error.status, kind: error.kind, message: error.message.unwrap_or_default() }
    }
}

/// A JSON object of two texts.
fn object([(first, first_text), (second, second_text)]: [(&str, &str); 2]) -> String {
    let mut body = format!("{{\"{first}\":");
    json::push_string(&mut body, first_text);
    body.push_str(&format!(",\"{second}\":"));
    json::push_string(&mut body, second_text);
    body.push('}');
    body
}
