//! Fetch: whole batches from where a consumer stands, waiting for as many bytes as it asks for.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::select_all;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ProducerId;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest};
use kafka_protocol::messages::fetch_response::{AbortedTransaction, FetchResponse, FetchableTopicResponse, PartitionData};
use pinlake_core::{Batch, Committed, Log, Offset, ReadLimit, Result, TopicPartition};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{Call, partition_of};
use crate::kafka::broker::LEADER_EPOCH;
use crate::kafka::{error, metrics};

/// The isolation level of readers of committed records.
pub(super) const READ_COMMITTED: i8 = 1;
/// The offset is not known.
const NO_OFFSET: i64 = -1;

/// One partition of a fetch.
struct Wanted {
    /// Which one; `None` if no partition can be called so.
    of: Option<TopicPartition>,
    request: FetchPartition,
    refused: Option<i16>,
}

/// What is there for a consumer; when it is less than it asks for, after a wait.
pub(super) async fn fetch(call: &Call<'_>, request: FetchRequest) -> FetchResponse {
    let deadline = Instant::now() + wait_of(call, &request);
    let least = usize::try_from(request.min_bytes).unwrap_or(0).min(call.broker.settings.fetch_bytes_max);
    let most = usize::try_from(request.max_bytes).unwrap_or(0).min(call.broker.settings.fetch_bytes_max);
    let committed = request.isolation_level == READ_COMMITTED;
    let wanted = wanted(call, &request).await;
    let partitions: Vec<&Wanted> = wanted.iter().flatten().collect();
    let mut read = read_in_room(call, &partitions, most, committed).await;
    // An error is told at once.
    while read.bytes < least && !read.failed && wait(call.broker.log().as_ref(), &partitions, &read, committed, deadline).await {
        read = read_in_room(call, &partitions, most, committed).await;
    }
    metrics::observe_fetch(read.bytes);
    let mut partitions = read.partitions.into_iter();
    let topics = request.topics.into_iter().zip(&wanted).map(|(topic, wanted)| {
        FetchableTopicResponse::default()
            .with_topic(topic.topic)
            .with_topic_id(topic.topic_id)
            .with_partitions(partitions.by_ref().take(wanted.len()).collect())
    });
    FetchResponse::default().with_responses(topics.collect())
}

/// Reads as much as there is room for in memory, and holds the room of what was read until the answer is sent.
async fn read_in_room(call: &Call<'_>, partitions: &[&Wanted], most: usize, committed: bool) -> Read {
    call.held.release();
    let mut room = call.broker.answers.take(most).await;
    let read = read_all(call.broker.log().as_ref(), partitions, room.num_permits().min(most), committed).await;
    drop(room.split(room.num_permits().saturating_sub(read.bytes)));
    call.held.hold(room);
    read
}

fn wait_of(call: &Call<'_>, request: &FetchRequest) -> Duration {
    let asked = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    asked.min(call.broker.settings.fetch_wait_max)
}

/// The partitions of a request, by topic, each with its name or why it has none.
async fn wanted(call: &Call<'_>, request: &FetchRequest) -> Vec<Vec<Wanted>> {
    let by_id = call.request.version >= 13;
    let topics = if by_id { call.broker.log().topics().await.unwrap_or_default() } else { Vec::new() };
    let name_of = |id: Uuid| topics.iter().find(|topic| topic.id.0 == id).map(|topic| topic.name.as_str().to_owned());
    let of_topic = |topic: &kafka_protocol::messages::fetch_request::FetchTopic| {
        let name = if by_id { name_of(topic.topic_id) } else { Some(topic.topic.to_string()) };
        let unknown = if by_id { ResponseError::UnknownTopicId } else { ResponseError::UnknownTopicOrPartition };
        let of_partition = |partition: &FetchPartition| {
            let of = name.as_deref().and_then(|name| partition_of(name, partition.partition));
            let refused = if of.is_none() { Some(unknown.code()) } else { stale(partition.current_leader_epoch) };
            Wanted { of, request: partition.clone(), refused }
        };
        topic.partitions.iter().map(of_partition).collect()
    };
    request.topics.iter().map(of_topic).collect()
}

/// Refuses a client that knows of a leader which never was. -1 is a client that does not say.
pub(super) fn stale(leader_epoch: i32) -> Option<i16> {
    (leader_epoch > LEADER_EPOCH).then(|| ResponseError::UnknownLeaderEpoch.code())
}

#[derive(Default)]
struct Read {
    partitions: Vec<PartitionData>,
    bytes: usize,
    failed: bool,
}

/// Reads every partition in the request's order until the answer is full. The first batch is answered however large it is.
async fn read_all(log: &dyn Log, partitions: &[&Wanted], most: usize, committed: bool) -> Read {
    let mut read = Read::default();
    for wanted in partitions {
        let data =
            PartitionData::default().with_partition_index(wanted.request.partition).with_preferred_read_replica((-1).into());
        let data = match (&wanted.of, wanted.refused) {
            (Some(of), None) => {
                read_one(log, of, &wanted.request, most.saturating_sub(read.bytes), read.bytes == 0, committed, data).await
            }
            (_, refused) => failed(data, refused.unwrap_or(error::NONE)),
        };
        read.bytes += data.records.as_ref().map_or(0, Bytes::len);
        read.failed |= data.error_code != error::NONE;
        read.partitions.push(data);
    }
    read
}

async fn read_one(
    log: &dyn Log,
    of: &TopicPartition,
    request: &FetchPartition,
    room: usize,
    is_first: bool,
    committed: bool,
    data: PartitionData,
) -> PartitionData {
    let ends = match (log.range(of).await, log.stable_end(of).await) {
        (Ok(range), Ok(stable)) => (range, stable),
        (Err(error), _) | (_, Err(error)) => return failed(data, error::code(&error)),
    };
    let (range, stable) = ends;
    let data = data.with_high_watermark(range.end.0).with_last_stable_offset(stable.0).with_log_start_offset(range.start.0);
    let most = usize::try_from(request.partition_max_bytes).unwrap_or(0).min(room);
    let read = if most == 0 && !is_first {
        Ok(Committed::default())
    } else {
        read_batches(log, of, Offset(request.fetch_offset), most, committed).await
    };
    match read {
        Ok(mut read) => {
            // The log answers one batch at least; only the first of an answer may be over the limit.
            if !is_first && read.batches.first().is_some_and(|first| first.bytes().len() > most) {
                read = Committed::default();
            }
            answered(data, &read, committed)
        }
        Err(error) => failed(data, error::code(&error)),
    }
}

async fn read_batches(log: &dyn Log, of: &TopicPartition, at: Offset, bytes: usize, committed: bool) -> Result<Committed> {
    let limit = ReadLimit { bytes };
    if committed {
        return log.read_committed(of, at, limit, Duration::ZERO).await;
    }
    Ok(Committed { batches: log.read(of, at, limit, Duration::ZERO).await?, aborted: Vec::new() })
}

fn answered(data: PartitionData, read: &Committed, committed: bool) -> PartitionData {
    let of = |aborted: &pinlake_core::AbortedTransaction| {
        AbortedTransaction::default().with_producer_id(ProducerId(aborted.producer)).with_first_offset(aborted.first.0)
    };
    let aborted = committed.then(|| read.aborted.iter().map(of).collect());
    data.with_records(Some(joined(&read.batches))).with_aborted_transactions(aborted)
}

/// The batches one behind the other; one alone is not copied.
fn joined(batches: &[Batch]) -> Bytes {
    if let [only] = batches {
        return only.bytes().clone();
    }
    let mut out = BytesMut::with_capacity(batches.iter().map(|batch| batch.bytes().len()).sum());
    batches.iter().for_each(|batch| out.extend_from_slice(batch.bytes()));
    out.freeze()
}

fn failed(data: PartitionData, code: i16) -> PartitionData {
    let data = data.with_error_code(code).with_high_watermark(NO_OFFSET).with_last_stable_offset(NO_OFFSET);
    data.with_log_start_offset(NO_OFFSET).with_records(Some(Bytes::new()))
}

/// Waits until some partition has more than was read: false when the deadline came first, or nothing can come.
async fn wait(log: &dyn Log, partitions: &[&Wanted], read: &Read, committed: bool, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    if partitions.is_empty() {
        tokio::time::sleep_until(deadline).await;
        return false;
    }
    if left.is_zero() {
        return false;
    }
    let waits = partitions.iter().zip(&read.partitions).filter_map(|(wanted, data)| {
        let of = wanted.of.as_ref()?;
        let at = Offset(if committed { data.last_stable_offset } else { data.high_watermark });
        Some(Box::pin(async move {
            let limit = ReadLimit { bytes: 1 };
            if committed {
                log.read_committed(of, at, limit, left).await.is_ok_and(|read| !read.batches.is_empty())
            } else {
                log.read(of, at, limit, left).await.is_ok_and(|read| !read.is_empty())
            }
        }))
    });
    let waits: Vec<_> = waits.collect();
    match timeout_at(deadline, select_all(waits)).await {
        Ok((more, _, _)) => more,
        Err(_) => false,
    }
}
