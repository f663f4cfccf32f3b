//! What the doors count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use axum::body::Body;
use axum::http::Request;
use pinlake_core::Error;
use pinlake_core::testing::warnings::Warnings;
use pinlake_ingest::DoorSettings;

use crate::faults::refusing;
use crate::setup::{open, post, send};

/// Counters by name and labels.
#[derive(Default)]
struct Counters(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Counters {
    fn above_zero(&self) -> Vec<String> {
        let counted = |(name, value): (&String, &Arc<AtomicU64>)| (name.clone(), value.load(Ordering::Relaxed));
        let all = self.0.lock().unwrap().iter().map(counted).collect::<Vec<_>>();
        all.into_iter().filter(|(_, value)| *value > 0).map(|(name, value)| format!("{name} {value}")).collect()
    }
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels: Vec<&str> = key.labels().map(::metrics::Label::value).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        Counter::from_arc(self.0.lock().unwrap().entry(name).or_default().clone())
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn each_door_counts_requests_records_and_bytes() {
    let counters = Counters::default();
    let (_, router) = ::metrics::with_local_recorder(&counters, || open(DoorSettings::default()));
    post(&router, "a.pin", r#"{"records":[{"key":"k","value":12},{"value":345}]}"#).await;
    post(&router, "a.pin", "{").await;
    let put = Request::put("/streams/streaming-a/record").body(Body::from(r#"{"Data":1,"PartitionKey":"key"}"#)).unwrap();
    send(&router, put).await;
    send(&router, Request::post("/pin/").body(Body::from(r#"{"index": 1}"#)).unwrap()).await;
    assert_eq!(
        counters.above_zero(),
        [
            "pinlake_received_bytes_total kafka_rest 8",
            "pinlake_received_bytes_total kinesis_gateway 4",
            "pinlake_received_bytes_total pin 11",
            "pinlake_received_records_total kafka_rest 2",
            "pinlake_received_records_total kinesis_gateway 1",
            "pinlake_received_records_total pin 1",
            "pinlake_requests_total kafka_rest 2xx 1",
            "pinlake_requests_total kafka_rest 4xx 1",
            "pinlake_requests_total kinesis_gateway 2xx 1",
            "pinlake_requests_total pin 2xx 1",
        ]
    );
}

#[tokio::test]
async fn firehose_counts_records_and_errors_by_operation() {
    let counters = Counters::default();
    let _recorder = ::metrics::set_default_local_recorder(&counters);
    let router = crate::firehose::delivering();
    for (operation, body) in [
        ("PutRecordBatch", r#"{"DeliveryStreamName":"d","Records":[{"Data":"YQ=="},{"Data":"YmM="}]}"#),
        ("PutRecord", r#"{"DeliveryStreamName":"none","Record":{"Data":""}}"#),
        ("DescribeDeliveryStream", "{}"),
    ] {
        crate::firehose::create(&router, "d").await;
        let request = Request::post("/").header("x-amz-target", format!("Firehose_20150804.{operation}"));
        let request = request.header("content-type", "application/x-amz-json-1.1").body(Body::from(body));
        send(&router, request.unwrap()).await;
    }
    assert_eq!(
        counters.above_zero(),
        [
            "pinlake_aws_errors_total firehose CreateDeliveryStream ResourceInUseException 2",
            "pinlake_aws_errors_total firehose DescribeDeliveryStream ValidationException 1",
            "pinlake_aws_errors_total firehose PutRecord ResourceNotFoundException 1",
            "pinlake_received_bytes_total firehose 3",
            "pinlake_received_records_total firehose 2",
            "pinlake_requests_total firehose 2xx 2",
            "pinlake_requests_total firehose 4xx 4",
        ]
    );
}

#[tokio::test]
async fn records_that_are_not_stored_are_counted_by_reason() {
    let counters = Counters::default();
    let _recorder = ::metrics::set_default_local_recorder(&counters);
    let router = refusing(1, Error::retry("the disk is full"));
    let (status, _) = post(&router, "multi", r#"{"records":[{"partition":1},{"partition":0},{"partition":1}]}"#).await;
    assert_eq!(status, 200, "the failure is told record by record");
    post(&router, "unknown", r#"{"records":[{"value":1},{"value":2}]}"#).await;
    post(&router, "multi", r#"{"records":[{"partition":7}]}"#).await;
    post(&router, "multi", "{").await;
    let body = r#"{"Records":[{"Data":1,"PartitionKey":"b"}]}"#;
    send(&router, Request::put("/streams/multi/records").body(Body::from(body)).unwrap()).await;
    let counted: Vec<_> = counters.above_zero().into_iter().filter(|line| line.contains("_records_")).collect();
    assert_eq!(
        counted,
        [
            "pinlake_received_records_total kafka_rest 1",
            "pinlake_rejected_records_total kafka_rest not_found 3",
            "pinlake_rejected_records_total kafka_rest retry 2",
            "pinlake_rejected_records_total kinesis_gateway retry 1",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_logged_once_in_a_while_at_each_door() {
    let lines = Warnings::of_this_thread();
    let router = refusing(0, Error::retry("the disk is full"));
    let some = async || {
        for _ in 0..3 {
            post(&router, "a.pin", r#"{"records":[{"value":1},{"value":2}]}"#).await;
            send(&router, Request::post("/pin/").body(Body::from("{}")).unwrap()).await;
        }
        lines.count()
    };
    assert_eq!(some().await, 2, "one line a door");
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(some().await, 2);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(some().await, 4);
    post(&router, "unknown", r#"{"records":[{"value":1}]}"#).await;
    assert_eq!(lines.count(), 4, "what the client has to correct is no line of ours");
}
