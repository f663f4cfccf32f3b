//! What the doors count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ::metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use axum::body::Body;
use axum::http::Request;
use pinlake_ingest::DoorSettings;

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
