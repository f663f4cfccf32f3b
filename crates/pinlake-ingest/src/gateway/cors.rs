//! Which other sites' pages may use the doors from a browser (<https://fetch.spec.whatwg.org/#http-cors-protocol>). It must not let in what
//! a page may not do.

#[cfg(test)]
mod tests;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Condition;

/// How long a browser may keep what it was told, as AWS's services say it; browsers have bounds of their own.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("172800");
/// What pages may see of an answer, beside its type and length.
const EXPOSED: HeaderValue = HeaderValue::from_static("x-amzn-ErrorType,Retry-After,Date");
const ANY: &str = "*";

/// The origins whose pages may use the doors.
pub(super) struct Cors {
    origins: Vec<String>,
    any: bool,
}

impl Cors {
    pub(super) fn new(origins: &[String]) -> Self {
        Self { any: origins.iter().any(|origin| origin == ANY), origins: origins.to_vec() }
    }

    /// The answer to a browser that asks what it may send; `None` if it is no such question, or for the doors to answer.
    pub(super) fn preflight(&self, parts: &Parts) -> Option<Response> {
        let asked = parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        let asked = asked.filter(|_| parts.method == Method::OPTIONS && parts.headers.contains_key(header::ORIGIN))?;
        if self.origins.is_empty() {
            return None;
        }
        if self.allowed(&parts.headers).is_none() {
            return Some(
                Condition::Forbidden.answer("pages of this origin may not use the doors: gateway.cors names those that may"),
            );
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        self.allow(&parts.headers, headers);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, asked.clone());
        if let Some(asked) = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        Some(response)
    }

    /// Says in an answer that the page which asked may see it.
    pub(super) fn allow(&self, asked: &HeaderMap, answer: &mut HeaderMap) {
        if !self.any && !self.origins.is_empty() {
            // The answer to another page would be another.
            answer.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.allowed(asked) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }

    /// What to say of the origin that asks; `None` if none does, or it may not.
    fn allowed(&self, asked: &HeaderMap) -> Option<HeaderValue> {
        let origin = asked.get(header::ORIGIN)?;
        if self.any {
            return Some(HeaderValue::from_static(ANY));
        }
        let is = |allowed: &String| allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
        self.origins.iter().any(is).then(|| origin.clone())
    }
}
