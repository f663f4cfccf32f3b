//! What one sink does, as plain data: made from a configuration, and checked by then. It must not hold anything that runs.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use pinlake_core::topic_store::OwnTopics;
use pinlake_core::{Error, Result, Timestamp, TopicName};
use regex::{Regex, RegexBuilder};

use crate::layout::Layout;

/// The most tasks of a sink.
pub const TASKS_MAX: u32 = 256;
/// Bytes of keys, values and headers at which a unit is closed, if nothing else closes it before.
pub const UNIT_BYTES: u64 = 64 << 20;
/// Bytes of keys, values and headers that wait in a task for the ends of their units.
pub const OPEN_BYTES: u64 = 256 << 20;
/// Bytes that a compiled pattern of topic names may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Objects of a unit at which it is closed.
pub const UNIT_OBJECTS: usize = 1_000;

/// What one sink does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it reads.
    pub topics: Topics,
    /// Where it begins in a partition in which it has no position.
    pub start: Start,
    /// Among how many tasks the partitions are dealt, 1 to [`TASKS_MAX`].
    pub tasks: u32,
    /// Where the objects go.
    pub target: Target,
    /// Which objects there are and what is in them.
    pub layout: Arc<dyn Layout>,
    /// When a unit is closed.
    pub rotation: Rotation,
    /// What becomes of a record without a value.
    pub on_null: OnNull,
    /// What becomes of a record that can't be written.
    pub on_error: OnError,
    /// How long a store that fails is asked again.
    pub retry: Retry,
    /// Whether an object that is there is written over, whatever is in it. Otherwise it must be the same, or the task fails.
    pub overwrite: bool,
}

/// Which topics a sink reads.
#[derive(Debug, Clone)]
pub enum Topics {
    /// These.
    Named(Vec<TopicName>),
    /// Those that match, also ones that are made while it runs; see [`Topics::matching`].
    Matching(Regex),
}

/// Where a sink begins that has no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// At the first record that is kept.
    #[default]
    First,
    /// At the first record of that time or later, as the log finds it.
    At(Timestamp),
}

/// Where a sink's objects go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// The bucket's name.
    pub bucket: String,
    /// The bucket's region.
    pub region: Option<String>,
    /// The address of the store, if it is not the provider's own.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path of a URL and not in its host.
    pub path_style: bool,
    /// Keys to log in with, if they are the sink's own.
    pub keys: Option<TargetKeys>,
}

impl Target {
    /// Whether it is a bucket's name, and good as a folder's too.
    pub(crate) fn is_bucket(name: &str) -> bool {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let ends = [name.bytes().next(), name.bytes().last()];
        (3..=63).contains(&name.len()) && name.bytes().all(is_part) && ends.iter().flatten().all(u8::is_ascii_alphanumeric)
    }
}

/// What a sink logs in with at its store.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetKeys {
    /// The access key's id.
    pub id: String,
    /// The secret. Never shown.
    pub secret: String,
}

impl std::fmt::Debug for TargetKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TargetKeys").field("id", &self.id).finish_non_exhaustive()
    }
}

/// When a unit is closed: by whichever comes first.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// So many records of the partition, over all its objects; 1 at least.
    pub records: u64,
    /// So many bytes, as the layout counts them: [`UNIT_BYTES`] unless tests say otherwise.
    pub bytes: u64,
    /// So many bytes in the open units of all partitions of a task: then the largest is closed, and its end is noted. [`OPEN_BYTES`] unless tests
    /// say otherwise.
    pub open_bytes: u64,
    /// So many objects: [`UNIT_OBJECTS`] unless the sink says otherwise.
    pub objects: usize,
    /// A record whose time is so much after that of the unit's first, or that belongs in another folder than the first, begins the next unit.
    /// If the layout takes its times from the wall clock, the unit is closed when so much time has passed.
    pub record_time: Option<Duration>,
    /// When so much time has passed by the wall clock since the unit's first record was taken.
    pub age: Option<Duration>,
    /// By the wall clock.
    pub schedule: Option<Schedule>,
}

/// Every so often from midnight on.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// How often; 1 ms at least.
    pub every: Duration,
    /// Whose midnight.
    pub zone: TimeZone,
}

/// What becomes of a record without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnNull {
    /// It is a record that can't be written, see [`OnError`].
    #[default]
    Fail,
    /// It is passed over.
    Ignore,
    /// The layout says what is written of it.
    Write,
}

/// What becomes of a record that can't be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OnError {
    /// Whether the sink goes on; otherwise its task fails.
    pub tolerate: bool,
    /// Where such a record goes when the sink goes on.
    pub dead_letters: Option<DeadLetterTopic>,
    /// Whether each is logged.
    pub log: bool,
}

/// A topic for records that can't be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterTopic {
    /// Its name; the sink itself never reads it.
    pub topic: TopicName,
    /// Whether headers say what was wrong.
    pub headers: bool,
}

/// How long a store that fails is asked again: until both are used up. Then the task fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The first pause; later ones double, up to ten seconds.
    pub pause: Duration,
    /// How many times it is asked again at least.
    pub times: u32,
    /// How long it is asked again at least; `None` for ever.
    pub at_least: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { pause: Duration::from_millis(200), times: 3, at_least: Some(Duration::ZERO) }
    }
}

impl Rotation {
    /// By so many records, and by the bounds of memory.
    pub fn by_records(records: u64) -> Self {
        Self {
            records,
            bytes: UNIT_BYTES,
            open_bytes: OPEN_BYTES,
            objects: UNIT_OBJECTS,
            record_time: None,
            age: None,
            schedule: None,
        }
    }
}

impl Topics {
    /// Those whose whole name matches `pattern`.
    ///
    /// # Errors
    /// `Invalid` if it is no regular expression.
    pub fn matching(pattern: &str) -> Result<Self> {
        let whole = RegexBuilder::new(&format!(r"\A(?:{pattern})\z")).size_limit(PATTERN_BYTES_MAX).build();
        let wrong = |error: regex::Error| Error::invalid(format!("'{pattern}' is no pattern of topic names: {error}"));
        whole.map(Self::Matching).map_err(wrong)
    }

    /// Whether `topic` is one of them.
    pub fn matches(&self, topic: &TopicName) -> bool {
        match self {
            Self::Named(names) => names.contains(topic),
            Self::Matching(pattern) => pattern.is_match(topic.as_str()),
        }
    }
}

impl Plan {
    /// Whether it reads `topic`: never that of its dead letters nor that of its own notes, which would feed it for ever.
    pub fn reads(&self, topic: &TopicName) -> bool {
        let is_of_letters = self.on_error.dead_letters.as_ref().is_some_and(|letters| letters.topic == *topic);
        let is_own = OwnTopics::OF_DISK.has(topic) || OwnTopics::OF_CLUSTER.has(topic);
        !is_of_letters && !is_own && self.topics.matches(topic)
    }
}
