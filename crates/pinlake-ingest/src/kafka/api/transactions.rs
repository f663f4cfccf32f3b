//! Transactions: AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, EndTxn, and what tools ask of them. What may happen to a transaction is
//! `transactions`' own; here it is read from and written to Kafka's messages.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use kafka_protocol::messages::add_offsets_to_txn_response::AddOffsetsToTxnResponse;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnRequest;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::describe_transactions_request::DescribeTransactionsRequest;
use kafka_protocol::messages::describe_transactions_response::{
    DescribeTransactionsResponse, TopicData, TransactionState as WireDescription,
};
use kafka_protocol::messages::end_txn_request::EndTxnRequest;
use kafka_protocol::messages::end_txn_response::EndTxnResponse;
use kafka_protocol::messages::list_transactions_request::ListTransactionsRequest;
use kafka_protocol::messages::list_transactions_response::{ListTransactionsResponse, TransactionState as WireListing};
use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequest;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{ProducerId, TransactionalId as WireTransactionalId};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::batch::Marker;
use pinlake_core::{TopicName, TopicPartition};

use super::offsets::{Codes, existing, new_offset};
use super::{Call, once, partition_of, wire_name, wire_number, wire_text};
use crate::groups::calls::{CommitRequest, ForPartition, GroupId, NO_GENERATION, NewOffset, TransactionProducer};
use crate::kafka::error::{self, NONE};
use crate::transactions::TransactionError;
use crate::transactions::calls::{TransactionDescription, TransactionState, TransactionalId};

/// AddPartitionsToTxn, AddOffsetsToTxn and EndTxn from this version on know PRODUCER_FENCED.
const KNOWS_FENCED: i16 = 2;
/// TxnOffsetCommit from this version on names the member.
const NAMES_MEMBER: i16 = 3;

/// Adds all partitions or none.
pub(super) async fn add_partitions_to_txn(call: &Call<'_>, request: AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
    let topics = request.v3_and_below_topics;
    let mut partitions = Vec::new();
    let mut problems = Problems::default();
    for topic in &topics {
        for number in &topic.partitions {
            match problems.of(call, &topic.name, *number).await {
                Ok(of) => partitions.push(of),
                Err(_) => problems.any = true,
            }
        }
    }
    let code = if problems.any {
        ResponseError::OperationNotAttempted.code()
    } else {
        let by = producer(request.v3_and_below_producer_id, request.v3_and_below_producer_epoch);
        let added = match TransactionalId::new(&request.v3_and_below_transactional_id) {
            Ok(id) => call.broker.transactions.add_partitions(&id, by, partitions).await,
            Err(error) => Err(error),
        };
        code_in(call, &added)
    };
    let mut results = Vec::with_capacity(topics.len());
    for topic in topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for number in topic.partitions {
            let code = problems.of(call, &topic.name, number).await.err().unwrap_or(code);
            let result = AddPartitionsToTxnPartitionResult::default().with_partition_index(number);
            partitions.push(result.with_partition_error_code(code));
        }
        results.push(AddPartitionsToTxnTopicResult::default().with_name(topic.name).with_results_by_partition(partitions));
    }
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results)
}

/// Which partitions can't be in a transaction, and why; each topic is looked up once.
#[derive(Default)]
struct Problems {
    counts: HashMap<TopicName, Result<u32, i16>>,
    any: bool,
}

impl Problems {
    async fn of(&mut self, call: &Call<'_>, topic: &str, number: i32) -> Result<TopicPartition, i16> {
        let unknown = ResponseError::UnknownTopicOrPartition.code();
        let of = partition_of(topic, number).ok_or(unknown)?;
        let count = match self.counts.get(&of.topic) {
            Some(count) => *count,
            None => {
                let found = call.broker.log().topic(&of.topic).await;
                let count = found.map(|topic| topic.spec.partitions).map_err(|error| error::code(&error));
                self.counts.insert(of.topic.clone(), count);
                count
            }
        };
        if of.partition.0 < count? { Ok(of) } else { Err(unknown) }
    }
}

pub(super) async fn add_offsets_to_txn(call: &Call<'_>, request: &AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse {
    let added = async {
        let id = TransactionalId::new(&request.transactional_id)?;
        let group = GroupId::new(&request.group_id).map_err(TransactionError::Group)?;
        call.broker.transactions.add_group(&id, producer(request.producer_id, request.producer_epoch), group).await
    };
    AddOffsetsToTxnResponse::default().with_error_code(code_in(call, &added.await))
}

pub(super) async fn txn_offset_commit(call: &Call<'_>, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
    let offsets = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().filter_map(|partition| {
            let new =
                new_offset(partition.committed_offset, partition.committed_leader_epoch, partition.committed_metadata.as_ref());
            Some((partition_of(&topic.name, partition.partition_index)?, new))
        })
    });
    let offsets = existing(call, offsets.collect()).await;
    let codes = match stage(call, &request, offsets).await {
        Ok(answers) => Codes::of(Ok(answers)),
        Err(error) => Codes::all(error.old_code()),
    };
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let of = partition_of(&topic.name, partition.partition_index);
            let response = TxnOffsetCommitResponsePartition::default().with_partition_index(partition.partition_index);
            response.with_error_code(codes.get(of.as_ref()))
        });
        TxnOffsetCommitResponseTopic::default().with_partitions(partitions.collect()).with_name(topic.name.clone())
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

async fn stage(
    call: &Call<'_>,
    request: &TxnOffsetCommitRequest,
    offsets: Vec<(TopicPartition, NewOffset)>,
) -> Result<Vec<ForPartition<()>>, TransactionError> {
    let id = TransactionalId::new(&request.transactional_id)?;
    let is_named = call.request.version >= NAMES_MEMBER;
    let commit = CommitRequest {
        group: GroupId::new(&request.group_id).map_err(TransactionError::Group)?,
        generation: if is_named { request.generation_id } else { NO_GENERATION },
        member_id: if is_named { request.member_id.as_str().to_owned() } else { String::new() },
        group_instance_id: request.group_instance_id.as_ref().map(|id| id.as_str().to_owned()),
        offsets,
    };
    call.broker.transactions.stage_offsets(&id, producer(request.producer_id, request.producer_epoch), commit).await
}

pub(super) async fn end_txn(call: &Call<'_>, request: &EndTxnRequest) -> EndTxnResponse {
    let how = if request.committed { Marker::Commit } else { Marker::Abort };
    let ended = match TransactionalId::new(&request.transactional_id) {
        Ok(id) => call.broker.transactions.end(&id, producer(request.producer_id, request.producer_epoch), how).await,
        Err(error) => Err(error),
    };
    EndTxnResponse::default().with_error_code(code_in(call, &ended))
}

pub(super) fn describe_transactions(call: &Call<'_>, request: DescribeTransactionsRequest) -> DescribeTransactionsResponse {
    let describe = |asked: WireTransactionalId| {
        let described = WireDescription::default().with_transactional_id(asked.clone());
        match TransactionalId::new(&asked).and_then(|id| call.broker.transactions.describe(&id)) {
            Ok(found) => described
                .with_transaction_state(StrBytes::from_static_str(found.state.as_str()))
                .with_transaction_timeout_ms(i32::try_from(found.timeout.as_millis()).unwrap_or(i32::MAX))
                .with_transaction_start_time_ms(found.started_at.map_or(-1, |at| at.0))
                .with_producer_id(ProducerId(found.producer.id))
                .with_producer_epoch(found.producer.epoch)
                .with_topics(by_topic(&found.partitions)),
            Err(error) => described.with_error_code(error.code()),
        }
    };
    let described = once(request.transactional_ids, WireTransactionalId::clone).map(describe);
    DescribeTransactionsResponse::default().with_transaction_states(described.collect())
}

fn by_topic(partitions: &[TopicPartition]) -> Vec<TopicData> {
    let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
    for of in partitions {
        topics.entry(&of.topic).or_default().push(wire_number(of.partition.0));
    }
    let data = |(topic, numbers)| TopicData::default().with_topic(wire_name(topic)).with_partitions(numbers);
    topics.into_iter().map(data).collect()
}

/// All transactional ids, or those in the states, of the producers and with a transaction open for longer than is asked.
pub(super) fn list_transactions(call: &Call<'_>, request: ListTransactionsRequest) -> ListTransactionsResponse {
    let state_of = |asked: &StrBytes| TransactionState::ALL.into_iter().find(|state| state.as_str() == asked.as_str());
    let (known, unknown): (Vec<_>, Vec<_>) = request.state_filters.into_iter().partition(|asked| state_of(asked).is_some());
    let response = ListTransactionsResponse::default().with_unknown_state_filters(unknown.clone());
    if known.is_empty() && !unknown.is_empty() {
        return response;
    }
    let states: Vec<TransactionState> = known.iter().filter_map(state_of).collect();
    let producers: HashSet<i64> = request.producer_id_filters.iter().map(|id| id.0).collect();
    let now = call.broker.transactions.now();
    // Unset is -1.
    let longer_than = u64::try_from(request.duration_filter).ok().map(Duration::from_millis);
    let wanted = |found: &TransactionDescription| {
        let is_long = |than| found.started_at.is_some_and(|at| at.until(now) > than);
        (states.is_empty() || states.contains(&found.state))
            && (producers.is_empty() || producers.contains(&found.producer.id))
            && longer_than.is_none_or(is_long)
    };
    let listed = call.broker.transactions.list(wanted).into_iter().map(|found| {
        WireListing::default()
            .with_transactional_id(WireTransactionalId(wire_text(found.id.as_str())))
            .with_producer_id(ProducerId(found.producer.id))
            .with_transaction_state(StrBytes::from_static_str(found.state.as_str()))
    });
    response.with_transaction_states(listed.collect())
}

fn producer(id: ProducerId, epoch: i16) -> TransactionProducer {
    TransactionProducer { id: id.0, epoch }
}

/// The code of what a call answered, as the request's version knows it.
fn code_in<T>(call: &Call<'_>, answered: &Result<T, TransactionError>) -> i16 {
    let code = if call.request.version >= KNOWS_FENCED { TransactionError::code } else { TransactionError::old_code };
    answered.as_ref().err().map_or(NONE, code)
}
