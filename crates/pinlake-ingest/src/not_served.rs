//! What clients of protocols that this version does not serve are told, each in its own form: that it is so, and what to use
//! instead. It must not pretend to serve any of them.

use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::json;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The answer to a request of such a protocol; `None` if it is none of them.
pub(crate) fn answer(parts: &Parts) -> Option<Response> {
    let mut segments = parts.uri.path().split('/').filter(|segment| !segment.is_empty());
    Some(match (segments.next(), segments.next()) {
        (Some("api"), Some("2.0" | "2.1" | "2.2")) => refused(
            "\"NOT_IMPLEMENTED\"",
            "Databricks' API is not served by this version: run SQL with POST /api/v1/sql, clean the archive again with POST \
             /api/v1/tables/TABLE/rebuild",
        ),
        _ => return None,
    })
}

/// As Kafka's REST interfaces and Databricks word an error; `code` is JSON.
fn refused(code: &str, message: &str) -> Response {
    let mut body = format!("{{\"error_code\":{code},\"message\":");
    json::push_string(&mut body, message);
    body.push('}');
    (StatusCode::NOT_IMPLEMENTED, [(header::CONTENT_TYPE, JSON)], body).into_response()
}
