//! A look at the cluster for `pinlake doctor`: it changes nothing.

use std::time::Duration;

use anyhow::{Result, anyhow};
use pinlake_core::pipeline::Pipeline;
use pinlake_core::{Clock, Log, TopicDescription};
use pinlake_log::kafka::{BrokerInfo, ClusterInfo, ClusterOptions, KafkaLog};

use super::login;
use crate::config::cluster::ClusterConfig;
use crate::terminal::count;

/// How long a look waits for a broker. A server that starts is more patient.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What of it is good, part by part, and what is wrong.
pub(crate) async fn look(config: &ClusterConfig, pipeline: &Pipeline) -> Vec<(String, Result<String>)> {
    let part = |name: &str, found: Result<String>| (name.to_owned(), found);
    let (log, ClusterInfo { cluster_id, brokers, .. }) = match connect(config).await {
        Ok(connected) => connected,
        Err(error) => return vec![part("cluster", Err(error.context(config.described())))],
    };
    let id = cluster_id.unwrap_or_else(|| "without an id".to_owned());
    let login = config.exposed().map_or_else(String::new, |exposed| format!("; {exposed}"));
    let mut found = vec![part("cluster", Ok(format!("{id}, {}{login}", count(brokers.len(), "broker"))))];
    for BrokerInfo { id, address, versions } in brokers {
        let answers = versions.map(|_| format!("{address} answers")).map_err(|error| {
            anyhow!(
                "{error}; the cluster itself says that this broker is at {address}: its address must be one for clients outside"
            )
        });
        found.push((format!("broker {id}"), answers));
    }
    match log.topics().await {
        Ok(topics) => found.extend(look_at_topics(&log, &topics, pipeline).await),
        Err(error) => found.push(part("topics", Err(error.into()))),
    }
    found
}

async fn look_at_topics(log: &KafkaLog, topics: &[TopicDescription], pipeline: &Pipeline) -> Vec<(String, Result<String>)> {
    let mut found = Vec::new();
    for topic in topics.iter().filter(|topic| pipeline.follows(&topic.name)) {
        found.push((format!("topic {}", topic.name), readable(log, topic).await));
    }
    if found.is_empty() {
        let text = format!("the pipeline follows none of the {} that this login sees", count(topics.len(), "topic"));
        found.push(("topics".to_owned(), Ok(text)));
    }
    found
}

async fn connect(config: &ClusterConfig) -> Result<(KafkaLog, ClusterInfo)> {
    let options = login::options(config, &Clock::System)?;
    let options = ClusterOptions { answer_timeout: ANSWER_MAX, request_timeout: ANSWER_MAX, ..options };
    let log = KafkaLog::connect(options, Clock::System).await?;
    let info = log.check().await?;
    Ok((log, info))
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
