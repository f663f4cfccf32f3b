//! The disk log against its contract, a model, crashes, damage and a failing disk; a cluster as the log against its contract and faults.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "the tests look at the log's files and damage them")]

#[path = "main/ahead.rs"]
mod ahead;
#[path = "main/contract.rs"]
mod contract;
#[path = "main/damage.rs"]
mod damage;
#[path = "main/failing_disk.rs"]
mod failing_disk;
#[path = "main/files.rs"]
mod files;
#[path = "main/kafka/mod.rs"]
mod kafka;
#[path = "main/kill.rs"]
mod kill;
#[path = "main/model.rs"]
mod model;
#[path = "main/recreated.rs"]
mod recreated;
#[path = "main/setup.rs"]
mod setup;
#[path = "main/topics.rs"]
mod topics;
#[path = "main/transactions.rs"]
mod transactions;
