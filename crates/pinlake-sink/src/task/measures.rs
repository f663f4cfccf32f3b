//! What is counted of a sink. It must not decide anything.

use metrics::Counter;

/// The counters of one sink.
pub(super) struct Measures {
    records: Counter,
    bytes: Counter,
    objects: Counter,
    errors: Counter,
    missed: Counter,
}

impl Measures {
    /// `follower` is the kind of the sink and its name.
    pub(super) fn of(follower: &str) -> Self {
        metrics::describe_counter!("pinlake_sink_records_total", "records that a sink wrote into objects");
        metrics::describe_counter!("pinlake_sink_bytes_total", "bytes of the objects that a sink wrote");
        metrics::describe_counter!("pinlake_sink_objects_total", "objects that a sink wrote");
        metrics::describe_counter!("pinlake_sink_errors_total", "records that a sink could not write");
        metrics::describe_counter!("pinlake_sink_missed_total", "records that the log no longer kept when a sink came to them");
        // One of Kafka Connect's is there under its name alone.
        let labels = [("sink", follower.strip_prefix("sink/").unwrap_or(follower).to_owned())];
        Self {
            records: metrics::counter!("pinlake_sink_records_total", &labels),
            bytes: metrics::counter!("pinlake_sink_bytes_total", &labels),
            objects: metrics::counter!("pinlake_sink_objects_total", &labels),
            errors: metrics::counter!("pinlake_sink_errors_total", &labels),
            missed: metrics::counter!("pinlake_sink_missed_total", &labels),
        }
    }

    pub(super) fn wrote(&self, records: u64, objects: usize, bytes: usize) {
        self.records.increment(records);
        self.objects.increment(objects as u64);
        self.bytes.increment(bytes as u64);
    }

    pub(super) fn error(&self) {
        self.errors.increment(1);
    }

    pub(super) fn missed(&self, records: u64) {
        self.missed.increment(records);
    }
}
