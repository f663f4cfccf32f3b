//! Producer ids and transactions: which producer may write under which transactional id, what belongs to its open transaction, and how that
//! ends. Kafka's transaction coordinator, called by the wire protocol.
//!
//! ```text
//! calls -> transactions -> coordinator -> transaction (what may happen)
//!                                     \-> state (what must last) -> topic_store -> Log::append
//!                                     \-> ending -> markers: Log::append, offsets: Groups::finish_staged
//! ```
//!
//! Nothing here knows a wire format: requests and answers are plain data, see [`calls`].

pub mod calls;
mod coordinator;
mod desk;
mod ending;
mod error;
mod metrics;
mod producer_ids;
mod settings;
mod state;
mod transaction;
mod upkeep;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use pinlake_core::batch::Marker;
use pinlake_core::{Batch, Clock, Log, Result, Timestamp, TopicPartition};

use crate::groups::Groups;
use crate::groups::calls::{CommitRequest, ForPartition, GroupId, TransactionProducer};
use calls::{InitRequest, TransactionDescription, TransactionalId};
use coordinator::Coordinator;
pub use desk::Admission;
pub use error::TransactionError;
pub use settings::TransactionSettings;

/// The topic that keeps producer ids and transactions: one partition, kept for ever. Nobody else may append to it.
pub const TRANSACTIONS_TOPIC: &str = "__transaction_state";

/// All transactions. Cheap to clone; when the last clone is dropped, timeouts end.
#[derive(Clone)]
pub struct Transactions {
    coordinator: Arc<Coordinator>,
    _upkeep: Arc<upkeep::Upkeep>,
}

impl Transactions {
    /// Reads the transactions from [`TRANSACTIONS_TOPIC`], which is created if it is not there, and ends those whose end was decided:
    /// what the log does not take now is tried again later. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// The log's own.
    pub async fn open(log: Arc<dyn Log>, groups: Groups, clock: Clock, settings: TransactionSettings) -> Result<Self> {
        metrics::describe();
        let coordinator = Coordinator::open(log, groups, clock, settings).await?;
        ending::finish_what_was_decided(&coordinator).await;
        let upkeep = Arc::new(upkeep::Upkeep::start(&coordinator));
        Ok(Self { coordinator, _upkeep: upkeep })
    }

    /// A producer id that was never given before, for a producer without transactions.
    pub async fn new_producer(&self) -> Result<TransactionProducer, TransactionError> {
        Ok(TransactionProducer { id: self.coordinator.new_producer_id().await?, epoch: 0 })
    }

    /// Takes up a transactional id: fences whoever had it, and aborts what they left open.
    ///
    /// # Errors
    /// [`TransactionError::Concurrent`] while the end of the last transaction can't be written; [`TransactionError::Fenced`] if the id has
    /// another holder than the one that was expected; [`TransactionError::InvalidTimeout`].
    pub async fn init(&self, request: InitRequest) -> Result<TransactionProducer, TransactionError> {
        self.coordinator.init(request).await
    }

    /// Adds partitions to the open transaction, or begins one; durable when it answers. The partitions must exist.
    pub async fn add_partitions(
        &self,
        id: &TransactionalId,
        by: TransactionProducer,
        partitions: Vec<TopicPartition>,
    ) -> Result<(), TransactionError> {
        self.coordinator.add(id, by, partitions, Vec::new()).await
    }

    /// Adds a consumer group whose offsets the transaction commits, or begins one; durable when it answers.
    pub async fn add_group(&self, id: &TransactionalId, by: TransactionProducer, group: GroupId) -> Result<(), TransactionError> {
        self.coordinator.add(id, by, Vec::new(), vec![group]).await
    }

    /// Keeps offsets that the end of the transaction commits or forgets; durable when it answers. The group must have been added.
    pub async fn stage_offsets(
        &self,
        id: &TransactionalId,
        by: TransactionProducer,
        request: CommitRequest,
    ) -> Result<Vec<ForPartition<()>>, TransactionError> {
        self.coordinator.stage_offsets(id, by, request).await
    }

    /// Ends the open transaction. Once it answers that is decided for ever, and unless the log refuses to take it just now, markers and
    /// offsets are written.
    pub async fn end(&self, id: &TransactionalId, by: TransactionProducer, how: Marker) -> Result<(), TransactionError> {
        self.coordinator.end(id, by, how).await
    }

    /// Whether a producer's batch may be appended to a partition now. What it answers must be held until the batch is in the log: the
    /// transaction does not end before. `id` is the transactional id that the producer says it has.
    ///
    /// # Errors
    /// A transactional batch outside its producer's open transaction, and any other batch of a transactional producer.
    pub async fn admit(
        &self,
        id: Option<&TransactionalId>,
        to: &TopicPartition,
        batch: &Batch,
    ) -> Result<Admission, TransactionError> {
        self.coordinator.admit(id, to, batch).await
    }

    /// A transactional id, or [`TransactionError::NotFound`].
    pub fn describe(&self, id: &TransactionalId) -> Result<TransactionDescription, TransactionError> {
        self.coordinator.describe(id)
    }

    /// The time that transactions go by.
    pub fn now(&self) -> Timestamp {
        self.coordinator.clock.now()
    }

    /// All transactional ids that `wanted` is true of, by name.
    pub fn list(&self, wanted: impl Fn(&TransactionDescription) -> bool) -> Vec<TransactionDescription> {
        self.coordinator.list(wanted)
    }
}
