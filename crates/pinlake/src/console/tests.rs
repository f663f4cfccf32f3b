//! What the API says of offsets that are no record, over a log that has transactions.

use pinlake_core::batch::ProducerSequence;
use pinlake_core::{BatchBuilder, Clock, Followers, MemoryLog, Timestamp, pipeline};
use pinlake_ingest::groups::GroupSettings;
use pinlake_lake::sql::query::QueryLimits;
use pinlake_lake::store::Store;
use pinlake_log::{DiskLog, LogSettings};

use super::*;

const PIPELINE: &str = r#"
pipeline: things
topics: { things: { match: ["*.things"] } }
archive: { format: json, flush: { records: 1000, bytes: 64MiB, age: 60s } }
tables:
  things: { clean: things.sql, key: [k], schema: { k: bigint }, commit: { records: 1000, bytes: 64MiB, age: 10s } }
"#;

struct World {
    log: Arc<MemoryLog>,
    console: AppConsole,
    of: TopicPartition,
    _dir: tempfile::TempDir,
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let disk = DiskLog::open(dir.path(), LogSettings::default(), Clock::System, Followers::default()).await.unwrap();
    let log = Arc::new(MemoryLog::new());
    let files = [("pipeline.yml", PIPELINE), ("things.sql", "SELECT k FROM raw")];
    let pipeline = pipeline::parse(&files.map(|(path, text)| (path.to_owned(), text.to_owned())).into()).unwrap();
    let store = Store::open("memory:///").unwrap();
    let followers = Followers::default();
    let lake =
        Lake::start(log.clone(), &followers, Arc::new(pipeline), store, Clock::System, QueryLimits::default()).await.unwrap();
    let topic = TopicName::new("a.things").unwrap();
    log.create_topic(&topic, TopicSpec::default()).await.unwrap();
    let groups = Groups::open(log.clone(), Clock::System, GroupSettings::default()).await.unwrap();
    let console = AppConsole::new(log.clone(), ServerLog::on(disk), Arc::new(lake), groups, TopicSpec::default());
    World { log, console, of: topic.partition(0), _dir: dir }
}

impl World {
    async fn append(&self, batch: Batch) {
        self.log.append(&self.of, batch).await.unwrap();
    }

    /// Two records of producer `id`, of a transaction unless it is 0.
    async fn two(&self, id: i64, values: [&str; 2]) {
        let mut batch = BatchBuilder::new(Timestamp(1));
        if id > 0 {
            batch.set_producer(ProducerSequence { id, epoch: 0, first: 0 });
            batch.set_transactional();
        }
        values.iter().for_each(|value| batch.push(None, Some(value.as_bytes())));
        self.append(batch.build().unwrap()).await;
    }

    async fn end(&self, id: i64, how: Marker) {
        self.append(Batch::marker(how, id, 0, Timestamp(1)).unwrap()).await;
    }

    async fn trace(&self, offset: i64) -> (OffsetKind, String) {
        let trace = self.console.trace(&self.of, Offset(offset)).await.unwrap();
        let outcome = serde_json::to_value(&trace.tables[0].outcome).unwrap()["outcome"].as_str().unwrap().to_owned();
        assert_eq!(trace.archive.is_some(), matches!(outcome.as_str(), "row" | "quarantined"), "{offset}: {:?}", trace.archive);
        (trace.kind, outcome)
    }

    /// The offsets of records that are answered, and where to go on.
    async fn tail(&self, from: i64, records_max: usize, bytes_max: usize) -> (Vec<i64>, i64) {
        let wait = Duration::ZERO;
        let request = RecordsRequest { from: self.of.clone(), offset: Offset(from), records_max, bytes_max, wait };
        let (records, next) = self.console.records(request).await.unwrap();
        (records.iter().map(|record| record.offset).collect(), next.0)
    }
}

/// One committed, one aborted, one that can't be read, one open transaction, and a record behind it.
async fn filled() -> World {
    let world = world().await;
    world.two(1, [r#"{"k":1}"#, "poison"]).await;
    world.two(2, [r#"{"k":2}"#, r#"{"k":3}"#]).await;
    world.end(1, Marker::Commit).await;
    world.end(2, Marker::Abort).await;
    world.append(unreadable()).await;
    world.two(3, [r#"{"k":4}"#, r#"{"k":5}"#]).await;
    world.two(0, [r#"{"k":6}"#, r#"{"k":7}"#]).await;
    world.console.flush().await.unwrap();
    world
}

/// Two records under codec 7, which no codec is.
fn unreadable() -> Batch {
    let mut bytes = 0_i64.to_be_bytes().to_vec();
    bytes.extend(51_i32.to_be_bytes());
    bytes.extend(0_i32.to_be_bytes());
    bytes.push(2);
    bytes.extend(0x84089e13_u32.to_be_bytes());
    bytes.extend(7_i16.to_be_bytes());
    bytes.extend(1_i32.to_be_bytes());
    bytes.extend(1_i64.to_be_bytes());
    bytes.extend(1_i64.to_be_bytes());
    bytes.extend((-1_i64).to_be_bytes());
    bytes.extend((-1_i16).to_be_bytes());
    bytes.extend((-1_i32).to_be_bytes());
    bytes.extend(2_i32.to_be_bytes());
    bytes.extend(b"??");
    Batch::parse(bytes.into()).unwrap()
}

#[tokio::test]
async fn a_trace_says_what_stands_at_an_offset() {
    use OffsetKind::{AbortMarker, Aborted, CommitMarker, Record, Undecided, Unreadable};
    let world = filled().await;
    let wanted = [
        (Record, "row"),
        (Record, "quarantined"),
        (Aborted, "without_record"),
        (Aborted, "without_record"),
        (CommitMarker, "without_record"),
        (AbortMarker, "without_record"),
        (Unreadable, "quarantined"),
        (Unreadable, "quarantined"),
        (Undecided, "pending"),
        (Undecided, "pending"),
        (Record, "pending"),
        (Record, "pending"),
    ];
    for (offset, (kind, outcome)) in (0..).zip(wanted) {
        assert_eq!(world.trace(offset).await, (kind, outcome.to_owned()), "offset {offset}");
    }
    assert_eq!(world.console.trace(&world.of, Offset(12)).await.unwrap_err().kind(), ErrorKind::NotFound);
    // What the log let go of is told by the archive.
    world.log.trim(&world.of, Offset(8)).await.unwrap();
    assert_eq!(world.trace(0).await, (Record, "row".to_owned()));
    assert_eq!(world.trace(2).await, (OffsetKind::Nothing, "without_record".to_owned()));
}

#[tokio::test]
async fn a_tail_shows_committed_records_and_passes_over_the_rest() {
    let world = filled().await;
    assert_eq!(world.tail(0, 10, 1 << 20).await, (vec![0, 1, 6], 8), "up to the open transaction");
    assert_eq!(world.tail(0, 1, 1 << 20).await, (vec![0], 1));
    assert_eq!(world.tail(1, 10, 1).await, (vec![1], 2), "one at least");
    assert_eq!(world.tail(2, 10, 1).await, (vec![], 4), "nothing to see, and it goes on");
    assert_eq!(world.tail(8, 10, 1 << 20).await, (vec![], 8), "the end for now");
    world.end(3, Marker::Commit).await;
    assert_eq!(world.tail(8, 10, 1 << 20).await, (vec![8, 9, 10, 11], 13));
}
