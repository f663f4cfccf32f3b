//! A log that a test can make fail, for what keeps its state in a topic.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::batch::Batch;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::log::{Log, ReadLimit, TopicDescription, TopicSpec};
use crate::memory_log::MemoryLog;
use crate::position::{Offset, OffsetRange, TopicName, TopicPartition};

/// A log in memory that can be made to fail, to wait, and to keep what is trimmed.
pub struct TestLog {
    inner: MemoryLog,
    /// What appends fail with.
    pub fails: Mutex<Option<Error>>,
    /// Whether the next append panics.
    pub panics: AtomicBool,
    /// A permit for each append.
    pub gate: Semaphore,
    trims: bool,
    /// How many appends there were.
    pub appends: AtomicUsize,
}

impl TestLog {
    /// An empty one, which trims or keeps what is trimmed.
    pub fn new(trims: bool) -> Arc<Self> {
        let (inner, fails, panics) = (MemoryLog::new(), Mutex::default(), AtomicBool::default());
        Arc::new(Self { inner, fails, panics, gate: Semaphore::new(1_000_000), trims, appends: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Log for TestLog {
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
        self.gate.acquire().await.unwrap().forget();
        assert!(!self.panics.swap(false, Ordering::Relaxed), "the append fails on purpose");
        if let Some(error) = self.fails.lock().unwrap().clone() {
            return Err(error);
        }
        self.appends.fetch_add(1, Ordering::Relaxed);
        self.inner.append(to, batch).await
    }
    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        self.inner.read(from, at, max, wait).await
    }
    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange> {
        self.inner.range(of).await
    }
    async fn trim(&self, of: &TopicPartition, before: Offset) -> Result<Offset> {
        if self.trims { self.inner.trim(of, before).await } else { Err(Error::retry("not now")) }
    }
    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
        self.inner.offset_at(of, time).await
    }
}
