//! Topics and their records.

use std::borrow::Cow;

use pinlake_core::{OffsetRange, RecordView, Result, TopicDescription, TopicName};
use serde::{Deserialize, Serialize};

use super::payload::Payload;

/// A topic: what it was created with and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name.
    pub name: TopicName,
    /// How many partitions it has.
    pub partitions: u32,
    /// Records older than this may go, milliseconds; `null` keeps them for ever.
    pub retention_ms: Option<u64>,
    /// The oldest records of a partition may go once it is larger than this; `null` is no limit.
    pub retention_bytes: Option<u64>,
    /// The largest record batch that may be appended, bytes.
    pub batch_bytes_max: u32,
    /// How many records can be read now.
    pub records: u64,
    /// The tables that follow it.
    pub tables: Vec<String>,
    /// What each partition holds, in order.
    pub offsets: Vec<PartitionOffsets>,
    /// How far the consumer groups that have committed offsets of it have come.
    pub groups: Vec<GroupPosition>,
}

/// Where a consumer group stands in one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPosition {
    /// The group.
    pub group: String,
    /// The partition.
    pub partition: u32,
    /// The next offset that the group takes, as it has committed it.
    pub committed: i64,
    /// How many offsets lie between that and the partition's end.
    pub lag: u64,
}

/// The records of a partition that can be read now: `start` is the first, `end` the next one to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionOffsets {
    /// The partition.
    pub partition: u32,
    /// The first offset that is kept.
    pub start: i64,
    /// The offset that the next record gets.
    pub end: i64,
}

impl Topic {
    /// A topic whose partitions hold `ranges`, in order, that `tables` follow and `groups` read.
    pub fn of(description: TopicDescription, ranges: &[OffsetRange], tables: Vec<String>, groups: Vec<GroupPosition>) -> Self {
        let offsets =
            |(partition, range): (u32, &OffsetRange)| PartitionOffsets { partition, start: range.start.0, end: range.end.0 };
        Self {
            name: description.name,
            partitions: description.spec.partitions,
            retention_ms: description.spec.retention_ms,
            retention_bytes: description.spec.retention_bytes,
            batch_bytes_max: description.spec.batch_bytes_max,
            records: ranges.iter().map(OffsetRange::len).sum(),
            tables,
            offsets: (0..).zip(ranges).map(offsets).collect(),
            groups,
        }
    }
}

/// A record as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Its offset.
    pub offset: i64,
    /// When the log or the producer says it was made.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Payload>,
    /// Its value; `null` is a tombstone.
    pub value: Option<Payload>,
    /// Names and values beside it.
    pub headers: Vec<Header>,
}

impl LogRecord {
    /// A record as the log holds it.
    ///
    /// # Errors
    /// `Corrupt` if its headers do not decode.
    pub fn of(record: &RecordView<'_>) -> Result<Self> {
        let header =
            |(name, value): (Cow<'_, str>, Option<&[u8]>)| Header { name: name.into_owned(), value: value.map(Payload::of) };
        Ok(Self {
            offset: record.offset.0,
            timestamp_ms: record.timestamp.0,
            key: record.key.map(Payload::of),
            value: record.value.map(Payload::of),
            headers: record.decode_headers()?.into_iter().map(header).collect(),
        })
    }
}

/// A name and a value beside a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Option<Payload>,
}

/// Records of one partition, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// The offset to ask for next.
    pub next_offset: i64,
    /// The records, in order.
    pub records: Vec<LogRecord>,
}
