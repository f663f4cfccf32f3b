//! Sinks: what is committed in topics, as objects in a bucket, each record once.
//!
//! ```text
//! reader -> units (place, format) -> write -> notes (positions)
//! ```
//!
//! A unit is a range of offsets of one partition. Its objects are written, then the position moves; their names derive from the first offset in
//! each, so what is done again after a crash is the same keys and bytes. The engine does not know whose words a sink was described in: those of
//! Kafka Connect are in `connect`, those of Firehose in `firehose`. This crate must not know HTTP, the query engine, Delta, or which log it follows.

pub mod connect;
pub mod convert;
pub mod dead_letters;
pub mod firehose;
pub mod format;
pub mod layout;
pub mod name;
mod notes;
pub mod place;
pub mod plan;
pub mod problem;
mod reader;
mod sink;
pub mod sinks;
mod status;
mod task;
mod units;
mod unpacked;
mod write;

pub use dead_letters::{DeadLetter, DeadLetters};
pub use layout::{Folders, Layout};
pub use notes::Wanted;
pub use plan::{DeadLetterTopic, OnError, OnNull, Plan, Retry, Rotation, Schedule, Start, Target, TargetKeys, Topics};
pub use problem::{Problem, Stage};
pub use sink::Restart;
pub use sinks::{Buckets, MakePlan, Parts, Sinks};
pub use status::{SinkStatus, State, TaskStatus};

pub use object_store::ObjectStore;

/// A sink's configuration as it was given: names and values. The engine keeps it and does not read it.
pub type Config = std::collections::BTreeMap<String, String>;
