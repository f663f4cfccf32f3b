//! `pinlake serve`: the server, until Ctrl-C or SIGTERM.

use anyhow::{Context, Result, bail};

use crate::app::App;
use crate::cli::{ServeArgs, SetupArgs};
use crate::config::{self, Config};
use crate::{telemetry, terminal};

/// Runs the command.
pub(crate) async fn run(args: ServeArgs) -> Result<()> {
    let mut config = configure(&args.setup)?;
    if args.allow_reset && !config.http.listen.ip().is_loopback() {
        bail!(
            "--allow-reset lets whoever can connect delete all streams: set http.listen to an address of loopback, or leave the flag out"
        );
    }
    config.allow_reset = args.allow_reset;
    telemetry::start_logs("info")?;
    let metrics = telemetry::start_metrics()?;
    for (listen, reach) in config.listened().filter(|(listen, _)| !listen.ip().is_loopback()) {
        tracing::warn!("{listen} {reach}");
    }
    if let Some(closed) = config.kinesis.closed(config.http.listen) {
        tracing::warn!("{closed}");
    }
    if let Some(exposed) = config.log.kafka.exposed() {
        tracing::warn!("{exposed}");
    }
    let app = App::start(&config, metrics, &terminal::part).await?;
    // Whoever reads that it listens may ask it to end.
    let the_end = until_the_end(&app)?;
    if !app.listeners.kafka_addresses.is_empty() {
        let addresses: Vec<String> = app.listeners.kafka_addresses.iter().map(ToString::to_string).collect();
        terminal::line(format!("Kafka clients connect to {}", addresses.join(" or ")));
    }
    if config.log.kafka.is_set() {
        terminal::line(format!("Kafka clients speak to the cluster: {}", config.log.kafka.shown()));
    }
    for line in app.listeners.databricks_lines(&config) {
        terminal::line(line);
    }
    terminal::line(format!(
        "Pinlake listens on http://{} (data in {}); Ctrl-C ends it",
        app.listeners.address,
        config.data_dir.display()
    ));
    the_end.await;
    terminal::line("ending: requests under way, tables, archive, log");
    app.stop().await
}

/// The configuration that the command line asks for.
pub(crate) fn configure(args: &SetupArgs) -> Result<Config> {
    let mut config = config::load(args.config.as_deref())?.config;
    if let Some(data_dir) = &args.data_dir {
        config.data_dir.clone_from(data_dir);
    }
    Ok(config)
}

/// Waits for Ctrl-C or SIGTERM, from this call on, or until nobody can be served any more.
pub(crate) fn until_the_end(app: &App) -> Result<impl Future<Output = ()>> {
    let asked = asked_to_end()?;
    Ok(async {
        tokio::select! {
            () = asked => {}
            () = app.server_ended() => {}
        }
    })
}

/// Waits for Ctrl-C or SIGTERM. Both are caught from this call on, and not only from the first wait.
pub(crate) fn asked_to_end() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("waiting for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
