//! What the followers count, in words. The numbers are kept where they arise.

use metrics::{Unit, describe_counter, describe_gauge};

/// Says what each metric of the followers means; a recorder must be installed before.
pub(crate) fn describe() {
    describe_counter!("pinlake_archived_records_total", "records written into archive objects");
    describe_counter!("pinlake_cleaned_records_total", "records that became rows, by table");
    describe_counter!("pinlake_quarantined_records_total", "records taken into quarantine, by table");
    describe_counter!("pinlake_duplicate_records_total", "records whose key was there, by table");
    describe_counter!("pinlake_committed_rows_total", "rows that commits added, by table");
    describe_gauge!("pinlake_freshness_seconds", Unit::Seconds, "age of the oldest record in a table's last commit");
    describe_gauge!("pinlake_lag_records", "records between a partition's end and what a follower has committed");
}
