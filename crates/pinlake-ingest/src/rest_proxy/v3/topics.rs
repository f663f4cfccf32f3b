//! Topics and partitions of v3: listed, described, made, given more partitions, deleted.

use bytes::Bytes;
use pinlake_core::log::PARTITIONS_MAX;
use pinlake_core::{ErrorKind, TopicDescription, TopicName};
use serde::Deserialize;
use serde_json::{Value, json};

use super::configs::ConfigBody;
use super::resources::Cluster;
use super::{BROKER_ID, of_log, unknown_topic};
use crate::doors::Call;
use crate::rest_proxy::error::{KAFKA_BAD_REQUEST, RestError};
use crate::rest_proxy::server_url::part;
use crate::topic_settings;

#[derive(Deserialize)]
struct NewTopic {
    topic_name: String,
    partitions_count: Option<u32>,
    replication_factor: Option<i32>,
    #[serde(default)]
    configs: Vec<ConfigBody>,
    #[serde(default)]
    validate_only: bool,
}

#[derive(Deserialize)]
struct Change {
    partitions_count: u32,
}

pub(super) async fn list(call: &Call<'_>, cluster: &Cluster) -> Result<Value, RestError> {
    let topics = call.shared.producer.log().topics().await.map_err(|error| of_log(&error))?;
    let data = topics.iter().map(|topic| described(cluster, topic.name.as_str(), topic.spec.partitions)).collect();
    Ok(cluster.list("KafkaTopicList", "/topics", data))
}

pub(super) async fn describe(call: &Call<'_>, cluster: &Cluster, topic: &str) -> Result<Value, RestError> {
    let topic = existing(call, topic).await?;
    Ok(described(cluster, topic.name.as_str(), topic.spec.partitions))
}

/// Makes a topic; one copy of it, whatever replication the client asks for.
pub(super) async fn create(call: &Call<'_>, cluster: &Cluster, body: &Bytes) -> Result<Value, RestError> {
    let wanted: NewTopic = serde_json::from_slice(body).map_err(|error| RestError::of_json(&error))?;
    let defaults = &call.shared.settings.topic_defaults;
    let name = TopicName::new(&wanted.topic_name).map_err(|error| RestError::new(KAFKA_BAD_REQUEST, error.message()))?;
    if wanted.replication_factor.is_some_and(|copies| copies < 1 && copies != -1) {
        return Err(RestError::new(KAFKA_BAD_REQUEST, "'replication_factor' is 1 or more, or -1 for the default"));
    }
    let mut spec = defaults.clone();
    spec.partitions = wanted.partitions_count.unwrap_or(spec.partitions);
    for config in &wanted.configs {
        let set = topic_settings::set(&mut spec, &config.name, config.text()?.as_deref(), defaults);
        set.map_err(|text| RestError::new(KAFKA_BAD_REQUEST, text))?;
    }
    spec.validate().map_err(|error| RestError::new(KAFKA_BAD_REQUEST, error.message()))?;
    let log = call.shared.producer.log();
    let exists = || RestError::new(KAFKA_BAD_REQUEST, format!("Topic '{name}' already exists."));
    if log.topic(&name).await.is_ok() {
        return Err(exists());
    }
    let partitions = spec.partitions;
    if !wanted.validate_only {
        match log.create_topic(&name, spec).await {
            Err(error) if error.kind() == ErrorKind::Conflict => return Err(exists()),
            created => created.map_err(|error| of_log(&error))?,
        }
    }
    Ok(described(cluster, name.as_str(), partitions))
}

/// Gives a topic more partitions.
pub(super) async fn change(call: &Call<'_>, cluster: &Cluster, topic: &str, body: &Bytes) -> Result<Value, RestError> {
    let Change { partitions_count: count } = serde_json::from_slice(body).map_err(|error| RestError::of_json(&error))?;
    let producer = &call.shared.producer;
    let _turn = producer.altering().await;
    let TopicDescription { name, mut spec, .. } = existing(call, topic).await?;
    if count < spec.partitions || count > PARTITIONS_MAX {
        let text = format!(
            "topic '{name}' has {} partitions: a new count is not below that and at most {PARTITIONS_MAX}",
            spec.partitions
        );
        return Err(RestError::new(KAFKA_BAD_REQUEST, text));
    }
    spec.partitions = count;
    producer.log().alter_topic(&name, spec).await.map_err(|error| of_log(&error))?;
    Ok(described(cluster, name.as_str(), count))
}

pub(super) async fn delete(call: &Call<'_>, topic: &str) -> Result<(), RestError> {
    let name = existing(call, topic).await?.name;
    call.shared.producer.log().delete_topic(&name).await.map_err(|error| of_log(&error))?;
    if let Err(error) = call.shared.groups.topic_deleted(&name).await {
        tracing::warn!(topic = %name, %error, "the offsets that groups have of a deleted topic are still there");
    }
    Ok(())
}

pub(super) async fn partitions(call: &Call<'_>, cluster: &Cluster, topic: &str) -> Result<Value, RestError> {
    let topic = existing(call, topic).await?;
    let data = (0..topic.spec.partitions).map(|number| partition_of(cluster, topic.name.as_str(), number)).collect();
    Ok(cluster.list("KafkaPartitionList", &format!("/topics/{}/partitions", part(topic.name.as_str())), data))
}

pub(super) async fn partition(call: &Call<'_>, cluster: &Cluster, topic: &str, partition: &str) -> Result<Value, RestError> {
    let (topic, number) = existing_partition(call, topic, partition).await?;
    Ok(partition_of(cluster, topic.name.as_str(), number))
}

pub(super) async fn replicas(call: &Call<'_>, cluster: &Cluster, topic: &str, partition: &str) -> Result<Value, RestError> {
    let (topic, number) = existing_partition(call, topic, partition).await?;
    let path = format!("/topics/{}/partitions/{number}/replicas", part(topic.name.as_str()));
    Ok(cluster.list("KafkaReplicaList", &path, vec![replica_of(cluster, topic.name.as_str(), number)]))
}

pub(super) async fn replica(
    call: &Call<'_>,
    cluster: &Cluster,
    topic: &str,
    partition: &str,
    broker: &str,
) -> Result<Value, RestError> {
    let (topic, number) = existing_partition(call, topic, partition).await?;
    super::check_broker(broker)?;
    Ok(replica_of(cluster, topic.name.as_str(), number))
}

/// A topic that is there and not the server's own.
pub(super) async fn existing(call: &Call<'_>, topic: &str) -> Result<TopicDescription, RestError> {
    let name = TopicName::new(topic).map_err(|error| unknown_topic(error.message()))?;
    match call.shared.producer.log().topic(&name).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(unknown_topic(error.message())),
        found => found.map_err(|error| of_log(&error)),
    }
}

async fn existing_partition(call: &Call<'_>, topic: &str, partition: &str) -> Result<(TopicDescription, u32), RestError> {
    let topic = existing(call, topic).await?;
    let number = partition.parse().ok().filter(|number| *number < topic.spec.partitions);
    let number = number.ok_or_else(|| RestError::partition_not_found(topic.name.as_str(), partition))?;
    Ok((topic, number))
}

fn described(cluster: &Cluster, topic: &str, partitions: u32) -> Value {
    let path = format!("/topics/{}", part(topic));
    cluster.resource(
        "KafkaTopic",
        &path,
        json!({
            "topic_name": topic,
            "is_internal": false,
            "replication_factor": 1,
            "partitions_count": partitions,
            "partitions": cluster.related(&format!("{path}/partitions")),
            "configs": cluster.related(&format!("{path}/configs")),
            "partition_reassignments": cluster.related(&format!("{path}/partitions/-/reassignment")),
            "authorized_operations": [],
        }),
    )
}

fn partition_of(cluster: &Cluster, topic: &str, number: u32) -> Value {
    let path = format!("/topics/{}/partitions/{number}", part(topic));
    cluster.resource(
        "KafkaPartition",
        &path,
        json!({
            "topic_name": topic,
            "partition_id": number,
            "leader": cluster.related(&format!("{path}/replicas/{BROKER_ID}")),
            "replicas": cluster.related(&format!("{path}/replicas")),
            "reassignment": cluster.related(&format!("{path}/reassignment")),
        }),
    )
}

fn replica_of(cluster: &Cluster, topic: &str, number: u32) -> Value {
    cluster.resource(
        "KafkaReplica",
        &format!("/topics/{}/partitions/{number}/replicas/{BROKER_ID}", part(topic)),
        json!({
            "topic_name": topic,
            "partition_id": number,
            "broker_id": BROKER_ID,
            "is_leader": true,
            "is_in_sync": true,
            "broker": cluster.related(&format!("/brokers/{BROKER_ID}")),
        }),
    )
}
