//! Pinlake's own API, `/api/v1`, with health, readiness, metrics and a plain page for a browser: one axum router over two traits, [`Console`] and
//! [`Jobs`], which state exactly what these pages need. Beside it Kafka Connect's API over another, [`Connectors`], and Databricks' over the same two.
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

/// What the API is made of.
#[derive(Clone)]
pub struct Parts {
    /// The log, the tables and SQL.
    pub console: Arc<dyn Console>,
    /// Connectors; without them Kafka Connect's API is not served.
    pub connectors: Option<Arc<dyn Connectors>>,
    /// The scheduler; without one the paths of jobs answer 404.
    pub jobs: Option<Arc<dyn Jobs>>,
    /// The measures that `/metrics` shows.
    pub metrics: PrometheusHandle,
}

/// Everything that this crate serves, ready to be merged with the doors' router: Pinlake's own API and, where there are connectors, Kafka Connect's,
/// `/connectors` and `/connector-plugins`.
///
/// It sets no fallback: unknown paths below `/api/v1` are answered here, all others are left to the router that it is merged
/// with. `/` is served for GET alone.
pub fn router(parts: Parts) -> Router {
    let connect = parts.connectors.clone().map(connect::router);
    connect.unwrap_or_default().merge(routes::router(parts))
}

/// What every endpoint is handed.
type Shared = Parts;
