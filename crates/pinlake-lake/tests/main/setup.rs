//! A log, objects that outlive their process, lakes over both, and what must be found in a lake after everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use pinlake_core::pipeline::{Pipeline, parse};
use pinlake_core::{
    BatchBuilder, Clock, Followers, Log, MemoryLog, Offset, ReadLimit, Record, RecordView, Result, Timestamp, TopicName,
    TopicPartition, TopicSpec,
};
use pinlake_lake::archive::unescape;
use pinlake_lake::lake::{Archived, Lake};
use pinlake_lake::sql::encode::rows_of;
use pinlake_lake::sql::query::QueryLimits;
use pinlake_lake::store::Store;
use serde_json::{Value, json};
use url::Url;

/// A pipeline of one table, `things(k, v)`, whose archive closes an object every three records.
pub(crate) fn things() -> Arc<Pipeline> {
    cleaned_by("SELECT k, v, CASE WHEN v = 'bad' THEN 'v is bad' END AS _quarantine FROM raw")
}

/// The same with another cleaning.
pub(crate) fn cleaned_by(clean: &str) -> Arc<Pipeline> {
    pipeline(clean, 100_000)
}

/// The same as [`things`], but the table commits every so many records.
pub(crate) fn things_committed_every(records: u32) -> Arc<Pipeline> {
    pipeline("SELECT k, v, CASE WHEN v = 'bad' THEN 'v is bad' END AS _quarantine FROM raw", records)
}

fn pipeline(clean: &str, commit_records: u32) -> Arc<Pipeline> {
    let pipeline = r#"
pipeline: things
topics: { things: { match: ["*.things"] } }
archive: { format: json, flush: { records: 3, bytes: 64MiB, age: 60s } }
tables:
  things:
    clean: clean/things.sql
    key: [k]
    schema: { k: bigint, v: string }
    commit: { records: RECORDS, bytes: 64MiB, age: 10s }
"#;
    let pipeline = pipeline.replace("RECORDS", &commit_records.to_string());
    let files = [("pipeline.yml", pipeline.as_str()), ("clean/things.sql", clean)];
    Arc::new(parse(&files.map(|(path, text)| (path.to_owned(), text.to_owned())).into()).unwrap())
}

/// Everything that outlives a lake.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) clock: Clock,
    pub(crate) objects: Arc<InMemory>,
    pub(crate) pipeline: Arc<Pipeline>,
}

impl World {
    pub(crate) fn new(pipeline: Arc<Pipeline>) -> Self {
        let clock = Clock::manual(Timestamp(1_700_000_000_000));
        Self { log: Arc::new(MemoryLog::new()), clock, objects: Arc::new(InMemory::new()), pipeline }
    }

    /// A lake whose store never fails.
    pub(crate) async fn start(&self) -> Lake {
        self.start_on(self.objects.clone()).await.unwrap()
    }

    /// A lake over another way to the objects.
    pub(crate) async fn start_on(&self, objects: Arc<dyn ObjectStore>) -> Result<Lake> {
        let store = Store::over(objects, Url::parse("memory:///").unwrap());
        let (log, clock) = (self.log.clone(), self.clock.clone());
        Lake::start(log, &Followers::default(), self.pipeline.clone(), store, clock, QueryLimits::default()).await
    }

    pub(crate) async fn topic(&self, name: &str, partitions: u32) -> TopicName {
        let name = TopicName::new(name).unwrap();
        self.log.create_topic(&name, TopicSpec::with_partitions(partitions)).await.unwrap();
        name
    }

    /// Appends records as one batch, a second after the one before.
    pub(crate) async fn append(&self, to: &TopicPartition, records: &[Record]) {
        self.clock.advance(Duration::from_secs(1));
        let mut batch = BatchBuilder::new(self.clock.now());
        records.iter().for_each(|record| batch.push_record(record));
        self.log.append(to, batch.build().unwrap()).await.unwrap();
    }

    pub(crate) async fn append_values(&self, to: &TopicPartition, values: &[&str]) {
        let records: Vec<Record> = values.iter().map(|value| Record::of_value((*value).to_owned())).collect();
        self.append(to, &records).await;
    }

    /// Every committed record of a partition, and each batch that can't be read as one: offset, value and time.
    pub(crate) async fn records(&self, of: &TopicPartition) -> Vec<(Offset, Option<Vec<u8>>, Timestamp)> {
        let start = self.log.range(of).await.unwrap().start;
        let all = ReadLimit { bytes: usize::MAX };
        let mut records = Vec::new();
        for batch in self.log.read_committed(of, start, all, Duration::ZERO).await.unwrap().visible() {
            let read: Result<Vec<_>> = batch.plain().and_then(|plain| {
                let owned = |record: RecordView<'_>| (record.offset, record.value.map(<[u8]>::to_vec), record.timestamp);
                plain.records().map(|record| record.map(owned)).collect()
            });
            let itself = (batch.base_offset(), Some(batch.bytes().to_vec()), batch.max_timestamp());
            match read {
                Ok(read)
                    if read.iter().all(|record| batch.offsets().contains(record.0))
                        && read.windows(2).all(|pair| pair[0].0 < pair[1].0) =>
                {
                    records.extend(read);
                }
                _ => records.push(itself),
            }
        }
        records
    }

    pub(crate) async fn partitions(&self) -> Vec<TopicPartition> {
        let topics = self.log.topics().await.unwrap();
        topics.iter().flat_map(|topic| (0..topic.spec.partitions).map(|partition| topic.name.partition(partition))).collect()
    }

    /// The names of all objects under a folder.
    pub(crate) async fn names(&self, folder: &str) -> Vec<String> {
        let found: Vec<_> = self.objects.list(Some(&Path::from(folder))).try_collect().await.unwrap();
        let mut names: Vec<String> = found.into_iter().map(|meta| meta.location.to_string()).collect();
        names.sort();
        names
    }

    pub(crate) async fn object(&self, path: &str) -> Vec<u8> {
        self.objects.get(&Path::from(path)).await.unwrap().bytes().await.unwrap().to_vec()
    }
}

/// The rows that `sql` answers.
pub(crate) async fn rows(lake: &Lake, sql: &str) -> Vec<Vec<Value>> {
    let answer = lake.query(sql, usize::MAX).await.unwrap();
    answer.batches.iter().flat_map(|batch| rows_of(batch).unwrap()).collect()
}

/// Checks a lake of the pipeline `things` against the log: every committed record is in the archive once and in order, each key's
/// first row in the table once, each bad record in quarantine once, and the deep ledger closes on exactly these counts. Keys
/// must not be shared between partitions.
pub(crate) async fn check_things(world: &World, lake: &Lake, context: &str) {
    lake.flush().await.unwrap_or_else(|error| panic!("{context}: {error}"));
    check_archive(world, lake, context).await;
    let (mut wanted, mut wanted_bad, mut accounts) = (Vec::new(), Vec::new(), BTreeMap::new());
    for of in world.partitions().await {
        let records = world.records(&of).await;
        let mut firsts: BTreeMap<i64, Value> = BTreeMap::new();
        let mut account = [0_u64; 4];
        for (offset, value, time) in &records {
            let place = (of.topic.to_string(), of.partition.0, offset.0, time.0);
            let object: Option<Value> = value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
            let fields = object.as_ref().filter(|object| object["k"].is_i64() && object["v"] != "bad");
            let Some(fields) = fields else {
                account[1] += 1;
                wanted_bad.push(json!([place.0, place.1, place.2]));
                continue;
            };
            let (k, v) = (fields["k"].as_i64().unwrap(), fields["v"].clone());
            match firsts.get(&k) {
                Some(first) if *first == v => account[2] += 1,
                Some(_) => account[3] += 1,
                None => {
                    account[0] += 1;
                    wanted.push(json!([k, v, place.0, place.1, place.2, place.3]));
                    firsts.insert(k, v);
                }
            }
        }
        let end = world.log.stable_end(&of).await.unwrap();
        if end > Offset::ZERO {
            accounts.insert(of, (records.len() as u64, end, account));
        }
    }
    let found = "SELECT k, v, _topic, _partition, _offset, arrow_cast(_ingested_at, 'Int64') / 1000 FROM things ORDER BY 3, 4, 5";
    assert!(Value::from(rows(lake, found).await) == Value::from(wanted), "{context}: rows");
    let found = "SELECT _topic, _partition, _offset FROM quarantine.things ORDER BY 1, 2, 3";
    assert_eq!(Value::from(rows(lake, found).await), Value::from(wanted_bad), "{context}: quarantine");
    let ledger = lake.ledger(true).await.unwrap();
    let comparison = ledger[0].comparison.unwrap();
    assert_eq!((comparison.same, comparison.missing, comparison.extra), (comparison.rebuilt, 0, 0), "{context}: {comparison:?}");
    for account in ledger[0].accounts.iter().filter(|account| account.standing.position > Offset::ZERO) {
        let (records, end, wanted) = accounts.remove(&account.of).unwrap_or_else(|| panic!("{context}: {}", account.of));
        let (standing, counts) = (account.standing, account.standing.counts);
        let context = format!("{context}: ledger of {}", account.of);
        assert_eq!([counts.rows, counts.quarantined, counts.duplicates, counts.conflicts], wanted, "{context}");
        assert_eq!(account.found, Some((wanted[0], wanted[1])), "{context}: counted again");
        assert_eq!((counts.total(), account.archived, account.archive_stated), (records, records, records), "{context}: total");
        assert_eq!((standing.position, account.disputed), (end, 0), "{context}");
        assert_eq!(counts.offsets(), standing.position.since(standing.start), "{context}: offsets");
    }
    assert!(accounts.is_empty(), "{context}: no account of {accounts:?}");
}

/// Checks that the archive holds every committed record of the log once, and nothing else: every object entered, every line the record's
/// bytes, every other offset known as one without a record.
pub(crate) async fn check_archive(world: &World, lake: &Lake, context: &str) {
    for of in world.partitions().await {
        let records = world.records(&of).await;
        let mut objects = Vec::new();
        let (mut rest, mut at) = (&records[..], Offset::ZERO);
        while let Some((next, _, _)) = rest.first() {
            if at < *next {
                let archived = lake.archived_in(&of, at).await.unwrap();
                assert_eq!(archived, Some(Archived::WithoutRecord), "{context}: {at} of {of}");
            }
            let Some(Archived::Record(entry)) = lake.archived_in(&of, *next).await.unwrap() else {
                panic!("{context}: offset {next} of {of} is not archived");
            };
            assert_eq!(entry.first, *next, "{context}: objects of {of} overlap");
            let object = entry.object.unwrap();
            let bytes = world.object(&object).await;
            assert_eq!(bytes.len() as u64, entry.bytes, "{context}: {object}");
            assert_eq!(bytes.last(), Some(&b'\n'), "{context}: {object}");
            let lines: Vec<_> = bytes[..bytes.len() - 1].split(|byte| *byte == b'\n').map(unescape).collect();
            assert_eq!(lines.len() as u64, entry.records, "{context}: {object}");
            for line in lines {
                let (offset, value, _) = &rest[0];
                assert!(*line == *value.as_deref().unwrap_or(b"null"), "{context}: offset {offset} in {object}");
                assert!(*offset < entry.next, "{context}: offset {offset} in {object}");
                (rest, at) = (&rest[1..], offset.plus(1));
            }
            objects.push(object);
        }
        assert_eq!(
            lake.archive_status().positions.get(&of).copied().unwrap_or_default(),
            world.log.stable_end(&of).await.unwrap()
        );
        let folder = format!("topics/{}/partition={}", of.topic, of.partition);
        assert_eq!(world.names(&folder).await, objects, "{context}: objects of {of}");
    }
}
