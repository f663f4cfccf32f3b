//! Names and positions: topics, partitions and offsets as types that can't be mixed up.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;

/// The longest topic name, as in Kafka.
pub const TOPIC_NAME_LEN_MAX: usize = 249;

/// A topic's name: 1 to 249 characters of `[a-zA-Z0-9._-]`, neither `.` nor `..` (Kafka's rule).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// Checks and takes a name.
    pub fn new(name: &str) -> Result<Self, Error> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > TOPIC_NAME_LEN_MAX || name == "." || name == ".." || !name.bytes().all(legal) {
            return Err(Error::invalid(format!(
                "topic name '{}' is not legal: it takes 1 to {TOPIC_NAME_LEN_MAX} characters of a-z, A-Z, 0-9, '.', '_' and '-'",
                name.chars().take(60).collect::<String>().escape_debug()
            )));
        }
        Ok(Self(Arc::from(name)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This topic's partition of that number.
    pub fn partition(&self, partition: u32) -> TopicPartition {
        TopicPartition { topic: self.clone(), partition: PartitionId(partition) }
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for TopicName {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::new(name)
    }
}

impl TryFrom<String> for TopicName {
    type Error = Error;
    fn try_from(name: String) -> Result<Self, Error> {
        Self::new(&name)
    }
}

impl From<TopicName> for String {
    fn from(name: TopicName) -> Self {
        name.0.to_string()
    }
}

/// What tells a topic from another of the same name, one that was deleted say. Made at random when the topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// A new one.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// One that stands for a topic's name, by a hash of it, where a log gives its topics no ids: another topic of that name has it too.
    pub fn of_name(hash: [u8; 16]) -> Self {
        Self(uuid::Builder::from_custom_bytes(hash).into_uuid())
    }

    /// Whether it tells a topic from another of the same name, which one of [`TopicId::of_name`] does not.
    pub fn tells_apart(self) -> bool {
        self.0.get_version_num() != 8
    }
}

impl From<TopicId> for String {
    fn from(id: TopicId) -> Self {
        id.0.to_string()
    }
}

impl TryFrom<String> for TopicId {
    type Error = Error;
    fn try_from(id: String) -> Result<Self, Error> {
        id.parse().map(Self).map_err(|_| Error::invalid(format!("'{id}' is no topic id")))
    }
}

/// A partition's number within its topic, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionId(pub u32);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition within it.
    pub partition: PartitionId,
}

impl fmt::Display for TopicPartition {
    /// `topic/partition`, the form that logs, metrics and the tables' transaction ids use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

impl FromStr for TopicPartition {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::invalid(format!("'{text}' is not of the form topic/partition"));
        let (topic, partition) = text.rsplit_once('/').ok_or_else(wrong)?;
        Ok(TopicName::new(topic)?.partition(partition.parse().map_err(|_| wrong())?))
    }
}

/// The offset of one record, or as a position the next offset that a follower takes. Never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Offset(pub i64);

impl Offset {
    /// The first offset of every partition.
    pub const ZERO: Offset = Offset(0);

    /// The offset `count` records on.
    #[must_use]
    pub fn plus(self, count: u64) -> Offset {
        Offset(self.0 + i64::try_from(count).expect("a partition holds fewer than 2^63 records"))
    }

    /// How many records lie between `earlier` and this; zero if it is not earlier.
    pub fn since(self, earlier: Offset) -> u64 {
        u64::try_from(self.0 - earlier.0).unwrap_or(0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A half-open range of offsets: `start` is in it, `end` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct OffsetRange {
    /// The first offset in the range.
    pub start: Offset,
    /// The first offset after it.
    pub end: Offset,
}

impl OffsetRange {
    /// How many records the range spans.
    pub fn len(&self) -> u64 {
        self.end.since(self.start)
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// Whether `offset` lies in it.
    pub fn contains(&self, offset: Offset) -> bool {
        self.start <= offset && offset < self.end
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}
