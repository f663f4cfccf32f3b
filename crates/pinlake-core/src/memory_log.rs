//! The log in memory: for `pinlake test` and for tests. Nothing survives the process, all else is the contract's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::batch::Batch;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::log::{Log, ReadLimit, TopicDescription, TopicSpec, check_readable};
use crate::position::{Offset, OffsetRange, TopicName, TopicPartition};
use crate::producers::{Producers, Verdict};

/// A [`Log`] without a disk.
#[derive(Debug, Default)]
pub struct MemoryLog {
    topics: Mutex<Topics>,
}

#[derive(Debug, Default)]
struct Topics {
    alive: BTreeMap<TopicName, Topic>,
    /// Where the partitions of deleted topics ended: one entry for each name that was ever deleted.
    ended: BTreeMap<TopicName, Vec<Offset>>,
}

#[derive(Debug)]
struct Topic {
    spec: TopicSpec,
    partitions: Vec<Arc<Partition>>,
}

#[derive(Debug)]
struct Partition {
    kept: Mutex<Kept>,
    end: watch::Sender<Offset>,
}

#[derive(Debug, Default)]
struct Kept {
    start: Offset,
    batches: Vec<Batch>,
    producers: Producers,
    /// The topic is gone: an append that comes late must not take an offset that the next topic of that name gives.
    deleted: bool,
}

impl Partition {
    fn starting_at(start: Offset) -> Self {
        Self { kept: Mutex::new(Kept { start, ..Kept::default() }), end: watch::Sender::new(start) }
    }

    /// Takes no more appends from now on; answers the end.
    fn delete(&self) -> Offset {
        lock(&self.kept).deleted = true;
        *self.end.borrow()
    }
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    fn partition(&self, of: &TopicPartition) -> Result<Arc<Partition>> {
        let topics = lock(&self.topics);
        let topic = topics.alive.get(&of.topic).ok_or_else(|| no_topic(&of.topic))?;
        let partition = topic.partitions.get(of.partition.0 as usize);
        partition.cloned().ok_or_else(|| Error::not_found(format!("partition {of} does not exist")))
    }
}

fn no_topic(topic: &TopicName) -> Error {
    Error::not_found(format!("topic '{topic}' does not exist"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Log for MemoryLog {
    async fn create_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        spec.validate()?;
        let mut topics = lock(&self.topics);
        if topics.alive.contains_key(topic) {
            return Err(Error::conflict(format!("topic '{topic}' exists already")));
        }
        let ended = topics.ended.get(topic).map_or(&[][..], Vec::as_slice);
        let start = |number: u32| ended.get(number as usize).copied().unwrap_or_default();
        let partitions = (0..spec.partitions).map(|number| Arc::new(Partition::starting_at(start(number)))).collect();
        topics.alive.insert(topic.clone(), Topic { spec, partitions });
        Ok(())
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>> {
        let describe = |(name, topic): (&TopicName, &Topic)| TopicDescription { name: name.clone(), spec: topic.spec.clone() };
        Ok(lock(&self.topics).alive.iter().map(describe).collect())
    }

    async fn topic(&self, topic: &TopicName) -> Result<TopicDescription> {
        let topics = lock(&self.topics);
        let found = topics.alive.get(topic).ok_or_else(|| no_topic(topic))?;
        Ok(TopicDescription { name: topic.clone(), spec: found.spec.clone() })
    }

    async fn delete_topic(&self, topic: &TopicName) -> Result<()> {
        let mut topics = lock(&self.topics);
        let deleted = topics.alive.remove(topic).ok_or_else(|| no_topic(topic))?;
        let ended = topics.ended.entry(topic.clone()).or_default();
        ended.resize(ended.len().max(deleted.partitions.len()), Offset::ZERO);
        for (end, partition) in ended.iter_mut().zip(&deleted.partitions) {
            *end = partition.delete();
        }
        Ok(())
    }

    async fn append(&self, to: &TopicPartition, batch: Batch) -> Result<OffsetRange> {
        let limit = self.topic(&to.topic).await?.spec.batch_bytes_max as usize;
        let partition = self.partition(to)?;
        if batch.bytes().len() > limit {
            return Err(Error::invalid(format!(
                "record batch of {} bytes is over the topic's limit of {limit}",
                batch.bytes().len()
            )));
        }
        let mut kept = lock(&partition.kept);
        if kept.deleted {
            return Err(no_topic(&to.topic));
        }
        if let Verdict::Duplicate(offsets) = kept.producers.check(&batch)? {
            return Ok(offsets);
        }
        let base = *partition.end.borrow();
        let batch = batch.at(base);
        let offsets = batch.offsets();
        kept.producers.record(&batch, base);
        kept.batches.push(batch);
        partition.end.send_replace(offsets.end);
        Ok(offsets)
    }

    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        let partition = self.partition(from)?;
        let mut end = partition.end.subscribe();
        let first = lock(&partition.kept).start;
        let last = *end.borrow();
        check_readable(from, at, OffsetRange { start: first, end: last })?;
        if at == last && tokio::time::timeout(wait, end.wait_for(|end| *end > at)).await.is_err() {
            return Ok(Vec::new());
        }
        let kept = lock(&partition.kept);
        let skip = kept.batches.partition_point(|batch| batch.offsets().end <= at);
        let mut bytes = 0;
        let fits = |batch: &&Batch| {
            bytes += batch.bytes().len();
            bytes == batch.bytes().len() || bytes <= max.bytes
        };
        Ok(kept.batches[skip..].iter().take_while(fits).cloned().collect())
    }

    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange> {
        let partition = self.partition(of)?;
        let start = lock(&partition.kept).start;
        let end = *partition.end.borrow();
        Ok(OffsetRange { start, end })
    }

    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
        let partition = self.partition(of)?;
        let kept = lock(&partition.kept);
        let found = kept.batches.iter().find(|batch| batch.max_timestamp() >= time);
        Ok(found.map_or(*partition.end.borrow(), Batch::base_offset))
    }
}
