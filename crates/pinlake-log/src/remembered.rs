//! What a partition remembers of its batches: producers, open transactions and the newest time that it gave. Pure: it is told what was
//! appended. A checkpoint keeps it.

use pinlake_core::producers::{ProducerState, Producers};
use pinlake_core::transactions::Transactions;
use pinlake_core::{Batch, Offset, OffsetRange, Timestamp};
use serde::{Deserialize, Serialize};

use crate::txn_index::Entry;

/// What a partition remembers.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) producers: Producers,
    pub(crate) transactions: Transactions,
    /// The newest time that the log gave a batch: none gets an earlier one.
    pub(crate) stamped: Timestamp,
}

/// The same as a checkpoint keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Each producer.
    producers: Vec<ProducerState>,
    /// The first offset of each open transaction, by producer.
    #[serde(default)]
    open: Vec<(i64, Offset)>,
    /// The newest time given.
    #[serde(default)]
    stamped: i64,
}

impl Remembered {
    /// What is remembered, to be kept.
    pub(crate) fn state(&self) -> State {
        State {
            producers: self.producers.states(),
            open: self.transactions.open().iter().map(|(producer, first)| (*producer, *first)).collect(),
            stamped: self.stamped.0,
        }
    }

    /// Takes note of a batch that was found behind what is remembered; answers the transaction that it aborts, if it does.
    pub(crate) fn replay(&mut self, batch: &Batch) -> Option<Entry> {
        self.producers.record(batch, batch.base_offset(), &self.transactions);
        if batch.has_append_time() {
            self.stamped = self.stamped.max(batch.max_timestamp());
        }
        self.decide(batch)
    }

    /// Takes note that a batch, whose producer is noted, is durable; answers the transaction that it aborts, if it does.
    pub(crate) fn decide(&mut self, batch: &Batch) -> Option<Entry> {
        let aborted = self.transactions.record(batch)?;
        let stable = self.transactions.stable_end(OffsetRange { start: Offset::ZERO, end: batch.offsets().end });
        Some(Entry { aborted, stable })
    }
}

impl From<&State> for Remembered {
    fn from(state: &State) -> Self {
        let mut producers = Producers::default();
        for producer in &state.producers {
            producers.restore(producer.id, Some(producer.clone()));
        }
        let transactions = Transactions::restore(state.open.iter().copied());
        Self { producers, transactions, stamped: Timestamp(state.stamped) }
    }
}
