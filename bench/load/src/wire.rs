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
