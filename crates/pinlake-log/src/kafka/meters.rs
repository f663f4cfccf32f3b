//! What is counted of the cluster. Metrics are looked up once, never a request.

use metrics::Counter;

/// Counts over all brokers.
#[derive(Clone)]
pub(super) struct Meters {
    requests: Counter,
    errors: Counter,
    retries: Counter,
    sent_bytes: Counter,
    received_bytes: Counter,
}

impl Meters {
    /// Looks the metrics up and says what they mean; a recorder must be installed before.
    pub(super) fn new() -> Self {
        describe();
        Self {
            requests: metrics::counter!("pinlake_cluster_requests_total"),
            errors: metrics::counter!("pinlake_cluster_errors_total"),
            retries: metrics::counter!("pinlake_cluster_retries_total"),
            sent_bytes: metrics::counter!("pinlake_cluster_sent_bytes_total"),
            received_bytes: metrics::counter!("pinlake_cluster_received_bytes_total"),
        }
    }

    pub(super) fn observe_request(&self, bytes: usize) {
        self.requests.increment(1);
        self.sent_bytes.increment(bytes as u64);
    }

    pub(super) fn observe_answer(&self, bytes: usize) {
        self.received_bytes.increment(bytes as u64);
    }

    pub(super) fn observe_error(&self) {
        self.errors.increment(1);
    }

    pub(super) fn observe_retry(&self) {
        self.retries.increment(1);
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}

fn describe() {
    use metrics::{Unit, describe_counter};
    describe_counter!("pinlake_cluster_requests_total", "requests sent to the cluster's brokers");
    describe_counter!("pinlake_cluster_errors_total", "calls that failed in the end, but for those that were wrong");
    describe_counter!("pinlake_cluster_retries_total", "requests that were sent again, or will be once a broker can be reached");
    describe_counter!("pinlake_cluster_sent_bytes_total", Unit::Bytes, "bytes sent to the cluster's brokers");
    describe_counter!("pinlake_cluster_received_bytes_total", Unit::Bytes, "bytes received from them");
}
