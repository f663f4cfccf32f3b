//! Sinks: what is committed in topics, as objects in a bucket, each record once.
//!
//! ```text
//! reader -> units (place, format) -> write -> notes (positions)
//! ```
//!
//! A unit is a range of offsets of one partition. Its objects are written, then the position moves; their names derive from the first offset in
//! each, so what is done again after a crash is the same keys and bytes. The engine does not know whose words a sink was described in: those of
//! Kafka Connect are in `connect`. This crate must not know HTTP, the query engine, Delta, or which log it follows.

pub mod convert;
pub mod format;
pub mod layout;
pub mod name;
pub mod place;
pub mod plan;
pub mod problem;

pub use layout::Layout;
pub use plan::{DeadLetterTopic, OnError, OnNull, Plan, Retry, Rotation, Schedule, Target, Topics};
pub use problem::{Problem, Stage};

/// A sink's configuration as it was given: names and values. The engine keeps it and does not read it.
pub type Config = std::collections::BTreeMap<String, String>;
