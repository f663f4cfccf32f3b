//! Every path that is served, in one table, and the rules that hold for all of them.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use pinlake_core::Error;

use crate::failure::Failure;
use crate::jobs::{live, pages, runs, starts};
use crate::{BODY_BYTES_MAX, Shared, home, query, state, tables, topics};

/// The document that describes the API; a test compares it with the table below and with real answers.
const OPENAPI: &str = include_str!("../openapi.json");

/// Pinlake's own API.
fn api() -> Vec<(&'static str, MethodRouter<Shared>)> {
    vec![
        ("/api/v1/sql", post(query::sql)),
        ("/api/v1/questions", get(query::questions)),
        ("/api/v1/questions/{name}", get(query::question)),
        ("/api/v1/topics", get(topics::list)),
        ("/api/v1/topics/{name}", get(topics::describe).post(topics::create).delete(topics::delete)),
        ("/api/v1/topics/{name}/records", get(topics::records)),
        ("/api/v1/tables", get(tables::list)),
        ("/api/v1/tables/{name}", get(tables::describe)),
        ("/api/v1/tables/{name}/rebuild", post(tables::rebuild)),
        ("/api/v1/flush", post(tables::flush)),
        ("/api/v1/ledger", get(tables::ledger)),
        ("/api/v1/quarantine/{table}", get(tables::quarantine)),
        ("/api/v1/trace/{topic}/{partition}/{offset}", get(tables::trace)),
        ("/api/v1/jobs", get(pages::list)),
        ("/api/v1/jobs/{name}", get(pages::describe).put(pages::define).delete(pages::delete)),
        ("/api/v1/jobs/{name}/run", post(starts::run)),
        ("/api/v1/jobs/{name}/backfill", post(starts::backfill)),
        ("/api/v1/jobs/{name}/pause", post(pages::pause)),
        ("/api/v1/jobs/{name}/resume", post(pages::resume)),
        ("/api/v1/runs", get(runs::list)),
        ("/api/v1/runs/{id}", get(runs::show).delete(runs::forget)),
        ("/api/v1/runs/{id}/cancel", post(runs::cancel)),
        ("/api/v1/runs/{id}/rerun", post(runs::rerun)),
        ("/api/v1/runs/{id}/tasks/{task}/log", get(runs::log)),
        ("/api/v1/events", get(live::events)),
        ("/api/v1/alerts", get(live::alerts)),
        ("/api/v1/openapi.json", get(openapi)),
    ]
}

/// What stands beside the API at the root.
fn beside() -> Vec<(&'static str, MethodRouter<Shared>)> {
    vec![
        ("/", get(home::home)),
        ("/healthz", get(state::health)),
        ("/readyz", get(state::readiness)),
        ("/metrics", get(state::metrics)),
    ]
}

/// All paths with their rules.
pub(crate) fn router(shared: Shared) -> Router {
    let mut router = Router::new();
    for (path, methods) in api() {
        router = router.route(path, methods.fallback(wrong_method));
    }
    for (path, methods) in beside() {
        // The doors have other methods of the root.
        let methods = if path == "/" { methods } else { methods.fallback(wrong_method) };
        router = router.route(path, methods);
    }
    for path in ["/api/v1", "/api/v1/", "/api/v1/{*path}"] {
        router = router.route(path, any(unknown_path));
    }
    let no_guesses = middleware::from_fn(no_guesses);
    router.layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).layer(no_guesses).with_state(shared)
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

async fn unknown_path(uri: Uri) -> Failure {
    Error::not_found(format!("no such path '{}': /api/v1/openapi.json lists them", uri.path())).into()
}

async fn wrong_method(method: Method, uri: Uri) -> Failure {
    let message = format!("{method} is not for '{}': /api/v1/openapi.json lists what is", uri.path());
    Failure::refused(StatusCode::METHOD_NOT_ALLOWED, message)
}

/// No browser guesses a content type.
async fn no_guesses(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
