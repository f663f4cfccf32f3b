//! What the log says when it can't, in each door's words.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use pinlake_core::{
    Batch, Error, Log, MemoryLog, Offset, OffsetRange, ReadLimit, Result, Timestamp, TopicDescription, TopicName, TopicPartition,
    TopicSpec,
};
use pinlake_ingest::DoorSettings;

use crate::setup::{KAFKA_JSON, doors, open, post, send};

/// A log that refuses appends to one partition.
struct Refusing {
    inner: MemoryLog,
    partition: u32,
    error: Error,
    creates: bool,
}

#[async_trait]
impl Log for Refusing {
    async fn create_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        if self.creates { self.inner.create_topic(topic, spec).await } else { Err(self.error.clone()) }
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
        if to.partition.0 == self.partition { Err(self.error.clone()) } else { self.inner.append(to, batch).await }
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

/// Doors onto such a log.
pub(crate) fn refusing(partition: u32, error: Error) -> Router {
    doors(refusing_log(partition, error), DoorSettings::default()).router()
}

pub(crate) fn refusing_log(partition: u32, error: Error) -> Arc<dyn Log> {
    Arc::new(Refusing { inner: MemoryLog::new(), partition, error, creates: true })
}

fn put(path: &str, body: &'static str) -> Request<Body> {
    Request::put(path).body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn a_failed_record_is_told_in_its_place() {
    let router = refusing(1, Error::retry("the disk is full"));
    let (status, body) = post(&router, "multi", r#"{"records":[{"partition":0},{"partition":1},{"partition":2}]}"#).await;
    assert_eq!(status, 200);
    let expected = r#"{"offsets":[{"partition":0,"offset":0,"error_code":null,"error":null},{"partition":null,"offset":null,"error_code":50003,"error":"the disk is full"},{"partition":2,"offset":0,"error_code":null,"error":null}],"key_schema_id":null,"value_schema_id":null}"#;
    assert_eq!(body, expected);
}

#[tokio::test]
async fn kafka_codes_follow_the_kind() {
    for (error, code) in [
        (Error::retry("x"), 50003),
        (Error::internal("x"), 50002),
        (Error::corrupt("x"), 50002),
        (Error::not_found("x"), 50002),
        (Error::invalid("x"), 50002),
    ] {
        let (status, body) = post(&refusing(0, error), "a.pin", r#"{"records":[{"value":1}]}"#).await;
        assert_eq!(status, 200);
        assert!(body.contains(&format!("\"error_code\":{code},\"error\":\"x\"")), "{body}");
    }
}

#[tokio::test]
async fn kinesis_answers_follow_the_kind() {
    for (error, status, kind) in [
        (Error::retry("x"), 503, "ServiceUnavailableException"),
        (Error::internal("x"), 500, "InternalFailure"),
        (Error::corrupt("x"), 500, "InternalFailure"),
        (Error::not_found("x"), 400, "ResourceNotFoundException"),
        (Error::invalid("x"), 400, "InvalidArgumentException"),
    ] {
        let router = refusing(0, error);
        let (found, headers, body) = send(&router, put("/streams/streaming-a/record", r#"{"Data":1,"PartitionKey":"k"}"#)).await;
        assert_eq!((found.as_u16(), headers["x-amzn-errortype"].to_str().unwrap()), (status, kind));
        assert_eq!(body, format!("{{\"__type\":\"{kind}\",\"message\":\"x\"}}"));
        assert_eq!(headers.contains_key("retry-after"), status == 503);
    }
}

#[tokio::test]
async fn put_records_counts_what_failed() {
    let router = refusing(0, Error::retry("the disk is full"));
    let body = r#"{"Records":[{"Data":1,"PartitionKey":"a"},{"Data":2,"PartitionKey":"b"},{"Data":3,"PartitionKey":"c"}]}"#;
    let (status, _, body) = send(&router, put("/streams/multi/records", body)).await;
    assert_eq!(status, 200);
    // The MD5s of a, b and c begin with 0c, 92 and 4a: the first and the last are in the first third.
    let failed = r#"{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"the disk is full"}"#;
    assert!(body.starts_with(&format!("{{\"FailedRecordCount\":2,\"Records\":[{failed},{{\"SequenceNumber\":\"")), "{body}");
    assert!(body.ends_with(&format!("\"ShardId\":\"shardId-000000000001\"}},{failed}],\"EncryptionType\":\"NONE\"}}")), "{body}");
}

#[tokio::test]
async fn the_pin_door_is_honest_too() {
    let pin = || Request::post("/pin/").body(Body::from("{}")).unwrap();
    assert_eq!(send(&refusing(0, Error::retry("x")), pin()).await.0, 503);
    assert_eq!(send(&refusing(0, Error::internal("x")), pin()).await.0, 500);
}

#[tokio::test]
async fn every_door_says_when_to_try_again() {
    let settings = || DoorSettings { retry_after: Duration::from_secs(7), ..DoorSettings::default() };
    let log = Refusing { inner: MemoryLog::new(), partition: 0, error: Error::retry("x"), creates: false };
    let refusing = doors(Arc::new(log), settings()).router();
    let (_, busy) = open(DoorSettings { inflight_requests_max: 0, ..settings() });
    let rest =
        || Request::post("/topics/a.pin").header("content-type", KAFKA_JSON).body(Body::from(r#"{"records":[{}]}"#)).unwrap();
    let kinesis = || put("/streams/streaming-a/record", r#"{"Data":1,"PartitionKey":"k"}"#);
    let pin = || Request::post("/pin/").body(Body::from("{}")).unwrap();
    for (router, statuses) in [(&refusing, [500, 503, 503]), (&busy, [429, 429, 429])] {
        for (request, expected) in [rest(), kinesis(), pin()].into_iter().zip(statuses) {
            let (status, headers, body) = send(router, request).await;
            assert_eq!(
                (status.as_u16(), headers.get("retry-after").map(|it| it.as_bytes())),
                (expected, Some(&b"7"[..])),
                "{body}"
            );
        }
    }
}
