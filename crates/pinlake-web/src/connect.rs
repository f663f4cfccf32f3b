//! Kafka Connect's REST API: connectors by name, what they are configured as, how they are and where they stand, over one trait, [`Connectors`]. What is
//! answered has Connect's form, errors too. Must not know how a connector works or what its settings mean.

mod answers;
mod bodies;
mod failure;
mod reading;
mod routes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use pinlake_core::{Offset, Result, TopicName, TopicPartition};
use serde_json::Value;

/// A connector's configuration.
pub type Config = BTreeMap<String, String>;

/// Exactly what the API needs. A caller may go away at any time: what a call has begun to change is then either finished or left as it was.
#[async_trait]
pub trait Connectors: Send + Sync + 'static {
    /// What the server says of itself. Must be cheap.
    fn about(&self) -> About;

    /// The plugins of which connectors and converters are made.
    fn plugins(&self) -> Vec<Plugin>;

    /// The definitions of a plugin's settings, or `NotFound`.
    fn definitions(&self, plugin: &str) -> Result<Value>;

    /// What is to be said of a configuration: Connect's object of `name`, `error_count`, `groups` and `configs`. `Invalid` if it names no plugin.
    fn validate(&self, config: &Config) -> Result<Value>;

    /// The connectors' names, sorted.
    async fn names(&self) -> Result<Vec<String>>;

    /// A connector's configuration as it was given, or `NotFound`.
    async fn config(&self, name: &str) -> Result<Config>;

    /// How a connector is, or `NotFound`.
    async fn status(&self, name: &str) -> Result<Status>;

    /// Makes a connector.
    ///
    /// # Errors
    /// `Conflict` if it exists, `Invalid` if its configuration is wrong.
    async fn create(&self, name: &str, config: Config, state: Wanted) -> Result<()>;

    /// Gives a connector another configuration, or `NotFound`; `Invalid` if it is wrong.
    async fn alter(&self, name: &str, config: Config) -> Result<()>;

    /// Deletes a connector, or `NotFound`.
    async fn delete(&self, name: &str) -> Result<()>;

    /// Has a connector run, pause or stop, or `NotFound`.
    async fn want(&self, name: &str, state: Wanted) -> Result<()>;

    /// Has a connector or its tasks begin anew, or `NotFound`.
    async fn restart(&self, name: &str, which: Restart) -> Result<()>;

    /// The topics that a connector has used, or `NotFound`.
    async fn topics(&self, name: &str) -> Result<BTreeSet<TopicName>>;

    /// Forgets which topics a connector has used, or `NotFound`.
    async fn forget_topics(&self, name: &str) -> Result<()>;

    /// Where a connector goes on, or `NotFound`.
    async fn offsets(&self, name: &str) -> Result<Vec<(TopicPartition, Offset)>>;

    /// Has a stopped connector go on elsewhere: at an offset, or where it has none as a new one does.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` unless it is stopped.
    async fn alter_offsets(&self, name: &str, offsets: Vec<(TopicPartition, Option<Offset>)>) -> Result<()>;

    /// Has a stopped connector begin as a new one. Errors as of [`Connectors::alter_offsets`].
    async fn reset_offsets(&self, name: &str) -> Result<()>;
}

/// What the server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The version of Kafka Connect that its API is that of.
    pub version: String,
    /// Which build it is.
    pub commit: String,
    /// The id of the Kafka cluster.
    pub cluster_id: String,
    /// Where connectors run.
    pub worker_id: String,
}

/// What a connector or converter is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// Its class.
    pub class: String,
    /// Its kind: `sink`, `converter` or `header_converter`.
    pub kind: &'static str,
    /// Its version.
    pub version: String,
}

/// How a connector is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The connector itself: `RUNNING`, `PAUSED`, `STOPPED`, `FAILED`, `UNASSIGNED` or `RESTARTING`.
    pub state: &'static str,
    /// Why it failed.
    pub trace: Option<String>,
    /// Its tasks.
    pub tasks: Vec<TaskStatus>,
}

/// How a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    /// Its number, from 0.
    pub id: u32,
    /// As of a connector.
    pub state: &'static str,
    /// Why it failed.
    pub trace: Option<String>,
}

/// What a connector should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// Run.
    #[default]
    Running,
    /// Stand still and go on soon.
    Paused,
    /// Stand still and hold nothing.
    Stopped,
}

/// What begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// The connector itself.
    Connector,
    /// The connector, and its tasks if they are asked for.
    All {
        /// Tasks too.
        with_tasks: bool,
        /// Only what failed.
        only_failed: bool,
    },
    /// One task.
    Task(u32),
}

/// Everything below `/connectors` and `/connector-plugins`, ready to be merged with the doors' router.
pub(crate) fn router(connectors: Arc<dyn Connectors>) -> Router {
    routes::router(connectors)
}

pub(crate) use answers::about;
