//! What the wire protocol counts: functions, so that names and labels stand in one place.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::versions::Api;

/// Says what the numbers mean, and shows those without labels from the start.
pub(super) fn describe() {
    describe_gauge!("pinlake_kafka_connections", "open connections of the Kafka wire protocol");
    describe_counter!("pinlake_kafka_refused_total", "connections that were cut off, by reason");
    describe_histogram!("pinlake_kafka_request_seconds", Unit::Seconds, "from a request to its answer, waiting included, by API");
    describe_counter!("pinlake_kafka_fetched_bytes_total", Unit::Bytes, "bytes of record batches that fetches answered");
    gauge!("pinlake_kafka_connections").set(0.0);
}

/// A connection came (1) or went (-1).
pub(super) fn observe_connection(change: f64) {
    gauge!("pinlake_kafka_connections").increment(change);
}

/// A connection was cut off.
pub(super) fn observe_refusal(reason: &'static str) {
    counter!("pinlake_kafka_refused_total", "reason" => reason).increment(1);
}

/// A request was answered.
pub(super) fn observe_request(api: &'static Api, took: Duration) {
    histogram!("pinlake_kafka_request_seconds", "api" => api.name()).record(took.as_secs_f64());
}

/// A fetch answered so many bytes of batches.
pub(super) fn observe_fetch(bytes: usize) {
    counter!("pinlake_kafka_fetched_bytes_total").increment(bytes as u64);
}
