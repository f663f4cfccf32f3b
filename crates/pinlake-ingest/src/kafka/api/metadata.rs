//! Which topics there are and who leads them: Metadata, DescribeTopicPartitions.

use std::collections::HashMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::metadata_request::MetadataRequest;
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, TopicName as WireTopicName};
use pinlake_core::{ErrorKind, TopicDescription, TopicName};
use uuid::Uuid;

use super::{CLUSTER_OPERATIONS, Call, OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS, allowed, once, wire_name, wire_number, wire_text};
use crate::kafka::broker::{LEADER_EPOCH, NODE_ID};
use crate::kafka::error;

/// The cluster and its topics: all, or those that are asked for, which are created if the server's rule for first records says so.
pub(super) async fn metadata(call: &Call<'_>, request: MetadataRequest) -> MetadataResponse {
    let creates = request.allow_auto_topic_creation;
    let operations = allowed(&TOPIC_OPERATIONS, request.include_topic_authorized_operations);
    let cluster_operations = allowed(&CLUSTER_OPERATIONS, request.include_cluster_authorized_operations);
    // Before version 1 an empty list means all topics, and null can't be said.
    let asked = request.topics.filter(|topics| call.request.version > 0 || !topics.is_empty());
    let topics = match asked {
        None => match call.broker.log().topics().await {
            Ok(topics) => topics.iter().map(|topic| described(topic, operations)).collect(),
            Err(error) => {
                tracing::warn!(%error, "topics can't be listed for a client");
                Vec::new()
            }
        },
        Some(topics) => {
            let by_id = topics.iter().any(|topic| topic.name.is_none());
            let all = if by_id { call.broker.log().topics().await.unwrap_or_default() } else { Vec::new() };
            let all: HashMap<Uuid, &TopicDescription> = all.iter().map(|topic| (topic.id.0, topic)).collect();
            let mut found = Vec::new();
            for topic in once(topics, |topic| (topic.name.clone(), topic.topic_id)) {
                found.push(match topic.name {
                    Some(name) => one(call, name, creates, operations).await,
                    None => identified(&all, topic.topic_id, operations),
                });
            }
            found
        }
    };
    let (host, port) = call.broker.address(call.ends.local);
    let broker =
        MetadataResponseBroker::default().with_node_id(BrokerId(NODE_ID)).with_host(wire_text(host)).with_port(i32::from(port));
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(wire_text(&*call.broker.cluster_id)))
        .with_controller_id(BrokerId(NODE_ID))
        .with_topics(topics)
        .with_cluster_authorized_operations(cluster_operations)
}

async fn one(call: &Call<'_>, name: WireTopicName, creates: bool, operations: i32) -> MetadataResponseTopic {
    match open(call, &name, creates).await {
        Ok(topic) => described(&topic, operations),
        Err(code) => MetadataResponseTopic::default()
            .with_name(Some(name))
            .with_error_code(code)
            .with_topic_authorized_operations(OPERATIONS_NOT_ASKED),
    }
}

fn identified(all: &HashMap<Uuid, &TopicDescription>, id: Uuid, operations: i32) -> MetadataResponseTopic {
    match all.get(&id) {
        Some(topic) => described(topic, operations),
        None => MetadataResponseTopic::default()
            .with_name(None)
            .with_topic_id(id)
            .with_error_code(ResponseError::UnknownTopicId.code())
            .with_topic_authorized_operations(OPERATIONS_NOT_ASKED),
    }
}

/// The topic of that name, created if it may be; or the code of why there is none.
async fn open(call: &Call<'_>, name: &str, creates: bool) -> Result<TopicDescription, i16> {
    let name = TopicName::new(name).map_err(|_| ResponseError::InvalidTopicException.code())?;
    match call.broker.log().topic(&name).await {
        Err(error) if error.kind() == ErrorKind::NotFound && creates => {
            let opened = call.broker.producer.open(name.as_str()).await.map_err(|error| error::code(&error))?;
            Ok(opened.description().clone())
        }
        found => found.map_err(|error| error::code(&error)),
    }
}

fn described(topic: &TopicDescription, operations: i32) -> MetadataResponseTopic {
    let partition = |number| {
        MetadataResponsePartition::default()
            .with_partition_index(wire_number(number))
            .with_leader_id(BrokerId(NODE_ID))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![BrokerId(NODE_ID)])
            .with_isr_nodes(vec![BrokerId(NODE_ID)])
    };
    MetadataResponseTopic::default()
        .with_name(Some(wire_name(&topic.name)))
        .with_topic_id(topic.id.0)
        .with_partitions((0..topic.spec.partitions).map(partition).collect())
        .with_topic_authorized_operations(operations)
}

/// Topics and their partitions, a page at a time.
pub(super) async fn describe_topic_partitions(
    call: &Call<'_>,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let all = call.broker.log().topics().await.unwrap_or_default();
    let mut names: Vec<String> = request.topics.iter().map(|topic| topic.name.as_str().to_owned()).collect();
    if names.is_empty() {
        names = all.iter().map(|topic| topic.name.as_str().to_owned()).collect();
    }
    names.sort_unstable();
    names.dedup();
    let (from_topic, from_partition) =
        request.cursor.map_or((String::new(), 0), |cursor| (cursor.topic_name.as_str().to_owned(), cursor.partition_index));
    let mut left = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, 2000);
    let by_name: HashMap<&str, &TopicDescription> = all.iter().map(|topic| (topic.name.as_str(), topic)).collect();
    let (mut topics, mut next) = (Vec::new(), None);
    for name in names.into_iter().filter(|name| *name >= from_topic) {
        let first = if name == from_topic { u32::try_from(from_partition).unwrap_or(0) } else { 0 };
        if left == 0 {
            next = Some(Cursor::default().with_topic_name(wire_text(name).into()).with_partition_index(0));
            break;
        }
        let Some(&topic) = by_name.get(name.as_str()) else {
            let code =
                TopicName::new(&name).map_or(ResponseError::InvalidTopicException, |_| ResponseError::UnknownTopicOrPartition);
            let missing = DescribeTopicPartitionsResponseTopic::default().with_name(Some(wire_text(name).into()));
            topics.push(missing.with_error_code(code.code()).with_topic_authorized_operations(OPERATIONS_NOT_ASKED));
            continue;
        };
        let end = topic.spec.partitions.min(first.saturating_add(u32::try_from(left).unwrap_or(u32::MAX)));
        left -= end.saturating_sub(first) as usize;
        topics.push(partitions_of(topic, first..end));
        if end < topic.spec.partitions {
            next = Some(Cursor::default().with_topic_name(wire_name(&topic.name)).with_partition_index(wire_number(end)));
            break;
        }
    }
    DescribeTopicPartitionsResponse::default().with_topics(topics).with_next_cursor(next)
}

fn partitions_of(topic: &TopicDescription, numbers: std::ops::Range<u32>) -> DescribeTopicPartitionsResponseTopic {
    let partition = |number| {
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(wire_number(number))
            .with_leader_id(BrokerId(NODE_ID))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![BrokerId(NODE_ID)])
            .with_isr_nodes(vec![BrokerId(NODE_ID)])
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(wire_name(&topic.name)))
        .with_topic_id(topic.id.0)
        .with_partitions(numbers.map(partition).collect())
        .with_topic_authorized_operations(allowed(&TOPIC_OPERATIONS, true))
}
