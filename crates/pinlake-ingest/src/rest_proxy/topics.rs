//! What Kafka REST v2 tells about topics, partitions and their offsets.

use pinlake_core::{ErrorKind, TopicDescription, TopicName};
use serde_json::{Value, json};

use super::error::{RestError, TOPIC_NOT_FOUND};
use crate::produce::Producer;

type Answered = Result<String, RestError>;

pub(super) async fn list(producer: &Producer) -> Answered {
    let topics = producer.log().topics().await.map_err(|error| RestError::of(&error))?;
    let names: Vec<Value> = topics.iter().map(|topic| Value::from(topic.name.as_str())).collect();
    Ok(Value::Array(names).to_string())
}

pub(super) async fn describe(producer: &Producer, topic: &str) -> Answered {
    let topic = existing(producer, topic).await?;
    let spec = &topic.spec;
    let configs = json!({
        "cleanup.policy": "delete",
        "max.message.bytes": spec.batch_bytes_max.to_string(),
        "retention.bytes": spec.retention_bytes.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string()),
        "retention.ms": spec.retention_ms.map_or_else(|| "-1".to_owned(), |ms| ms.to_string()),
    });
    let partitions: Vec<Value> = (0..spec.partitions).map(described).collect();
    Ok(json!({"name": topic.name.as_str(), "configs": configs, "partitions": partitions}).to_string())
}

pub(super) async fn partitions(producer: &Producer, topic: &str) -> Answered {
    let topic = existing(producer, topic).await?;
    Ok(Value::Array((0..topic.spec.partitions).map(described).collect()).to_string())
}

pub(super) async fn partition(producer: &Producer, topic: &str, partition: &str) -> Answered {
    let (_, partition) = existing_partition(producer, topic, partition).await?;
    Ok(described(partition).to_string())
}

pub(super) async fn offsets(producer: &Producer, topic: &str, partition: &str) -> Answered {
    let (topic, partition) = existing_partition(producer, topic, partition).await?;
    let range = producer.log().range(&topic.name.partition(partition)).await.map_err(|error| RestError::of(&error))?;
    Ok(json!({"beginning_offset": range.start.0, "end_offset": range.end.0}).to_string())
}

/// A partition's number in a path.
pub(super) fn partition_number(topic: &str, partition: &str) -> Result<u32, RestError> {
    partition.parse().map_err(|_| RestError::partition_not_found(topic, partition))
}

pub(super) async fn existing(producer: &Producer, topic: &str) -> Result<TopicDescription, RestError> {
    // A name that no topic can have is not found either.
    let not_found = |message: &str| RestError::new(TOPIC_NOT_FOUND, format!("Topic not found: {message}"));
    let name = TopicName::new(topic).map_err(|error| not_found(error.message()))?;
    match producer.log().topic(&name).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(not_found(error.message())),
        found => found.map_err(|error| RestError::of(&error)),
    }
}

pub(super) async fn existing_partition(
    producer: &Producer,
    topic: &str,
    partition: &str,
) -> Result<(TopicDescription, u32), RestError> {
    let description = existing(producer, topic).await?;
    let number = partition_number(topic, partition)?;
    if number >= description.spec.partitions {
        return Err(RestError::partition_not_found(topic, partition));
    }
    Ok((description, number))
}

/// One broker, number 1, leads everything.
fn described(partition: u32) -> Value {
    json!({"partition": partition, "leader": 1, "replicas": [{"broker": 1, "leader": true, "in_sync": true}]})
}
