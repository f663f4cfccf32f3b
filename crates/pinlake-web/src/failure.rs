//! Errors as the API answers them: `{"error":{"kind":"invalid","message":"..."}}` with the fitting status. The one table
//! from error kinds to HTTP is here.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pinlake_core::{Error, ErrorKind};
use serde_json::json;

/// How long a client should wait before it tries again, seconds.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    kind: ErrorKind,
    message: String,
}

impl Failure {
    /// A call that is wrong in a way for which HTTP has a status of its own.
    pub(crate) fn refused(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, kind: ErrorKind::Invalid, message: message.into() }
    }
}

/// The status that an error kind is answered with.
fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Retry => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (kind, message) = (error.kind(), error.to_string());
        if matches!(kind, ErrorKind::Corrupt | ErrorKind::Internal) {
            tracing::error!(kind = kind.as_str(), error = %message, "an API call failed");
        }
        Self { status: status_of(kind), kind, message }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "kind": self.kind.as_str(), "message": self.message } });
        let mut response = (self.status, Json(body)).into_response();
        if self.kind == ErrorKind::Retry {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S);
        }
        response
    }
}
