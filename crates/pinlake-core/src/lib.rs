//! The vocabulary of Pinlake: names, positions, records, batches, the `Log` trait, errors, the clock and the pipeline definition.
//!
//! This crate does no I/O, and every other crate may depend on it. It must not name Arrow, HTTP or a file system.

pub mod batch;
pub mod clock;
pub mod error;
pub mod followers;
pub mod jobs;
pub mod log;
pub mod memory_log;
pub mod pipeline;
pub mod position;
pub mod producers;
pub mod record;
pub mod secret;
#[cfg(feature = "testing")]
pub mod testing;
pub mod topic_store;
pub mod transactions;
pub mod wire;

pub use batch::{Batch, BatchBuilder, Marker, ProducerSequence};
pub use clock::{Clock, Timestamp};
pub use error::{Error, ErrorKind, Reason, Result};
pub use followers::Followers;
pub use log::{Log, ReadLimit, TopicDescription, TopicSpec};
pub use memory_log::MemoryLog;
pub use position::{Offset, OffsetRange, PartitionId, TopicId, TopicName, TopicPartition};
pub use record::{Record, RecordView};
pub use transactions::{AbortedTransaction, Committed};
