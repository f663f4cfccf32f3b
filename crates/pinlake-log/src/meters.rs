//! What the log counts. Metrics are looked up once, never an append.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use pinlake_core::TopicPartition;

/// Counts over all partitions.
#[derive(Clone)]
pub(crate) struct Meters {
    records: Counter,
    bytes: Counter,
    syncs: Counter,
    sync_seconds: Histogram,
}

impl Meters {
    /// Looks the metrics up and says what they mean; a recorder must be installed before.
    pub(crate) fn new() -> Self {
        describe();
        Self {
            records: metrics::counter!("pinlake_appended_records_total"),
            bytes: metrics::counter!("pinlake_appended_bytes_total"),
            syncs: metrics::counter!("pinlake_syncs_total"),
            sync_seconds: metrics::histogram!("pinlake_sync_seconds"),
        }
    }

    pub(crate) fn observe_append(&self, records: u64, bytes: u64) {
        self.records.increment(records);
        self.bytes.increment(bytes);
    }

    pub(crate) fn observe_sync(&self, took: Duration) {
        self.syncs.increment(1);
        self.sync_seconds.record(took.as_secs_f64());
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!("pinlake_appended_records_total", "records appended to the log");
    describe_counter!("pinlake_appended_bytes_total", Unit::Bytes, "bytes of their batches");
    describe_counter!("pinlake_syncs_total", "syncs of the disk that succeeded");
    describe_histogram!("pinlake_sync_seconds", Unit::Seconds, "how long each sync of the disk took");
    describe_gauge!("pinlake_log_end_offset", "the offset that the next record of a partition gets");
    describe_gauge!("pinlake_log_bytes", Unit::Bytes, "bytes of a partition's segments");
}

/// What is shown of one partition.
pub(crate) struct PartitionMeters {
    end: Gauge,
    bytes: Gauge,
}

impl PartitionMeters {
    pub(crate) fn new(of: &TopicPartition) -> Self {
        let labels = [("topic", of.topic.to_string()), ("partition", of.partition.to_string())];
        Self { end: metrics::gauge!("pinlake_log_end_offset", &labels), bytes: metrics::gauge!("pinlake_log_bytes", &labels) }
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
    pub(crate) fn observe(&self, end: i64, bytes: u64) {
        self.end.set(end as f64);
        self.bytes.set(bytes as f64);
    }
}

impl std::fmt::Debug for PartitionMeters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PartitionMeters")
    }
}
