//! What a gateway refuses by itself, and the one table of its words. Their status, type and text are AWS's, as far as they are documented;
//! what to do instead stands beside the text in `hint`.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::json;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why a request does not come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    UnknownRoute,
    /// The API key is missing or wrong, or the page's origin may not use the doors.
    Forbidden,
    TooManyRequests,
    QuotaExceeded,
    Unavailable,
    InvalidBody,
    BodyTooLarge,
    BodyTooSlow,
    MediaType,
    /// The answer took too long.
    TimedOut,
}

impl Condition {
    /// Status, error type, message.
    pub(crate) fn words(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::UnknownRoute => (StatusCode::FORBIDDEN, "MissingAuthenticationTokenException", "Missing Authentication Token"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "ForbiddenException", "Forbidden"),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Too Many Requests"),
            Self::QuotaExceeded => (StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", "Limit Exceeded"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", "Service Unavailable"),
            Self::InvalidBody => (StatusCode::BAD_REQUEST, "BadRequestException", "Invalid request body"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", "Request Too Long"),
            Self::BodyTooSlow => (StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", "Request Timeout"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaTypeException", "Unsupported Media Type"),
            Self::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "InternalServerErrorException", "Endpoint request timed out"),
        }
    }

    /// The answer.
    pub(crate) fn answer(self, hint: &str) -> Response {
        let (status, kind, message) = self.words();
        let mut body = "{\"message\":".to_owned();
        json::push_string(&mut body, message);
        body.push_str(",\"hint\":");
        json::push_string(&mut body, hint);
        body.push('}');
        (status, [(header::CONTENT_TYPE, JSON), (ERROR_TYPE, HeaderValue::from_static(kind))], body).into_response()
    }
}
