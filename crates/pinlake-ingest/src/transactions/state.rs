//! What the records of the transactions' topic add up to: which producer ids were given out, and where each transactional id stands. It
//! must not write anything.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::calls::TransactionalId;
use super::transaction::Transaction;
use crate::topic_store::Kept;

/// One record of the transactions' topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// Producer ids below `end` may have been given out.
    ProducerIds { end: i64 },
    /// Where a transactional id stands.
    Transaction { id: TransactionalId, is: Transaction },
    /// A transactional id is gone.
    Forgotten { id: TransactionalId },
}

/// All transactions' durable state.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct State {
    ids_end: i64,
    transactions: BTreeMap<TransactionalId, Transaction>,
    /// Whose each producer id is.
    holders: HashMap<i64, TransactionalId>,
    /// How many partitions are in all transactions together.
    partitions: usize,
}

impl State {
    /// Producer ids below this may have been given out.
    pub(crate) fn ids_end(&self) -> i64 {
        self.ids_end
    }

    /// How many transactional ids there are.
    pub(crate) fn len(&self) -> usize {
        self.transactions.len()
    }

    /// How many partitions are in all transactions together.
    pub(crate) fn partitions(&self) -> usize {
        self.partitions
    }

    /// A transactional id.
    pub(crate) fn get(&self, id: &TransactionalId) -> Option<&Transaction> {
        self.transactions.get(id)
    }

    /// All transactional ids, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&TransactionalId, &Transaction)> {
        self.transactions.iter()
    }

    /// The transactional id that a producer id belongs to.
    pub(crate) fn holder(&self, producer_id: i64) -> Option<(&TransactionalId, &Transaction)> {
        self.transactions.get_key_value(self.holders.get(&producer_id)?)
    }

    /// Whether a producer's transaction is open, or being ended, and may have staged offsets.
    pub(crate) fn may_have_staged(&self, producer_id: i64) -> bool {
        self.holder(producer_id).is_some_and(|(_, transaction)| !transaction.groups.is_empty())
    }

    fn forget(&mut self, id: &TransactionalId) {
        if let Some(gone) = self.transactions.remove(id) {
            self.holders.remove(&gone.producer.id);
            self.partitions -= gone.partitions.len();
        }
    }
}

impl Kept for State {
    type Change = Change;
    /// A transactional id; none is the producer ids.
    type Part = Option<TransactionalId>;
    const WHAT: &'static str = "transactions";

    fn apply(&mut self, change: Change, _at: i64) {
        match change {
            Change::ProducerIds { end } => self.ids_end = self.ids_end.max(end),
            Change::Transaction { id, is } => {
                self.forget(&id);
                self.partitions += is.partitions.len();
                self.holders.insert(is.producer.id, id.clone());
                self.transactions.insert(id, is);
            }
            Change::Forgotten { id } => self.forget(&id),
        }
    }

    fn parts(&self) -> Vec<Self::Part> {
        std::iter::once(None).chain(self.transactions.keys().cloned().map(Some)).collect()
    }

    fn changes_of(&self, part: &Self::Part) -> Vec<Change> {
        match part {
            None => vec![Change::ProducerIds { end: self.ids_end }],
            Some(id) => self.get(id).map(|is| Change::Transaction { id: id.clone(), is: is.clone() }).into_iter().collect(),
        }
    }
}
