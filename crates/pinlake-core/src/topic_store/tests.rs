//! A topic read again gives what was acknowledged, wherever it was cut.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::testing::test_log::TestLog;
use crate::{Batch, MemoryLog, ReadLimit, Record, Timestamp};

/// Numbers by name, and where each was written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Numbers(BTreeMap<String, i64>);

/// A name's number; none takes it away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    name: String,
    to: Option<i64>,
}

impl Kept for Numbers {
    type Change = Set;
    type Part = String;
    const WHAT: &'static str = "numbers";

    fn apply(&mut self, change: Set, _at: i64) {
        match change.to {
            Some(number) => self.0.insert(change.name, number),
            None => self.0.remove(&change.name),
        };
    }
    fn parts(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
    fn changes_of(&self, part: &String) -> Vec<Set> {
        self.0.get(part).map(|to| Set { name: part.clone(), to: Some(*to) }).into_iter().collect()
    }
}

const TOPIC: &str = "__numbers";
const LIMITS: StoreLimits = StoreLimits { snapshot_records: 10, snapshot_bytes: 1 << 30, queued_bytes_max: 10_000 };

fn topic() -> TopicPartition {
    TopicName::new(TOPIC).unwrap().partition(0)
}

async fn open(log: Arc<dyn Log>) -> Arc<TopicStore<Numbers>> {
    TopicStore::open(log, Clock::manual(Timestamp(0)), &topic().topic, LIMITS).await.unwrap()
}

fn set(name: &str, to: i64) -> Set {
    Set { name: name.to_owned(), to: Some(to) }
}

async fn write(store: &Arc<TopicStore<Numbers>>, changes: Vec<Set>) -> Result<()> {
    store.submit(changes, Inflight::default())?.durable().await
}

/// Names come, change and go, in batches of one to three.
fn history(length: i64) -> Vec<Vec<Set>> {
    let change = |number: i64| match number % 5 {
        4 => Set { name: format!("n{}", (number / 5) % 4), to: None },
        _ => set(&format!("n{}", number % 7), number),
    };
    (0..length).map(|batch| (0..=batch % 3).map(|at| change(batch * 3 + at)).collect()).collect()
}

async fn records(log: &dyn Log) -> Vec<Record> {
    let range = log.range(&topic()).await.unwrap();
    let batches = log.read(&topic(), range.start, ReadLimit { bytes: usize::MAX }, Duration::ZERO).await.unwrap();
    let records = batches.iter().flat_map(|batch| batch.records().map(|record| record.unwrap().value.unwrap().to_vec()));
    records.map(Record::of_value).collect()
}

/// A log with just these records, each in a batch of its own.
async fn log_of(records: &[Record]) -> Arc<MemoryLog> {
    let log = Arc::new(MemoryLog::new());
    log.create_topic(&topic().topic, TopicSpec { batch_bytes_max: BATCH_BYTES_MAX, ..TopicSpec::default() }).await.unwrap();
    for record in records {
        log.append(&topic(), Batch::of(std::slice::from_ref(record), Timestamp(0)).unwrap()).await.unwrap();
    }
    log
}

fn read(record: &Record) -> Option<Stored<Set>> {
    serde_json::from_slice(record.value.as_deref().unwrap()).ok()
}

/// So that a cut can fall between any two records of a snapshot.
#[tokio::test]
async fn a_topic_cut_anywhere_gives_what_was_acknowledged_by_then() {
    let log = TestLog::new(false);
    let store = open(log.clone()).await;
    for change in history(60) {
        write(&store, change).await.unwrap();
    }
    let records = records(&*log).await;
    let ends = records.iter().filter(|record| matches!(read(record), Some(Stored::SnapshotEnd { .. })));
    assert!(ends.count() > 3, "snapshots were written");
    let mut expected = Numbers::default();
    for cut in 0..=records.len() {
        if let Some(Stored::Change(change)) = cut.checked_sub(1).and_then(|last| read(&records[last])) {
            expected.apply(change, 0);
        }
        let cut_log = log_of(&records[..cut]).await;
        let store = open(cut_log.clone()).await;
        assert_eq!(*store.state(), expected, "cut before record {cut}");
        // What was begun before the cut is given up when something else is written.
        write(&store, vec![set("later", 1)]).await.unwrap();
        let after = store.state().clone();
        assert_eq!(*open(cut_log).await.state(), after, "cut before record {cut}, and then gone on");
    }
}

#[tokio::test]
async fn a_topic_may_be_made_by_the_first_change() {
    let log = Arc::new(MemoryLog::new());
    let store =
        TopicStore::<Numbers>::open_unmade(log.clone(), Clock::manual(Timestamp(0)), &topic().topic, LIMITS).await.unwrap();
    assert!(log.topics().await.unwrap().is_empty());
    write(&store, vec![set("a", 1)]).await.unwrap();
    write(&store, vec![set("a", 2)]).await.unwrap();
    assert_eq!(log.topics().await.unwrap().len(), 1);
    assert_eq!(*open(log).await.state(), *store.state());
}

#[test]
fn only_a_whole_snapshot_counts() {
    use Stored::{Change, Snapshot, SnapshotBegin, SnapshotEnd};
    let (was, part, end) = (|to| Change(set("a", to)), |to| Snapshot(set("a", to)), |parts| SnapshotEnd { parts });
    let cases: [(&str, Vec<Stored<Set>>, i64); 5] = [
        ("a whole one", vec![was(1), SnapshotBegin, part(2), end(1)], 2),
        ("one that does not end", vec![was(1), SnapshotBegin, part(2)], 1),
        ("one whose part is missing", vec![was(1), SnapshotBegin, part(2), end(2)], 1),
        ("one that was given up", vec![was(1), SnapshotBegin, part(2), was(3), end(1)], 3),
        ("one without its beginning", vec![was(1), part(2), end(1)], 1),
    ];
    for (what, records, expected) in cases {
        let mut replay = Replay::<Numbers>::new();
        for (at, record) in (0..).zip(records) {
            replay.take(at, &encode(&record).unwrap());
        }
        assert_eq!(replay.state.0.get("a"), Some(&expected), "{what}");
    }
}

#[tokio::test]
async fn a_topic_trimmed_by_snapshots_stays_small_and_gives_the_same() {
    let log = TestLog::new(true);
    let store = open(log.clone()).await;
    for change in history(200) {
        write(&store, change).await.unwrap();
    }
    // The last snapshot may still be on its way: the next change waits for it.
    write(&store, vec![set("a", 1)]).await.unwrap();
    let range = log.range(&topic()).await.unwrap();
    assert!(range.start.0 > 300 && range.len() < 60, "{range}");
    let again = open(log.clone()).await;
    assert_eq!(*again.state(), *store.state());
    let (now, then) = (lock(&again.queue).behind, lock(&store.queue).behind);
    let due = |behind: Behind| (behind.records, behind.snapshot_records);
    assert_eq!(due(now), due(then), "the next snapshot is due at the same time");
}

#[tokio::test]
async fn snapshots_are_as_rare_as_they_are_large() {
    let log = TestLog::new(true);
    let store = open(log.clone()).await;
    for number in 0..1000 {
        write(&store, vec![set(&number.to_string(), number)]).await.unwrap();
    }
    let end = log.range(&topic()).await.unwrap().end.0;
    assert!(end < 4000, "1000 changes of 1000 names took {end} records");
}

#[tokio::test]
async fn records_of_others_are_passed_over() {
    let log = log_of(&[]).await;
    for value in ["", "{}", "[1]", "\u{0}", r#"{"unknown":{}}"#, r#"{"snapshot_end":{"parts":0}}"#] {
        log.append(&topic(), Batch::of(&[Record::of_value(value)], Timestamp(0)).unwrap()).await.unwrap();
    }
    let tombstone = Record { value: None, ..Record::default() };
    log.append(&topic(), Batch::of(&[tombstone], Timestamp(0)).unwrap()).await.unwrap();
    let store = open(log.clone()).await;
    assert_eq!(*store.state(), Numbers::default());
    write(&store, vec![set("a", 5)]).await.unwrap();
    assert_eq!(open(log).await.state().0.len(), 1);
}

#[tokio::test]
async fn a_change_that_was_not_stored_is_not_seen() {
    let log = TestLog::new(true);
    let store = open(log.clone()).await;
    write(&store, vec![set("a", 1)]).await.unwrap();
    let before = store.state().clone();
    for error in [Error::retry("full"), Error::internal("stopped")] {
        let kind = error.kind();
        *lock(&log.fails) = Some(error);
        assert_eq!(write(&store, vec![set("a", 2)]).await.unwrap_err().kind(), kind);
        assert_eq!(*store.state(), before);
    }
    *lock(&log.fails) = None;
    log.panics.store(true, Ordering::Relaxed);
    assert_eq!(write(&store, vec![set("a", 2)]).await.unwrap_err().kind(), ErrorKind::Internal, "the log panicked");
    write(&store, vec![set("a", 3)]).await.unwrap();
    assert_ne!(*store.state(), before);
}

#[tokio::test]
async fn changes_that_wait_are_appended_together_and_bounded() {
    let log = TestLog::new(true);
    let store = open(log.clone()).await;
    log.gate.forget_permits(1_000_000);
    let first = store.submit(vec![set("first", 0)], Inflight::default()).unwrap();
    // The first is with the log once the others wait.
    while !lock(&store.queue).waiting.is_empty() {
        tokio::task::yield_now().await;
    }
    let mut pending = Vec::new();
    let refused = loop {
        match store.submit(vec![set("a", 1)], Inflight::default()) {
            Ok(change) => pending.push(change),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Retry);
    assert!(pending.len() > 50, "{} wait", pending.len());
    log.gate.add_permits(1_000_000);
    first.durable().await.unwrap();
    for change in pending {
        change.durable().await.unwrap();
    }
    // Those that waited are one batch, and a snapshot may follow it.
    assert!((2..=3).contains(&log.appends.load(Ordering::Relaxed)));
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nothing_back() {
    let log = TestLog::new(true);
    let store = open(log.clone()).await;
    let inflight = Inflight::default();
    drop(store.submit(vec![set("a", 1)], inflight.clone()).unwrap());
    write(&store, vec![set("b", 2)]).await.unwrap();
    assert_eq!(store.state().0.len(), 2);
    assert_eq!(Arc::strong_count(&inflight), 1, "the change is no longer on its way");
}
