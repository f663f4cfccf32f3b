//! Requests that come together share batches; each gets its own offsets, whoever else goes away.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use pinlake_core::{
    Batch, Log, MemoryLog, Offset, OffsetRange, ReadLimit, Result, Timestamp, TopicDescription, TopicName, TopicPartition,
    TopicSpec,
};
use pinlake_ingest::{DoorSettings, ProducerSettings};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::setup::{doors, post, stored};

/// A log whose appends wait for a permit each.
pub(crate) struct Gated {
    inner: MemoryLog,
    pub(crate) gate: Semaphore,
    pub(crate) waiting: Semaphore,
}

impl Gated {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryLog::new(), gate: Semaphore::new(0), waiting: Semaphore::new(0) })
    }

    /// Until so many more appends have arrived.
    pub(crate) async fn arrived(&self, appends: u32) {
        self.waiting.acquire_many(appends).await.unwrap().forget();
    }
}

#[async_trait]
impl Log for Gated {
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
        self.waiting.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
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

async fn batches(log: &dyn Log, topic: &str) -> usize {
    let whole = ReadLimit { bytes: usize::MAX };
    log.read(&TopicName::new(topic).unwrap().partition(0), Offset::ZERO, whole, Duration::ZERO).await.unwrap().len()
}

/// Posts the values, asserts success, and answers each one's offset.
async fn offsets(router: Router, topic: &str, values: Vec<String>) -> Vec<(i64, String)> {
    let records: Vec<String> = values.iter().map(|value| format!("{{\"value\":\"{value}\"}}")).collect();
    let (status, body) = post(&router, topic, format!("{{\"records\":[{}]}}", records.join(","))).await;
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let entries = answer["offsets"].as_array().unwrap().iter().map(|entry| entry["offset"].as_i64().unwrap());
    entries.zip(values).collect()
}

async fn yields(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_arrives_during_an_append_becomes_the_next_batch() {
    let log = Gated::new();
    let router = doors(log.clone(), DoorSettings::default()).router();
    let first = tokio::spawn(offsets(router.clone(), "a.pin", vec!["first".to_owned()]));
    log.arrived(1).await;
    let later: Vec<_> = (0..50)
        .map(|turn| tokio::spawn(offsets(router.clone(), "a.pin", vec![format!("{turn}-a"), format!("{turn}-b")])))
        .collect();
    yields(200).await;
    let gone: Vec<usize> = (0..50).filter(|turn| turn % 7 == 0).collect();
    for turn in &gone {
        later[*turn].abort();
    }
    log.gate.add_permits(2);
    assert_eq!(first.await.unwrap(), [(0, "first".to_owned())]);
    let mut placed = vec![(0, "first".to_owned())];
    for (turn, task) in later.into_iter().enumerate() {
        match task.await {
            Ok(own) => {
                assert_eq!(own[1].0, own[0].0 + 1, "one request's records stand together");
                placed.extend(own);
            }
            Err(error) => assert!(error.is_cancelled() && gone.contains(&turn)),
        }
    }
    assert_eq!(batches(&*log, "a.pin").await, 2);
    let all = stored(&*log).await;
    assert_eq!(all.len(), 101, "what was gathered is stored, whoever waits for it");
    for (offset, value) in placed {
        assert_eq!(all[usize::try_from(offset).unwrap()], format!("a.pin/0 - \"{value}\""));
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_partition_working() {
    let log = Gated::new();
    let router = doors(log.clone(), DoorSettings::default()).router();
    let gone = tokio::spawn(offsets(router.clone(), "a.pin", vec!["gone".to_owned()]));
    log.arrived(1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    let stays = tokio::spawn(offsets(router, "a.pin", vec!["stays".to_owned()]));
    log.gate.add_permits(2);
    assert_eq!(stays.await.unwrap(), [(1, "stays".to_owned())]);
}

#[tokio::test]
async fn a_large_request_is_a_batch_of_its_own() {
    let log = Gated::new();
    let router = doors(log.clone(), DoorSettings::default()).router();
    let small = tokio::spawn(offsets(router.clone(), "a.pin", vec!["small".to_owned()]));
    log.arrived(1).await;
    let large = tokio::spawn(offsets(router, "a.pin", vec!["x".repeat(1000); 100]));
    log.arrived(1).await;
    log.gate.add_permits(2);
    assert_eq!(large.await.unwrap().len(), 100);
    small.await.unwrap();
    assert_eq!(batches(&*log, "a.pin").await, 2);
}

#[tokio::test]
async fn gathered_batches_keep_their_limits() {
    let log = Gated::new();
    let producer = ProducerSettings { gather_records_max: 10, ..ProducerSettings::default() };
    let router = doors(log.clone(), DoorSettings { producer, ..DoorSettings::default() }).router();
    let first = tokio::spawn(offsets(router.clone(), "a.pin", vec!["first".to_owned()]));
    log.arrived(1).await;
    let later: Vec<_> = (0..35).map(|turn| tokio::spawn(offsets(router.clone(), "a.pin", vec![turn.to_string()]))).collect();
    yields(200).await;
    log.gate.add_permits(100);
    first.await.unwrap();
    for task in later {
        task.await.unwrap();
    }
    assert_eq!(batches(&*log, "a.pin").await, 5, "1 + 10 + 10 + 10 + 5");
}

#[tokio::test]
async fn what_waits_for_the_log_is_bounded() {
    let log = Gated::new();
    let producer = ProducerSettings { queued_bytes_max: 200, ..ProducerSettings::default() };
    let router = doors(log.clone(), DoorSettings { producer, ..DoorSettings::default() }).router();
    let first = tokio::spawn(offsets(router.clone(), "a.pin", vec!["x".repeat(150)]));
    log.arrived(1).await;
    let body = format!("{{\"records\":[{{\"value\":\"{}\"}}]}}", "x".repeat(50));
    let (status, answer) = post(&router, "a.pin", body).await;
    assert_eq!(status, 500);
    assert!(answer.starts_with("{\"error_code\":50003,"), "{answer}");
    log.gate.add_permits(2);
    first.await.unwrap();
    assert_eq!(offsets(router, "a.pin", vec!["again".to_owned()]).await[0].0, 1);
}

#[tokio::test]
async fn a_request_is_cut_where_the_topics_limit_is() {
    let log = Arc::new(MemoryLog::new());
    let router = doors(log.clone(), DoorSettings::default()).router();
    let values: Vec<String> = (0..10).map(|turn| format!("{turn}{}", "x".repeat(400))).collect();
    let placed = offsets(router.clone(), "small", values).await;
    assert_eq!(placed.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    assert_eq!(batches(&*log, "small").await, 5);
    let body = format!("{{\"records\":[{{\"value\":1}},{{\"value\":\"{}\"}},{{\"value\":3}}]}}", "x".repeat(1000));
    let (status, answer) = post(&router, "small", body).await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let codes: Vec<Option<i64>> =
        answer["offsets"].as_array().unwrap().iter().map(|entry| entry["error_code"].as_i64()).collect();
    assert_eq!(codes, [None, Some(50002), None], "the record that no batch can hold fails alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_get_exact_offsets() {
    let log = Arc::new(MemoryLog::new());
    let router = doors(log.clone(), DoorSettings::default()).router();
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let router = router.clone();
            tokio::spawn(async move {
                let mut placed = Vec::new();
                for turn in 0..50 {
                    placed.extend(
                        offsets(router.clone(), "a.pin", vec![format!("{writer}-{turn}-a"), format!("{writer}-{turn}-b")]).await,
                    );
                }
                assert!(placed.is_sorted_by_key(|(offset, _)| *offset), "one writer's requests keep their order");
                placed
            })
        })
        .collect();
    let mut placed = Vec::new();
    for writer in writers {
        placed.extend(writer.await.unwrap());
    }
    placed.sort();
    let expected: Vec<String> = placed.iter().map(|(_, value)| format!("a.pin/0 - \"{value}\"")).collect();
    assert!(placed.iter().enumerate().all(|(at, (offset, _))| *offset == at as i64), "offsets are dense");
    assert_eq!(stored(&*log).await, expected);
}

#[tokio::test]
async fn a_race_for_a_new_topic_is_won_by_all() {
    let log = Arc::new(MemoryLog::new());
    let router = doors(log.clone(), DoorSettings::default()).router();
    let writers: Vec<_> = (0..20).map(|turn| tokio::spawn(offsets(router.clone(), "new.pin", vec![turn.to_string()]))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(stored(&*log).await.len(), 20);
}

#[tokio::test]
async fn a_topic_made_again_with_other_partitions_is_seen() {
    let log = Arc::new(MemoryLog::new());
    let router = doors(log.clone(), DoorSettings::default()).router();
    offsets(router.clone(), "a.pin", vec!["old".to_owned()]).await;
    let name = TopicName::new("a.pin").unwrap();
    log.delete_topic(&name).await.unwrap();
    log.create_topic(&name, TopicSpec::with_partitions(2)).await.unwrap();
    let (status, _) = post(&router, "a.pin", r#"{"records":[{"partition":1,"value":"new"}]}"#).await;
    assert_eq!(status, 200);
    assert_eq!(stored(&*log).await, ["a.pin/1 - \"new\""]);
}
