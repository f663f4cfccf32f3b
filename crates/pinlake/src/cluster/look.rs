//! A look at the cluster for `pinlake doctor`: it changes nothing.

use anyhow::{Result, anyhow};
use pinlake_core::pipeline::Pipeline;
use pinlake_core::{Clock, Log, TopicDescription};
use pinlake_log::kafka::{ClusterInfo, KafkaLog};

use super::login;
use crate::config::cluster::ClusterConfig;
use crate::terminal::count;

/// What of it is good, part by part, and what is wrong.
pub(crate) async fn look(config: &ClusterConfig, pipeline: &Pipeline) -> Vec<(String, Result<String>)> {
    let (log, connected) = match connect(config).await {
        Ok((log, info)) => (log, info),
        Err(error) => return vec![("cluster".to_owned(), Err(error.context(config.shown())))],
    };
    let mut found = vec![("cluster".to_owned(), Ok(connected))];
    let topics = match log.topics().await {
        Ok(topics) => topics,
        Err(error) => {
            found.push(("topics".to_owned(), Err(error.into())));
            return found;
        }
    };
    let followed: Vec<&TopicDescription> = topics.iter().filter(|topic| pipeline.follows(&topic.name)).collect();
    if followed.is_empty() {
        let text = format!("none of the cluster's {} is one that the pipeline follows", count(topics.len(), "topic"));
        found.push(("topics".to_owned(), Ok(text)));
    }
    for topic in followed {
        found.push((format!("topic {}", topic.name), readable(&log, topic).await));
    }
    found
}

async fn connect(config: &ClusterConfig) -> Result<(KafkaLog, String)> {
    let options = login::options(config, &Clock::System)?;
    let log = KafkaLog::connect(options, Clock::System).await?;
    let ClusterInfo { cluster_id, brokers, .. } = log.check().await?;
    let brokers: Vec<String> = brokers.iter().map(ToString::to_string).collect();
    let id = cluster_id.unwrap_or_else(|| "without an id".to_owned());
    Ok((log, format!("{id}, {}: {}", count(brokers.len(), "broker"), brokers.join(", "))))
}

/// Asks each partition for its ends, which takes the right to read it and a leader.
async fn readable(log: &KafkaLog, topic: &TopicDescription) -> Result<String> {
    let mut offsets = 0;
    for partition in 0..topic.spec.partitions {
        let of = topic.name.partition(partition);
        offsets += log.range(&of).await.map_err(|error| anyhow!("partition {partition}: {error}"))?.len();
    }
    Ok(format!("{}, {} kept", count(topic.spec.partitions, "partition"), count(offsets, "offset")))
}
