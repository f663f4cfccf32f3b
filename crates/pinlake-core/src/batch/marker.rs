//! Transaction markers: the control batches that end a producer's transaction in a partition.
//!
//! Format: the Kafka protocol guide, "Control Batches". The key is a version and a type (0 abort, 1 commit), the value a version and the
//! coordinator's epoch.

use super::{Batch, BatchBuilder, NO_PRODUCER, ProducerSequence};
use crate::clock::Timestamp;
use crate::error::Result;

const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 0;
/// One server coordinates all transactions, and its epoch never changes.
const COORDINATOR_EPOCH: i32 = 0;
const NO_SEQUENCE: i32 = -1;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// Its records must not be shown to readers of committed records.
    Abort,
    /// Its records count.
    Commit,
}

impl Batch {
    /// The marker that ends the transaction of producer `id` in a partition.
    pub fn marker(end: Marker, id: i64, epoch: i16, at: Timestamp) -> Result<Batch> {
        let kind = match end {
            Marker::Abort => 0_i16,
            Marker::Commit => 1,
        };
        let mut builder = BatchBuilder::new(at);
        builder.set_producer(ProducerSequence { id, epoch, first: NO_SEQUENCE });
        builder.set_transactional();
        builder.set_control();
        let key = [KEY_VERSION.to_be_bytes(), kind.to_be_bytes()].concat();
        let value = [&VALUE_VERSION.to_be_bytes()[..], &COORDINATOR_EPOCH.to_be_bytes()].concat();
        builder.push(Some(&key), Some(&value));
        builder.build()
    }

    /// How it ends its producer's transaction; `None` if it is no marker.
    pub fn ends_transaction(&self) -> Option<Marker> {
        if !self.is_control() || self.i64_at(43) == NO_PRODUCER {
            return None;
        }
        let record = self.records().next()?.ok()?;
        match record.key? {
            [_, _, 0, 0, ..] => Some(Marker::Abort),
            [_, _, 0, 1, ..] => Some(Marker::Commit),
            _ => None,
        }
    }
}
