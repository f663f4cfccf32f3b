//! Contract suites that every implementation runs, what fuzz targets call, and what tests of several crates need. Only for tests (feature `testing`).
#![expect(clippy::unwrap_used, reason = "a suite fails by panicking, as the tests that call it do")]

pub mod any_batch;
pub mod held_port;
pub mod jobs;
pub mod log_contract;
pub mod shape_contract;
pub mod test_log;
pub mod warnings;
