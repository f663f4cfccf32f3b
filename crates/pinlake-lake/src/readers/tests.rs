//! What comes out when a partition's reader begins anew, and what is said of a log that is away.

use std::sync::atomic::{AtomicUsize, Ordering};

use pinlake_core::{BatchBuilder, MemoryLog, Record, Timestamp, TopicName, TopicSpec};

use super::*;

#[tokio::test]
async fn what_an_earlier_reader_read_is_told_from_what_the_newest_reads() {
    let log = Arc::new(MemoryLog::new());
    let topic = TopicName::new("t").unwrap();
    log.create_topic(&topic, TopicSpec::default()).await.unwrap();
    let of = topic.partition(0);
    let append = async |value: &'static str| {
        let mut batch = BatchBuilder::new(Timestamp(0));
        batch.push_record(&Record::of_value(value));
        log.append(&of, batch.build().unwrap()).await.unwrap()
    };
    append("first").await;
    let (mut readers, mut reads) = Readers::new(log.clone());
    readers.start(of.clone(), Offset(0), None);
    while reads.is_empty() {
        tokio::task::yield_now().await;
    }
    append("second").await;
    readers.start(of.clone(), Offset(0), None);
    let early = reads.recv().await.unwrap().unwrap();
    assert_eq!((early.from, early.batches.len(), readers.is_newest(&early)), (Offset(0), 1, false));
    let now = reads.recv().await.unwrap().unwrap();
    assert_eq!((now.from, now.batches.len(), readers.is_newest(&now)), (Offset(0), 2, true));
}

/// Counts warnings.
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_log_that_is_away_is_not_told_by_each_of_its_followers() {
    let warnings = Arc::new(AtomicUsize::new(0));
    // With one subscriber in the process, a line that another test's thread comes to first is switched off for all threads.
    let _second = tracing::Dispatch::new(Warnings(Arc::default()));
    let _log = tracing::subscriber::set_default(Warnings(warnings.clone()));
    say(&late(), "can't look for new topics");
    assert_eq!(warnings.load(Ordering::Relaxed), 0, "it says so itself");
    say(&Error::internal("a defect"), "can't look for new topics");
    assert_eq!(warnings.load(Ordering::Relaxed), 1);
}
