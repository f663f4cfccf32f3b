//! What comes out when a partition's reader begins anew, and what is said of a log that is away.

use pinlake_core::testing::warnings::Warnings;
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

#[test]
fn a_log_that_is_away_is_not_told_by_each_of_its_followers() {
    let warnings = Warnings::of_this_thread();
    say(&late(), "can't look for new topics");
    assert_eq!(warnings.count(), 0, "it says so itself");
    say(&Error::internal("a defect"), "can't look for new topics");
    assert_eq!(warnings.count(), 1);
}
