//! The order of one connection's appends: a partition gets them in the order of the requests, however many are under way. It must not know
//! what is appended.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use pinlake_core::TopicPartition;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::api::produce::Turn;

/// Partitions of which the last request is remembered before those that are done are let go.
const LANES_MAX: usize = 1000;

/// The last request of each partition: the next one there waits for it.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    last: HashMap<TopicPartition, oneshot::Receiver<()>>,
}

impl Lanes {
    /// Nothing is under way any more.
    pub(super) fn clear(&mut self) {
        self.last.clear();
    }

    /// The turns of a request that appends to these partitions, one each.
    pub(super) fn enter(&mut self, partitions: impl Iterator<Item = TopicPartition>) -> Vec<Turn> {
        if self.last.len() >= LANES_MAX {
            // A client that never pauses may name ever new partitions: those that are done are nobody's wait.
            self.last.retain(|_, last| last.try_recv() == Err(TryRecvError::Empty));
        }
        let turn = |partition| {
            let (done, next) = oneshot::channel();
            Turn { before: self.last.insert(partition, next), done }
        };
        partitions.map(turn).collect()
    }
}
