//! A cluster as the log. The clusters are others' programs; `PINLAKE_TEST_KAFKA_PYTHON` names a python that has
//! `conformance/kafka/clients/requirements.txt`, and beside it lies what else is needed. What is missing is said, and its tests are
//! skipped.

mod contract;
mod faults;
mod lost_answers;
mod mock;
mod noida;
mod transactions;

use std::path::PathBuf;
use std::time::Duration;

use pinlake_core::Clock;
use pinlake_log::kafka::{ClusterOptions, KafkaLog};

/// Names the python.
const PYTHON: &str = "PINLAKE_TEST_KAFKA_PYTHON";

/// The python, if there is one.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os(PYTHON).map(PathBuf::from);
    if python.is_none() {
        say(&format!("{PYTHON} names no python that has conformance/kafka/clients/requirements.txt"));
    }
    python
}

/// Says why a test is skipped.
#[expect(clippy::print_stderr, reason = "for whoever reads the test's output")]
fn say(why: &str) {
    eprintln!("skipped: {why}");
}

/// Options for a test: what does not answer is given up soon.
fn options(brokers: &str) -> ClusterOptions {
    let brokers = brokers.split(',').map(str::to_owned).collect();
    let (request_timeout, answer_timeout) = (Duration::from_secs(30), Duration::from_secs(2));
    ClusterOptions { brokers, request_timeout, answer_timeout, ..ClusterOptions::default() }
}

async fn connect(brokers: &str) -> KafkaLog {
    KafkaLog::connect(options(brokers), Clock::System).await.unwrap()
}
