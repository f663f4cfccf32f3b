//! Lakes over a log and an object store in memory: streaming, archive, rebuild, ledger, crashes, SQL and the batch path.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "main/batches.rs"]
mod batches;
#[path = "main/batches_made.rs"]
mod batches_made;
#[path = "main/crashes.rs"]
mod crashes;
#[path = "main/faulty_store.rs"]
mod faulty_store;
#[path = "main/gold.rs"]
mod gold;
#[path = "main/gold_crashes.rs"]
mod gold_crashes;
#[path = "main/other_logs.rs"]
mod other_logs;
#[path = "main/rebuilds.rs"]
mod rebuilds;
#[path = "main/setup.rs"]
mod setup;
#[path = "main/sql.rs"]
mod sql;
#[path = "main/streaming.rs"]
mod streaming;
#[path = "main/transactions.rs"]
mod transactions;
#[path = "main/upkeep.rs"]
mod upkeep;
