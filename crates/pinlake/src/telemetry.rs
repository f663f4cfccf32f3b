//! Logs and metrics: structured lines on standard error, numbers for Prometheus.

use std::io::IsTerminal;

use anyhow::{Context, Result, bail};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::variables::LOG_FORMAT;

/// Buckets of every duration, seconds: from a quick disk's sync to a slow client.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Parts that log as errors what their callers handle, such as a table that does not exist yet.
const QUIET: &str = "buoyant_kernel=off,delta_kernel=off,deltalake_core=off";

/// Starts logging: `RUST_LOG` says how much, `PINLAKE_LOG_FORMAT=json` makes lines for machines.
pub(crate) fn start_logs(default: &str) -> Result<()> {
    let json = match std::env::var(LOG_FORMAT).unwrap_or_default().as_str() {
        "json" => true,
        "text" | "" => false,
        other => bail!("{LOG_FORMAT} is '{other}': the formats are text and json"),
    };
    let asked = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = EnvFilter::builder().parse_lossy(directives(default, &asked));
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = !plain && std::io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A second start, as in tests, changes nothing.
    let _ = if json { logs.json().try_init() } else { logs.with_target(false).try_init() };
    Ok(())
}

/// A level alone is meant for Pinlake's own parts: libraries stay at warnings unless one is named. What is asked for comes
/// last, so that it wins.
fn directives(default: &str, asked: &str) -> String {
    let (levels, named): (Vec<&str>, Vec<&str>) =
        asked.split(',').map(str::trim).filter(|part| !part.is_empty()).partition(|part| part.parse::<LevelFilter>().is_ok());
    let own = levels.last().copied().unwrap_or(default);
    let libraries = own.parse().map_or(LevelFilter::WARN, |own: LevelFilter| own.min(LevelFilter::WARN));
    let mut all = vec![libraries.to_string(), format!("pinlake={own}"), QUIET.to_owned()];
    all.extend(named.into_iter().map(str::to_owned));
    all.join(",")
}

/// Starts to keep metrics; the handle renders them.
pub(crate) fn start_metrics() -> Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    builder.context("naming the buckets")?.install_recorder().context("starting the metrics")
}

#[cfg(test)]
mod tests;
