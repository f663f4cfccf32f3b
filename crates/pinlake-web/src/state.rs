//! Health, readiness and metrics, for whatever watches the server.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::Shared;
use crate::answers::Readiness;

/// `GET /healthz`: the server answers, whatever its parts do.
pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// `GET /readyz`: 200 when every part works, else 503 with what each waits for.
pub(crate) async fn readiness(State(shared): State<Shared>) -> (StatusCode, Json<Readiness>) {
    let readiness = shared.console.readiness().await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

/// `GET /metrics`: Prometheus text.
pub(crate) async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.metrics.render())
}
