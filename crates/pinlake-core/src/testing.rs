//! Contract suites that every implementation runs. Only for tests (feature `testing`).

pub mod log_contract;
