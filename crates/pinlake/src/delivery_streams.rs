//! What Firehose's API keeps and asks, answered by sinks of their own, beside those of connectors.

use std::sync::Arc;

use async_trait::async_trait;
use pinlake_core::pipeline::Pipeline;
use pinlake_core::{Clock, Error, ErrorKind, Followers, Log, Result};
use pinlake_ingest::DeliveryStreams;
use pinlake_sink::firehose::{self, DEFINITION, Defaults, Delimiter};
use pinlake_sink::{MakePlan, Parts, Sinks, Wanted};

use crate::connectors::sink_parts;

/// What delivery streams are called among the log's followers.
pub(crate) const KIND: &str = "firehose";

/// What delivery streams of this server work with: `clients` is the log as clients see it.
pub(crate) fn parts(
    clients: Arc<dyn Log>,
    followers: Followers,
    clock: Clock,
    buckets: String,
    delimiter: Delimiter,
    pipeline: Arc<Pipeline>,
) -> Parts {
    let tables = Arc::new(move |name: &str| pipeline.table(name).map(|table| table.schema.clone()));
    let defaults = Defaults { delimiter, tables };
    let plan: MakePlan = Arc::new(move |_, config| firehose::make_plan(config, &defaults));
    sink_parts(KIND, plan, clients, followers, clock, buckets)
}

/// The API's view of the sinks.
pub(crate) struct AppDeliveryStreams(Arc<Sinks>);

impl AppDeliveryStreams {
    pub(crate) fn new(sinks: Arc<Sinks>) -> Self {
        Self(sinks)
    }
}

/// An error about a delivery stream, which the sinks know as a sink.
fn told(name: &str) -> impl Fn(Error) -> Error {
    let name: String = name.chars().take(64).collect();
    move |error| match error.kind() {
        ErrorKind::NotFound => Error::not_found(format!("there is no delivery stream '{}'", name.escape_debug())),
        ErrorKind::Conflict => Error::conflict(format!("delivery stream '{}' exists", name.escape_debug())),
        _ => error,
    }
}

#[async_trait]
impl DeliveryStreams for AppDeliveryStreams {
    fn names(&self) -> Vec<String> {
        self.0.names()
    }

    fn definition(&self, name: &str) -> Option<String> {
        self.0.config(name).ok()?.remove(DEFINITION)
    }

    async fn create(&self, name: &str, definition: String) -> Result<()> {
        self.0.create(name, firehose::config(definition), Wanted::Running).await.map_err(told(name))
    }

    async fn alter(&self, name: &str, definition: String) -> Result<()> {
        self.0.alter(name, firehose::config(definition)).await.map_err(told(name))
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.0.delete_for_good(name).await.map_err(told(name))
    }

    fn failure(&self, name: &str) -> Option<String> {
        self.0.failure(name).ok()?
    }
}
