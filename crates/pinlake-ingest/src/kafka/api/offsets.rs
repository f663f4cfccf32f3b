//! What groups have committed: OffsetCommit, OffsetFetch, OffsetDelete.

use std::collections::HashMap;

use kafka_protocol::messages::TopicName as WireTopicName;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequest;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_request::OffsetDeleteRequest;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequest;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::TopicPartition;

use super::{Call, once, partition_of, wire_name, wire_number, wire_text};
use crate::groups::GroupError;
use crate::groups::calls::{CommitRequest, CommittedOffset, ForPartition, GroupId, NewOffset};
use crate::kafka::error::NONE;

/// OffsetFetch from this version on asks for several groups.
const SEVERAL_GROUPS: i16 = 8;
/// What is told where nothing is committed.
const NOTHING: i64 = -1;

/// The codes of partitions, by their name.
pub(super) struct Codes(HashMap<TopicPartition, i16>, i16);

impl Codes {
    /// What a call answered; where it failed as a whole, its code is every partition's.
    pub(super) fn of(answered: Result<Vec<ForPartition<()>>, GroupError>) -> Self {
        match answered {
            Ok(answers) => {
                let code = |(of, answer): ForPartition<()>| (of, answer.err().map_or(NONE, |error| error.code()));
                Self(answers.into_iter().map(code).collect(), NONE)
            }
            Err(error) => Self(HashMap::new(), error.code()),
        }
    }

    /// The same for every partition: an error.
    pub(super) fn all(code: i16) -> Self {
        Self(HashMap::new(), code)
    }

    /// One partition's; what no call was made for does not exist.
    pub(super) fn get(&self, of: Option<&TopicPartition>) -> i16 {
        if self.1 != NONE {
            return self.1;
        }
        of.and_then(|of| self.0.get(of)).copied().unwrap_or_else(|| GroupError::UnknownPartition.code())
    }
}

/// What is committed for a partition, as requests say it.
pub(super) fn new_offset(offset: i64, leader_epoch: i32, metadata: Option<&StrBytes>) -> NewOffset {
    NewOffset { offset, leader_epoch, metadata: metadata.map(|text| text.as_str().to_owned()).unwrap_or_default() }
}

/// The partitions of `offsets` that are there: an offset of any other is refused.
pub(super) async fn existing(call: &Call<'_>, offsets: Vec<(TopicPartition, NewOffset)>) -> Vec<(TopicPartition, NewOffset)> {
    let mut found = Vec::with_capacity(offsets.len());
    for (of, offset) in offsets {
        let topic = call.broker.log().topic(&of.topic).await;
        if topic.is_ok_and(|topic| of.partition.0 < topic.spec.partitions) {
            found.push((of, offset));
        }
    }
    found
}

pub(super) async fn offset_commit(call: &Call<'_>, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let offsets = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().filter_map(|partition| {
            let new =
                new_offset(partition.committed_offset, partition.committed_leader_epoch, partition.committed_metadata.as_ref());
            Some((partition_of(&topic.name, partition.partition_index)?, new))
        })
    });
    let offsets = existing(call, offsets.collect()).await;
    let committed = match GroupId::new(&request.group_id) {
        Ok(group) => {
            let commit = CommitRequest {
                group,
                generation: request.generation_id_or_member_epoch,
                member_id: request.member_id.as_str().to_owned(),
                group_instance_id: request.group_instance_id.map(|id| id.as_str().to_owned()),
                offsets,
            };
            call.broker.groups.commit(commit).await
        }
        Err(error) => Err(error),
    };
    let codes = Codes::of(committed);
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let of = partition_of(&topic.name, partition.partition_index);
            let response = OffsetCommitResponsePartition::default().with_partition_index(partition.partition_index);
            response.with_error_code(codes.get(of.as_ref()))
        });
        OffsetCommitResponseTopic::default().with_partitions(partitions.collect()).with_name(topic.name.clone())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// What is asked of one group: topics with their partitions, or all.
type Asked = Option<Vec<(WireTopicName, Vec<i32>)>>;

pub(super) async fn offset_fetch(call: &Call<'_>, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if call.request.version >= SEVERAL_GROUPS {
        let groups = once(request.groups, |group| group.group_id.clone()).map(|group| {
            let asked: Asked =
                group.topics.map(|topics| topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect());
            let response = OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone());
            match fetched(call, &group.group_id, &asked, stable) {
                Ok(topics) => {
                    response.with_topics(topics.into_iter().map(|(name, partitions)| of_group(name, partitions)).collect())
                }
                Err(error) => response.with_error_code(error.code()),
            }
        });
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    // Versions 0 and 1 can't ask for all.
    let asked: Asked =
        request.topics.map(|topics| topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect());
    match fetched(call, &request.group_id, &asked, stable) {
        Ok(topics) => OffsetFetchResponse::default()
            .with_topics(topics.into_iter().map(|(name, partitions)| alone(name, partitions)).collect()),
        Err(error) if call.request.version >= 2 => OffsetFetchResponse::default().with_error_code(error.code()),
        Err(error) => {
            let failed = |(name, numbers): (WireTopicName, Vec<i32>)| {
                alone(name, numbers.into_iter().map(|number| (number, Err(error.clone()))).collect())
            };
            OffsetFetchResponse::default().with_topics(asked.into_iter().flatten().map(failed).collect())
        }
    }
}

type Answer = Result<Option<CommittedOffset>, GroupError>;
type Topics = Vec<(WireTopicName, Vec<(i32, Answer)>)>;

/// The answers in the order of what is asked, or of the partitions' names where all are.
fn fetched(call: &Call<'_>, group: &str, asked: &Asked, stable: bool) -> Result<Topics, GroupError> {
    let group = GroupId::new(group)?;
    let Some(asked) = asked else {
        let mut topics: Topics = Vec::new();
        for (of, answer) in call.broker.groups.fetch(&group, None, stable) {
            let name = wire_name(&of.topic);
            if topics.last().is_none_or(|(last, _)| *last != name) {
                topics.push((name, Vec::new()));
            }
            let partitions = &mut topics.last_mut().expect("it was pushed above").1;
            partitions.push((wire_number(of.partition.0), answer));
        }
        return Ok(topics);
    };
    let named = asked.iter().flat_map(|(topic, partitions)| partitions.iter().filter_map(|number| partition_of(topic, *number)));
    let named: Vec<TopicPartition> = named.collect();
    let mut answers: HashMap<TopicPartition, Answer> =
        call.broker.groups.fetch(&group, Some(&named), stable).into_iter().collect();
    let of_topic = |(topic, partitions): &(WireTopicName, Vec<i32>)| {
        let answer = |number: &i32| {
            let found = partition_of(topic, *number).and_then(|of| answers.remove(&of));
            (*number, found.unwrap_or(Ok(None)))
        };
        (topic.clone(), partitions.iter().map(answer).collect())
    };
    Ok(asked.iter().map(of_topic).collect())
}

fn of_group(name: WireTopicName, partitions: Vec<(i32, Answer)>) -> OffsetFetchResponseTopics {
    let partition = |(number, answer): (i32, Answer)| {
        let response = OffsetFetchResponsePartitions::default().with_partition_index(number);
        match answer {
            Ok(Some(found)) => response
                .with_committed_offset(found.offset.0)
                .with_committed_leader_epoch(found.leader_epoch)
                .with_metadata(Some(wire_text(found.metadata))),
            Ok(None) => {
                response.with_committed_offset(NOTHING).with_committed_leader_epoch(-1).with_metadata(Some(wire_text("")))
            }
            Err(error) => response.with_committed_offset(NOTHING).with_committed_leader_epoch(-1).with_error_code(error.code()),
        }
    };
    OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.into_iter().map(partition).collect())
}

fn alone(name: WireTopicName, partitions: Vec<(i32, Answer)>) -> OffsetFetchResponseTopic {
    let partitions = of_group(name.clone(), partitions).partitions.into_iter().map(|partition| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_committed_offset(partition.committed_offset)
            .with_committed_leader_epoch(partition.committed_leader_epoch)
            .with_metadata(partition.metadata)
            .with_error_code(partition.error_code)
    });
    OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
}

pub(super) async fn offset_delete(call: &Call<'_>, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let named = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().filter_map(|partition| partition_of(&topic.name, partition.partition_index)));
    let named: Vec<TopicPartition> = named.collect();
    let deleted = match GroupId::new(&request.group_id) {
        Ok(group) => call.broker.groups.delete_offsets(&group, &named).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &deleted {
        return OffsetDeleteResponse::default().with_error_code(error.code());
    }
    let codes = Codes::of(deleted);
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let of = partition_of(&topic.name, partition.partition_index);
            let response = OffsetDeleteResponsePartition::default().with_partition_index(partition.partition_index);
            response.with_error_code(codes.get(of.as_ref()))
        });
        OffsetDeleteResponseTopic::default().with_partitions(partitions.collect()).with_name(topic.name.clone())
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}
