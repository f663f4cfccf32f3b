//! What transactions count: functions, so that names stand in one place.

use metrics::{counter, describe_counter, describe_gauge, gauge};
use pinlake_core::batch::Marker;

const BEGUN: &str = "pinlake_transactions_begun_total";
const COMMITTED: &str = "pinlake_transactions_committed_total";
const ABORTED: &str = "pinlake_transactions_aborted_total";
const TIMED_OUT: &str = "pinlake_transactions_timed_out_total";
const OPEN: &str = "pinlake_transactions_open";

/// Says what the numbers mean, and shows them from the start.
pub(super) fn describe() {
    describe_counter!(BEGUN, "transactions of Kafka producers that began");
    describe_counter!(COMMITTED, "transactions that were committed, in all their partitions");
    describe_counter!(ABORTED, "transactions that were aborted, in all their partitions");
    describe_counter!(TIMED_OUT, "transactions that took longer than their producer had asked for, and were begun to be aborted");
    describe_gauge!(OPEN, "transactions that are open, or whose end is not written everywhere");
    [BEGUN, COMMITTED, ABORTED, TIMED_OUT].into_iter().for_each(|name| counter!(name).increment(0));
    gauge!(OPEN).set(0.0);
}

/// A transaction began.
pub(super) fn observe_begun() {
    counter!(BEGUN).increment(1);
}

/// A transaction has ended everywhere.
pub(super) fn observe_ended(how: Marker) {
    let ended = match how {
        Marker::Commit => COMMITTED,
        Marker::Abort => ABORTED,
    };
    counter!(ended).increment(1);
}

/// A transaction took too long.
pub(super) fn observe_timed_out() {
    counter!(TIMED_OUT).increment(1);
}

/// So many are open now.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
pub(super) fn observe_open(transactions: usize) {
    gauge!(OPEN).set(transactions as f64);
}
