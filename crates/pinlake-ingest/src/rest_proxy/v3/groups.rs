//! Consumer groups in v3: who is in them, and how far they are behind.

use std::collections::HashMap;

use pinlake_core::{Offset, TopicPartition};
use serde_json::{Value, json};

use super::BROKER_ID;
use super::resources::Cluster;
use crate::doors::Call;
use crate::groups::GroupError;
use crate::groups::calls::{GroupDescription, GroupId, GroupState, MemberDescription};
use crate::rest_proxy::consumers::assigned;
use crate::rest_proxy::error::{GROUP_NOT_FOUND, RestError};
use crate::rest_proxy::server_url::part;

pub(super) fn list(call: &Call<'_>, cluster: &Cluster) -> Value {
    let groups = call.shared.groups.list(&[]);
    let described = |group: &GroupId| call.shared.groups.describe(group).ok().map(|found| group_of(cluster, &found));
    cluster.list(
        "KafkaConsumerGroupList",
        "/consumer-groups",
        groups.iter().filter_map(|group| described(&group.group)).collect(),
    )
}

pub(super) fn describe(call: &Call<'_>, cluster: &Cluster, group: &str) -> Result<Value, RestError> {
    Ok(group_of(cluster, &existing(call, group)?))
}

pub(super) fn consumers(call: &Call<'_>, cluster: &Cluster, group: &str) -> Result<Value, RestError> {
    let group = existing(call, group)?;
    let data = group.members.iter().map(|member| consumer_of(cluster, group.group.as_str(), member)).collect();
    Ok(cluster.list("KafkaConsumerList", &format!("{}/consumers", path_of(group.group.as_str())), data))
}

pub(super) fn consumer(call: &Call<'_>, cluster: &Cluster, group: &str, id: &str) -> Result<Value, RestError> {
    let (group, member) = member(call, group, id)?;
    Ok(consumer_of(cluster, group.group.as_str(), &member))
}

pub(super) fn assignments(call: &Call<'_>, cluster: &Cluster, group: &str, id: &str) -> Result<Value, RestError> {
    let (group, member) = member(call, group, id)?;
    let path = format!("{}/consumers/{}/assignments", path_of(group.group.as_str()), part(id));
    let one = |of: &TopicPartition| {
        let topic = of.topic.as_str();
        cluster.resource(
            "KafkaConsumerAssignment",
            &format!("{path}/{}/partitions/{}", part(topic), of.partition),
            json!({
                "consumer_group_id": group.group.as_str(),
                "consumer_id": id,
                "topic_name": topic,
                "partition_id": of.partition,
                "partition": cluster.related(&format!("/topics/{}/partitions/{}", part(topic), of.partition)),
                "lag": cluster.related(&lag_path(group.group.as_str(), of)),
            }),
        )
    };
    Ok(cluster.list("KafkaConsumerAssignmentList", &path, assigned(&member.assignment).iter().map(one).collect()))
}

pub(super) async fn lags(call: &Call<'_>, cluster: &Cluster, group: &str) -> Result<Value, RestError> {
    let group = existing(call, group)?;
    let lags = lags_of(call, &group).await;
    let data = lags.iter().map(|lag| lag_of(cluster, group.group.as_str(), lag)).collect();
    Ok(cluster.list("KafkaConsumerLagList", &format!("{}/lags", path_of(group.group.as_str())), data))
}

pub(super) async fn lag(
    call: &Call<'_>,
    cluster: &Cluster,
    group: &str,
    topic: &str,
    partition: &str,
) -> Result<Value, RestError> {
    let group = existing(call, group)?;
    let lags = lags_of(call, &group).await;
    let found = lags.iter().find(|lag| lag.of.topic.as_str() == topic && lag.of.partition.to_string() == partition);
    let found =
        found.ok_or_else(|| RestError::new(404, "HTTP 404 Not Found: the group has committed nothing of that partition"))?;
    Ok(lag_of(cluster, group.group.as_str(), found))
}

/// The group as a whole, and the partition in which it is furthest behind.
pub(super) async fn lag_summary(call: &Call<'_>, cluster: &Cluster, group: &str) -> Result<Value, RestError> {
    let group = existing(call, group)?;
    let name = group.group.as_str();
    let lags = lags_of(call, &group).await;
    let total: u64 = lags.iter().map(Lag::records).sum();
    let most = lags.iter().max_by_key(|lag| lag.records());
    let most = most.ok_or_else(|| RestError::new(404, "HTTP 404 Not Found: the group has committed nothing"))?;
    let (consumer, instance, client) = most.reader();
    Ok(cluster.resource(
        "KafkaConsumerGroupLagSummary",
        &format!("{}/lag-summary", path_of(name)),
        json!({
            "consumer_group_id": name,
            "max_lag_consumer_id": consumer,
            "max_lag_instance_id": instance,
            "max_lag_client_id": client,
            "max_lag_topic_name": most.of.topic,
            "max_lag_partition_id": most.of.partition,
            "max_lag": most.records(),
            "total_lag": total,
            "max_lag_consumer": cluster.related(&format!("{}/consumers/{}", path_of(name), part(consumer))),
            "max_lag_partition": cluster.related(&format!("/topics/{}/partitions/{}", part(most.of.topic.as_str()), most.of.partition)),
        }),
    ))
}

/// How far a group is behind in one partition, and who reads it.
struct Lag {
    of: TopicPartition,
    committed: Offset,
    end: Offset,
    member: Option<MemberDescription>,
}

impl Lag {
    fn records(&self) -> u64 {
        self.end.since(self.committed)
    }

    /// Consumer, instance and client, as far as there are any.
    fn reader(&self) -> (&str, Option<&str>, &str) {
        self.member
            .as_ref()
            .map_or(("", None, ""), |member| (&member.member_id, member.group_instance_id.as_deref(), &member.client_id))
    }
}

/// By topic and partition; what can't be looked up is left out.
async fn lags_of(call: &Call<'_>, group: &GroupDescription) -> Vec<Lag> {
    let mut readers: HashMap<TopicPartition, &MemberDescription> = HashMap::new();
    for member in &group.members {
        readers.extend(assigned(&member.assignment).into_iter().map(|of| (of, member)));
    }
    let mut lags = Vec::new();
    for (of, committed) in call.shared.groups.fetch(&group.group, None, false) {
        let Ok(Some(committed)) = committed else { continue };
        let Ok(range) = call.shared.producer.log().range(&of).await else { continue };
        let member = readers.get(&of).map(|member| (*member).clone());
        lags.push(Lag { of, committed: committed.offset, end: range.end, member });
    }
    lags.sort_by(|one, other| one.of.cmp(&other.of));
    lags
}

fn existing(call: &Call<'_>, group: &str) -> Result<GroupDescription, RestError> {
    let found = GroupId::new(group).and_then(|id| call.shared.groups.describe(&id));
    found.map_err(|error| match error {
        GroupError::GroupIdNotFound | GroupError::InvalidGroupId => {
            RestError::new(GROUP_NOT_FOUND, "Consumer group not found: check its name with GET .../consumer-groups")
        }
        error => RestError::of_group(&error),
    })
}

fn member(call: &Call<'_>, group: &str, id: &str) -> Result<(GroupDescription, MemberDescription), RestError> {
    let group = existing(call, group)?;
    let found = group.members.iter().find(|member| member.member_id == id).cloned();
    let found = found.ok_or_else(|| RestError::new(404, "HTTP 404 Not Found: the group has no such consumer"))?;
    Ok((group, found))
}

fn path_of(group: &str) -> String {
    format!("/consumer-groups/{}", part(group))
}

fn lag_path(group: &str, of: &TopicPartition) -> String {
    format!("{}/lags/{}/partitions/{}", path_of(group), part(of.topic.as_str()), of.partition)
}

fn group_of(cluster: &Cluster, group: &GroupDescription) -> Value {
    let name = group.group.as_str();
    let state = match group.state {
        GroupState::Empty => "EMPTY",
        GroupState::PreparingRebalance => "PREPARING_REBALANCE",
        GroupState::CompletingRebalance => "COMPLETING_REBALANCE",
        GroupState::Stable => "STABLE",
        GroupState::Dead => "DEAD",
    };
    cluster.resource(
        "KafkaConsumerGroup",
        &path_of(name),
        json!({
            "consumer_group_id": name,
            "is_simple": group.protocol_type.is_empty(),
            "partition_assignor": group.protocol,
            "state": state,
            "coordinator": cluster.related(&format!("/brokers/{BROKER_ID}")),
            "consumers": cluster.related(&format!("{}/consumers", path_of(name))),
            "lag_summary": cluster.related(&format!("{}/lag-summary", path_of(name))),
        }),
    )
}

fn consumer_of(cluster: &Cluster, group: &str, member: &MemberDescription) -> Value {
    let path = format!("{}/consumers/{}", path_of(group), part(&member.member_id));
    cluster.resource(
        "KafkaConsumer",
        &path,
        json!({
            "consumer_group_id": group,
            "consumer_id": member.member_id,
            "instance_id": member.group_instance_id,
            "client_id": member.client_id,
            "assignments": cluster.related(&format!("{path}/assignments")),
        }),
    )
}

fn lag_of(cluster: &Cluster, group: &str, lag: &Lag) -> Value {
    let (consumer, instance, client) = lag.reader();
    cluster.resource(
        "KafkaConsumerLag",
        &lag_path(group, &lag.of),
        json!({
            "consumer_group_id": group,
            "topic_name": lag.of.topic,
            "partition_id": lag.of.partition,
            "consumer_id": consumer,
            "instance_id": instance,
            "client_id": client,
            "current_offset": lag.committed,
            "log_end_offset": lag.end,
            "lag": lag.records(),
        }),
    )
}
