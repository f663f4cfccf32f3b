//! What is over a limit is refused in each door's own words, and nothing of it is stored.

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures::StreamExt;
use pinlake_ingest::{DoorSettings, KinesisSettings};

use crate::setup::{KAFKA_JSON, open, post, send, stored};

fn kafka(body: Body) -> Request<Body> {
    Request::post("/topics/a.pin").header("content-type", KAFKA_JSON).body(body).unwrap()
}

fn kinesis(what: &str, body: impl Into<Body>) -> Request<Body> {
    Request::put(format!("/streams/streaming-a/{what}")).body(body.into()).unwrap()
}

/// A body without a stated length that never ends by itself.
fn endless(first: &'static str) -> Body {
    let rest = futures::stream::pending::<Result<Bytes, std::io::Error>>();
    Body::from_stream(futures::stream::iter([Ok(Bytes::from(first))]).chain(rest))
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let (log, router) = open(DoorSettings { body_bytes_max: 100, ..DoorSettings::default() });
    let long = format!("{{\"records\":[{{\"value\":\"{}\"}}]}}", "x".repeat(100));
    let (status, _, body) = send(&router, kafka(Body::from(long.clone()))).await;
    assert_eq!(status, 413);
    assert!(body.starts_with("{\"error_code\":413,"), "{body}");
    let chunks = futures::stream::iter([Ok::<_, std::io::Error>(long.clone()), Ok(long.clone())]);
    assert_eq!(send(&router, kafka(Body::from_stream(chunks))).await.0, 413);
    let announced = Request::post("/topics/a.pin").header("content-type", KAFKA_JSON).header("content-length", "101");
    assert_eq!(send(&router, announced.body(endless("")).unwrap()).await.0, 413, "without reading it");
    let (status, headers, body) = send(&router, kinesis("record", long)).await;
    assert_eq!(status, 413);
    assert_eq!(headers["x-amzn-errortype"], "RequestTooLargeException");
    assert!(body.starts_with("{\"message\":\"Request Too Long\","), "{body}");
    assert!(stored(&*log).await.is_empty());
}

#[tokio::test]
async fn records_over_the_limit_are_413() {
    let (log, router) = open(DoorSettings { request_records_max: 2, ..DoorSettings::default() });
    assert_eq!(post(&router, "a.pin", r#"{"records":[{},{}]}"#).await.0, 200);
    assert_eq!(post(&router, "a.pin", r#"{"records":[{},{},{}]}"#).await.0, 413);
    assert_eq!(stored(&*log).await.len(), 2);
}

#[tokio::test]
async fn requests_over_the_limit_are_429() {
    let (_, router) = open(DoorSettings { inflight_requests_max: 1, ..DoorSettings::default() });
    let slow = tokio::spawn({
        let router = router.clone();
        async move { send(&router, kafka(endless("{"))).await }
    });
    tokio::task::yield_now().await;
    let (status, headers, body) = send(&router, kafka(Body::from(r#"{"records":[{}]}"#))).await;
    assert_eq!(status, 429);
    assert_eq!(headers["retry-after"], "1");
    assert!(body.starts_with("{\"error_code\":42901,"), "{body}");
    let (status, headers, body) = send(&router, kinesis("record", "{}")).await;
    assert_eq!((status.as_u16(), &headers["x-amzn-errortype"]), (429, &"TooManyRequestsException".parse().unwrap()));
    assert!(body.starts_with("{\"message\":\"Too Many Requests\","), "{body}");
    slow.abort();
    assert!(slow.await.is_err());
    assert_eq!(send(&router, kafka(Body::from(r#"{"records":[{}]}"#))).await.0, 200, "the place is given back");
}

#[tokio::test]
async fn bytes_over_the_limit_are_503() {
    let (_, router) = open(DoorSettings { inflight_bytes_max: 100, ..DoorSettings::default() });
    let body = format!("{{\"records\":[{{\"value\":\"{}\"}}]}}", "x".repeat(100));
    let (status, headers, answer) = send(&router, kafka(Body::from(body.clone()))).await;
    assert_eq!((status.as_u16(), &headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert!(answer.starts_with("{\"error_code\":503,"), "{answer}");
    let (status, headers, answer) = send(&router, kinesis("record", body)).await;
    assert_eq!((status.as_u16(), &headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert!(answer.starts_with("{\"message\":\"Service Unavailable\","), "{answer}");
    let pin = Request::post("/pin/").body(Body::from("x".repeat(101))).unwrap();
    assert_eq!(send(&router, pin).await.0, 503);
    assert_eq!(post(&router, "a.pin", r#"{"records":[{}]}"#).await.0, 200, "the bytes are given back");
}

#[tokio::test]
async fn kinesis_limits_hold() {
    let kinesis_settings = KinesisSettings { record_bytes_max: 10, ..KinesisSettings::default() };
    let (log, router) = open(DoorSettings { kinesis: kinesis_settings, ..DoorSettings::default() });
    assert_eq!(send(&router, kinesis("record", r#"{"Data":1234567,"PartitionKey":"key"}"#)).await.0, 200);
    let (status, _, body) = send(&router, kinesis("record", r#"{"Data":12345678,"PartitionKey":"key"}"#)).await;
    assert_eq!(status, 400);
    assert!(body.contains("Member must have length less than or equal to 10"), "{body}");
    let (_, _, body) = send(&router, kinesis("records", r#"{"Records":[{"Data":12345678,"PartitionKey":"key"}]}"#)).await;
    assert!(body.contains("at 'records.1.member.data'"), "{body}");
    let entries = vec![r#"{"Data":1,"PartitionKey":"k"}"#; 501].join(",");
    let (status, _, body) = send(&router, kinesis("records", format!("{{\"Records\":[{entries}]}}"))).await;
    assert_eq!(status, 400);
    assert!(
        body.contains("at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"),
        "{body}"
    );
    let key = |len: usize| format!("{{\"Data\":1,\"PartitionKey\":\"{}\"}}", "é".repeat(len));
    let (_, _, body) = send(&router, kinesis("record", key(257))).await;
    assert!(
        body.contains("at 'partitionKey' failed to satisfy constraint: Member must have length less than or equal to 256"),
        "{body}"
    );
    assert_eq!(stored(&*log).await.len(), 1);
}

#[tokio::test]
async fn a_key_of_256_characters_passes() {
    let (_, router) = open(DoorSettings::default());
    let body = format!("{{\"Data\":1,\"PartitionKey\":\"{}\"}}", "é".repeat(256));
    assert_eq!(send(&router, kinesis("record", body)).await.0, 200);
}

#[tokio::test]
async fn kinesis_errors_are_200_where_that_is_set() {
    let kinesis_settings = KinesisSettings { errors_as_200: true, ..KinesisSettings::default() };
    let (_, router) = open(DoorSettings { kinesis: kinesis_settings, ..DoorSettings::default() });
    let (status, _, body) = send(&router, kinesis("record", r#"{"Data":1}"#)).await;
    assert_eq!(status, 200);
    assert!(body.starts_with("{\"__type\":\"ValidationException\""), "{body}");
    assert_eq!(send(&router, kinesis("record", "{")).await.0, 400, "the gateway's own errors stay");
}

#[tokio::test]
async fn plain_json_is_taken_where_that_is_set() {
    let (log, router) = open(DoorSettings { accept_plain_json: true, ..DoorSettings::default() });
    let request = Request::post("/topics/a.pin").header("content-type", "application/json");
    let request = request.body(Body::from(r#"{"records":[{"value":{"a": 1}}]}"#)).unwrap();
    assert_eq!(send(&router, request).await.0, 200);
    assert_eq!(stored(&*log).await, ["a.pin/0 - {\"a\":1}"]);
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_400() {
    let (log, router) = open(DoorSettings::default());
    let parts = [Ok("{\"records\":"), Err(std::io::Error::other("gone"))];
    let (status, _, _) = send(&router, kafka(Body::from_stream(futures::stream::iter(parts)))).await;
    assert_eq!(status, 400);
    assert!(stored(&*log).await.is_empty());
}
