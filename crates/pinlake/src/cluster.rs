//! An outside Kafka cluster as the configuration names it: connecting to it, and what a look at it finds. Without the feature `kafka` it
//! only says that it is not there.

#[cfg(feature = "kafka")]
mod login;
#[cfg(feature = "kafka")]
mod look;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use pinlake_core::{Clock, Log};

use crate::config::cluster::ClusterConfig;

#[cfg(feature = "kafka")]
pub(crate) use look::look;

/// Asks whether any broker answers within so long.
pub(crate) type Probe = Arc<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = pinlake_core::Result<()>> + Send>> + Send + Sync>;

/// Connects to the cluster.
///
/// # Errors
/// What is wrong with a setting, or why no broker takes the connection.
#[cfg(feature = "kafka")]
pub(crate) async fn open(config: &ClusterConfig, clock: Clock) -> Result<(Arc<dyn Log>, Probe)> {
    let options = login::options(config, &clock)?;
    let log = Arc::new(pinlake_log::kafka::KafkaLog::connect(options, clock).await?);
    let probed = log.clone();
    let probe = move |within| -> Pin<Box<dyn Future<Output = _> + Send>> {
        let log = probed.clone();
        Box::pin(async move { log.reach(within).await })
    };
    Ok((log, Arc::new(probe)))
}

#[cfg(not(feature = "kafka"))]
pub(crate) async fn open(_: &ClusterConfig, _: Clock) -> Result<(Arc<dyn Log>, Probe)> {
    anyhow::bail!("{LEFT_OUT}")
}

/// What `pinlake doctor` reports of a cluster: a part, and what is good of it or wrong.
#[cfg(not(feature = "kafka"))]
pub(crate) async fn look(_: &ClusterConfig, _: &pinlake_core::pipeline::Pipeline) -> Vec<(String, Result<String>)> {
    vec![("cluster".to_owned(), Err(anyhow::anyhow!("{LEFT_OUT}")))]
}

#[cfg(not(feature = "kafka"))]
const LEFT_OUT: &str = "this pinlake was built without its Kafka client, so log.kafka.brokers can't be used: build it with the \
    feature 'kafka', which is one of the defaults";
