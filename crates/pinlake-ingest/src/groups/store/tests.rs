//! The topic: read again it gives what was acknowledged, wherever it was cut.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pinlake_core::{Batch, MemoryLog, ReadLimit, Record, Timestamp, TopicDescription};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::sync::Semaphore;

use super::*;
use crate::groups::state::tests::{entry, group, offset, partition};

/// A log in memory that can be made to fail, to wait, and to keep what is trimmed.
struct TestLog {
    inner: MemoryLog,
    fails: Mutex<Option<Error>>,
    panics: AtomicBool,
    gate: Semaphore,
    trims: bool,
    appends: AtomicUsize,
}

use pinlake_core::Error;

impl TestLog {
    fn new(trims: bool) -> Arc<Self> {
        let (inner, fails) = (MemoryLog::new(), Mutex::default());
        Arc::new(Self {
            inner,
            fails,
            panics: AtomicBool::default(),
            gate: Semaphore::new(1_000_000),
            trims,
            appends: AtomicUsize::new(0),
        })
    }
}

#[async_trait::async_trait]
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
        if let Some(error) = lock(&self.fails).clone() {
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

async fn open(log: Arc<dyn Log>, settings: GroupSettings) -> Arc<Store> {
    Store::open(log, Clock::manual(Timestamp(0)), settings).await.unwrap()
}

async fn write(store: &Arc<Store>, entries: Vec<Entry>) -> Result<(), GroupError> {
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
    matches!(Entry::decode(record.value.as_deref().unwrap()), Ok(Entry::SnapshotEnd { .. }))
}

/// Whether a record is a change, not part of a snapshot.
fn is_change(record: &Record) -> bool {
    let entry = Entry::decode(record.value.as_deref().unwrap()).unwrap();
    !matches!(entry, Entry::SnapshotBegin | Entry::Snapshot(_) | Entry::SnapshotEnd { .. })
}

#[test]
fn only_a_whole_snapshot_counts() {
    let part = |at| Entry::Snapshot(Box::new(commit(at)));
    let cases: [(&str, Vec<Entry>, i64); 5] = [
        ("a whole one", vec![commit(1), Entry::SnapshotBegin, part(2), Entry::SnapshotEnd { parts: 1 }], 2),
        ("one that does not end", vec![commit(1), Entry::SnapshotBegin, part(2)], 1),
        ("one whose part is missing", vec![commit(1), Entry::SnapshotBegin, part(2), Entry::SnapshotEnd { parts: 2 }], 1),
        ("one that was given up", vec![commit(1), Entry::SnapshotBegin, part(2), commit(3), Entry::SnapshotEnd { parts: 1 }], 3),
        ("one without its beginning", vec![commit(1), part(2), Entry::SnapshotEnd { parts: 1 }], 1),
    ];
    for (what, entries, expected) in cases {
        let mut replay = Replay::default();
        for (at, entry) in (0..).zip(entries) {
            replay.take(at, &entry.encode().unwrap());
        }
        let committed = replay.state.committed(&group("g"), &partition("t", 0)).map(|committed| committed.offset);
        assert_eq!(committed, Some(Offset(expected)), "{what}");
    }
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
    let (now, then) = (lock(&again.queue).behind, lock(&store.queue).behind);
    assert_eq!(
        (now.records, now.snapshot_records),
        (then.records, then.snapshot_records),
        "the next snapshot is due at the same time"
    );
}

#[tokio::test]
async fn snapshots_are_as_rare_as_they_are_large() {
    let log = TestLog::new(true);
    let settings = GroupSettings { snapshot_records: 10, ..GroupSettings::default() };
    let store = open(log.clone(), settings).await;
    for number in 0..1000 {
        let offsets = vec![offset(&partition("t", 0), 1)];
        write(&store, vec![Entry::Offsets { group: group(&format!("g{number}")), offsets }]).await.unwrap();
    }
    let end = log.range(&topic()).await.unwrap().end.0;
    assert!(end < 4000, "1000 changes of 1000 groups took {end} records");
}

#[tokio::test]
async fn records_of_others_are_passed_over() {
    let log = log_of(&[]).await;
    let foreign = |value: &str| Batch::of(&[Record::of_value(value.to_owned())], Timestamp(0)).unwrap();
    let end = format!("{}{}", r#"{"snapshot_end":{"parts":0}"#, "}");
    for value in ["", "{}", "[1]", "\u{0}", r#"{"unknown":{}}"#, r#"{"offsets":{"group":"","offsets":[]}}"#, &end] {
        log.append(&topic(), foreign(value)).await.unwrap();
    }
    let tombstone = Record { value: None, ..Record::default() };
    log.append(&topic(), Batch::of(&[tombstone], Timestamp(0)).unwrap()).await.unwrap();
    let store = open(log.clone(), GroupSettings::default()).await;
    assert_eq!(*store.state(), State::default());
    write(&store, vec![commit(5)]).await.unwrap();
    assert_eq!(open(log, GroupSettings::default()).await.state().offsets(), 1);
}

#[tokio::test]
async fn a_change_that_was_not_stored_is_not_seen() {
    let log = TestLog::new(true);
    let store = open(log.clone(), GroupSettings::default()).await;
    write(&store, vec![commit(1)]).await.unwrap();
    let before = store.state().clone();
    for (error, expected) in
        [(Error::retry("full"), GroupError::CoordinatorNotAvailable), (Error::internal("stopped"), GroupError::Storage)]
    {
        *lock(&log.fails) = Some(error);
        assert_eq!(write(&store, vec![commit(2)]).await, Err(expected));
        assert_eq!(*store.state(), before);
    }
    *lock(&log.fails) = None;
    log.panics.store(true, Ordering::Relaxed);
    assert_eq!(write(&store, vec![commit(2)]).await, Err(GroupError::Storage), "the log panicked");
    write(&store, vec![commit(3)]).await.unwrap();
    assert_ne!(*store.state(), before);
}

#[tokio::test]
async fn changes_that_wait_are_appended_together_and_bounded() {
    let log = TestLog::new(true);
    let settings = GroupSettings { queued_bytes_max: 10_000, ..GroupSettings::default() };
    let store = open(log.clone(), settings).await;
    log.gate.forget_permits(1_000_000);
    let first = store.submit(vec![commit(0)], Inflight::default()).unwrap();
    // The first is with the log once the others wait.
    while !lock(&store.queue).waiting.is_empty() {
        tokio::task::yield_now().await;
    }
    let mut pending = Vec::new();
    let refused = loop {
        match store.submit(vec![commit(pending.len() as i64)], Inflight::default()) {
            Ok(change) => pending.push(change),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, GroupError::CoordinatorNotAvailable);
    assert!(pending.len() > 50, "{} wait", pending.len());
    log.gate.add_permits(1_000_000);
    first.durable().await.unwrap();
    for change in pending {
        change.durable().await.unwrap();
    }
    assert_eq!(log.appends.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nothing_back() {
    let log = TestLog::new(true);
    let store = open(log.clone(), GroupSettings::default()).await;
    drop(store.submit(vec![commit(1)], Inflight::default()).unwrap());
    write(&store, vec![Entry::Finished { producer: 1, commit: true }]).await.unwrap();
    assert_eq!(store.state().offsets(), 1);
}
