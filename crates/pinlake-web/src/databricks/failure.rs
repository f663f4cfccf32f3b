//! Errors as Databricks answers them: `{"error_code":"INVALID_PARAMETER_VALUE","message":"..."}`. The one table from error kinds to its codes. Clients go by
//! the code and sometimes by the words: `Run 5 does not exist.` is one that they look for.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pinlake_core::{Error, ErrorKind};
use serde_json::json;

/// How long a client should wait before it tries again, seconds.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

/// An error on its way out.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// A field that is wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
    }

    /// A body that is no JSON object.
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MALFORMED_REQUEST", message)
    }

    /// What does not fit how something is now.
    pub(super) fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_STATE", message)
    }

    /// What is not there, where the service says so by status.
    pub(super) fn unknown(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", message)
    }

    /// An error of a call about a run: the service's own words for one that is not there, or not over.
    pub(super) fn of_run(id: i64) -> impl Fn(Error) -> Failure {
        move |error| match error.kind() {
            ErrorKind::NotFound => Self::invalid(format!("Run {id} does not exist.")),
            ErrorKind::Conflict => Self::wrong_state(error.message()),
            _ => error.into(),
        }
    }

    /// An error of a call about a job, which `what` names.
    pub(super) fn of_job(what: &str) -> impl Fn(Error) -> Failure {
        move |error| match error.kind() {
            ErrorKind::NotFound => Self::invalid(format!("Job {what} does not exist.")),
            _ => error.into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (kind, message) = (error.kind(), error.to_string());
        let (status, code) = match kind {
            ErrorKind::Retry => (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
            ErrorKind::Conflict => (StatusCode::CONFLICT, "RESOURCE_CONFLICT"),
            ErrorKind::Corrupt | ErrorKind::Internal => {
                tracing::error!(kind = kind.as_str(), error = %message, "a call of Databricks' API failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR")
            }
        };
        Self { status, code, message }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({ "error_code": self.code, "message": self.message });
        let mut response = (self.status, Json(body)).into_response();
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => drop(response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S)),
            StatusCode::UNAUTHORIZED => {
                let asked = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, asked);
            }
            _ => {}
        }
        response
    }
}
