//! Tables, their quarantine and what changes them.

use pinlake_core::TopicName;
use serde::{Deserialize, Serialize};

use super::payload::Payload;

/// A table on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSummary {
    /// Its name in SQL.
    pub name: String,
    /// The version of its last commit.
    pub version: i64,
    /// Rows in that version.
    pub rows: u64,
    /// Records in its quarantine.
    pub quarantined: u64,
    /// Rows that are taken and not committed yet: SQL sees them, outside readers do not. What it has still to read of the log is
    /// not among them.
    pub tail_records: u64,
    /// Files of that version.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When it was committed.
    pub committed_at_ms: Option<i64>,
    /// Why its follower stands still, if it does.
    pub problem: Option<String>,
}

/// A table in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDetail {
    /// The line.
    #[serde(flatten)]
    pub summary: TableSummary,
    /// Where it lies, as a URL without secrets.
    pub location: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The columns that identify a row: the first row of a key wins.
    pub key: Vec<String>,
    /// The SQL that cleans a raw record into a row.
    pub clean_sql: String,
    /// The next offset that it takes from each source partition.
    pub positions: Vec<TablePosition>,
    /// Its last commits, the newest first.
    pub commits: Vec<Commit>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as in a query's answer.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The next offset that a table takes from a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePosition {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// The next offset.
    pub position: i64,
}

/// A commit of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The version that it made.
    pub version: i64,
    /// When.
    pub at_ms: i64,
    /// What it did, e.g. `append`, `rebuild` or `compact`.
    pub operation: String,
    /// Rows of the table with it; `null` for another tool's commit.
    pub rows: Option<u64>,
}

/// What a rebuild did to one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rebuilt {
    /// The table.
    pub table: String,
    /// The version that replaced its rows.
    pub version: i64,
    /// Records that were read from the archive.
    pub records: u64,
    /// Rows in the new version.
    pub rows: u64,
    /// Records that went into quarantine.
    pub quarantined: u64,
    /// Records whose key and content were there already.
    pub duplicates: u64,
    /// Records whose key was there already, with other content.
    pub conflicts: u64,
    /// Records of shared topics that belong to another table.
    pub elsewhere: u64,
    /// How long it took.
    pub elapsed_ms: f64,
}

/// What a flush committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flushed {
    /// Objects that the archive wrote.
    pub objects: u64,
    /// The tables and the versions they are at now.
    pub tables: Vec<FlushedTable>,
}

/// Where a table is after a flush.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushedTable {
    /// The table.
    pub table: String,
    /// Its version now.
    pub version: i64,
    /// Rows in it.
    pub rows: u64,
}

/// The newest records of a table's quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// The table.
    pub table: String,
    /// How many records are in its quarantine.
    pub total: u64,
    /// The newest of them, the newest first.
    pub records: Vec<QuarantinedRecord>,
}

/// A record that could not become a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedRecord {
    /// Its topic.
    pub topic: TopicName,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: i64,
    /// When it came in, if its batch says.
    pub ingested_at_ms: Option<i64>,
    /// What is wrong with it.
    pub reason: String,
    /// Its bytes.
    pub raw: Option<Payload>,
}
