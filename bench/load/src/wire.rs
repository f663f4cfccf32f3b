//! Kafka's wire protocol by raw frames. What is sent often is encoded once and patched, what comes back in bulk is skipped by its headers; only
//! the small requests go through a codec. Takes the server for the only broker of its cluster.

mod batch;
mod client;
pub(crate) mod fetch;
pub(crate) mod group;
pub(crate) mod produce;
mod skip;

use std::time::Duration;

/// An answer that takes longer than this is a failure, so that a run ends.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// What every load of one topic is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Target {
    /// Address and port of the broker
    #[arg(long, default_value = "127.0.0.1:9092")]
    to: String,
    /// The topic; wire-produce makes it if it is not there
    #[arg(long)]
    topic: String,
    /// Connections; those of wire-fetch share the partitions out, and read them several times if there are too few
    #[arg(long, default_value_t = 1)]
    connections: usize,
}
