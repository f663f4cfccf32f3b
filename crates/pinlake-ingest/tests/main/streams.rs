//! Where a table of requests does not reach: at Kafka REST v3 a long stream over a socket and groups with members, at Kinesis one stream
//! at two doors.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures::StreamExt;
use http_body_util::BodyExt;
use pinlake_core::{Log, Offset, ReadLimit, TopicName, TopicSpec};
use pinlake_ingest::DoorSettings;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::ServiceExt;

use crate::setup::{open, post, send};

const RECORDS: usize = 10_000;

async fn cluster(router: &axum::Router) -> String {
    let (_, _, body) = send(router, Request::get("/v3/clusters").body(Body::empty()).unwrap()).await;
    let clusters: Value = serde_json::from_str(&body).unwrap();
    format!("/v3/clusters/{}", clusters["data"][0]["cluster_id"].as_str().unwrap())
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn ten_thousand_records_of_a_stream_are_answered_in_order() {
    let (log, router) = open(DoorSettings::default());
    log.create_topic(&TopicName::new("t").unwrap(), TopicSpec::with_partitions(1)).await.unwrap();
    let path = format!("{}/topics/t/records", cluster(&router).await);
    // Every tenth has a header, and so goes another way to the log.
    let record = |number: usize| {
        let headers = if number.is_multiple_of(10) { json!([{"name": "n", "value": null}]) } else { json!(null) };
        json!({"value": {"type": "JSON", "data": number}, "headers": headers}).to_string()
    };
    let text: String = (0..RECORDS).map(record).collect();
    let parts: Vec<_> = text.as_bytes().chunks(1777).map(|part| Ok::<_, std::io::Error>(Bytes::copy_from_slice(part))).collect();
    let request = Request::post(&path).body(Body::from_stream(futures::stream::iter(parts))).unwrap();
    let (status, _, body) = send(&router, request).await;
    assert_eq!(status, 200);
    let answers = lines(&body);
    assert_eq!(answers.len(), RECORDS);
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!((&answer["error_code"], &answer["offset"]), (&json!(200), &json!(number)));
    }
    let whole = ReadLimit { bytes: usize::MAX };
    let of = TopicName::new("t").unwrap().partition(0);
    let batches = log.read(&of, Offset::ZERO, whole, Duration::ZERO).await.unwrap();
    let values: Vec<String> = batches
        .iter()
        .flat_map(|batch| batch.records())
        .map(|record| String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap())
        .collect();
    assert_eq!(values, (0..RECORDS).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(batches.len() < RECORDS / 4, "records that come together are appended together: {}", batches.len());
}

#[tokio::test]
async fn a_record_is_answered_before_the_next_one_comes() {
    let (_, router) = open(DoorSettings::default());
    let path = format!("{}/topics/a.pin/records", cluster(&router).await);
    let (sender, receiver) = mpsc::unbounded_channel::<Result<Bytes, std::io::Error>>();
    let body = futures::stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    let response = router.clone().oneshot(Request::post(&path).body(Body::from_stream(body)).unwrap()).await.unwrap();
    let mut answers = response.into_body().into_data_stream();
    for offset in 0..3 {
        sender.send(Ok(Bytes::from_static(b"{\"value\":{\"type\":\"JSON\","))).unwrap();
        sender.send(Ok(Bytes::from_static(b"\"data\":1}}"))).unwrap();
        let line: Value = serde_json::from_slice(&answers.next().await.unwrap().unwrap()).unwrap();
        assert_eq!(line["offset"], json!(offset));
    }
    drop(sender);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn a_record_over_the_limit_ends_the_stream() {
    let (log, router) = open(DoorSettings { body_bytes_max: 200, ..DoorSettings::default() });
    let path = format!("{}/topics/a.pin/records", cluster(&router).await);
    let parts = [r#"{"value":{"type":"JSON","data":1}}"#.to_owned(), format!("{{\"value\":\"{}", "x".repeat(300))];
    let parts = futures::stream::iter(parts.map(Ok::<_, std::io::Error>));
    let (status, _, body) = send(&router, Request::post(&path).body(Body::from_stream(parts)).unwrap()).await;
    let answers = lines(&body);
    assert_eq!((status.as_u16(), answers.len()), (200, 2));
    assert_eq!((&answers[0]["offset"], &answers[1]["error_code"]), (&json!(0), &json!(413)));
    let of = TopicName::new("a.pin").unwrap().partition(0);
    assert_eq!(log.range(&of).await.unwrap().end, Offset(1));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_not_read_on() {
    let (_, router) = open(DoorSettings::default());
    let path = format!("{}/topics/a.pin/records", cluster(&router).await);
    let read = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = read.clone();
    let endless = futures::stream::repeat_with(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok::<_, std::io::Error>(Bytes::from_static(b"{\"value\":{\"type\":\"JSON\",\"data\":1}}"))
    });
    let response = router.clone().oneshot(Request::post(&path).body(Body::from_stream(endless)).unwrap()).await.unwrap();
    let mut body = response.into_body();
    for _ in 0..3 {
        body.frame().await.unwrap().unwrap();
    }
    tokio::task::yield_now().await;
    assert!(read.load(std::sync::atomic::Ordering::Relaxed) <= 4);
}

#[tokio::test(start_paused = true)]
async fn groups_show_their_members_and_how_far_they_are_behind() {
    let (log, router) = open(DoorSettings::default());
    log.create_topic(&TopicName::new("t").unwrap(), TopicSpec::with_partitions(2)).await.unwrap();
    let cluster = cluster(&router).await;
    let call = async |method: &str, path: &str, body: Value| {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).header("accept", "application/json").body(body).unwrap();
        let (status, _, text) = send(&router, request).await;
        (status.as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
    };
    let get = async |path: &str| {
        let (status, answer): (u16, Value) = call("GET", &format!("{cluster}/consumer-groups{path}"), Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    };
    call("POST", "/consumers/g", json!({"name": "i", "format": "json", "auto.offset.reset": "earliest"})).await;
    call("POST", "/consumers/g/instances/i/subscription", json!({"topics": ["t"]})).await;
    post(&router, "t", r#"{"records":[{"partition":0,"value":1},{"partition":1,"value":2}]}"#).await;
    call("GET", "/consumers/g/instances/i/records", Value::Null).await;
    call("POST", "/consumers/g/instances/i/offsets", Value::Null).await;
    post(&router, "t", r#"{"records":[{"partition":1,"value":3},{"partition":1,"value":4},{"partition":0,"value":5}]}"#).await;

    assert_eq!(get("").await["data"][0]["consumer_group_id"], "g");
    let group = get("/g").await;
    assert_eq!(
        (&group["state"], &group["partition_assignor"], &group["is_simple"]),
        (&json!("STABLE"), &json!("range"), &json!(false))
    );
    let consumers = get("/g/consumers").await;
    let id = consumers["data"][0]["consumer_id"].as_str().unwrap().to_owned();
    assert_eq!((consumers["data"].as_array().unwrap().len(), &consumers["data"][0]["client_id"]), (1, &json!("i")));
    assert_eq!(get(&format!("/g/consumers/{id}")).await["kind"], "KafkaConsumer");
    let assignments = get(&format!("/g/consumers/{id}/assignments")).await;
    let partitions: Vec<&Value> = assignments["data"].as_array().unwrap().iter().map(|of| &of["partition_id"]).collect();
    assert_eq!(partitions, [&json!(0), &json!(1)]);
    let lags = get("/g/lags").await;
    let shown: Vec<Value> = lags["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lag| json!([lag["partition_id"], lag["current_offset"], lag["log_end_offset"], lag["lag"], lag["consumer_id"]]))
        .collect();
    assert_eq!(shown, [json!([0, 1, 2, 1, id]), json!([1, 1, 3, 2, id])]);
    assert_eq!(get("/g/lags/t/partitions/1").await["lag"], 2);
    let summary = get("/g/lag-summary").await;
    assert_eq!((&summary["max_lag"], &summary["total_lag"], &summary["max_lag_partition_id"]), (&json!(2), &json!(3), &json!(1)));
    for path in ["/g/consumers/none", "/g/lags/t/partitions/7"] {
        assert_eq!(call("GET", &format!("{cluster}/consumer-groups{path}"), Value::Null).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn the_gateway_form_goes_by_the_shards_of_the_native_one() {
    let (_, router) = open(DoorSettings::default());
    let native = async |operation: &str, body: Value| {
        let target = format!("Kinesis_20131202.{operation}");
        let request = Request::post("/").header("x-amz-target", target).header("content-type", "application/x-amz-json-1.1");
        let (status, _, answer) = send(&router, request.body(Body::from(body.to_string())).unwrap()).await;
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    };
    let get = async |path: &str, iterator: &str| {
        let request = Request::get(path).header("shard-iterator", iterator).body(Body::empty()).unwrap();
        let (status, _, answer) = send(&router, request).await;
        assert_eq!(status, 200, "{path}: {answer}");
        serde_json::from_str::<Value>(&answer).unwrap()
    };
    let put = async |key: &str| {
        let body = json!({"Data": key, "PartitionKey": key}).to_string();
        let (_, _, answer) = send(&router, Request::put("/prod/streams/s/record").body(Body::from(body)).unwrap()).await;
        serde_json::from_str::<Value>(&answer).unwrap()["ShardId"].clone()
    };
    send(&router, Request::post("/streams/s").body(Body::from("{\"ShardCount\":1}")).unwrap()).await;
    assert_eq!(put("a").await, "shardId-000000000000");
    let half = (1_u128 << 127).to_string();
    let split = json!({"StreamName": "s", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": half});
    assert_eq!(native("SplitShard", split).await, "", "an operation without an output answers nothing");
    // The MD5s of a and b begin with 0c and 92.
    assert_eq!((put("a").await, put("b").await), (json!("shardId-000000000001"), json!("shardId-000000000002")));
    let described = get("/prod/streams/s", "").await;
    assert_eq!(described["StreamDescription"]["Shards"].as_array().unwrap().len(), 3);
    assert_eq!(described["StreamDescription"]["Shards"][2]["ParentShardId"], "shardId-000000000000");
    let iterator = get("/prod/streams/s/sharditerator?shard-id=shardId-000000000000", "").await["ShardIterator"].clone();
    let page = get("/prod/streams/s/records", iterator.as_str().unwrap()).await;
    assert_eq!((&page["Records"][0]["Data"], page["Records"].as_array().unwrap().len()), (&json!("ImEi"), 1));
    assert_eq!((&page["NextShardIterator"], page["ChildShards"].as_array().unwrap().len()), (&Value::Null, 2));
}
