//! One transactional id as a state machine: what may happen to it, and what it is afterwards. Pure: it is told the time and answers the next
//! state, which counts only once it is durable.
//!
//! ```text
//! Empty -> Ongoing -> PrepareCommit -> CompleteCommit -> Ongoing ...
//!                  \-> PrepareAbort -> CompleteAbort  /
//! ```
//!
//! Sources: Kafka's KIP-98 (transactions), KIP-360 (a producer that goes on after an error) and KIP-588 (who is told that it is fenced).

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use pinlake_core::batch::Marker;
use pinlake_core::{Timestamp, TopicPartition};
use serde::{Deserialize, Serialize};

use super::calls::TransactionState;
use super::error::TransactionError;
use crate::groups::calls::{GroupId, TransactionProducer};

/// The last epoch that a producer is given. The one behind it is for fencing it.
const EPOCH_MAX: i16 = i16::MAX - 1;

/// A transactional id, as its records keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transaction {
    /// Who holds it.
    pub(crate) producer: TransactionProducer,
    /// Whom its holder went on from, if it did: a repeat of that call is answered the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<TransactionProducer>,
    pub(crate) timeout_ms: u64,
    pub(crate) state: TransactionState,
    /// The partitions that an open transaction writes to, or that its end is still to be written to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) partitions: BTreeSet<TopicPartition>,
    /// The groups whose offsets it commits, likewise.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) groups: BTreeSet<GroupId>,
    /// When the open transaction began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started_at_ms: Option<i64>,
    pub(crate) changed_at_ms: i64,
}

/// What a producer that takes up the id gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Init {
    /// What it got before: its call is a repeat.
    Known,
    /// The next epoch, once this is durable.
    Next(Transaction),
    /// A producer id of its own, because there are no more epochs: see [`Transaction::moved`].
    Exhausted,
    /// Nothing yet: a transaction is open and must be aborted first, which fences its producer.
    Abort(Transaction),
}

impl Transaction {
    /// An id that is new.
    pub(crate) fn new(producer_id: i64, timeout: Duration, now: Timestamp) -> Self {
        Self {
            producer: TransactionProducer { id: producer_id, epoch: 0 },
            previous: None,
            timeout_ms: millis(timeout),
            state: TransactionState::Empty,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
            started_at_ms: None,
            changed_at_ms: now.0,
        }
    }

    /// A producer takes up the id, or goes on as whom it was.
    pub(crate) fn init(
        &self,
        expected: Option<TransactionProducer>,
        timeout: Duration,
        now: Timestamp,
    ) -> Result<Init, TransactionError> {
        let is_repeat = expected.is_some() && expected == self.previous;
        if expected.is_some_and(|expected| expected != self.producer) && !is_repeat {
            return Err(TransactionError::Fenced);
        }
        match self.state {
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => Err(TransactionError::Concurrent),
            // Whoever began it has the answer that this repeat asks for.
            TransactionState::Ongoing if is_repeat => Err(TransactionError::Fenced),
            TransactionState::Ongoing => Ok(Init::Abort(Self { previous: expected, ..self.fenced(now) })),
            TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort => {
                if is_repeat {
                    return Ok(Init::Known);
                }
                if self.producer.epoch >= EPOCH_MAX {
                    return Ok(Init::Exhausted);
                }
                let producer = TransactionProducer { epoch: self.producer.epoch + 1, ..self.producer };
                Ok(Init::Next(self.held_by(producer, expected, timeout, now)))
            }
        }
    }

    /// The same id with another producer id; `expected` is who the caller was.
    pub(crate) fn moved(
        &self,
        producer_id: i64,
        expected: Option<TransactionProducer>,
        timeout: Duration,
        now: Timestamp,
    ) -> Self {
        self.held_by(TransactionProducer { id: producer_id, epoch: 0 }, expected, timeout, now)
    }

    /// Adds partitions and groups, which begins a transaction if none is open. `None` if all are there.
    pub(crate) fn add(
        &self,
        by: TransactionProducer,
        partitions: &[TopicPartition],
        groups: &[GroupId],
        now: Timestamp,
    ) -> Result<Option<Self>, TransactionError> {
        self.check_holder(by)?;
        let is_open = match self.state {
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => return Err(TransactionError::Concurrent),
            TransactionState::Ongoing => true,
            TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort => false,
        };
        let is_there = |of| self.partitions.contains(of);
        if is_open && partitions.iter().all(is_there) && groups.iter().all(|group| self.groups.contains(group)) {
            return Ok(None);
        }
        let mut next = Self { state: TransactionState::Ongoing, changed_at_ms: now.0, ..self.clone() };
        if !is_open {
            next.started_at_ms = Some(now.0);
        }
        next.partitions.extend(partitions.iter().cloned());
        next.groups.extend(groups.iter().cloned());
        Ok(Some(next))
    }

    /// Ends the open transaction. `None` if that has happened: the call is a repeat.
    pub(crate) fn end(&self, by: TransactionProducer, how: Marker, now: Timestamp) -> Result<Option<Self>, TransactionError> {
        self.check_holder(by)?;
        match (self.state, how) {
            (TransactionState::Ongoing, how) => Ok(Some(self.prepared(how, now))),
            (TransactionState::CompleteCommit, Marker::Commit) | (TransactionState::CompleteAbort, Marker::Abort) => Ok(None),
            (TransactionState::PrepareCommit, Marker::Commit) | (TransactionState::PrepareAbort, Marker::Abort) => {
                Err(TransactionError::Concurrent)
            }
            _ => Err(TransactionError::InvalidState),
        }
    }

    /// Aborts the open transaction and fences its producer.
    pub(crate) fn fenced(&self, now: Timestamp) -> Self {
        // It is never the last: producers are given epochs up to the one before.
        let producer = TransactionProducer { epoch: self.producer.epoch.saturating_add(1), ..self.producer };
        Self { producer, previous: None, ..self.prepared(Marker::Abort, now) }
    }

    /// Whether a transaction is open, or its end not written everywhere.
    pub(crate) fn is_open(&self) -> bool {
        self.started_at_ms.is_some()
    }

    /// How the transaction is to end, if that is decided and not done.
    pub(crate) fn is_prepared(&self) -> Option<Marker> {
        match self.state {
            TransactionState::PrepareCommit => Some(Marker::Commit),
            TransactionState::PrepareAbort => Some(Marker::Abort),
            _ => None,
        }
    }

    /// What it is once the end of the transaction is written everywhere.
    pub(crate) fn completed(&self, how: Marker, now: Timestamp) -> Self {
        let state = match how {
            Marker::Commit => TransactionState::CompleteCommit,
            Marker::Abort => TransactionState::CompleteAbort,
        };
        Self {
            state,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
            started_at_ms: None,
            changed_at_ms: now.0,
            ..self.clone()
        }
    }

    /// Whether a transaction is open for longer than it may.
    pub(crate) fn is_overdue(&self, now: Timestamp) -> bool {
        let taken = self.started_at_ms.map(|start| Timestamp(start).until(now));
        self.state == TransactionState::Ongoing && taken.is_some_and(|taken| taken >= Duration::from_millis(self.timeout_ms))
    }

    /// Whether nothing has happened for so long that the id may be forgotten.
    pub(crate) fn is_idle(&self, retention: Duration, now: Timestamp) -> bool {
        self.state != TransactionState::Ongoing
            && self.is_prepared().is_none()
            && Timestamp(self.changed_at_ms).until(now) >= retention
    }

    /// Refuses a batch that does not belong to the open transaction.
    pub(crate) fn check_append(&self, by: TransactionProducer, to: &TopicPartition) -> Result<(), TransactionError> {
        self.check_open(by, self.partitions.contains(to))
    }

    /// Refuses offsets that do not belong to the open transaction.
    pub(crate) fn check_offsets(&self, by: TransactionProducer, group: &GroupId) -> Result<(), TransactionError> {
        self.check_open(by, self.groups.contains(group))
    }

    fn check_open(&self, by: TransactionProducer, is_added: bool) -> Result<(), TransactionError> {
        self.check_holder(by)?;
        if self.state == TransactionState::Ongoing && is_added { Ok(()) } else { Err(TransactionError::InvalidState) }
    }

    fn check_holder(&self, by: TransactionProducer) -> Result<(), TransactionError> {
        if by.id != self.producer.id {
            return Err(TransactionError::UnknownProducer);
        }
        if by.epoch == self.producer.epoch { Ok(()) } else { Err(TransactionError::Fenced) }
    }

    fn held_by(
        &self,
        producer: TransactionProducer,
        previous: Option<TransactionProducer>,
        timeout: Duration,
        now: Timestamp,
    ) -> Self {
        let held = Self { producer, previous, ..self.clone() };
        Self { timeout_ms: millis(timeout), state: TransactionState::Empty, changed_at_ms: now.0, ..held }
    }

    fn prepared(&self, how: Marker, now: Timestamp) -> Self {
        let state = match how {
            Marker::Commit => TransactionState::PrepareCommit,
            Marker::Abort => TransactionState::PrepareAbort,
        };
        Self { state, changed_at_ms: now.0, ..self.clone() }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
