//! The log's contract, with each durability, from memory and from the disk.

use std::sync::Mutex;
use std::time::Duration;

use pinlake_log::{Durability, LogSettings};

use crate::setup::open;

async fn keeps_the_contract(settings: LogSettings) {
    let folders = Mutex::new(Vec::new());
    pinlake_core::testing::log_contract::run(|| async {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path(), settings.clone()).await;
        folders.lock().unwrap().push(dir);
        log
    })
    .await;
}

#[tokio::test]
async fn the_disk_log_keeps_the_contract() {
    keeps_the_contract(LogSettings::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn also_on_many_threads_with_small_segments_and_nothing_in_memory() {
    keeps_the_contract(LogSettings { segment_bytes: 150, tail_bytes_max: 0, index_interval_bytes: 64, ..LogSettings::default() })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn also_when_everything_is_written_ahead_in_small_rounds() {
    keeps_the_contract(LogSettings { ahead_bytes: 1, round_appends_max: 2, checkpoint_bytes: 500, ..LogSettings::default() })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn also_on_many_threads_that_read_what_is_still_in_memory() {
    keeps_the_contract(LogSettings { durability: Durability::Os, ..LogSettings::default() }).await;
}

#[tokio::test]
async fn also_when_the_system_syncs() {
    keeps_the_contract(LogSettings { durability: Durability::Os, ..LogSettings::default() }).await;
    let (durability, sync_interval) = (Durability::Interval, Duration::from_millis(1));
    keeps_the_contract(LogSettings { durability, sync_interval, tail_bytes_max: 0, ..LogSettings::default() }).await;
}
