//! From a request to its answer: which file answers which API. Each file holds a family of APIs.

mod cluster;
mod configs;
mod fetch;
mod groups;
mod list_offsets;
mod metadata;
mod offsets;
pub(super) mod produce;
mod producers;
mod sasl;
mod topics;
mod transactions;

use std::collections::HashSet;
use std::hash::Hash;

use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, TopicName as WireTopicName};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::{TopicName, TopicPartition};

use super::answer::Answer;
use super::broker::Broker;
use super::connection::Ends;
use super::frame::Request;
use super::room::Held;
use super::session::Session;

/// A request at its API.
pub(super) struct Call<'a> {
    pub(super) broker: &'a Broker,
    pub(super) request: &'a Request,
    pub(super) ends: Ends,
    pub(super) session: &'a Session,
    pub(super) held: &'a Held,
}

/// The frame that answers a request other than Produce; an error ends the connection.
pub(super) async fn answer(call: &Call<'_>) -> Result<Answer, String> {
    let request = call.request;
    if request.api.key == ApiKey::Fetch {
        return fetch::answer(call, request.decode()?).await;
    }
    encoded(call).await.map(Answer::from)
}

/// The same, for all whose answers the codec encodes whole.
async fn encoded(call: &Call<'_>) -> Result<Bytes, String> {
    let request = call.request;
    match request.api.key {
        ApiKey::ApiVersions => cluster::api_versions(call),
        ApiKey::SaslHandshake => request.answer(&sasl::handshake(call, &request.decode()?)),
        ApiKey::SaslAuthenticate => request.answer(&sasl::authenticate(call, request.decode()?).await),
        ApiKey::DescribeCluster => request.answer(&cluster::describe_cluster(call, &request.decode()?)),
        ApiKey::DescribeLogDirs => request.answer(&cluster::describe_log_dirs(call, request.decode()?).await),
        ApiKey::FindCoordinator => request.answer(&cluster::find_coordinator(call, request.decode()?)),
        ApiKey::Metadata => request.answer(&metadata::metadata(call, request.decode()?).await),
        ApiKey::DescribeTopicPartitions => request.answer(&metadata::describe_topic_partitions(call, request.decode()?).await),
        ApiKey::ListOffsets => request.answer(&list_offsets::list_offsets(call, request.decode()?).await),
        ApiKey::OffsetForLeaderEpoch => request.answer(&list_offsets::offset_for_leader_epoch(call, request.decode()?).await),
        ApiKey::CreateTopics => request.answer(&topics::create_topics(call, request.decode()?).await),
        ApiKey::DeleteTopics => request.answer(&topics::delete_topics(call, request.decode()?).await),
        ApiKey::CreatePartitions => request.answer(&topics::create_partitions(call, request.decode()?).await),
        ApiKey::DeleteRecords => request.answer(&topics::delete_records(call, request.decode()?).await),
        ApiKey::DescribeConfigs => request.answer(&configs::describe_configs(call, request.decode()?).await),
        ApiKey::AlterConfigs => request.answer(&configs::alter_configs(call, request.decode()?).await),
        ApiKey::IncrementalAlterConfigs => request.answer(&configs::incremental_alter_configs(call, request.decode()?).await),
        ApiKey::JoinGroup => request.answer(&groups::join_group(call, request.decode()?).await),
        ApiKey::SyncGroup => request.answer(&groups::sync_group(call, request.decode()?).await),
        ApiKey::Heartbeat => request.answer(&groups::heartbeat(call, request.decode()?)),
        ApiKey::LeaveGroup => request.answer(&groups::leave_group(call, &request.decode()?)),
        ApiKey::DescribeGroups => request.answer(&groups::describe_groups(call, request.decode()?)),
        ApiKey::ListGroups => request.answer(&groups::list_groups(call, &request.decode()?)),
        ApiKey::DeleteGroups => request.answer(&groups::delete_groups(call, request.decode()?).await),
        ApiKey::OffsetCommit => request.answer(&offsets::offset_commit(call, request.decode()?).await),
        ApiKey::OffsetFetch => request.answer(&offsets::offset_fetch(call, request.decode()?).await),
        ApiKey::OffsetDelete => request.answer(&offsets::offset_delete(call, request.decode()?).await),
        ApiKey::InitProducerId => request.answer(&producers::init_producer_id(call, &request.decode()?).await),
        ApiKey::DescribeProducers => request.answer(&producers::describe_producers(call, request.decode()?).await),
        ApiKey::AddPartitionsToTxn => request.answer(&transactions::add_partitions_to_txn(call, request.decode()?).await),
        ApiKey::AddOffsetsToTxn => request.answer(&transactions::add_offsets_to_txn(call, &request.decode()?).await),
        ApiKey::TxnOffsetCommit => request.answer(&transactions::txn_offset_commit(call, request.decode()?).await),
        ApiKey::EndTxn => request.answer(&transactions::end_txn(call, &request.decode()?).await),
        ApiKey::DescribeTransactions => request.answer(&transactions::describe_transactions(call, request.decode()?)),
        ApiKey::ListTransactions => request.answer(&transactions::list_transactions(call, request.decode()?)),
        other => Err(format!("{other:?} is not served")),
    }
}

/// What may be done to a topic, the cluster and a group, by Kafka's numbers of operations.
const TOPIC_OPERATIONS: [i32; 8] = [3, 4, 5, 6, 7, 8, 10, 11];
const CLUSTER_OPERATIONS: [i32; 7] = [5, 7, 8, 9, 10, 11, 12];
const GROUP_OPERATIONS: [i32; 3] = [3, 6, 8];
/// The operations that a client may do are not told.
const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

/// The operations that a client may do, as responses have them: all, because whoever is let in may do everything.
fn allowed(operations: &[i32], asked: bool) -> i32 {
    if asked { operations.iter().fold(0, |set, operation| set | 1 << operation) } else { OPERATIONS_NOT_ASKED }
}

/// What a request names, each by its key once: an answer grows with what there is, not with how often it is asked for.
fn once<T, K: Eq + Hash>(named: Vec<T>, key: impl Fn(&T) -> K) -> impl Iterator<Item = T> {
    let mut seen = HashSet::with_capacity(named.len());
    named.into_iter().filter(move |one| seen.insert(key(one)))
}

/// A partition as requests name it; `None` if no partition can be called so.
fn partition_of(topic: &str, partition: i32) -> Option<TopicPartition> {
    Some(TopicName::new(topic).ok()?.partition(u32::try_from(partition).ok()?))
}

/// A topic's name as responses have it.
fn wire_name(topic: &TopicName) -> WireTopicName {
    WireTopicName(StrBytes::from_string(topic.as_str().to_owned()))
}

/// A text as responses have it.
fn wire_text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// A partition's or broker's number as responses have it.
fn wire_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
