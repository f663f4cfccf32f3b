//! The topic of real groups: read again it gives what was acknowledged, wherever it was cut.

use std::time::Duration;

use pinlake_core::testing::test_log::TestLog;
use pinlake_core::{Batch, MemoryLog, ReadLimit, Record, Timestamp, TopicName, TopicPartition, TopicSpec};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::super::OFFSETS_TOPIC;
use super::*;
use crate::groups::state::tests::{entry, group, offset, partition};
use crate::topic_store::BATCH_BYTES_MAX;

async fn open(log: Arc<dyn Log>, settings: GroupSettings) -> Arc<Store> {
    super::open(log, Clock::manual(Timestamp(0)), &settings).await.unwrap()
}

async fn write(store: &Arc<Store>, entries: Vec<Entry>) -> Result<()> {
    store.submit(entries, Inflight::default()).unwrap().durable().await
}

fn commit(at: i64) -> Entry {
    Entry::Offsets { group: group("g"), offsets: vec![offset(&partition("t", 0), at)] }
}

fn topic() -> TopicPartition {
    TopicName::new(OFFSETS_TOPIC).unwrap().partition(0)
}

async fn batches(log: &dyn Log) -> Vec<Batch> {
    let range = log.range(&topic()).await.unwrap();
    log.read(&topic(), range.start, ReadLimit { bytes: usize::MAX }, Duration::ZERO).await.unwrap()
}

/// A log with just these batches.
async fn log_of(batches: &[Batch]) -> Arc<MemoryLog> {
    let log = Arc::new(MemoryLog::new());
    log.create_topic(&topic().topic, TopicSpec { batch_bytes_max: BATCH_BYTES_MAX, ..TopicSpec::default() }).await.unwrap();
    for batch in batches {
        log.append(&topic(), batch.clone()).await.unwrap();
    }
    log
}

fn history(length: usize) -> Vec<Vec<Entry>> {
    let mut runner = TestRunner::deterministic();
    let change = prop::collection::vec(entry(), 1..3);
    (0..length).map(|_| change.new_tree(&mut runner).unwrap().current()).collect()
}

/// Each record in a batch of its own, so that a cut can fall between any two of a snapshot.
#[tokio::test]
async fn a_topic_cut_anywhere_gives_what_was_acknowledged_by_then() {
    let log = TestLog::new(false);
    let settings = GroupSettings { snapshot_records: 12, ..GroupSettings::default() };
    let store = open(log.clone(), settings.clone()).await;
    let mut states = Vec::new();
    for change in history(80) {
        let records = change.len();
        write(&store, change).await.unwrap();
        states.push((records, store.state().clone()));
    }
    let mut records: Vec<Record> = Vec::new();
    for batch in batches(&*log).await {
        records.extend(batch.records().map(|record| Record::of_value(record.unwrap().value.unwrap().to_vec())));
    }
    assert!(records.iter().filter(|record| is_end(record)).count() > 3, "snapshots were written");
    let mut states = states.into_iter();
    let (mut expected, mut rest) = (State::default(), 0);
    let mut next = states.next();
    for cut in 0..=records.len() {
        if cut > 0 && is_change(&records[cut - 1]) {
            rest += 1;
        }
        if let Some((_, state)) = next.take_if(|(records, _)| *records == rest) {
            (expected, rest, next) = (state, 0, states.next());
        }
        // A change of several records is one batch in the log and can't be cut.
        if rest > 0 {
            continue;
        }
        let single = |record| Batch::of(std::slice::from_ref(record), Timestamp(0)).unwrap();
        let cut_log = log_of(&records[..cut].iter().map(single).collect::<Vec<_>>()).await;
        assert_eq!(*open(cut_log.clone(), settings.clone()).await.state(), expected, "cut before record {cut}");
        // What was begun before the cut is given up when something else is written.
        let store = open(cut_log.clone(), GroupSettings::default()).await;
        write(&store, vec![commit(77)]).await.unwrap();
        let after = store.state().clone();
        assert_eq!(*open(cut_log, settings.clone()).await.state(), after, "cut before record {cut}, and then gone on");
    }
}

fn is_end(record: &Record) -> bool {
    record.value.as_deref().unwrap().starts_with(b"{\"snapshot_end")
}

/// Whether a record is a change, not part of a snapshot.
fn is_change(record: &Record) -> bool {
    let value = record.value.as_deref().unwrap();
    !value.starts_with(b"{\"snapshot") && !value.starts_with(b"\"snapshot")
}

#[tokio::test]
async fn a_topic_trimmed_by_snapshots_stays_small_and_gives_the_same() {
    let log = TestLog::new(true);
    let settings = GroupSettings { snapshot_records: 10, ..GroupSettings::default() };
    let store = open(log.clone(), settings.clone()).await;
    for change in history(200) {
        write(&store, change).await.unwrap();
    }
    // The last snapshot may still be on its way: the next change waits for it.
    write(&store, vec![commit(1)]).await.unwrap();
    let range = log.range(&topic()).await.unwrap();
    assert!(range.start.0 > 300 && range.len() < 60, "{range}");
    let again = open(log.clone(), settings).await;
    assert_eq!(*again.state(), *store.state());
}
