//! What each door counts. Handles are resolved once, so that a request costs no look-up by label: the recorder must be installed
//! before the doors are built.

use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

/// One door's counters.
pub(crate) struct DoorMetrics {
    records: Counter,
    bytes: Counter,
    /// By first digit of the status: 2xx, 4xx, 5xx, and all others.
    requests: [Counter; 4],
    seconds: Histogram,
}

impl DoorMetrics {
    pub(crate) fn new(door: &'static str) -> Self {
        let requests = |status: &'static str| counter!("pinlake_requests_total", "door" => door, "status" => status);
        Self {
            records: counter!("pinlake_received_records_total", "door" => door),
            bytes: counter!("pinlake_received_bytes_total", "door" => door),
            requests: [requests("2xx"), requests("4xx"), requests("5xx"), requests("other")],
            seconds: histogram!("pinlake_request_seconds", "door" => door),
        }
    }

    /// Counts what the log took.
    pub(crate) fn received(&self, records: usize, bytes: usize) {
        self.records.increment(records as u64);
        self.bytes.increment(bytes as u64);
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, status: StatusCode, took: Duration) {
        let class = match status.as_u16() / 100 {
            2 => 0,
            4 => 1,
            5 => 2,
            _ => 3,
        };
        self.requests[class].increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

/// Says what the numbers mean.
pub(crate) fn describe() {
    describe_counter!("pinlake_received_records_total", "records that the log took, by door");
    describe_counter!("pinlake_received_bytes_total", Unit::Bytes, "bytes of their keys and values, by door");
    describe_counter!("pinlake_requests_total", "answered requests, by door and class of status");
    describe_histogram!("pinlake_request_seconds", Unit::Seconds, "from a request's head to its answer, by door");
}
