//! Every path of the API, in one table, and the rules that hold for all of them.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::routing::{MethodRouter, any, get, post};

use super::args::short;
use super::auth::{self, Known};
use super::failure::Failure;
use super::statements::calls;
use super::{Door, jobs, outputs, runs, starts, workspace};
use crate::BODY_BYTES_MAX;

/// The versions, which are all served alike.
const VERSIONS: [&str; 3] = ["/api/2.0", "/api/2.1", "/api/2.2"];

type Methods = MethodRouter<Arc<Door>>;

/// What is below each version.
fn table() -> Vec<(&'static str, Methods)> {
    vec![
        ("/jobs/create", post(jobs::create)),
        ("/jobs/get", get(jobs::get)),
        ("/jobs/list", get(jobs::list)),
        ("/jobs/update", post(jobs::update)),
        ("/jobs/reset", post(jobs::reset)),
        ("/jobs/delete", post(jobs::delete)),
        ("/jobs/run-now", post(starts::run_now)),
        ("/jobs/runs/submit", post(starts::submit)),
        ("/jobs/runs/repair", post(starts::repair)),
        ("/jobs/runs/get", get(runs::get)),
        ("/jobs/runs/get-output", get(outputs::get)),
        ("/jobs/runs/list", get(runs::list)),
        ("/jobs/runs/cancel", post(runs::cancel)),
        ("/jobs/runs/cancel-all", post(runs::cancel_all)),
        ("/jobs/runs/delete", post(runs::delete)),
        ("/clusters/list", get(workspace::clusters)),
        ("/clusters/get", get(workspace::cluster)),
        ("/clusters/events", post(workspace::cluster_events)),
        ("/clusters/spark-versions", get(workspace::spark_versions)),
        ("/workspace/list", get(workspace::list)),
        ("/workspace/get-status", get(workspace::status)),
        ("/preview/scim/v2/Me", get(workspace::me)),
        ("/sql/warehouses", get(workspace::warehouses)),
        ("/sql/warehouses/{id}", get(workspace::warehouse)),
        ("/sql/warehouses/{id}/start", post(workspace::start_warehouse)),
        ("/sql/sessions", post(calls::open_session)),
        ("/sql/sessions/{id}", axum::routing::delete(calls::close_session)),
        ("/sql/statements", post(calls::execute)),
        ("/sql/statements/{id}", get(calls::get).delete(calls::close)),
        ("/sql/statements/{id}/cancel", post(calls::cancel)),
        ("/sql/statements/{id}/result/chunks/{chunk}", get(calls::chunk)),
    ]
}

/// All paths with their rules.
pub(super) fn router(door: Arc<Door>) -> Router {
    let mut router: Router<Arc<Door>> = Router::new();
    for version in VERSIONS {
        for (path, methods) in table() {
            router = router.route(&format!("{version}{path}"), methods.fallback(unknown_path));
        }
        for path in ["", "/", "/{*path}"] {
            router = router.route(&format!("{version}{path}"), any(unknown_path));
        }
    }
    let known = Known::new(&door.settings.tokens);
    let router = router.layer(middleware::from_fn_with_state(known, auth::guard));
    // Clients ask for it before they know how to log in.
    let router = router.route("/.well-known/databricks-config", get(workspace::discovery));
    router.layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(door)
}

async fn unknown_path(method: Method, uri: Uri) -> Failure {
    let message = format!("No API found for '{method} {}'", short(uri.path()));
    Failure::new(StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND", message)
}
