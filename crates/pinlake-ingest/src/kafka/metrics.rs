//! What the wire protocol counts: functions, so that names and labels stand in one place.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use pinlake_core::ErrorKind;

use super::versions::Api;

/// The wire protocol among the doors.
const DOOR: &str = "kafka";

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

/// The log took a batch.
pub(super) fn observe_received(records: u32, bytes: usize) {
    counter!("pinlake_received_records_total", "door" => DOOR).increment(u64::from(records));
    counter!("pinlake_received_bytes_total", "door" => DOOR).increment(bytes as u64);
}

/// A well-formed batch was not stored.
pub(super) fn observe_rejected(records: u32, why: ErrorKind) {
    counter!("pinlake_rejected_records_total", "door" => DOOR, "reason" => why.as_str()).increment(u64::from(records));
}

/// A fetch answered so many bytes of batches.
pub(super) fn observe_fetch(bytes: usize) {
    counter!("pinlake_kafka_fetched_bytes_total").increment(bytes as u64);
}
