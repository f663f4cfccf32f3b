//! The log as everyone but its owner sees it. The contract, tested by `testing::log_contract` as far as any log can show it:
//!
//! - offsets are dense and increasing;
//! - concurrent appends linearise, and those of one partition are taken in the order in which they were first polled;
//! - the same producer sequence gives the same offsets;
//! - a topic that is created again goes on behind the offsets of the one that was deleted.
//!
//! And what only a log that crashes can show, which the disk log's own tests hold:
//!
//! - durable once acknowledged;
//! - readers never see what is not durable;
//! - recovery yields a prefix that holds everything acknowledged.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::clock::Timestamp;
use crate::error::{Error, Reason, Result};
use crate::position::{Offset, OffsetRange, TopicId, TopicName, TopicPartition};
use crate::producers::ProducerState;
use crate::transactions::Committed;

/// The most partitions a topic may have.
pub const PARTITIONS_MAX: u32 = 10_000;

/// What a topic may allow its largest batch, bytes: room for a record, and what a produce request of 100 MiB carries beside all else in it.
pub const BATCH_BYTES_MAX: std::ops::RangeInclusive<u32> = 512..=(100 << 20) - (64 << 10);

/// What a topic is created with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopicSpec {
    /// Number of partitions, 1 to [`PARTITIONS_MAX`].
    pub partitions: u32,
    /// Records older than this may go, milliseconds; `None` keeps them for ever.
    pub retention_ms: Option<u64>,
    /// The oldest records of a partition may go once it is larger than this; `None` is no limit.
    pub retention_bytes: Option<u64>,
    /// The largest record batch that may be appended, bytes.
    pub batch_bytes_max: u32,
    /// Whose time its records get; the producer's.
    pub timestamps: TimestampType,
}

/// Whose time the records of a topic have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestampType {
    /// The producer's: Kafka's `CreateTime`.
    #[default]
    Create,
    /// The log's, when it appended them: Kafka's `LogAppendTime`.
    Append,
}

impl Default for TopicSpec {
    /// One partition, seven days, no limit by size, batches up to 12 MiB (a record of 10 MiB and its envelope).
    fn default() -> Self {
        Self {
            partitions: 1,
            retention_ms: Some(7 * 24 * 3600 * 1000),
            retention_bytes: None,
            batch_bytes_max: 12 << 20,
            timestamps: TimestampType::Create,
        }
    }
}

impl TopicSpec {
    /// The default with so many partitions.
    pub fn with_partitions(partitions: u32) -> Self {
        Self { partitions, ..Self::default() }
    }

    /// Refuses what no log can keep.
    pub fn validate(&self) -> Result<()> {
        if !(1..=PARTITIONS_MAX).contains(&self.partitions) {
            return Err(Error::invalid(format!("a topic takes 1 to {PARTITIONS_MAX} partitions, not {}", self.partitions)));
        }
        let (least, most) = (BATCH_BYTES_MAX.start(), BATCH_BYTES_MAX.end());
        if !BATCH_BYTES_MAX.contains(&self.batch_bytes_max) {
            return Err(Error::invalid(format!("'batch_bytes_max' takes {least} to {most} bytes, not {}", self.batch_bytes_max)));
        }
        Ok(())
    }
}

/// A topic and what it was created with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicDescription {
    /// The topic's name.
    pub name: TopicName,
    /// What tells it from another topic of that name.
    #[serde(skip)]
    pub id: TopicId,
    /// Its settings.
    #[serde(flatten)]
    pub spec: TopicSpec,
}

/// How much one read may answer. A read answers one batch at least if one is there, however large.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimit {
    /// Stop before the answer passes this many bytes.
    pub bytes: usize,
}

impl Default for ReadLimit {
    fn default() -> Self {
        Self { bytes: 1 << 20 }
    }
}

/// A partitioned, durable log of record batches. All calls are safe to drop: an append whose caller went away is either
/// wholly in the log or not at all. A partition whose durable bytes are found damaged is refused: every call that names it answers
/// `Corrupt`, and the others work.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Creates a topic. `Conflict` if it exists, `Invalid` for a spec no log can keep.
    ///
    /// If one of that name was deleted before, each partition starts where the deleted one ended, and is empty: its range is
    /// `n..n`, and what lies before `n` is no longer kept. So an offset names one record for ever, and whoever follows the
    /// topic by offset goes on. A partition that no topic of that name had before starts at 0. Producers are forgotten: a
    /// sequence that the deleted topic held is appended anew.
    async fn create_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()>;

    /// All topics, sorted by name.
    async fn topics(&self) -> Result<Vec<TopicDescription>>;

    /// One topic, or `NotFound`. Must be cheap: doors ask it for every request.
    async fn topic(&self, topic: &TopicName) -> Result<TopicDescription>;

    /// Deletes a topic and its records; where its partitions ended stays known, one small entry for each name that was ever
    /// deleted. `NotFound` if it does not exist; `Retry` while a follower has not taken all of its records. After another error
    /// it is either whole or deleted.
    async fn delete_topic(&self, topic: &TopicName) -> Result<()>;

    /// Gives a topic other settings, durably. More partitions than it has are added, each starting at 0, or behind where one of a
    /// deleted topic of that name ended.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for fewer partitions than it has, or a spec no log can keep.
    async fn alter_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        let _ = spec;
        Err(Error::invalid(format!("this log can't change topic '{topic}'")))
    }

    /// Lets go of a partition's records before `before`, durably; answers the first offset that is kept, which is never lower than `before`.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` ([`Reason::OffsetOutOfRange`]) for an offset behind the end; `Retry` ([`Reason::NotFollowedYet`]) while a
    /// follower has not taken what would go.
    async fn trim(&self, of: &TopicPartition, before: Offset) -> Result<Offset> {
        Err(Error::invalid(format!("this log can't trim {of} to {before}")))
    }

    /// Appends a batch; durable when it returns. The base offset of `batch` is ignored and replaced. A batch whose producer
    /// sequence is already there answers with its first offsets and appends nothing. Appends to one partition are taken in the order in
    /// which they were first polled, so that a caller need not wait for one before it asks for the next.
    ///
    /// # Errors
    /// `NotFound` (no such partition), `Invalid` (see [`check_batch`]; a gap in the producer's sequence), `Conflict` (the producer is fenced),
    /// `Retry` (disk full, overload), `Internal` (the partition stopped after a failed sync).
    async fn append(&self, to: &TopicPartition, batch: Batch) -> Result<OffsetRange>;

    /// Waits, for a bounded time, while those who follow a partition are far behind. Doors call it for every append, so that no producer is
    /// faster for long than who follows it. A log that knows of no followers does not wait.
    async fn come_along(&self, to: &TopicPartition) {
        let _ = to;
    }

    /// The batches from the one that holds `at`, in order: the first may begin before `at`. There may be more than it answers, also
    /// within `max`. Waits up to `wait` for the
    /// first batch when `at` is the end; an empty answer means that nothing came.
    ///
    /// # Errors
    /// `NotFound` when the partition does not exist or `at` lies before the first kept offset; `Invalid` when it lies
    /// after the end.
    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>>;

    /// The offsets that can be read now: first kept up to durable end.
    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange>;

    /// As [`Log::read`], for readers of committed records: nothing at or behind [`Log::stable_end`], with the aborted transactions that
    /// reach into the answer. Waits up to `wait` when `at` is the stable end. A log without transactions answers what `read` does.
    async fn read_committed(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Committed> {
        Ok(Committed { batches: self.read(from, at, max, wait).await?, aborted: Vec::new() })
    }

    /// The first kept offset of a partition that is not decided yet: that of the first record of its oldest open transaction, else its end.
    async fn stable_end(&self, of: &TopicPartition) -> Result<Offset> {
        Ok(self.range(of).await?.end)
    }

    /// The idempotent producers of a partition, by id, and the first offset of the transaction that each has open there.
    async fn producers(&self, of: &TopicPartition) -> Result<Vec<(ProducerState, Option<Offset>)>> {
        let _ = of;
        Ok(Vec::new())
    }

    /// The first offset whose batch has a timestamp at or after `time`; the end if there is none.
    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset>;
}

/// Refuses a read outside `range`; the end itself can be read (and waits).
pub fn check_readable(from: &TopicPartition, at: Offset, range: OffsetRange) -> Result<()> {
    if at < range.start {
        let text = format!("offset {at} of {from} is no longer kept: the first is {}", range.start);
        return Err(Error::not_found(text).because(Reason::OffsetOutOfRange));
    }
    if at > range.end {
        let text = format!("offset {at} of {from} is past the end, {}", range.end);
        return Err(Error::invalid(text).because(Reason::OffsetOutOfRange));
    }
    Ok(())
}

/// Refuses a batch that no partition of a topic so set may take: one over the limit, one that takes offsets without having records for them,
/// one whose producer claims the log's time, or is none that can be.
pub fn check_batch(spec: &TopicSpec, batch: &Batch) -> Result<()> {
    let (len, limit) = (batch.bytes().len(), spec.batch_bytes_max as usize);
    if len > limit {
        let text = format!("record batch of {len} bytes is over the topic's limit of {limit}");
        return Err(Error::invalid(text).because(Reason::TooLarge));
    }
    let (records, offsets) = (batch.record_count(), batch.offset_span());
    if records != offsets {
        return Err(Error::invalid(format!("record batch of {records} records takes {offsets} offsets: both must be the same")));
    }
    if batch.has_append_time() && spec.timestamps == TimestampType::Create {
        return Err(Error::invalid("the topic's records have their producers' times: send them without the log's"));
    }
    match batch.producer() {
        None if batch.is_transactional() => Err(Error::invalid("a transaction's record batch needs a producer id")),
        Some(producer) if producer.first < 0 && !batch.is_control() => {
            Err(Error::invalid(format!("a producer's sequence number is never below 0, as {} is", producer.first)))
        }
        _ => Ok(()),
    }
}

/// Refuses fewer partitions than a topic has: records would be gone.
pub fn check_partitions(topic: &TopicName, now: &TopicSpec, wanted: &TopicSpec) -> Result<()> {
    if wanted.partitions >= now.partitions {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "topic '{topic}' has {} partitions and can't have fewer: make another topic with {}",
        now.partitions, wanted.partitions
    )))
}

/// Refuses to trim a partition behind its end.
pub fn check_trim(of: &TopicPartition, before: Offset, end: Offset) -> Result<()> {
    if Offset::ZERO <= before && before <= end {
        return Ok(());
    }
    Err(Error::invalid(format!("offset {before} of {of} is not within 0 to its end, {end}")).because(Reason::OffsetOutOfRange))
}
