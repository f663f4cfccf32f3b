//! A log in memory that remembers every append in order, and can refuse or hold up those of a topic.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pinlake_core::producers::ProducerState;
use pinlake_core::{
    Batch, Committed, Error, ErrorKind, Log, MemoryLog, Offset, OffsetRange, ReadLimit, Result, Timestamp, TopicDescription,
    TopicName, TopicPartition, TopicSpec,
};
use tokio::sync::watch;

#[derive(Default)]
pub(super) struct ScriptedLog {
    inner: MemoryLog,
    appended: Mutex<Vec<(TopicPartition, Batch)>>,
    refused: Mutex<HashMap<String, ErrorKind>>,
    held: Mutex<Option<(String, watch::Receiver<bool>)>>,
    tries: Mutex<HashMap<TopicPartition, usize>>,
}

impl ScriptedLog {
    /// From now on appends to a topic fail.
    pub(super) fn refuse(&self, topic: &str, kind: ErrorKind) {
        lock(&self.refused).insert(topic.to_owned(), kind);
    }

    /// No append fails any more.
    pub(super) fn accept(&self) {
        lock(&self.refused).clear();
    }

    /// From now on appends to a topic wait until the answer is told true or dropped.
    pub(super) fn hold(&self, topic: &str) -> watch::Sender<bool> {
        let (go, going) = watch::channel(false);
        *lock(&self.held) = Some((topic.to_owned(), going));
        go
    }

    /// Everything that was appended, in order.
    pub(super) fn appended(&self) -> Vec<(TopicPartition, Batch)> {
        lock(&self.appended).clone()
    }

    /// How often somebody tried to append to a partition.
    pub(super) fn tries(&self, of: &TopicPartition) -> usize {
        lock(&self.tries).get(of).copied().unwrap_or(0)
    }
}

#[async_trait::async_trait]
impl Log for ScriptedLog {
    async fn create_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        self.inner.create_topic(topic, spec).await
    }
    async fn topics(&self) -> Result<Vec<TopicDescription>> {
        self.inner.topics().await
    }
    async fn topic(&self, topic: &TopicName) -> Result<TopicDescription> {
        self.inner.topic(topic).await
    }
    async fn delete_topic(&self, topic: &TopicName) -> Result<()> {
        self.inner.delete_topic(topic).await
    }
    async fn append(&self, to: &TopicPartition, batch: Batch) -> Result<OffsetRange> {
        *lock(&self.tries).entry(to.clone()).or_default() += 1;
        let held = lock(&self.held).clone().filter(|(topic, _)| topic == to.topic.as_str());
        if let Some((_, mut going)) = held {
            // An error means that it was dropped.
            let _ = going.wait_for(|going| *going).await;
        }
        if let Some(kind) = lock(&self.refused).get(to.topic.as_str()) {
            return Err(Error::new(*kind, "refused on purpose"));
        }
        let offsets = self.inner.append(to, batch.clone()).await?;
        lock(&self.appended).push((to.clone(), batch));
        Ok(offsets)
    }
    async fn trim(&self, of: &TopicPartition, before: Offset) -> Result<Offset> {
        self.inner.trim(of, before).await
    }
    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        self.inner.read(from, at, max, wait).await
    }
    async fn read_committed(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Committed> {
        self.inner.read_committed(from, at, max, wait).await
    }
    async fn stable_end(&self, of: &TopicPartition) -> Result<Offset> {
        self.inner.stable_end(of).await
    }
    async fn producers(&self, of: &TopicPartition) -> Result<Vec<(ProducerState, Option<Offset>)>> {
        self.inner.producers(of).await
    }
    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange> {
        self.inner.range(of).await
    }
    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
        self.inner.offset_at(of, time).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
