//! What each door counts. Handles are resolved once, so that a request costs no look-up by label: the recorder must be installed
//! before the doors are built.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use pinlake_core::ErrorKind;
use tokio::time::Instant;

/// How often one door says in the log that it can't store what it gets, however many requests fail.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// One door's counters.
pub(crate) struct DoorMetrics {
    door: &'static str,
    records: Counter,
    bytes: Counter,
    /// By first digit of the status: 2xx, 4xx, 5xx, and all others.
    requests: [Counter; 4],
    seconds: Histogram,
    warned_at: Mutex<Option<Instant>>,
}

impl DoorMetrics {
    pub(crate) fn new(door: &'static str) -> Self {
        let requests = |status: &'static str| counter!("pinlake_requests_total", "door" => door, "status" => status);
        Self {
            door,
            warned_at: Mutex::default(),
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

    /// Counts records that were well formed and not stored. Rare, so the counter is looked up.
    pub(crate) fn rejected(&self, records: usize, why: ErrorKind) {
        let labels = [("door", self.door), ("reason", why.as_str())];
        counter!("pinlake_rejected_records_total", &labels).increment(records as u64);
    }

    /// Counts a call that an error of AWS's answers, by operation and type. Rare, so the counter is looked up.
    pub(crate) fn failed(&self, operation: &'static str, error: &str) {
        let labels = [("door", self.door.to_owned()), ("operation", operation.to_owned()), ("error", error.to_owned())];
        counter!("pinlake_aws_errors_total", &labels).increment(1);
    }

    /// Logs that the door could not do its work; at once, and then every [`WARN_EVERY`] at most.
    pub(crate) fn warn(&self, why: impl Display) {
        let mut warned_at = self.warned_at.lock().unwrap_or_else(PoisonError::into_inner);
        if warned_at.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            *warned_at = Some(Instant::now());
            tracing::warn!(door = self.door, "requests fail (said every {} s at most): {why}", WARN_EVERY.as_secs());
        }
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
    describe_counter!("pinlake_rejected_records_total", "well-formed records that were not stored, by door and kind of error");
    describe_counter!(
        "pinlake_aws_errors_total",
        "calls of AWS's own protocols that were refused, by door, operation and type of error"
    );
    describe_counter!("pinlake_requests_total", "answered requests, by door and class of status");
    describe_histogram!("pinlake_request_seconds", Unit::Seconds, "from a request's head to its answer, by door");
}
