//! Fetch: whole batches from where a consumer stands, waiting for as many bytes as it asks for.

mod encode;

use std::collections::HashSet;
use std::time::Duration;

use futures::future::select_all;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ProducerId;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest};
use kafka_protocol::messages::fetch_response::{self, FetchableTopicResponse, PartitionData};
use pinlake_core::{AbortedTransaction, Batch, Committed, Log, Offset, ReadLimit, Result, TopicPartition};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{Call, partition_of};
use crate::kafka::answer::Answer;
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

/// Answers what is there for a consumer; when it is less than it asks for, after a wait.
pub(super) async fn answer(call: &Call<'_>, request: FetchRequest) -> std::result::Result<Answer, String> {
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
        let response = FetchableTopicResponse::default().with_topic(topic.topic).with_topic_id(topic.topic_id);
        (response, partitions.by_ref().take(wanted.len()).collect())
    });
    let topics: Vec<_> = topics.collect();
    call.request.answer_with(encode::body(call.request.version, &topics)?)
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
    let mut seen = HashSet::new();
    let of_topic = |topic: &kafka_protocol::messages::fetch_request::FetchTopic| {
        let name = if by_id { name_of(topic.topic_id) } else { Some(topic.topic.to_string()) };
        let unknown = if by_id { ResponseError::UnknownTopicId } else { ResponseError::UnknownTopicOrPartition };
        let of_partition = |partition: &FetchPartition| {
            let of = name.as_deref().and_then(|name| partition_of(name, partition.partition));
            let refused = match &of {
                None => Some(unknown.code()),
                // An answer grows with what there is, not with how often it is asked for.
                Some(of) if !seen.insert(of.clone()) => Some(ResponseError::InvalidRequest.code()),
                Some(_) => stale(partition.current_leader_epoch),
            };
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
    partitions: Vec<Found>,
    bytes: usize,
    failed: bool,
}

/// What is answered for one partition.
struct Found {
    /// Everything but the batches: its records are empty, as they are by default.
    data: PartitionData,
    batches: Vec<Batch>,
}

impl Found {
    fn bytes(&self) -> usize {
        bytes_of(&self.batches)
    }
}

fn bytes_of(batches: &[Batch]) -> usize {
    batches.iter().map(|batch| batch.bytes().len()).sum()
}

/// Reads every partition in the request's order until the answer is full. The first batch is answered however large it is.
async fn read_all(log: &dyn Log, partitions: &[&Wanted], most: usize, committed: bool) -> Read {
    let mut read = Read::default();
    for wanted in partitions {
        let data =
            PartitionData::default().with_partition_index(wanted.request.partition).with_preferred_read_replica((-1).into());
        let found = match (&wanted.of, wanted.refused) {
            (Some(of), None) => {
                read_one(log, of, &wanted.request, most.saturating_sub(read.bytes), read.bytes == 0, committed, data).await
            }
            (_, refused) => failed(data, refused.unwrap_or(error::NONE)),
        };
        read.bytes += found.bytes();
        read.failed |= found.data.error_code != error::NONE;
        read.partitions.push(found);
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
) -> Found {
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
            found(data, read, committed)
        }
        Err(error) => failed(data, error::code(&error)),
    }
}

/// As many batches as fit into `most` bytes, one at least: the log answers fewer at once.
async fn read_batches(log: &dyn Log, of: &TopicPartition, at: Offset, most: usize, committed: bool) -> Result<Committed> {
    let mut read = read_some(log, of, at, most, committed).await?;
    let mut left = most.saturating_sub(bytes_of(&read.batches));
    // What follows is most often as large.
    while let Some(last) = read.batches.last().filter(|last| last.bytes().len() <= left) {
        // What was read is answered; an error comes again with the next fetch.
        let Ok(more) = read_some(log, of, last.offsets().end, left, committed).await else { break };
        if more.batches.is_empty() || bytes_of(&more.batches) > left {
            break;
        }
        left -= bytes_of(&more.batches);
        // Those that began before reach into what was read before, and are known.
        let at = more.batches.first().map_or(at, Batch::base_offset);
        read.aborted.extend(more.aborted.into_iter().filter(|aborted| aborted.first >= at));
        read.batches.extend(more.batches);
    }
    Ok(read)
}

async fn read_some(log: &dyn Log, of: &TopicPartition, at: Offset, bytes: usize, committed: bool) -> Result<Committed> {
    let limit = ReadLimit { bytes };
    if committed {
        return log.read_committed(of, at, limit, Duration::ZERO).await;
    }
    Ok(Committed { batches: log.read(of, at, limit, Duration::ZERO).await?, aborted: Vec::new() })
}

fn found(data: PartitionData, read: Committed, committed: bool) -> Found {
    let of = |aborted: &AbortedTransaction| {
        fetch_response::AbortedTransaction::default()
            .with_producer_id(ProducerId(aborted.producer))
            .with_first_offset(aborted.first.0)
    };
    let aborted = committed.then(|| read.aborted.iter().map(of).collect());
    Found { data: data.with_aborted_transactions(aborted), batches: read.batches }
}

fn failed(data: PartitionData, code: i16) -> Found {
    let data = data.with_error_code(code).with_high_watermark(NO_OFFSET).with_last_stable_offset(NO_OFFSET);
    Found { data: data.with_log_start_offset(NO_OFFSET), batches: Vec::new() }
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
    let waits = partitions.iter().zip(&read.partitions).filter_map(|(wanted, found)| {
        let of = wanted.of.as_ref()?;
        let at = Offset(if committed { found.data.last_stable_offset } else { found.data.high_watermark });
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
