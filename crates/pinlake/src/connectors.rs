//! What Connect's API asks, answered by the sinks.

mod machine;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use pinlake_core::{Clock, Error, ErrorKind, Followers, Log, Offset, Result, TopicName, TopicPartition};
use pinlake_sink::connect::{self, TopicDeadLetters};
use pinlake_sink::{MakePlan, Parts, Sinks, State};
use pinlake_web::connect::{About, Config, Connectors, Plugin, Restart, Status, TaskStatus, Wanted};
use serde_json::Value;

use machine::{ServerBuckets, ServerReferences};

/// The version of Kafka Connect that the API is that of.
const CONNECT_VERSION: &str = "3.9.0";
/// The converters that there are, and what they are for.
const CONVERTERS: [(&str, &str); 4] = [
    ("org.apache.kafka.connect.converters.ByteArrayConverter", "converter"),
    ("org.apache.kafka.connect.json.JsonConverter", "converter"),
    ("org.apache.kafka.connect.storage.StringConverter", "converter"),
    ("org.apache.kafka.connect.storage.SimpleHeaderConverter", "header_converter"),
];

/// What connectors are called among the log's followers.
pub(crate) const KIND: &str = "sink";

/// What connectors of this server work with: `clients` is the log as clients see it.
pub(crate) fn parts(clients: Arc<dyn Log>, followers: Followers, clock: Clock, buckets: String) -> Parts {
    let plan: MakePlan = Arc::new(|_, config| connect::make_plan(config, &ServerReferences));
    sink_parts(KIND, plan, clients, followers, clock, buckets)
}

/// What sinks of any kind work with, by the plans of that kind.
pub(crate) fn sink_parts(
    kind: &'static str,
    plan: MakePlan,
    clients: Arc<dyn Log>,
    followers: Followers,
    clock: Clock,
    buckets: String,
) -> Parts {
    Parts {
        kind,
        log: clients.clone(),
        followers,
        clock: clock.clone(),
        plan,
        buckets: Arc::new(ServerBuckets::at(buckets)),
        letters: Arc::new(TopicDeadLetters::new(clients, clock)),
    }
}

/// The API's view of the sinks.
pub(crate) struct AppConnectors {
    sinks: Arc<Sinks>,
    about: About,
}

impl AppConnectors {
    /// `cluster_id` is Kafka's, `worker_id` where the server is reached.
    pub(crate) fn new(sinks: Arc<Sinks>, cluster_id: String, worker_id: String) -> Self {
        let commit = concat!("pinlake-", env!("CARGO_PKG_VERSION")).to_owned();
        Self { sinks, about: About { version: CONNECT_VERSION.to_owned(), commit, cluster_id, worker_id } }
    }
}

/// An error about a connector in the words that Connect's clients know.
fn told(name: &str) -> impl Fn(Error) -> Error {
    let name: String = name.chars().take(connect::NAME_LEN_MAX).collect();
    move |error| match error.kind() {
        ErrorKind::NotFound => Error::not_found(format!("Connector {name} not found")),
        ErrorKind::Conflict => Error::conflict(format!("Connector {name} already exists")),
        _ => error,
    }
}

#[async_trait]
impl Connectors for AppConnectors {
    fn about(&self) -> About {
        self.about.clone()
    }

    fn plugins(&self) -> Vec<Plugin> {
        let sink = Plugin { class: connect::S3_SINK.to_owned(), kind: "sink", version: connect::S3_SINK_VERSION.to_owned() };
        let converter =
            |(class, kind): (&str, &'static str)| Plugin { class: class.to_owned(), kind, version: CONNECT_VERSION.to_owned() };
        std::iter::once(sink).chain(CONVERTERS.map(converter)).collect()
    }

    fn definitions(&self, plugin: &str) -> Result<Value> {
        if !connect::is_s3_sink(plugin) {
            let plugin: String = plugin.chars().take(connect::NAME_LEN_MAX).collect();
            return Err(Error::not_found(format!("Unknown plugin {plugin}.")));
        }
        Ok(connect::groups().iter().flat_map(|group| group.settings).map(connect::Setting::to_json).collect())
    }

    fn validate(&self, config: &Config) -> Result<Value> {
        Ok(connect::validate(config, &ServerReferences)?.to_json())
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(self.sinks.names())
    }

    async fn config(&self, name: &str) -> Result<Config> {
        self.sinks.config(name).map_err(told(name))
    }

    async fn status(&self, name: &str) -> Result<Status> {
        let status = self.sinks.status(name).map_err(told(name))?;
        let tasks = status.tasks.into_iter().map(|task| TaskStatus { id: task.id, state: state(task.state), trace: task.trace });
        Ok(Status { state: state(status.state), trace: status.trace, tasks: tasks.collect() })
    }

    async fn create(&self, name: &str, config: Config, state: Wanted) -> Result<()> {
        let shown = connect::masked(&config);
        self.sinks.create(name, config, wanted(state)).await.map_err(told(name))?;
        tracing::info!(connector = name, config = ?shown, "a connector was made");
        Ok(())
    }

    async fn alter(&self, name: &str, config: Config) -> Result<()> {
        let shown = connect::masked(&config);
        self.sinks.alter(name, config).await.map_err(told(name))?;
        tracing::info!(connector = name, config = ?shown, "a connector has another configuration");
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.sinks.delete(name).await.map_err(told(name))
    }

    async fn want(&self, name: &str, state: Wanted) -> Result<()> {
        self.sinks.want(name, wanted(state)).await.map_err(told(name))
    }

    async fn restart(&self, name: &str, which: Restart) -> Result<()> {
        let which = match which {
            Restart::Connector => pinlake_sink::Restart::Sink,
            Restart::All { with_tasks: true, only_failed } => pinlake_sink::Restart::All { only_failed },
            // The connector itself, if it failed.
            Restart::All { with_tasks: false, .. } => {
                let status = self.sinks.status(name).map_err(told(name))?;
                if status.state != State::Failed {
                    return Ok(());
                }
                pinlake_sink::Restart::Sink
            }
            // What is said of a task that is not there is the sinks' own.
            Restart::Task(task) => {
                self.sinks.config(name).map_err(told(name))?;
                return self.sinks.restart(name, pinlake_sink::Restart::Task(task)).await;
            }
        };
        self.sinks.restart(name, which).await.map_err(told(name))
    }

    async fn topics(&self, name: &str) -> Result<BTreeSet<TopicName>> {
        self.sinks.topics(name).map_err(told(name))
    }

    async fn forget_topics(&self, name: &str) -> Result<()> {
        self.sinks.forget_topics(name).await.map_err(told(name))
    }

    async fn offsets(&self, name: &str) -> Result<Vec<(TopicPartition, Offset)>> {
        self.sinks.offsets(name).map_err(told(name))
    }

    async fn alter_offsets(&self, name: &str, offsets: Vec<(TopicPartition, Option<Offset>)>) -> Result<()> {
        self.sinks.move_to(name, offsets).await.map_err(told(name))
    }

    async fn reset_offsets(&self, name: &str) -> Result<()> {
        self.sinks.reset_offsets(name).await.map_err(told(name))
    }
}

fn wanted(state: Wanted) -> pinlake_sink::Wanted {
    match state {
        Wanted::Running => pinlake_sink::Wanted::Running,
        Wanted::Paused => pinlake_sink::Wanted::Paused,
        Wanted::Stopped => pinlake_sink::Wanted::Stopped,
    }
}

/// Connect's name of a state.
fn state(state: State) -> &'static str {
    match state {
        State::Running => "RUNNING",
        State::Paused => "PAUSED",
        State::Stopped => "STOPPED",
        State::Failed => "FAILED",
        State::Unassigned => "UNASSIGNED",
        State::Restarting => "RESTARTING",
    }
}
