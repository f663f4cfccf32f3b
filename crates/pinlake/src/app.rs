//! The server, put together in one place: log, lake, doors and API. Shutdown runs the other way round: queries are cut short, the
//! doors stop taking requests, tables and archive commit what they hold, the log closes last.

mod listeners;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use anyhow::{Context, Result};
use metrics_exporter_prometheus::PrometheusHandle;
use pinlake_core::pipeline::Pipeline;
use pinlake_core::{Clock, Followers, Log, TopicName, TopicSpec};
use pinlake_ingest::auth::{Principal, Principals};
use pinlake_ingest::groups::Groups;
use pinlake_ingest::kafka::{self, Broker, KafkaSettings};
use pinlake_ingest::transactions::{TransactionSettings, Transactions};
use pinlake_ingest::{AutoCreate, ConsumerSettings, DoorSettings, Doors, Streams};
use pinlake_lake::lake::Lake;
use pinlake_lake::sql::query::QueryLimits;
use pinlake_lake::store::Store;
use pinlake_sink::{Sinks, sinks};

use tokio::task::JoinHandle;

pub(crate) use listeners::Listeners;
use listeners::Sockets;

use crate::config::{self, Config};
use crate::connectors::{self, AppConnectors};
use crate::console::AppConsole;
use crate::delivery_streams::{self, AppDeliveryStreams};
use crate::followed_log::FollowedLog;
use crate::jobs::{AppJobs, Jobs, Work};
use crate::measures::Measures;
use crate::pipeline_files;
use crate::server_log::ServerLog;

/// Is told of a part that works, or what is wrong with it.
pub(crate) type Report<'a> = &'a (dyn Fn(&str, pinlake_core::Result<()>) + Sync);

/// A running server.
pub(crate) struct App {
    pub(crate) listeners: Listeners,
    log: ServerLog,
    doors: Doors,
    lake: Arc<Lake>,
    sinks: Arc<Sinks>,
    deliveries: Arc<Sinks>,
    jobs: Jobs,
    measures: JoinHandle<()>,
}

impl App {
    /// Starts everything; `report` is told of each part as it gets ready, or why it is not.
    pub(crate) async fn start(config: &Config, metrics: PrometheusHandle, report: Report<'_>) -> Result<App> {
        let pipeline = Arc::new(pipeline_files::load(config.pipeline_folder())?);
        // Before anything is made, so that a start which can't have it leaves nothing behind.
        let sockets = Sockets::take(config)?;
        let settings = door_settings(config)?;
        let kafka_settings = (!config.log.kafka.is_set()).then(|| kafka_settings(config)).transpose()?;
        let clock = Clock::System;
        let followers = Followers::default();
        // Before the log opens, so that retention never drops what they have not seen.
        Lake::register(&pipeline, &followers);
        sinks::hold(&followers, connectors::KIND);
        sinks::hold(&followers, delivery_streams::KIND);
        let log = ServerLog::open(config, clock.clone(), followers.clone()).await?;
        report("log", Ok(()));
        let shared = log.shared().clone();
        let store = Store::open(&config.store_location())?;
        let limits = QueryLimits { memory_bytes: config.query.memory_bytes_max(), time: config.query.time_max() };
        let lake = Lake::start(shared.clone(), &followers, pipeline.clone(), store, clock.clone(), limits)
            .await
            .context("starting the lake")?;
        let lake = Arc::new(lake);
        // Those that can't go on still show what they have, and the others follow.
        report("archive and tables", lake.check_positions(|of| log.begins(of)).await);
        let groups = Groups::open(shared.clone(), clock.clone(), log.group_settings(config.groups.settings())?).await;
        let groups = groups.context("reading the consumer groups")?;
        let own = log.own_topics();
        let streams = Streams::open(shared.clone(), clock.clone(), &own.streams.parse()?).await.context("reading the streams")?;
        let followed = FollowedLog::new(shared.clone(), lake.clone(), followers.clone(), groups.clone(), log.is_own());
        let auto_create = auto_create(config, pipeline.clone());
        let doors = Doors::new(Arc::new(followed), clock.clone(), settings, auto_create, groups.clone(), streams);
        let clients = doors.producer().log().clone();
        let parts = connectors::parts(clients.clone(), followers.clone(), clock.clone(), config.buckets_location());
        let sinks = Arc::new(Sinks::open(shared.clone(), &own.sinks.parse()?, parts).await.context("reading the connectors")?);
        let (buckets, delimiter) = (config.delivery_buckets_location(), config.firehose.delimiter());
        let parts = delivery_streams::parts(clients.clone(), followers.clone(), clock.clone(), buckets, delimiter, pipeline);
        let deliveries = Sinks::open(shared.clone(), &own.deliveries.parse()?, parts).await;
        let deliveries = Arc::new(deliveries.context("reading the delivery streams")?);
        let doors = doors.with_delivery_streams(Arc::new(AppDeliveryStreams::new(deliveries.clone())));
        let console = AppConsole::new(clients.clone(), log.clone(), lake.clone(), groups.clone(), topic_defaults(config));
        let console = Arc::new(console);
        let work = Work::new(console.clone(), lake.clone(), clients, config.rules(), followers.clone());
        let scheduler = Jobs::open(config, lake.pipeline(), work, clock.clone()).await?;
        report("jobs", Ok(()));
        let cluster_id = kafka::cluster_id(&groups).await.context("reading the cluster's id")?;
        let connectors = AppConnectors::new(sinks.clone(), cluster_id, config.http.listen.to_string());
        let broker = match kafka_settings {
            Some(settings) => Some(broker(settings, config.transactions.settings(), shared, &doors, &groups, clock).await?),
            None => None,
        };
        // Pages that may send records may not use the API.
        let guarded = |router, origins| pinlake_web::guarded(router, config.http.hosts.clone(), origins);
        let jobs: Arc<dyn pinlake_web::Jobs> = Arc::new(AppJobs::new(scheduler.clone(), lake.clone()));
        let databricks = config.databricks.settings(format!("http://{}", config.http.listen))?;
        let databricks = pinlake_web::databricks::router(jobs.clone(), console.clone(), databricks);
        let api = pinlake_web::Parts { console, connectors: Some(Arc::new(connectors)), jobs: Some(jobs), metrics };
        let api = pinlake_web::router(api).merge(databricks);
        let router = guarded(doors.router(), config.gateway.cors.clone()).merge(guarded(api, Vec::new()));
        let listeners = sockets.serve(config, router, broker)?;
        report("doors and API", Ok(()));
        if !listeners.kafka_addresses.is_empty() {
            report("Kafka", Ok(()));
        }
        let measures = tokio::spawn(Measures::new(log.clone(), followers, groups).run());
        let jobs = Jobs::serve(scheduler, config).await;
        Ok(App { listeners, log, doors, lake, sinks, deliveries, jobs, measures })
    }

    /// Waits until a listener has ended, which it does unasked only by a defect.
    pub(crate) async fn server_ended(&self) {
        self.listeners.ended().await;
    }

    /// Stops in order: jobs and queries, doors, tables, archive, log. What fails keeps nothing else from its end.
    pub(crate) async fn stop(self) -> Result<()> {
        self.listeners.begin_to_stop();
        // Whoever watches jobs is told that it is over, and what runs is begun again at the next start.
        self.jobs.stop().await;
        self.lake.end_queries();
        // Their reads end with what they have, so that nobody waits for them.
        self.doors.close().await;
        let served = self.listeners.stopped().await;
        self.measures.abort();
        tokio::join!(self.sinks.close(), self.deliveries.close());
        let lake = self.lake.stop().await;
        let closed = self.log.close().await;
        served?;
        lake.context("committing what the tables hold")?;
        closed.context("closing the log")
    }
}

/// The broker behind this server's own listener.
async fn broker(
    settings: KafkaSettings,
    transactions: TransactionSettings,
    log: Arc<dyn Log>,
    doors: &Doors,
    groups: &Groups,
    clock: Clock,
) -> Result<Arc<Broker>> {
    let transactions = Transactions::open(log, groups.clone(), clock, transactions).await;
    let transactions = transactions.context("reading the transactions")?;
    let broker = Broker::new(doors.producer().clone(), groups.clone(), transactions, settings).await?;
    Ok(Arc::new(broker))
}

fn kafka_settings(config: &Config) -> Result<KafkaSettings> {
    Ok(KafkaSettings {
        principals: principals(config)?,
        tls: listeners::tls("kafka", &config.kafka.certificate, &config.kafka.private_key)?,
        topic_defaults: topic_defaults(config),
        advertised: config.kafka.advertised.clone(),
        connections_max: config.kafka.connections_max,
        inflight_bytes_max: config.kafka.inflight_bytes_max(),
        ..KafkaSettings::default()
    })
}

/// Who may log in to Kafka; `None` if nobody is asked.
fn principals(config: &Config) -> Result<Option<Principals>> {
    if config.kafka.authentication == config::Authentication::None {
        return Ok(None);
    }
    let principals = config.principals.iter().map(|principal| {
        let password = principal.password.resolve().with_context(|| format!("the password of principal '{}'", principal.name))?;
        Ok(Principal { name: principal.name.clone(), password })
    });
    Ok(Some(Principals::new(principals.collect::<Result<Vec<_>>>()?)))
}

fn door_settings(config: &Config) -> Result<DoorSettings> {
    Ok(DoorSettings {
        body_bytes_max: config.doors.body_bytes_max(),
        inflight_bytes_max: config.doors.inflight_bytes_max(),
        accept_plain_json: config.doors.accept_plain_json,
        topic_defaults: topic_defaults(config),
        pin_topic: config.doors.pin_topic.clone(),
        consumers: ConsumerSettings { advertised_url: config.http.advertised.clone(), ..ConsumerSettings::default() },
        kinesis: config.kinesis.settings(config.http.listen).context("reading kinesis.access.keys")?,
        allow_reset: config.allow_reset,
        gateway: config.gateway.settings().context("reading gateway.keys")?,
        ..DoorSettings::default()
    })
}

/// What topics are created with where nothing else is said.
fn topic_defaults(config: &Config) -> TopicSpec {
    let retention_ms = u64::try_from(config.log.retention().as_millis()).unwrap_or(u64::MAX);
    TopicSpec { partitions: config.log.partitions, retention_ms: Some(retention_ms), ..TopicSpec::default() }
}

fn auto_create(config: &Config, pipeline: Arc<Pipeline>) -> AutoCreate {
    let spec = topic_defaults(config);
    let rule = config.log.auto_create;
    Arc::new(move |topic: &TopicName| {
        let wanted = match rule {
            config::AutoCreate::Matched => pipeline.follows(topic),
            config::AutoCreate::All => true,
            config::AutoCreate::None => false,
        };
        wanted.then(|| spec.clone())
    })
}
