//! What is known of all sinks: configurations, wanted states, positions, and the ends of units that a second run could not find by itself. It
//! lasts in a topic of the server's own. It must not decide anything.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use pinlake_core::topic_store::{Inflight, Kept, StoreLimits, TopicStore};
use pinlake_core::{Clock, Log, Offset, Result, Timestamp, TopicId, TopicName, TopicPartition};
use serde::{Deserialize, Serialize};

use crate::Config;

const LIMITS: StoreLimits = StoreLimits { snapshot_records: 20_000, snapshot_bytes: 64 << 20, queued_bytes_max: 32 << 20 };

/// Whether a sink should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// It runs.
    #[default]
    Running,
    /// It stands still, and the log keeps what it has not taken.
    Paused,
    /// It stands still, its positions may be changed, and the log keeps nothing for it.
    Stopped,
}

/// All sinks, also those that were deleted a little while ago.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) sinks: BTreeMap<String, KnownSink>,
}

/// One sink.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct KnownSink {
    /// None of one that was deleted, whose positions one of the same name takes over.
    pub(crate) config: Option<Config>,
    pub(crate) wanted: Wanted,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) partitions: BTreeMap<TopicPartition, Standing>,
    /// Topics that it has not come on in since somebody asked to forget which it uses.
    pub(crate) unused: BTreeSet<TopicName>,
}

/// Where a sink stands in a partition.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Standing {
    /// Everything before is written.
    pub(crate) position: Offset,
    /// Which topic of that name it is.
    pub(crate) topic: Option<TopicId>,
    /// The dead letters of everything before are written.
    pub(crate) letters: Offset,
    /// The units behind the position that end where no record says so, in order.
    pub(crate) intents: VecDeque<Intent>,
}

/// A unit ends here, whatever the rules say by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// The offset after its last.
    pub(crate) end: Offset,
    /// The wall clock's time by which its records were placed, ms.
    pub(crate) at: i64,
}

/// One change, which is one record of the topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// A sink is made, or gets another configuration.
    Config { sink: String, config: Config },
    /// What it should do.
    Wanted { sink: String, wanted: Wanted },
    /// It is deleted.
    Deleted { sink: String, at: i64 },
    /// What a deleted one left is forgotten.
    Forgotten { sink: String },
    /// Its tasks start: all that is written before is seen once this is.
    Started { sink: String },
    /// Everything before is written.
    Position { sink: String, of: TopicPartition, at: Offset, topic: Option<TopicId> },
    /// It begins anew in a partition: at an offset, or wherever a new sink would.
    Moved { sink: String, of: TopicPartition, to: Option<Offset> },
    /// It has not come on in these topics since somebody asked.
    Unused { sink: String, topics: BTreeSet<TopicName> },
    /// Units are about to be written.
    Intents { sink: String, of: TopicPartition, intents: Vec<Intent> },
    /// The dead letters of everything before are written.
    Letters { sink: String, of: TopicPartition, before: Offset },
}

/// The notes, and the way to change them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Notes(Arc<TopicStore<Known>>);

impl Notes {
    /// A server without sinks has no topic for them.
    pub(crate) async fn open(log: Arc<dyn Log>, clock: Clock, topic: &TopicName) -> Result<Self> {
        Ok(Self(TopicStore::open_unmade(log, clock, topic, LIMITS).await?))
    }

    /// Makes changes; durable when it returns. Those of one caller are made in the order of its calls.
    pub(crate) async fn change(&self, changes: Vec<Change>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.0.submit(changes, Inflight::default())?.durable().await
    }

    /// Looks at what is known; must not take long.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.0.state())
    }

    /// What is known of a sink that exists.
    pub(crate) fn sink(&self, name: &str) -> Option<KnownSink> {
        self.look(|known| known.sinks.get(name).filter(|sink| sink.config.is_some()).cloned())
    }

    /// Where a sink stands in a partition, if that is known.
    pub(crate) fn standing(&self, sink: &str, of: &TopicPartition) -> Option<Standing> {
        self.look(|known| known.sinks.get(sink)?.partitions.get(of).cloned())
    }
}

impl Known {
    fn standing(&mut self, sink: String, of: TopicPartition) -> &mut Standing {
        self.sinks.entry(sink).or_default().partitions.entry(of).or_default()
    }
}

impl Kept for Known {
    type Change = Change;
    /// A sink.
    type Part = String;
    const WHAT: &'static str = "sinks";

    fn apply(&mut self, change: Change, _at: i64) {
        match change {
            Change::Config { sink, config } => {
                let sink = self.sinks.entry(sink).or_default();
                (sink.config, sink.deleted_at) = (Some(config), None);
            }
            Change::Wanted { sink, wanted } => self.sinks.entry(sink).or_default().wanted = wanted,
            Change::Deleted { sink, at } => {
                if let Some(sink) = self.sinks.get_mut(&sink) {
                    (sink.config, sink.wanted, sink.deleted_at) = (None, Wanted::Running, Some(Timestamp(at)));
                }
            }
            Change::Forgotten { sink } => drop(self.sinks.remove(&sink)),
            Change::Started { .. } => {}
            Change::Position { sink, of, at, topic } => {
                if let Some(sink) = self.sinks.get_mut(&sink) {
                    sink.unused.remove(&of.topic);
                }
                let standing = self.standing(sink, of);
                standing.position = at;
                standing.topic = topic;
                standing.intents.retain(|intent| intent.end > at);
            }
            Change::Moved { sink, of, to } => match to {
                Some(to) => *self.standing(sink, of) = Standing { position: to, ..Standing::default() },
                None => {
                    if let Some(sink) = self.sinks.get_mut(&sink) {
                        sink.partitions.remove(&of);
                    }
                }
            },
            Change::Intents { sink, of, intents } => {
                let known = &mut self.standing(sink, of).intents;
                known.extend(intents);
                known.make_contiguous().sort_by_key(|intent| intent.end);
            }
            Change::Unused { sink, topics } => self.sinks.entry(sink).or_default().unused = topics,
            Change::Letters { sink, of, before } => self.standing(sink, of).letters = before,
        }
    }

    fn parts(&self) -> Vec<String> {
        self.sinks.keys().cloned().collect()
    }

    fn changes_of(&self, part: &String) -> Vec<Change> {
        let Some(known) = self.sinks.get(part) else { return Vec::new() };
        let sink = || part.clone();
        let mut changes = Vec::new();
        changes.extend(known.config.clone().map(|config| Change::Config { sink: sink(), config }));
        changes.push(Change::Wanted { sink: sink(), wanted: known.wanted });
        for (of, standing) in &known.partitions {
            let of = || of.clone();
            changes.push(Change::Position { sink: sink(), of: of(), at: standing.position, topic: standing.topic });
            if standing.letters > Offset::ZERO {
                changes.push(Change::Letters { sink: sink(), of: of(), before: standing.letters });
            }
            if !standing.intents.is_empty() {
                let intents = standing.intents.iter().copied().collect();
                changes.push(Change::Intents { sink: sink(), of: of(), intents });
            }
        }
        if !known.unused.is_empty() {
            changes.push(Change::Unused { sink: sink(), topics: known.unused.clone() });
        }
        changes.extend(known.deleted_at.map(|at| Change::Deleted { sink: sink(), at: at.0 }));
        changes
    }
}
