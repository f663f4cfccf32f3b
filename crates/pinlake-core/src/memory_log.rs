//! The log in memory: for `pinlake test` and for tests. Nothing survives the process, all else is the contract's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::batch::Batch;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};
use crate::log::{
    Log, ReadLimit, TimestampType, TopicDescription, TopicSpec, check_batch, check_partitions, check_readable, check_trim,
};
use crate::position::{Offset, OffsetRange, TopicId, TopicName, TopicPartition};
use crate::producers::{ProducerState, Producers, Verdict};
use crate::transactions::{AbortedTransactions, Committed, Transactions};

/// A [`Log`] without a disk.
#[derive(Debug, Default)]
pub struct MemoryLog {
    clock: Clock,
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
    id: TopicId,
    spec: TopicSpec,
    partitions: Vec<Arc<Partition>>,
}

#[derive(Debug)]
struct Partition {
    kept: Mutex<Kept>,
    end: watch::Sender<Ends>,
}

/// Where a partition ends, and where what is decided of it does.
#[derive(Debug, Clone, Copy)]
struct Ends {
    end: Offset,
    stable: Offset,
}

#[derive(Debug, Default)]
struct Kept {
    start: Offset,
    batches: Vec<Batch>,
    producers: Producers,
    transactions: Transactions,
    aborted: AbortedTransactions,
    /// The newest time that the log gave a batch.
    stamped: Timestamp,
    /// The topic is gone: an append that comes late must not take an offset that the next topic of that name gives.
    deleted: bool,
}

impl Partition {
    fn starting_at(start: Offset) -> Self {
        Self { kept: Mutex::new(Kept { start, ..Kept::default() }), end: watch::Sender::new(Ends { end: start, stable: start }) }
    }

    /// Takes no more appends from now on; answers the end.
    fn delete(&self) -> Offset {
        lock(&self.kept).deleted = true;
        self.end()
    }

    fn end(&self) -> Offset {
        self.end.borrow().end
    }
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a batch that no producer may send, as a cluster's compacted topic holds it. For tests of those who read it.
    ///
    /// # Errors
    /// As [`Log::append`], but for what is wrong with the batch by itself.
    pub async fn append_as_is(&self, to: &TopicPartition, batch: Batch) -> Result<OffsetRange> {
        let spec = self.topic(&to.topic).await?.spec;
        let partition = self.partition(to)?;
        let mut kept = lock(&partition.kept);
        let kept = &mut *kept;
        if kept.deleted {
            return Err(no_topic(&to.topic));
        }
        if let Verdict::Duplicate(offsets) = kept.producers.check(&batch, &kept.transactions)? {
            return Ok(offsets);
        }
        let base = partition.end();
        let batch = match spec.timestamps {
            TimestampType::Create => batch,
            TimestampType::Append => {
                kept.stamped = kept.stamped.max(self.clock.now());
                batch.appended_at(kept.stamped)
            }
        };
        let batch = batch.at(base);
        let offsets = batch.offsets();
        kept.producers.record(&batch, base, &kept.transactions);
        if let Some(aborted) = kept.transactions.record(&batch) {
            kept.aborted.push(aborted);
        }
        kept.batches.push(batch);
        let stable = kept.transactions.stable_end(OffsetRange { start: kept.start, end: offsets.end });
        partition.end.send_replace(Ends { end: offsets.end, stable });
        Ok(offsets)
    }

    fn partition(&self, of: &TopicPartition) -> Result<Arc<Partition>> {
        let topics = lock(&self.topics);
        let topic = topics.alive.get(&of.topic).ok_or_else(|| no_topic(&of.topic))?;
        let partition = topic.partitions.get(of.partition.0 as usize);
        partition.cloned().ok_or_else(|| Error::not_found(format!("partition {of} does not exist")))
    }
}

/// The batches from the one that holds `at` on that lie before `end`: one at least, else no more than the limit.
fn batches_from(kept: &Kept, at: Offset, end: Offset, max: ReadLimit) -> Vec<Batch> {
    let skip = kept.batches.partition_point(|batch| batch.offsets().end <= at);
    let mut bytes = 0;
    let fits = |batch: &&Batch| {
        bytes += batch.bytes().len();
        batch.offsets().end <= end && (bytes == batch.bytes().len() || bytes <= max.bytes)
    };
    kept.batches[skip..].iter().take_while(fits).cloned().collect()
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
        topics.alive.insert(topic.clone(), Topic { id: TopicId::random(), spec, partitions });
        Ok(())
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>> {
        let describe =
            |(name, topic): (&TopicName, &Topic)| TopicDescription { name: name.clone(), id: topic.id, spec: topic.spec.clone() };
        Ok(lock(&self.topics).alive.iter().map(describe).collect())
    }

    async fn topic(&self, topic: &TopicName) -> Result<TopicDescription> {
        let topics = lock(&self.topics);
        let found = topics.alive.get(topic).ok_or_else(|| no_topic(topic))?;
        Ok(TopicDescription { name: topic.clone(), id: found.id, spec: found.spec.clone() })
    }

    async fn alter_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        spec.validate()?;
        let mut topics = lock(&self.topics);
        let Topics { alive, ended } = &mut *topics;
        let altered = alive.get_mut(topic).ok_or_else(|| no_topic(topic))?;
        check_partitions(topic, &altered.spec, &spec)?;
        let ended = ended.get(topic).map_or(&[][..], Vec::as_slice);
        for number in altered.spec.partitions..spec.partitions {
            let start = ended.get(number as usize).copied().unwrap_or_default();
            altered.partitions.push(Arc::new(Partition::starting_at(start)));
        }
        altered.spec = spec;
        Ok(())
    }

    async fn trim(&self, of: &TopicPartition, before: Offset) -> Result<Offset> {
        let partition = self.partition(of)?;
        let mut kept = lock(&partition.kept);
        check_trim(of, before, partition.end())?;
        kept.start = kept.start.max(before);
        let start = kept.start;
        kept.batches.retain(|batch| batch.offsets().end > start);
        kept.aborted.trim(start);
        let end = partition.end();
        partition.end.send_replace(Ends { end, stable: kept.transactions.stable_end(OffsetRange { start, end }) });
        Ok(start)
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
        check_batch(&self.topic(&to.topic).await?.spec, &batch)?;
        self.append_as_is(to, batch).await
    }

    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        let partition = self.partition(from)?;
        let mut end = partition.end.subscribe();
        let first = lock(&partition.kept).start;
        let last = end.borrow().end;
        check_readable(from, at, OffsetRange { start: first, end: last })?;
        if at == last && tokio::time::timeout(wait, end.wait_for(|ends| ends.end > at)).await.is_err() {
            return Ok(Vec::new());
        }
        let end = partition.end();
        let kept = lock(&partition.kept);
        Ok(batches_from(&kept, at, end, max))
    }

    async fn read_committed(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Committed> {
        let partition = self.partition(from)?;
        let mut ends = partition.end.subscribe();
        let first = lock(&partition.kept).start;
        let Ends { end, stable } = *ends.borrow();
        check_readable(from, at, OffsetRange { start: first, end })?;
        if at >= stable && tokio::time::timeout(wait, ends.wait_for(|ends| ends.stable > at)).await.is_err() {
            return Ok(Committed::default());
        }
        let stable = partition.end.borrow().stable;
        let kept = lock(&partition.kept);
        let batches = batches_from(&kept, at, stable, max);
        let end = batches.last().map_or(at, |batch| batch.offsets().end);
        let aborted = kept.aborted.within(OffsetRange { start: at, end });
        Ok(Committed { batches, aborted })
    }

    async fn stable_end(&self, of: &TopicPartition) -> Result<Offset> {
        Ok(self.partition(of)?.end.borrow().stable)
    }

    async fn producers(&self, of: &TopicPartition) -> Result<Vec<(ProducerState, Option<Offset>)>> {
        let partition = self.partition(of)?;
        let kept = lock(&partition.kept);
        let open = kept.transactions.open();
        let with_open = |state: ProducerState| {
            let open = open.get(&state.id).copied();
            (state, open)
        };
        Ok(kept.producers.states().into_iter().map(with_open).collect())
    }

    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange> {
        let partition = self.partition(of)?;
        let start = lock(&partition.kept).start;
        Ok(OffsetRange { start, end: partition.end() })
    }

    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
        let partition = self.partition(of)?;
        let kept = lock(&partition.kept);
        let found = kept.batches.iter().find(|batch| batch.max_timestamp() >= time);
        Ok(found.map_or(partition.end(), |batch| batch.base_offset().max(kept.start)))
    }
}
