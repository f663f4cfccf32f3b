//! Contract suites that every implementation runs. Only for tests (feature `testing`).
#![expect(clippy::unwrap_used, reason = "a suite fails by panicking, as the tests that call it do")]

pub mod log_contract;
