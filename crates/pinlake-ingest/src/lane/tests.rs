//! What waits is counted, and a log that panics does not stop a partition for good.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use pinlake_core::{Batch, MemoryLog, OffsetRange, ReadLimit, TopicDescription, TopicName, TopicSpec};

use super::*;

#[test]
fn what_waits_is_counted_until_dropped() {
    let total = Arc::new(AtomicUsize::new(0));
    let mut first = Queued::enter(&total, 60, 100).unwrap();
    assert!(Queued::enter(&total, 41, 100).is_err());
    first.absorb(Queued::enter(&total, 40, 100).unwrap());
    assert_eq!(total.load(Ordering::Relaxed), 100);
    drop(first);
    assert_eq!(total.load(Ordering::Relaxed), 0);
    assert!(Queued::enter(&total, 1000, 100).is_ok(), "one alone always passes: bodies have their own limit");
}

/// Panics at its first append.
struct PanicsOnce {
    inner: MemoryLog,
    panicked: AtomicBool,
}

#[async_trait::async_trait]
impl Log for PanicsOnce {
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
        assert!(self.panicked.swap(true, Ordering::Relaxed), "the first append fails on purpose");
        self.inner.append(to, batch).await
    }
    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        self.inner.read(from, at, max, wait).await
    }
    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange> {
        self.inner.range(of).await
    }
    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
        self.inner.offset_at(of, time).await
    }
}

#[tokio::test]
async fn a_log_that_panics_fails_who_waits_and_then_goes_on() {
    let log = PanicsOnce { inner: MemoryLog::new(), panicked: AtomicBool::new(false) };
    let topic = TopicName::new("t").unwrap();
    log.create_topic(&topic, TopicSpec::default()).await.unwrap();
    let lane = Lane::new(Arc::new(log), topic.partition(0));
    let records = Records::of([(None, Some(&b"x"[..]))]);
    let limits = GatherLimits { bytes: 1000, records: 10 };
    let append = async || lane.append(&records, 0..1, 33, limits, Timestamp(1), Queued::default()).await;
    assert!(append().await.is_err());
    assert_eq!(append().await.unwrap(), Offset(0));
}
