//! What is asked of transactions and what they answer: plain data, without a protocol's versions and encodings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pinlake_core::{Timestamp, TopicPartition};
use serde::{Deserialize, Serialize};

use super::error::TransactionError;
use crate::groups::calls::TransactionProducer;

/// The longest transactional id, bytes.
pub const TRANSACTIONAL_ID_LEN_MAX: usize = 1024;

/// The name under which a producer goes on with its transactions after a restart of its own: 1 to [`TRANSACTIONAL_ID_LEN_MAX`] bytes without
/// control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TransactionalId(Arc<str>);

impl TransactionalId {
    /// Checks and takes a name, or [`TransactionError::InvalidRequest`].
    pub fn new(name: &str) -> Result<Self, TransactionError> {
        if (1..=TRANSACTIONAL_ID_LEN_MAX).contains(&name.len()) && !name.chars().any(char::is_control) {
            return Ok(Self(Arc::from(name)));
        }
        Err(TransactionError::InvalidRequest("a transactional id takes 1 to 1,024 bytes of printable characters: use another"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TransactionalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TransactionalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl TryFrom<String> for TransactionalId {
    type Error = TransactionError;
    fn try_from(name: String) -> Result<Self, TransactionError> {
        Self::new(&name)
    }
}

impl From<TransactionalId> for String {
    fn from(name: TransactionalId) -> Self {
        name.0.to_string()
    }
}

/// A producer takes up a transactional id: whoever had it before is fenced.
#[derive(Debug, Clone)]
pub struct InitRequest {
    /// The transactional id.
    pub id: TransactionalId,
    /// How long its transactions may take, milliseconds as the client has them: not checked yet.
    pub timeout_ms: i64,
    /// Who the caller was so far, if it only goes on after an error (KIP-360): any other holder of the id fences it.
    pub expected: Option<TransactionProducer>,
}

/// Where a transactional id stands, in Kafka's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionState {
    /// No transaction yet.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// It will be committed, whatever happens.
    PrepareCommit,
    /// It will be aborted, whatever happens.
    PrepareAbort,
    /// It was committed.
    CompleteCommit,
    /// It was aborted.
    CompleteAbort,
}

impl TransactionState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Empty, Self::Ongoing, Self::PrepareCommit, Self::PrepareAbort, Self::CompleteCommit, Self::CompleteAbort];

    /// Kafka's name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }
}

/// A transactional id and its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionDescription {
    /// The transactional id.
    pub id: TransactionalId,
    /// Where it stands.
    pub state: TransactionState,
    /// Who holds it.
    pub producer: TransactionProducer,
    /// How long its transactions may take.
    pub timeout: Duration,
    /// When the open transaction began.
    pub started_at: Option<Timestamp>,
    /// The partitions that it may have written to, in order.
    pub partitions: Vec<TopicPartition>,
}
