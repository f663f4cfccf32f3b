//! What the API asks of the rest of the product, in one trait. The binary implements it over the log and the tables.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pinlake_core::{Offset, Result, TopicName, TopicPartition, TopicSpec};
use serde::{Deserialize, Serialize};

use crate::answers::{
    Flushed, Ledger, LogRecord, Quarantine, QuestionSummary, Readiness, Rebuilt, TableDetail, TableSummary, Topic, Trace,
};

/// Exactly what the API needs. A caller may go away at any time: what a call has begun to change is then either finished or
/// left as it was.
#[async_trait]
pub trait Console: Send + Sync + 'static {
    /// Answers a query, already encoded: only the query engine's side knows its columns.
    ///
    /// # Errors
    /// `Invalid` for SQL that is wrong, that writes or that takes more memory or time than one query may, `NotFound` for a
    /// question that does not exist, `Retry` when too many queries run.
    async fn query(&self, request: QueryRequest) -> Result<QueryAnswer>;

    /// The pipeline's questions, in its order.
    async fn questions(&self) -> Result<Vec<QuestionSummary>>;

    /// All topics, sorted by name.
    async fn topics(&self) -> Result<Vec<Topic>>;

    /// One topic, or `NotFound`.
    async fn topic(&self, name: &TopicName) -> Result<Topic>;

    /// Creates a topic: `Conflict` if it exists, `Invalid` for a spec no log can keep.
    async fn create_topic(&self, name: &TopicName, spec: TopicSpec) -> Result<()>;

    /// What a topic is created with where nothing else is said.
    fn topic_defaults(&self) -> TopicSpec;

    /// Deletes a topic and its records; `Retry` while a table or the archive still needs them.
    async fn delete_topic(&self, name: &TopicName) -> Result<()>;

    /// Committed records of a partition from an offset on, in order, and the offset to ask for next; no records when none came within the
    /// wait, or when there are none at the offsets that were looked at.
    ///
    /// # Errors
    /// `NotFound` for a partition that does not exist or an offset before the first kept one, `Invalid` for one after the end.
    async fn records(&self, request: RecordsRequest) -> Result<(Vec<LogRecord>, Offset)>;

    /// All tables, in the pipeline's order.
    async fn tables(&self) -> Result<Vec<TableSummary>>;

    /// One table, or `NotFound`.
    async fn table(&self, name: &str) -> Result<TableDetail>;

    /// Cleans the archive again and replaces each table in one commit. It goes on when the caller goes away.
    ///
    /// # Errors
    /// `NotFound` for a table that does not exist, `Conflict` while any rebuild runs.
    async fn rebuild(&self, which: Rebuild) -> Result<Vec<Rebuilt>>;

    /// Has the archive and the tables commit what they hold now, and returns when they have.
    async fn flush(&self) -> Result<Flushed>;

    /// The ledger: from what the commits recorded or, if `deep`, counted again in the archive and the tables.
    async fn ledger(&self, deep: bool) -> Result<Ledger>;

    /// The newest rows of a table's quarantine, at most `limit`; `NotFound` for a table that does not exist.
    async fn quarantine(&self, table: &str, limit: usize) -> Result<Quarantine>;

    /// Where one record went; `NotFound` for a partition that does not exist or an offset that was never written.
    async fn trace(&self, of: &TopicPartition, offset: Offset) -> Result<Trace>;

    /// The server's parts and what each waits for. Must be cheap and must not fail.
    async fn readiness(&self) -> Readiness;
}

/// A query and how its answer is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryRequest {
    /// What is asked.
    pub query: Query,
    /// How the answer is encoded.
    pub format: Format,
    /// The most rows that are answered.
    pub rows_max: u64,
    /// What is chosen where the pipeline leaves a choice: `name=value` each.
    pub choices: Vec<String>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// SQL text, one statement that reads.
    Sql(String),
    /// One of the pipeline's questions, by name.
    Question(String),
}

/// How an answer is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `{"columns":[{"name","type"}],"rows":[[..]],"row_count","elapsed_ms","snapshot":{TABLE:{"version","tail_rows"}}}`.
    #[default]
    Json,
    /// Comma-separated with a line of column names.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 3] = [Self::Json, Self::Csv, Self::Arrow];

    /// The content type of an answer, which is also what `Accept` asks for it with.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// An encoded answer.
#[derive(Debug, Clone)]
pub struct QueryAnswer {
    /// The answer in the format that was asked for.
    pub body: Bytes,
    /// Whether rows were left out because there are more than were asked for.
    pub truncated: bool,
}

/// Which records of the log are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordsRequest {
    /// The partition.
    pub from: TopicPartition,
    /// The first offset.
    pub offset: Offset,
    /// The most records.
    pub records_max: usize,
    /// Stop before the batches, or the records' keys and values, together pass this many bytes; the first is read however large.
    pub bytes_max: usize,
    /// How long to wait for the first record when `offset` is the end.
    pub wait: Duration,
}

/// Which tables are rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebuild {
    /// Every table of the pipeline.
    All,
    /// The table of that name.
    Table(String),
}
