//! What is kept of a stream beside its topic, and what the records of the streams' topic add up to. It must not write anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinlake_core::{Timestamp, TopicDescription, TopicId, TopicName};
use serde::{Deserialize, Serialize};

use crate::kinesis::iterator::KEY_LEN;
use crate::kinesis::layout::Layout;
use crate::settings::KinesisSettings;
use crate::topic_store::Kept;

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) name: TopicName,
    /// Its topic's: another topic of that name is another stream.
    pub(crate) topic: TopicId,
    pub(crate) created_ms: i64,
    pub(crate) mode: Mode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) changing: Option<Changing>,
    pub(crate) shards: Layout,
    /// The key that it says it is encrypted by; records are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_id: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// The metrics of single shards that were asked for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) monitoring: BTreeSet<String>,
    /// The largest record, KiB, if somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) record_kib_max: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) consumers: Vec<Consumer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
}

/// Who says how many shards a stream has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Mode {
    Provisioned,
    OnDemand,
}

impl Mode {
    /// AWS's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "PROVISIONED",
            Self::OnDemand => "ON_DEMAND",
        }
    }
}

/// A registered consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Consumer {
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) changing: Option<Changing>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
}

/// What something is on its way to, and when it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changing {
    pub(crate) how: Change,
    pub(crate) until_ms: i64,
}

/// See [`Changing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Creating,
    Updating,
    Deleting,
}

/// Where a stream or a consumer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Creating,
    Active,
    Updating,
    Deleting,
}

impl Status {
    /// AWS's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Updating => "UPDATING",
            Self::Deleting => "DELETING",
        }
    }

    fn of(changing: Option<Changing>, now: Timestamp) -> Self {
        match changing {
            // What is being deleted does not come back, however late it is.
            Some(Changing { how: Change::Deleting, .. }) => Self::Deleting,
            Some(Changing { how, until_ms }) if now.0 < until_ms => match how {
                Change::Creating => Self::Creating,
                Change::Updating | Change::Deleting => Self::Updating,
            },
            _ => Self::Active,
        }
    }
}

impl Changing {
    /// On its way from `now` on for so long; at once there if that is nothing.
    pub(crate) fn begin(how: Change, now: Timestamp, transition: Duration) -> Option<Self> {
        let ms = i64::try_from(transition.as_millis()).unwrap_or(i64::MAX);
        (ms > 0).then_some(Self { how, until_ms: now.0.saturating_add(ms) })
    }
}

impl Stream {
    /// A stream of this topic with these shards, and nothing said of it.
    pub(crate) fn new(topic: &TopicDescription, shards: Layout, created_ms: i64) -> Self {
        Self {
            name: topic.name.clone(),
            topic: topic.id,
            created_ms,
            mode: Mode::Provisioned,
            changing: None,
            shards,
            key_id: None,
            tags: BTreeMap::new(),
            monitoring: BTreeSet::new(),
            record_kib_max: None,
            consumers: Vec::new(),
            policy: None,
        }
    }

    /// The stream that a topic is which nobody made through Kinesis.
    pub(crate) fn of_topic(topic: &TopicDescription) -> Self {
        Self::new(topic, Layout::even(topic.spec.partitions, 0), 0)
    }

    pub(crate) fn status(&self, now: Timestamp) -> Status {
        Status::of(self.changing, now)
    }

    /// `KMS` or `NONE`.
    pub(crate) fn encryption(&self) -> &'static str {
        if self.key_id.is_some() { "KMS" } else { "NONE" }
    }

    /// The largest record, data and key together, bytes.
    pub(crate) fn record_limit(&self, settings: &KinesisSettings) -> usize {
        self.record_kib_max.map_or(settings.record_bytes_max, |kib| kib as usize * 1024)
    }

    /// The consumers that are there.
    pub(crate) fn consumers(&self, now: Timestamp) -> impl Iterator<Item = &Consumer> {
        self.consumers.iter().filter(move |consumer| !consumer.is_gone(now))
    }
}

impl Consumer {
    pub(crate) fn status(&self, now: Timestamp) -> Status {
        Status::of(self.changing, now)
    }

    /// Whether it was deregistered, and the time for that is over.
    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        self.changing.is_some_and(|changing| changing.how == Change::Deleting && changing.until_ms <= now.0)
    }
}

/// One record of the streams' topic. Not to be shown: it may hold the key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// The key that iterators are sealed by, base64; the first one stays.
    Key { key: String },
    /// A stream as it is now.
    Stream { is: Arc<Stream> },
    /// A stream is gone, unless another topic has its name by now.
    Gone { stream: TopicName, topic: TopicId },
}

/// All that is kept of streams. Not to be shown, for the same reason.
#[derive(Default)]
pub(crate) struct State {
    key: Option<[u8; KEY_LEN]>,
    streams: BTreeMap<TopicName, Arc<Stream>>,
}

impl State {
    /// The key that iterators are sealed by.
    pub(crate) fn key(&self) -> Option<&[u8; KEY_LEN]> {
        self.key.as_ref()
    }

    /// What is kept of a topic's stream, if anything is.
    pub(crate) fn of(&self, topic: &TopicDescription) -> Option<&Arc<Stream>> {
        self.streams.get(&topic.name).filter(|stream| stream.topic == topic.id)
    }

    /// All streams that something is kept of, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.streams.values()
    }
}

impl Kept for State {
    type Change = Entry;
    /// A stream; none is the key.
    type Part = Option<TopicName>;
    const WHAT: &'static str = "streams";

    fn apply(&mut self, entry: Entry, _at: i64) {
        match entry {
            Entry::Key { key } => {
                let key = STANDARD.decode(key).ok().and_then(|key| key.try_into().ok());
                self.key = self.key.or(key);
            }
            Entry::Stream { is } => {
                self.streams.insert(is.name.clone(), is);
            }
            Entry::Gone { stream, topic } => {
                self.streams.retain(|name, kept| *name != stream || kept.topic != topic);
            }
        }
    }

    fn parts(&self) -> Vec<Self::Part> {
        std::iter::once(None).chain(self.streams.keys().cloned().map(Some)).collect()
    }

    fn changes_of(&self, part: &Self::Part) -> Vec<Entry> {
        let entry = match part {
            None => self.key.map(|key| Entry::Key { key: STANDARD.encode(key) }),
            Some(name) => self.streams.get(name).map(|is| Entry::Stream { is: is.clone() }),
        };
        entry.into_iter().collect()
    }
}
