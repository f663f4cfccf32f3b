//! Reads whole record batches: Fetch, asked again until something is there or the reader's time is over. Batches are slices of the answer. It must
//! not look into records.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchResponse, PartitionData};
use pinlake_core::log::check_readable;
use pinlake_core::{AbortedTransaction, Batch, Committed, Error, Marker, Offset, ReadLimit, Result, TopicPartition};
use tokio::time::Instant;

use super::cluster::{Cluster, wire_name, wire_partition};
use super::error::{self, Failure};
use super::offsets::{Isolation, range_within};

/// How long a broker is asked to hold one request, so that a caller that goes away keeps no connection busy for long.
const HOLD_MAX: Duration = Duration::from_secs(1);
/// How often a reader asks that has no connection to wait on.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// The least between two requests of a reader whose broker does not hold them.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// No broker asks.
const CONSUMER: BrokerId = BrokerId(-1);
/// No fetch session: each request says all.
const NO_SESSION: i32 = -1;
const UNKNOWN: i64 = -1;
const OFFSET_OUT_OF_RANGE: i16 = 1;
/// Where a message of any format says which it is of.
const MAGIC_AT: usize = 16;

/// What one partition answered.
#[derive(Debug, Default)]
struct Fetched {
    data: PartitionData,
    /// The broker was asked to hold the request so long.
    hold: Duration,
}

/// The whole batches at the front of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) batches: Vec<Batch>,
    /// The length of the first batch, if not even that is whole.
    pub(super) cut: Option<usize>,
}

/// As `Log::read`.
pub(super) async fn read(
    cluster: &Cluster,
    from: &TopicPartition,
    at: Offset,
    max: ReadLimit,
    wait: Duration,
) -> Result<Vec<Batch>> {
    fetch(cluster, from, at, max, wait, Isolation::Uncommitted).await.map(|(batches, _)| batches)
}

/// As `Log::read_committed`.
pub(super) async fn read_committed(
    cluster: &Cluster,
    from: &TopicPartition,
    at: Offset,
    max: ReadLimit,
    wait: Duration,
) -> Result<Committed> {
    let (batches, data) = fetch(cluster, from, at, max, wait, Isolation::Committed).await?;
    let Some(end) = batches.last().map(|batch| batch.offsets().end) else { return Ok(Committed::default()) };
    let aborted = data.aborted_transactions.unwrap_or_default().into_iter().map(|aborted| {
        let (producer, first) = (aborted.producer_id.0, Offset(aborted.first_offset));
        let ends = |batch: &&Batch| {
            batch.base_offset() > first
                && batch.producer().is_some_and(|ending| ending.id == producer)
                && batch.ends_transaction() == Some(Marker::Abort)
        };
        // A broker does not say where the marker is: if it is not here, it lies behind, before what is not decided.
        let behind = Offset(data.last_stable_offset.saturating_sub(1)).max(end).max(first);
        AbortedTransaction { producer, first, last: batches.iter().find(ends).map_or(behind, Batch::base_offset) }
    });
    let aborted = aborted.filter(|aborted| aborted.first < end).collect();
    Ok(Committed { batches, aborted })
}

async fn fetch(
    cluster: &Cluster,
    from: &TopicPartition,
    at: Offset,
    max: ReadLimit,
    wait: Duration,
    isolation: Isolation,
) -> Result<(Vec<Batch>, PartitionData)> {
    let until = Instant::now() + wait;
    let mut attempts = cluster.attempts();
    let mut bytes = max.bytes;
    loop {
        let began = Instant::now();
        let left = until.saturating_duration_since(began);
        let error = match attempts.in_time(ask(cluster, from, at, bytes, left, isolation)).await {
            Ok(Fetched { mut data, hold }) if data.error_code == 0 => {
                let whole = batches_in(data.records.take().unwrap_or_default(), from, at, max)?;
                if !whole.batches.is_empty() {
                    return Ok((whole.batches, data));
                }
                if let Some(length) = whole.cut {
                    bytes = grown(cluster, from, at, bytes, length)?;
                    continue;
                }
                if Offset(data.high_watermark) < at {
                    check_readable(from, at, range_within(cluster, &attempts, from).await?)?;
                }
                if left.is_zero() {
                    return Ok((Vec::new(), data));
                }
                attempts = cluster.attempts();
                if began.elapsed() < hold / 2 || hold.is_zero() {
                    let pause = if hold.is_zero() { ASK_EVERY } else { ASK_AGAIN };
                    tokio::time::sleep(pause.min(left)).await;
                }
                continue;
            }
            Ok(Fetched { data, .. }) => {
                let code = data.error_code;
                let error = error::of(code, format!("offset {at} of {from} can't be read"), None);
                if code == OFFSET_OUT_OF_RANGE {
                    check_readable(from, at, range_within(cluster, &attempts, from).await?)?;
                } else if !error::passes(code) {
                    return Err(error);
                }
                error
            }
            Err(Failure::Fatal(error)) => return Err(error),
            Err(failure) => failure.into_error(),
        };
        attempts.pause_after(error).await?;
        cluster.look_up_anew(&attempts, &from.topic).await?;
    }
}

/// Asks the leader once.
async fn ask(
    cluster: &Cluster,
    from: &TopicPartition,
    at: Offset,
    bytes: usize,
    left: Duration,
    isolation: Isolation,
) -> Result<Fetched, Failure> {
    let broker = cluster.leader(from).await?;
    let poll = if left.is_zero() { None } else { broker.poll() };
    let hold = if poll.is_some() { left.min(HOLD_MAX) } else { Duration::ZERO };
    let request = request(from, at, bytes, hold, isolation).map_err(Failure::Fatal)?;
    let answer = match poll {
        Some(poll) => poll.call(request, hold).await?,
        None => broker.call_for_records(&request).await?,
    };
    let data = partition_of(answer).ok_or_else(|| Failure::Lost(Error::retry("the broker answers for another partition")))?;
    Ok(Fetched { data, hold })
}

fn request(from: &TopicPartition, at: Offset, bytes: usize, hold: Duration, isolation: Isolation) -> Result<FetchRequest> {
    let bytes = i32::try_from(bytes.max(1)).unwrap_or(i32::MAX);
    let partition = FetchPartition::default()
        .with_partition(wire_partition(from)?)
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_fetch_offset(at.0)
        .with_log_start_offset(UNKNOWN)
        .with_partition_max_bytes(bytes);
    Ok(FetchRequest::default()
        .with_replica_id(CONSUMER)
        .with_max_wait_ms(i32::try_from(hold.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(1)
        .with_max_bytes(bytes)
        .with_isolation_level(i8::from(isolation == Isolation::Committed))
        .with_session_id(0)
        .with_session_epoch(NO_SESSION)
        .with_topics(vec![FetchTopic::default().with_topic(wire_name(&from.topic)).with_partitions(vec![partition])]))
}

/// The one partition of an answer, or the error of all.
fn partition_of(answer: FetchResponse) -> Option<PartitionData> {
    if answer.error_code != 0 {
        return Some(PartitionData::default().with_error_code(answer.error_code));
    }
    answer.responses.into_iter().next()?.partitions.into_iter().next()
}

/// A limit that the next batch fits into: old brokers cut a batch at it.
fn grown(cluster: &Cluster, from: &TopicPartition, at: Offset, bytes: usize, length: usize) -> Result<usize> {
    let most = cluster.options().answer_bytes_max;
    if length > bytes && length < most {
        return Ok(length);
    }
    Err(Error::internal(format!(
        "the broker answers half of the batch of {length} bytes at offset {at} of {from}, where {bytes} were asked for"
    )))
}

/// The whole batches of an answer that reach to `at`, up to the reader's limit but one at least. What stands at its end may be cut.
///
/// # Errors
/// `Invalid` for messages of an older format, `Corrupt` for bytes that are no batch.
pub(super) fn batches_in(mut records: Bytes, from: &TopicPartition, at: Offset, max: ReadLimit) -> Result<Whole> {
    let mut found = Whole::default();
    let mut taken = 0;
    while records.len() > MAGIC_AT {
        if records[MAGIC_AT] < 2 {
            return Err(Error::invalid(format!(
                "offset {at} of {from} is in Kafka's message format {}, of before 0.11, which is not read: copy the topic to a new one",
                records[MAGIC_AT]
            )));
        }
        let corrupt = |text: &str| Error::corrupt(format!("the broker's answer for offset {at} of {from} is damaged: {text}"));
        let length = Batch::claimed_len(&records).ok_or_else(|| corrupt("a batch has an impossible length"))?;
        if length > records.len() {
            found.cut = (found.batches.is_empty() && taken == 0).then_some(length);
            break;
        }
        let batch = Batch::parse(records.split_to(length)).map_err(|error| corrupt(error.message()))?;
        if batch.offsets().end <= at {
            continue;
        }
        if !found.batches.is_empty() && taken + length > max.bytes {
            break;
        }
        taken += length;
        found.batches.push(batch);
    }
    Ok(found)
}
