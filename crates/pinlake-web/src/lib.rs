//! Pinlake's own API, `/api/v1`, with health, readiness, metrics and a plain page for a browser: one axum router over one
//! trait, [`Console`], which states exactly what these pages need. Beside it Kafka Connect's API over another, [`Connectors`], and Databricks' over
//! [`Jobs`] and [`Console`].
//!
//! It must not know the log on disk, the query engine or the doors: the binary implements the traits over them.

pub mod answers;
mod browsers;
pub mod connect;
pub mod console;
pub mod databricks;
mod extract;
mod failure;
mod home;
pub mod jobs;
mod query;
mod routes;
mod state;
mod tables;
mod topics;

use std::sync::Arc;

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;

pub use browsers::guarded;
pub use connect::Connectors;
pub use console::{Console, Format, Query, QueryAnswer, QueryRequest, Rebuild, RecordsRequest};
pub use jobs::Jobs;

/// The largest request body, bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Everything that this crate serves, ready to be merged with the doors' router.
///
/// It sets no fallback: unknown paths below `/api/v1` are answered here, all others are left to the router that it is merged
/// with. `/` is served for GET alone.
pub fn router(console: Arc<dyn Console>, metrics: PrometheusHandle) -> Router {
    routes::router(Shared { console, metrics, connectors: None })
}

/// The same with Kafka Connect's API, `/connectors` and `/connector-plugins`.
pub fn router_with_connectors(console: Arc<dyn Console>, connectors: Arc<dyn Connectors>, metrics: PrometheusHandle) -> Router {
    let router = connect::router(connectors.clone());
    router.merge(routes::router(Shared { console, metrics, connectors: Some(connectors) }))
}

/// What every endpoint is handed.
#[derive(Clone)]
struct Shared {
    console: Arc<dyn Console>,
    metrics: PrometheusHandle,
    connectors: Option<Arc<dyn Connectors>>,
}
