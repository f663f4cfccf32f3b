//! The newest batches of each partition in memory, so that followers at the end never go to the disk. All partitions share one bound, and
//! the oldest batches go first wherever they are. It must not hold what is not durable.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use pinlake_core::{Batch, Offset};

/// The bound that all tails share.
#[derive(Debug)]
pub(crate) struct TailBudget {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    /// What was added, oldest first: where, how many batches, how many bytes.
    added: VecDeque<(Weak<Tail>, usize, usize)>,
}

/// One partition's newest batches.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    batches: RwLock<VecDeque<Batch>>,
}

impl TailBudget {
    /// A bound for all tails together.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    /// Adds batches to the end of `tail` and lets the oldest of all go. Only the partition's owner calls it.
    pub(crate) fn push(&self, tail: &Arc<Tail>, batches: Vec<Batch>) {
        let bytes: usize = batches.iter().map(|batch| batch.bytes().len()).sum();
        if self.bytes_max == 0 || batches.is_empty() {
            return;
        }
        let count = batches.len();
        tail.write().extend(batches);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += bytes;
        kept.added.push_back((Arc::downgrade(tail), count, bytes));
        while kept.bytes > self.bytes_max {
            let Some((oldest, count, bytes)) = kept.added.pop_front() else { break };
            kept.bytes -= bytes;
            if let Some(oldest) = oldest.upgrade() {
                oldest.write().drain(..count);
            }
        }
    }
}

impl Tail {
    /// The batches from the one that holds `at` on, one at least, else not more than `bytes_max`; `None` if they are not here.
    pub(crate) fn read(&self, at: Offset, bytes_max: usize) -> Option<Vec<Batch>> {
        let batches = self.batches.read().unwrap_or_else(PoisonError::into_inner);
        batches.front().filter(|first| first.base_offset() <= at)?;
        let skip = batches.partition_point(|batch| batch.offsets().end <= at);
        let mut bytes = 0;
        let fits = |batch: &&Batch| {
            bytes += batch.bytes().len();
            bytes == batch.bytes().len() || bytes <= bytes_max
        };
        let found: Vec<Batch> = batches.range(skip..).take_while(fits).cloned().collect();
        (!found.is_empty()).then_some(found)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, VecDeque<Batch>> {
        self.batches.write().unwrap_or_else(PoisonError::into_inner)
    }
}
