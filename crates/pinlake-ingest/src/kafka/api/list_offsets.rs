//! Offsets by time and by leader epoch: ListOffsets, OffsetForLeaderEpoch.

use std::collections::HashSet;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use pinlake_core::{Batch, Error, Log, Offset, ReadLimit, Result, Timestamp, TopicPartition};

use super::{Call, fetch, partition_of};
use crate::kafka::broker::LEADER_EPOCH;
use crate::kafka::error;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
/// The first offset on the broker's own disk, for brokers that move older ones elsewhere.
const EARLIEST_LOCAL: i64 = -4;
/// ListOffsets from this version on tells the leader's epoch.
const LEADER_EPOCH_FROM: i16 = 4;
const UNKNOWN: i64 = -1;

/// The first or last offset of partitions, or the first record at or after a time.
pub(super) async fn list_offsets(call: &Call<'_>, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let committed = request.isolation_level == fetch::READ_COMMITTED;
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut seen = HashSet::new();
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let response = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
            // As Kafka does: looking for a time may mean to unpack a batch.
            let is_first = seen.insert((topic.name.clone(), asked.partition_index));
            let found =
                if is_first { one(call, &topic.name, asked, committed).await } else { Err(ResponseError::InvalidRequest.code()) };
            partitions.push(match found {
                Ok((offset, time)) => {
                    let epoch = if offset < 0 || call.request.version < LEADER_EPOCH_FROM { -1 } else { LEADER_EPOCH };
                    response.with_offset(offset).with_timestamp(time).with_leader_epoch(epoch)
                }
                Err(code) => response.with_error_code(code).with_offset(UNKNOWN).with_timestamp(UNKNOWN).with_leader_epoch(-1),
            });
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    ListOffsetsResponse::default().with_topics(topics)
}

/// Offset and time, or a code.
async fn one(call: &Call<'_>, topic: &str, asked: &ListOffsetsPartition, committed: bool) -> Result<(i64, i64), i16> {
    let of = partition_of(topic, asked.partition_index).ok_or(ResponseError::UnknownTopicOrPartition.code())?;
    fetch::stale(asked.current_leader_epoch).map_or(Ok(()), Err)?;
    let log = call.broker.log().as_ref();
    let found = match asked.timestamp {
        LATEST if committed => log.stable_end(&of).await.map(|end| (end.0, UNKNOWN)),
        LATEST => log.range(&of).await.map(|range| (range.end.0, UNKNOWN)),
        EARLIEST | EARLIEST_LOCAL => log.range(&of).await.map(|range| (range.start.0, UNKNOWN)),
        MAX_TIMESTAMP => newest(log, &of).await,
        time if time >= 0 => first_at(log, &of, Timestamp(time)).await,
        _ => return Err(ResponseError::UnsupportedVersion.code()),
    };
    found.map_err(|error| error::code(&error))
}

/// The first record at or after `time`, unknown if there is none.
async fn first_at(log: &dyn Log, of: &TopicPartition, time: Timestamp) -> Result<(i64, i64)> {
    let from = log.offset_at(of, time).await?;
    if from >= log.range(of).await?.end {
        return Ok((UNKNOWN, UNKNOWN));
    }
    let batches = log.read(of, from, ReadLimit { bytes: 1 }, Duration::ZERO).await?;
    // Unpacking is work: it must not hold up other connections.
    let found = tokio::task::spawn_blocking(move || first_of(&batches, from, time)).await;
    found.unwrap_or_else(|_| Err(Error::internal("cut short")))
}

fn first_of(batches: &[Batch], from: Offset, time: Timestamp) -> Result<(i64, i64)> {
    for batch in batches {
        let plain = batch.plain()?;
        for record in plain.records() {
            let record = record?;
            if record.offset >= from && record.timestamp >= time {
                return Ok((record.offset.0, record.timestamp.0));
            }
        }
    }
    Ok((from.0, batches.first().map_or(UNKNOWN, |batch| batch.max_timestamp().0)))
}

/// The first record with the largest time: found by halving the times, because the log finds offsets by time and not the reverse.
async fn newest(log: &dyn Log, of: &TopicPartition) -> Result<(i64, i64)> {
    let end = log.range(of).await?.end;
    let is_there = async |time: i64| Ok::<bool, pinlake_core::Error>(log.offset_at(of, Timestamp(time)).await? < end);
    let (mut there, mut past) = (0, i64::MAX);
    if !is_there(there).await? {
        return Ok((UNKNOWN, UNKNOWN));
    }
    while past - there > 1 {
        let middle = there + (past - there) / 2;
        if is_there(middle).await? {
            there = middle;
        } else {
            past = middle;
        }
    }
    first_at(log, of, Timestamp(there)).await
}

/// Where the records of a leader epoch end: there is only the one.
pub(super) async fn offset_for_leader_epoch(
    call: &Call<'_>,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let response = EpochEndOffset::default().with_partition(asked.partition);
            let range = match partition_of(&topic.topic, asked.partition) {
                Some(of) => call.broker.log().range(&of).await.map_err(|error| error::code(&error)),
                None => Err(ResponseError::UnknownTopicOrPartition.code()),
            };
            let range = fetch::stale(asked.current_leader_epoch).map_or(range, Err);
            partitions.push(match range {
                Ok(range) if asked.leader_epoch == LEADER_EPOCH => {
                    response.with_leader_epoch(LEADER_EPOCH).with_end_offset(range.end.max(Offset::ZERO).0)
                }
                Ok(_) => response.with_leader_epoch(-1).with_end_offset(UNKNOWN),
                Err(code) => response.with_error_code(code).with_leader_epoch(-1).with_end_offset(UNKNOWN),
            });
        }
        topics.push(OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions));
    }
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}
