//! Topics made, deleted, given more partitions, and trimmed: CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords.

use std::collections::HashMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_protocol::messages::create_partitions_response::{CreatePartitionsResponse, CreatePartitionsTopicResult};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse};
use kafka_protocol::messages::delete_records_request::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use kafka_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::log::PARTITIONS_MAX;
use pinlake_core::{Error, ErrorKind, Offset, TopicDescription, TopicName, TopicSpec};
use uuid::Uuid;

use super::{Call, configs, partition_of, wire_name, wire_number, wire_text};
use crate::kafka::broker::{Broker, NODE_ID};
use crate::kafka::error;
use crate::topic_settings;

/// What the server's default is to be.
const UNSTATED: i32 = -1;
/// Up to the end.
const TO_THE_END: i64 = -1;

/// A code and what to do.
pub(super) type Refused = (i16, Option<StrBytes>);

/// Refuses with a text of ours.
pub(super) fn refused(error: ResponseError, text: impl Into<String>) -> Refused {
    (error.code(), Some(wire_text(text)))
}

/// What a call of the log was refused with.
pub(super) fn of_log(error: &Error) -> Refused {
    (error::code(error), error::text(error))
}

pub(super) async fn create_topics(call: &Call<'_>, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut named: HashMap<&str, usize> = HashMap::new();
    request.topics.iter().for_each(|topic| *named.entry(&topic.name).or_default() += 1);
    for topic in &request.topics {
        let created = if named[topic.name.as_str()] > 1 {
            Err(refused(ResponseError::InvalidRequest, "the request names the topic twice"))
        } else {
            create(call.broker, topic, request.validate_only).await
        };
        let result = CreatableTopicResult::default().with_name(topic.name.clone());
        topics.push(match created {
            Ok((id, spec)) => {
                let config = |entry: topic_settings::Entry| {
                    CreatableTopicConfigs::default()
                        .with_name(StrBytes::from_static_str(entry.name))
                        .with_value(Some(wire_text(entry.value)))
                        .with_config_source(configs::number_of(entry.source))
                        .with_read_only(entry.read_only)
                };
                let entries =
                    topic_settings::of_topic(&spec, &call.broker.settings.topic_defaults).into_iter().map(config).collect();
                result
                    .with_topic_id(id)
                    .with_num_partitions(wire_number(spec.partitions))
                    .with_replication_factor(1)
                    .with_configs(Some(entries))
            }
            Err((code, text)) => {
                result.with_error_code(code).with_error_message(text).with_num_partitions(-1).with_replication_factor(-1)
            }
        });
    }
    CreateTopicsResponse::default().with_topics(topics)
}

async fn create(broker: &Broker, topic: &CreatableTopic, validate_only: bool) -> Result<(Uuid, TopicSpec), Refused> {
    let name = TopicName::new(&topic.name).map_err(|error| (ResponseError::InvalidTopicException.code(), error::text(&error)))?;
    let mut spec = broker.settings.topic_defaults.clone();
    spec.partitions = partitions_of(topic, spec.partitions)?;
    if topic.assignments.is_empty() && (topic.replication_factor == 0 || topic.replication_factor < -1) {
        return Err(refused(
            ResponseError::InvalidReplicationFactor,
            "the replication factor is 1 or more, or -1 for the default",
        ));
    }
    for config in &topic.configs {
        configs::set(
            &mut spec,
            &config.name,
            config.value.as_ref().map(|value| value.as_str()),
            &broker.settings.topic_defaults,
        )?;
    }
    spec.validate().map_err(|error| (ResponseError::InvalidPartitions.code(), error::text(&error)))?;
    if broker.log().topic(&name).await.is_ok() {
        return Err(refused(ResponseError::TopicAlreadyExists, format!("topic '{name}' exists already")));
    }
    if validate_only {
        return Ok((Uuid::nil(), spec));
    }
    broker.log().create_topic(&name, spec.clone()).await.map_err(|error| of_log(&error))?;
    let made = broker.log().topic(&name).await.map_err(|error| of_log(&error))?;
    Ok((made.id.0, spec))
}

/// How many partitions: as stated, as assigned one by one, or the default.
fn partitions_of(topic: &CreatableTopic, default: u32) -> Result<u32, Refused> {
    if topic.assignments.is_empty() {
        return match topic.num_partitions {
            UNSTATED => Ok(default),
            stated => u32::try_from(stated).ok().filter(|stated| (1..=PARTITIONS_MAX).contains(stated)).ok_or_else(|| {
                refused(ResponseError::InvalidPartitions, format!("a topic takes 1 to {PARTITIONS_MAX} partitions"))
            }),
        };
    }
    if topic.num_partitions != UNSTATED || topic.replication_factor != -1 {
        return Err(refused(ResponseError::InvalidRequest, "partitions are assigned one by one or counted, not both"));
    }
    let mut numbers: Vec<i32> = topic.assignments.iter().map(|assignment| assignment.partition_index).collect();
    numbers.sort_unstable();
    let in_order = numbers.iter().zip(0..).all(|(number, expected)| *number == expected);
    let ours = topic.assignments.iter().all(|assignment| assignment.broker_ids.iter().map(|id| id.0).eq([NODE_ID]));
    if !in_order || !ours {
        let text = format!("partitions are numbered from 0 without gaps, each on broker {NODE_ID}");
        return Err(refused(ResponseError::InvalidReplicaAssignment, text));
    }
    u32::try_from(numbers.len()).map_err(|_| refused(ResponseError::InvalidPartitions, "too many partitions"))
}

pub(super) async fn delete_topics(call: &Call<'_>, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_id = request.topics.into_iter().map(|topic| (topic.name, topic.topic_id));
    let by_name = request.topic_names.into_iter().map(|name| (Some(name), Uuid::nil()));
    let mut responses = Vec::new();
    for (name, id) in by_id.chain(by_name) {
        let found = match &name {
            Some(name) => TopicName::new(name).map_err(|_| (ResponseError::UnknownTopicOrPartition.code(), None)),
            None => named(call.broker, id).await.map(|topic| topic.name),
        };
        let shown = found.as_ref().map(wire_name).ok().or(name);
        let deleted = match found {
            Ok(topic) => delete(call.broker, &topic).await,
            Err(refused) => Err(refused),
        };
        let result = DeletableTopicResult::default().with_name(shown).with_topic_id(id);
        responses.push(match deleted {
            Ok(id) => result.with_topic_id(id),
            Err((code, text)) => result.with_error_code(code).with_error_message(text),
        });
    }
    DeleteTopicsResponse::default().with_responses(responses)
}

async fn named(broker: &Broker, id: Uuid) -> Result<TopicDescription, Refused> {
    let topics = broker.log().topics().await.map_err(|error| of_log(&error))?;
    topics.into_iter().find(|topic| topic.id.0 == id).ok_or((ResponseError::UnknownTopicId.code(), None))
}

async fn delete(broker: &Broker, topic: &TopicName) -> Result<Uuid, Refused> {
    let id = broker.log().topic(topic).await.map_err(|error| of_log(&error))?.id.0;
    broker.log().delete_topic(topic).await.map_err(|error| of_log(&error))?;
    Ok(id)
}

pub(super) async fn create_partitions(call: &Call<'_>, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone());
        results.push(match add_partitions(call.broker, &topic, request.validate_only).await {
            Ok(()) => result,
            Err((code, text)) => result.with_error_code(code).with_error_message(text),
        });
    }
    CreatePartitionsResponse::default().with_results(results)
}

async fn add_partitions(broker: &Broker, topic: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refused> {
    let name = TopicName::new(&topic.name).map_err(|_| (ResponseError::UnknownTopicOrPartition.code(), None))?;
    let _turn = broker.producer.altering().await;
    let spec = broker.log().topic(&name).await.map_err(|error| of_log(&error))?.spec;
    let count = u32::try_from(topic.count).ok().filter(|count| (spec.partitions + 1..=PARTITIONS_MAX).contains(count));
    let Some(count) = count else {
        let text =
            format!("topic '{name}' has {} partitions: a new count is above that and at most {PARTITIONS_MAX}", spec.partitions);
        return Err(refused(ResponseError::InvalidPartitions, text));
    };
    if let Some(assignments) = &topic.assignments {
        let ours = assignments.iter().all(|assignment| assignment.broker_ids.iter().map(|id| id.0).eq([NODE_ID]));
        if !ours || assignments.len() != (count - spec.partitions) as usize {
            let text = format!("one assignment for each new partition, each on broker {NODE_ID}");
            return Err(refused(ResponseError::InvalidReplicaAssignment, text));
        }
    }
    if validate_only {
        return Ok(());
    }
    broker.log().alter_topic(&name, TopicSpec { partitions: count, ..spec }).await.map_err(|error| of_log(&error))
}

pub(super) async fn delete_records(call: &Call<'_>, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let result = DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
            partitions.push(match trim(call.broker, &topic.name, asked.partition_index, asked.offset).await {
                Ok(start) => result.with_low_watermark(start.0),
                Err(code) => result.with_error_code(code).with_low_watermark(-1),
            });
        }
        topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions));
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

async fn trim(broker: &Broker, topic: &str, partition: i32, before: i64) -> Result<Offset, i16> {
    let of = partition_of(topic, partition).ok_or(ResponseError::UnknownTopicOrPartition.code())?;
    let range = broker.log().range(&of).await.map_err(|error| error::code(&error))?;
    let before = if before == TO_THE_END { range.end } else { Offset(before) };
    let trimmed = broker.log().trim(&of, before).await;
    trimmed.map_err(|error| {
        if error.kind() == ErrorKind::NotFound { ResponseError::UnknownTopicOrPartition.code() } else { error::code(&error) }
    })
}
