//! Logs and metrics: structured lines on standard error, numbers for Prometheus.

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Buckets of every duration, seconds: from a quick disk's sync to a slow client.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Parts that log as errors what their callers handle, such as a table that does not exist yet.
const QUIET: &str = "buoyant_kernel=off,delta_kernel=off,deltalake_core=off";

/// Starts logging: `RUST_LOG` says how much, `PINLAKE_LOG_FORMAT=json` makes lines for machines.
pub(crate) fn start_logs(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("{default},{QUIET}")));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, as in tests, changes nothing.
    let _ = if std::env::var("PINLAKE_LOG_FORMAT").is_ok_and(|format| format == "json") {
        logs.json().try_init()
    } else {
        logs.with_target(false).try_init()
    };
}

/// Starts to keep metrics; the handle renders them.
pub(crate) fn start_metrics() -> Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    builder.context("naming the buckets")?.install_recorder().context("starting the metrics")
}
