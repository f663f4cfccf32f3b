//! What the API answers, as plain data that also the command line reads. All times are milliseconds since the Unix epoch, UTC.

mod ledger;
mod payload;
mod table;
mod topic;
mod trace;

use serde::{Deserialize, Serialize};

pub use ledger::{Ledger, LogRange, PartitionLedger, RebuildComparison, TableLedger};
pub use payload::Payload;
pub use table::{
    Column, Commit, Flushed, FlushedTable, Quarantine, QuarantinedRecord, Rebuilt, TableDetail, TablePosition, TableSummary,
};
pub use topic::{GroupPosition, Header, LogRecord, PartitionOffsets, Records, Topic};
pub use trace::{ArchiveTrace, OffsetKind, Outcome, TableTrace, Trace};

/// All topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topics {
    /// The topics, sorted by name.
    pub topics: Vec<Topic>,
}

/// What a rebuild did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RebuiltTables {
    /// The tables, in the pipeline's order.
    pub tables: Vec<Rebuilt>,
}

/// All questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions {
    /// The questions, in the pipeline's order.
    pub questions: Vec<QuestionSummary>,
}

/// A question of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionSummary {
    /// Its name, as in `/api/v1/questions/NAME`.
    pub name: String,
    /// What it asks, in words.
    pub description: String,
    /// The SQL that answers it.
    pub sql: String,
    /// What it leaves open: `name=value|value` each, of which the first holds unless another is set.
    pub choices: Vec<String>,
}

/// Whether the server can do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether every part is ready.
    pub ready: bool,
    /// The parts, in the order in which they start.
    pub parts: Vec<Part>,
}

impl Readiness {
    /// Ready when every part is.
    pub fn of(parts: Vec<Part>) -> Self {
        Self { ready: parts.iter().all(|part| part.ready), parts }
    }
}

/// One part of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is, e.g. `log` or `table pin`.
    pub name: String,
    /// Whether it does its work.
    pub ready: bool,
    /// What it waits for, if it does not.
    pub waits_for: Option<String>,
    /// What somebody should look at though it works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Part {
    /// A part that does its work.
    pub fn ready(name: impl Into<String>) -> Self {
        Self { name: name.into(), ready: true, waits_for: None, warnings: Vec::new() }
    }

    /// A part that can't work yet.
    pub fn waiting(name: impl Into<String>, waits_for: impl Into<String>) -> Self {
        Self { name: name.into(), ready: false, waits_for: Some(waits_for.into()), warnings: Vec::new() }
    }
}
