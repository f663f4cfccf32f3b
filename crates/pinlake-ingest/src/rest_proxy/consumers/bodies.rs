//! The bodies of calls of an instance, from JSON to what an instance is asked. Fields that are not known are passed over.

use std::collections::BTreeSet;

use pinlake_core::{Offset, Timestamp, TopicName, TopicPartition};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::messages::{SeekTo, Wish};
use super::pattern::Pattern;
use crate::groups::calls::{CommittedOffset, NewOffset};
use crate::rest_proxy::error::{ILLEGAL_STATE, RestError, TOPIC_NOT_FOUND};

/// The most topics or partitions that one call may name.
const ENTRIES_MAX: usize = 10_000;

#[derive(Deserialize)]
struct SubscriptionBody {
    topics: Option<Vec<String>>,
    topic_pattern: Option<String>,
}

#[derive(Deserialize)]
struct PartitionsBody {
    partitions: Vec<PartitionBody>,
}

#[derive(Deserialize)]
struct PartitionBody {
    topic: String,
    partition: u32,
}

#[derive(Deserialize)]
struct PositionsBody {
    #[serde(default)]
    offsets: Vec<OffsetBody>,
    #[serde(default)]
    timestamps: Vec<TimestampBody>,
}

#[derive(Deserialize)]
struct CommitBody {
    offsets: Option<Vec<OffsetBody>>,
}

#[derive(Deserialize)]
struct OffsetBody {
    topic: String,
    partition: u32,
    offset: i64,
    #[serde(default)]
    metadata: Option<String>,
}

#[derive(Deserialize)]
struct TimestampBody {
    topic: String,
    partition: u32,
    timestamp: Value,
}

/// `{"topics":[...]}` or `{"topic_pattern":"..."}`.
pub(super) fn subscription(body: &[u8]) -> Result<Wish, RestError> {
    match parse(body)? {
        SubscriptionBody { topics: Some(topics), topic_pattern: None } => {
            check_len(topics.len())?;
            let topics: BTreeSet<TopicName> = topics.iter().map(|name| topic(name)).collect::<Result<_, _>>()?;
            if topics.is_empty() {
                return Err(RestError::new(422, "'topics' is empty: name one at least, or DELETE the subscription"));
            }
            Ok(Wish::Topics(topics))
        }
        SubscriptionBody { topics: None, topic_pattern: Some(pattern) } => {
            Pattern::new(&pattern).map(Wish::Matching).map_err(|error| RestError::new(422, error))
        }
        SubscriptionBody { topics: Some(_), topic_pattern: Some(_) } => {
            Err(RestError::new(ILLEGAL_STATE, "Illegal state: send 'topics' or 'topic_pattern', not both"))
        }
        _ => Err(RestError::new(422, "the body takes {\"topics\":[\"...\"]} or {\"topic_pattern\":\"...\"}")),
    }
}

/// `{"partitions":[{"topic","partition"}]}`
pub(super) fn partitions(body: &[u8]) -> Result<Vec<TopicPartition>, RestError> {
    let PartitionsBody { partitions } = parse(body)?;
    check_len(partitions.len())?;
    partitions.iter().map(|of| Ok(topic(&of.topic)?.partition(of.partition))).collect()
}

/// `{"offsets":[{"topic","partition","offset"}],"timestamps":[{"topic","partition","timestamp"}]}`
pub(super) fn positions(body: &[u8]) -> Result<Vec<(TopicPartition, SeekTo)>, RestError> {
    let PositionsBody { offsets, timestamps } = parse(body)?;
    check_len(offsets.len() + timestamps.len())?;
    let to_offset = |of: &OffsetBody| Ok((topic(&of.topic)?.partition(of.partition), SeekTo::Offset(offset(of.offset)?)));
    let to_time = |of: &TimestampBody| Ok((topic(&of.topic)?.partition(of.partition), SeekTo::Time(time(&of.timestamp)?)));
    offsets.iter().map(to_offset).chain(timestamps.iter().map(to_time)).collect()
}

/// `{"offsets":[{"topic","partition","offset","metadata"?}]}`: offsets of records that were worked on, so that the next ones are
/// committed. `None` for an empty body.
pub(super) fn commit(body: &[u8]) -> Result<Option<Vec<(TopicPartition, NewOffset)>>, RestError> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let CommitBody { offsets } = parse(body)?;
    let Some(offsets) = offsets else { return Ok(None) };
    check_len(offsets.len())?;
    let next = |of: OffsetBody| {
        let offset = offset(of.offset)?.0.saturating_add(1);
        let new = NewOffset { offset, leader_epoch: -1, metadata: of.metadata.unwrap_or_default() };
        Ok((topic(&of.topic)?.partition(of.partition), new))
    };
    offsets.into_iter().map(next).collect::<Result<_, _>>().map(Some)
}

/// `{"topics":[...]}`
pub(super) fn topics_answer(topics: &BTreeSet<TopicName>) -> String {
    json!({"topics": topics}).to_string()
}

/// `{"partitions":[{"topic","partition"}]}`
pub(super) fn partitions_answer(partitions: &BTreeSet<TopicPartition>) -> String {
    let one = |of: &TopicPartition| json!({"topic": of.topic, "partition": of.partition});
    json!({"partitions": partitions.iter().map(one).collect::<Vec<_>>()}).to_string()
}

/// `{"offsets":[{"topic","partition","offset","metadata"}]}`
pub(super) fn offsets_answer(committed: &[(TopicPartition, CommittedOffset)]) -> String {
    let one = |(of, committed): &(TopicPartition, CommittedOffset)| json!({"topic": of.topic, "partition": of.partition, "offset": committed.offset, "metadata": committed.metadata});
    json!({"offsets": committed.iter().map(one).collect::<Vec<_>>()}).to_string()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, RestError> {
    serde_json::from_slice(body).map_err(|error| RestError::of_json(&error))
}

fn check_len(len: usize) -> Result<(), RestError> {
    if len > ENTRIES_MAX {
        Err(RestError::new(422, format!("a call names at most {ENTRIES_MAX} topics or partitions")))
    } else {
        Ok(())
    }
}

fn topic(name: &str) -> Result<TopicName, RestError> {
    let not_found = |message: &str| RestError::new(TOPIC_NOT_FOUND, format!("Topic not found: {message}"));
    TopicName::new(name).map_err(|error| not_found(error.message()))
}

fn offset(number: i64) -> Result<Offset, RestError> {
    if number < 0 { Err(RestError::new(422, format!("offset {number} is none: offsets begin at 0"))) } else { Ok(Offset(number)) }
}

fn time(value: &Value) -> Result<Timestamp, RestError> {
    let text = value.as_str().unwrap_or_default();
    let parsed = text.parse::<jiff::Timestamp>().map(|time| Timestamp(time.as_millisecond()));
    parsed.map_err(|_| RestError::new(422, format!("timestamp {value} is none: write it as \"2026-01-31T12:00:00Z\"")))
}
