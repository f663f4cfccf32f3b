//! Where one record went, or what an offset is that is none.

use pinlake_core::TopicName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The way of one record, from the log through the archive into the tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Its topic.
    pub topic: TopicName,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: i64,
    /// What it is.
    pub kind: OffsetKind,
    /// Whether the log still holds it.
    pub in_log: bool,
    /// The archive's object that holds it; `null` while it waits to be archived, and for what is no record to take.
    pub archive: Option<ArchiveTrace>,
    /// What each table that follows its topic made of it.
    pub tables: Vec<TableTrace>,
}

/// What stands at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OffsetKind {
    /// A record.
    Record,
    /// A record of a transaction that is not known to be committed or aborted: archive and tables wait for its end.
    Undecided,
    /// A record of an aborted transaction, which archive and tables pass over.
    Aborted,
    /// The marker that commits a transaction.
    CommitMarker,
    /// The marker that aborts a transaction.
    AbortMarker,
    /// A place in a batch whose records can't be read: the batch is archived and quarantined as one record, at its first offset.
    Unreadable,
    /// No record: compaction removed it, or the log let go of a marker or an aborted record.
    Nothing,
}

/// The object that holds a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveTrace {
    /// Its path in the archive.
    pub object: String,
    /// The first offset in it.
    pub start: i64,
    /// The first offset after it.
    pub end: i64,
}

/// What one table made of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableTrace {
    /// The table.
    pub table: String,
    /// What became of the record.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It is a row.
    Row {
        /// The version that is asked; the row may have been there before it.
        version: Option<i64>,
        /// The row's columns, by name.
        row: Map<String, Value>,
    },
    /// It is in the quarantine.
    Quarantined {
        /// What is wrong with it.
        reason: String,
    },
    /// It is no record to take: the table passed it over.
    WithoutRecord,
    /// Its key was there already, with the same content.
    Duplicate,
    /// Its key was there already, with other content: the first row of a key wins.
    Conflict,
    /// It belongs to another table of the same topic.
    Elsewhere,
    /// The table has not committed it yet; SQL sees it all the same.
    Pending {
        /// The next offset that the table takes.
        position: i64,
    },
    /// The table's position has passed it and it is nowhere: a person must look.
    Lost,
}
