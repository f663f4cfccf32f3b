//! The durable log: on this machine's disk, record batches in segments that are acknowledged after a sync; or a Kafka cluster (`kafka`).
//!
//! The way of an append: `disk_log` finds the partition, `partition` queues it, `partition/owner` gathers all that wait, `partition/writer`
//! writes them at once and syncs in one of the `syncer`'s lanes, and only then the offsets move and readers wake.
//! `recovery` makes a folder whole again after a crash. This crate must not know who reads it or where records come from.

mod buffers;
mod checked;
mod checkpoint;
pub mod disk;
mod disk_log;
mod ends;
mod index;
#[cfg(feature = "kafka")]
pub mod kafka;
mod meters;
mod partition;
mod recovery;
mod remembered;
mod retention;
mod scan;
mod segment;
mod settings;
mod start;
mod syncer;
mod tail;
mod txn_index;

pub use disk_log::{DiskLog, HeldFolder, StoppedPartition};
pub use settings::{Durability, LogSettings};
