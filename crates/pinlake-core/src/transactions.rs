//! Which transactions are open in a partition and which were aborted: what readers of committed records go by. Pure: it is told what was
//! appended.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::batch::{Batch, Marker};
use crate::position::{Offset, OffsetRange};

/// A transaction that is not to be seen: its producer's batches from `first` up to the marker at `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortedTransaction {
    /// The producer's id.
    pub producer: i64,
    /// The offset of its first record.
    pub first: Offset,
    /// The offset of the marker that aborts it.
    pub last: Offset,
}

impl AbortedTransaction {
    /// Whether some of it may lie in `range`.
    pub fn reaches_into(&self, range: OffsetRange) -> bool {
        self.first < range.end && self.last >= range.start
    }
}

/// The transactions that are open in one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transactions {
    /// The first offset of each, by producer.
    open: BTreeMap<i64, Offset>,
}

impl Transactions {
    /// Those known from before, by producer.
    pub fn restore(open: impl IntoIterator<Item = (i64, Offset)>) -> Self {
        Self { open: open.into_iter().collect() }
    }

    /// Takes note of an appended batch; answers the transaction that it aborts, if it does.
    pub fn record(&mut self, batch: &Batch) -> Option<AbortedTransaction> {
        let producer = batch.producer()?.id;
        let Some(end) = batch.ends_transaction() else {
            if batch.is_transactional() && !batch.is_control() {
                self.begin(producer, batch.base_offset());
            }
            return None;
        };
        let first = self.open.remove(&producer)?;
        (end == Marker::Abort).then(|| AbortedTransaction { producer, first, last: batch.base_offset() })
    }

    /// Takes note of a transaction's batch at `at`, the transaction's first unless it is open already.
    pub fn begin(&mut self, producer: i64, at: Offset) {
        self.open.entry(producer).or_insert(at);
    }

    /// The first offset that is not decided yet, of a partition that holds `range`: Kafka's last stable offset.
    pub fn stable_end(&self, range: OffsetRange) -> Offset {
        self.open.values().copied().fold(range.end, Offset::min).max(range.start)
    }

    /// The first offset of each open transaction, by producer.
    pub fn open(&self) -> &BTreeMap<i64, Offset> {
        &self.open
    }
}

/// The aborted transactions of one partition, or of a part of it, in the order of their markers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AbortedTransactions(Vec<AbortedTransaction>);

impl AbortedTransactions {
    /// Adds one whose marker lies behind all others.
    pub fn push(&mut self, aborted: AbortedTransaction) {
        self.0.push(aborted);
    }

    /// Those that reach into `range`.
    pub fn within(&self, range: OffsetRange) -> Vec<AbortedTransaction> {
        let from = self.0.partition_point(|aborted| aborted.last < range.start);
        self.0[from..].iter().filter(|aborted| aborted.reaches_into(range)).copied().collect()
    }

    /// Forgets what ended before `start`, the first offset that is kept.
    pub fn trim(&mut self, start: Offset) {
        let gone = self.0.partition_point(|aborted| aborted.last < start);
        self.0.drain(..gone);
    }
}

/// Batches as a reader of committed records gets them: none past the first undecided offset, and with the aborted transactions that reach
/// into them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The batches, those of aborted transactions and markers among them.
    pub batches: Vec<Batch>,
    /// Which transactions are not to be seen.
    pub aborted: Vec<AbortedTransaction>,
}

impl Committed {
    /// The batches with those that are not to be seen emptied, so that every offset is still accounted for.
    pub fn visible(self) -> Vec<Batch> {
        if self.aborted.is_empty() {
            let seen = |batch: Batch| if batch.is_control() { batch.emptied() } else { batch };
            return self.batches.into_iter().map(seen).collect();
        }
        let mut coming = self.aborted;
        coming.sort_by_key(|aborted| std::cmp::Reverse(aborted.first));
        let mut hidden = HashSet::new();
        let seen = |batch: Batch| {
            while let Some(next) = coming.pop_if(|next| next.first < batch.offsets().end) {
                hidden.insert(next.producer);
            }
            if batch.is_control() {
                if let (Some(producer), Some(Marker::Abort)) = (batch.producer(), batch.ends_transaction()) {
                    hidden.remove(&producer.id);
                }
                return batch.emptied();
            }
            let is_hidden = batch.is_transactional() && batch.producer().is_some_and(|producer| hidden.contains(&producer.id));
            if is_hidden { batch.emptied() } else { batch }
        };
        self.batches.into_iter().map(seen).collect()
    }
}
