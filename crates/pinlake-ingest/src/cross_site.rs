//! Whether another site's page sends a request through its reader's browser. Browsers say so; other clients say neither.

use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header};

/// Whether the request would change something on behalf of another site's page.
pub(crate) fn is_cross_site_write(parts: &Parts) -> bool {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    if let Some(site) = parts.headers.get("sec-fetch-site") {
        return site == "cross-site";
    }
    let Some(origin) = parts.headers.get(header::ORIGIN) else { return false };
    let text = |value: Option<&HeaderValue>| value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let host = text(parts.headers.get(header::HOST));
    text(Some(origin)).split_once("://").is_none_or(|(_, authority)| authority != host)
}
