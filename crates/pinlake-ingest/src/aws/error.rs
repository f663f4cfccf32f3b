//! Errors as AWS's JSON and CBOR protocols word them, and the one table from error kinds to their types.
//!
//! Client errors are always 400. SDKs send a 5xx again, and of the others those whose type says that there were too many.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use axum::http::StatusCode;
use pinlake_core::{Error, ErrorKind};

use super::value::Value;
use crate::limits::Refusal;

/// The most broken constraints that one answer names.
pub(crate) const PROBLEMS_MAX: usize = 10;

/// The most bytes of a client's value that a message repeats.
const SHOWN_BYTES_MAX: usize = 64 << 10;

/// A value as a message repeats it.
pub(crate) fn shown(value: &str) -> &str {
    &value[..value.floor_char_boundary(SHOWN_BYTES_MAX)]
}

/// An error answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AwsError {
    /// Its type, such as `ResourceNotFoundException`.
    pub(crate) kind: Cow<'static, str>,
    /// `None` where AWS says nothing but the type.
    pub(crate) message: Option<String>,
    /// Whether the member is `Message` instead of `message`.
    pub(crate) capital: bool,
    pub(crate) status: StatusCode,
}

impl AwsError {
    /// A client's error.
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind: Cow::Borrowed(kind), message: Some(message.into()), capital: false, status: StatusCode::BAD_REQUEST }
    }

    /// A client's error of which AWS says the type alone.
    pub(crate) fn bare(kind: &'static str) -> Self {
        Self { kind: Cow::Borrowed(kind), message: None, capital: false, status: StatusCode::BAD_REQUEST }
    }

    /// Broken constraints, each as `Value 'v' at 'field' failed to satisfy constraint: Member must ...`; those past the tenth are left
    /// out, as AWS does.
    pub(crate) fn validation(problems: &[String]) -> Self {
        let shown = &problems[..problems.len().min(PROBLEMS_MAX)];
        let (count, plural) = (shown.len(), if shown.len() == 1 { "" } else { "s" });
        Self::new("ValidationException", format!("{count} validation error{plural} detected: {}", shown.join("; ")))
    }

    /// A value of a type that its member has not.
    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self { capital: true, ..Self::new("SerializationException", message) }
    }

    /// An operation that the service has not.
    pub(crate) fn unknown_operation() -> Self {
        Self::bare("UnknownOperationException")
    }

    /// Why a request's body was not read.
    pub(crate) fn refused(refusal: Refusal) -> Self {
        let status = |status, kind, message: &str| Self { status, ..Self::new(kind, message) };
        match refusal {
            Refusal::TooManyRequests => {
                Self::new("LimitExceededException", "As many requests as may be are under way, try again later.")
            }
            Refusal::TooManyBytes => status(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailableException",
                "As many bytes of requests as may be are under way, try again later.",
            ),
            Refusal::BodyTooLarge(limit) => status(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLargeException",
                &format!("A request's body takes at most {limit} bytes."),
            ),
            Refusal::BodyTooSlow => {
                status(StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", "The body took too long to arrive.")
            }
            Refusal::BodyCutOff => Self::bare("SerializationException"),
            Refusal::BodyCompressed => {
                Self::serialization("The body is compressed, which is not read: send it without Content-Encoding.")
            }
            Refusal::BodyCharset => Self::serialization(
                "Content-Type states another charset than utf-8, and the body holds more than ASCII: send UTF-8.",
            ),
        }
    }

    /// The answer's body.
    pub(crate) fn body(&self) -> Value {
        let member = if self.capital { "Message" } else { "message" };
        let message = self.message.as_deref().map_or(Value::Null, Value::from);
        Value::map([("__type", Value::Text(self.kind.clone().into_owned())), (member, message)])
    }
}

impl From<&Error> for AwsError {
    fn from(error: &Error) -> Self {
        let (status, kind) = match error.kind() {
            ErrorKind::Retry => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException"),
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "InvalidArgumentException"),
            ErrorKind::NotFound => (StatusCode::BAD_REQUEST, "ResourceNotFoundException"),
            ErrorKind::Conflict => (StatusCode::BAD_REQUEST, "ResourceInUseException"),
            ErrorKind::Corrupt | ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
        };
        Self { status, ..Self::new(kind, error.message()) }
    }
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}
