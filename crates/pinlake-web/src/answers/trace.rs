//! Where one record went.

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
    /// Whether the log still holds it.
    pub in_log: bool,
    /// The archive's object that holds it; `null` while it waits to be archived.
    pub archive: Option<ArchiveTrace>,
    /// What each table that follows its topic made of it.
    pub tables: Vec<TableTrace>,
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
