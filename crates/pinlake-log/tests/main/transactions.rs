//! What is left of transactions after restarts, kills, lost files and failed rounds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use pinlake_core::batch::Marker;
use pinlake_core::testing::log_contract::batch;
use pinlake_core::testing::log_contract::transactions::{marker, read_all_committed, transactional};
use pinlake_core::{Batch, ErrorKind, Log, Offset, OffsetRange, ReadLimit, TopicPartition, TopicSpec};
use pinlake_log::{DiskLog, LogSettings};

use crate::setup::{NOW, copy_whole, folder, last_segment, open, open_faulty, partition, settings};

/// A few batches a segment.
fn small() -> LogSettings {
    LogSettings { segment_bytes: 400, ..settings() }
}

/// What `fill` leaves to be seen once all is decided.
const COMMITTED: [i64; 7] = [0, 3, 6, 9, 11, 12, 17];

/// Transactions that begin in one segment and end in another, the last of them open.
async fn fill(log: &DiskLog) -> TopicPartition {
    let to = partition(log).await;
    let batches = [
        batch(&["0"], 1),
        transactional(7, 0, 0, &["1", "2"]),
        transactional(8, 0, 0, &["3"]),
        transactional(7, 0, 2, &["4"]),
        marker(Marker::Commit, 8, 0),
        batch(&["6"], 1),
        transactional(8, 0, 1, &["7"]),
        marker(Marker::Abort, 7, 0),
        batch(&["9"], 1),
        marker(Marker::Abort, 8, 0),
        transactional(7, 0, 3, &["11", "12"]),
        marker(Marker::Commit, 7, 0),
        transactional(8, 0, 2, &["14"]),
        marker(Marker::Abort, 8, 0),
        transactional(7, 0, 5, &["16"]),
        batch(&["17"], 1),
    ];
    for batch in batches {
        log.append(&to, batch).await.unwrap();
    }
    to
}

async fn offsets(log: &DiskLog, of: &TopicPartition, at: i64) -> Vec<i64> {
    read_all_committed(log, of, Offset(at)).await.into_iter().map(|(offset, _)| offset).collect()
}

/// What is committed is seen from everywhere, and the open transaction is ended.
async fn is_whole(log: &DiskLog, to: &TopicPartition, what: &str) {
    assert!(log.health().is_empty(), "{what}: {:?}", log.health());
    assert_eq!(log.stable_end(to).await.unwrap(), Offset(16), "{what}");
    let open: Vec<_> = log.producers(to).await.unwrap().into_iter().map(|(producer, first)| (producer.id, first)).collect();
    assert_eq!(open, [(7, Some(Offset(16))), (8, None)], "{what}");
    log.append(to, marker(Marker::Abort, 7, 0)).await.unwrap();
    for at in 0..19 {
        let expected: Vec<i64> = COMMITTED.into_iter().filter(|offset| *offset >= at).collect();
        assert_eq!(offsets(log, to, at).await, expected, "{what}, from {at}");
    }
}

fn index_files(dir: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir.join("t/0")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|found| found == "txnindex")).collect();
    found.sort();
    found
}

#[tokio::test]
async fn aborted_transactions_survive_restarts_and_kills() {
    for settings in [settings(), small(), LogSettings { checkpoint_bytes: 1, ..settings() }] {
        let dir = folder();
        let log = open(dir.path(), settings.clone()).await;
        let to = fill(&log).await;
        let killed = copy_whole(dir.path());
        log.close().await.unwrap();
        for (dir, what) in [(killed.path(), "killed"), (dir.path(), "closed")] {
            let log = open(dir, settings.clone()).await;
            is_whole(&log, &to, what).await;
            log.close().await.unwrap();
            let log = open(dir, settings.clone()).await;
            assert_eq!(offsets(&log, &to, 0).await, COMMITTED);
        }
    }
}

#[tokio::test]
async fn a_transaction_index_that_is_lost_or_damaged_is_rebuilt_as_it_was() {
    let dir = folder();
    let log = open(dir.path(), small()).await;
    let to = fill(&log).await;
    log.close().await.unwrap();
    let whole: Vec<Vec<u8>> = index_files(dir.path()).iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(whole.len() >= 2 && whole.iter().all(|bytes| bytes.len() % 34 == 0));
    type Damage = fn(&Path, Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("removed", |path, _| std::fs::remove_file(path).unwrap()),
        ("emptied", |path, _| std::fs::write(path, "").unwrap()),
        ("torn", |path, bytes| std::fs::write(path, &bytes[..bytes.len() - 5]).unwrap()),
        ("flipped", |path, mut bytes| {
            bytes[20] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }),
    ];
    for (what, damage) in damages {
        for alone in [Some(0), Some(1), None] {
            let copied = copy_whole(dir.path());
            let paths = index_files(copied.path());
            for (_, path) in paths.iter().enumerate().filter(|(at, _)| alone.is_none_or(|alone| alone == *at)) {
                damage(path, std::fs::read(path).unwrap());
            }
            let log = open(copied.path(), small()).await;
            is_whole(&log, &to, what).await;
            let rebuilt: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
            assert_eq!(rebuilt, whole, "{what}");
        }
    }
}

/// As on a disk that is full.
#[tokio::test]
async fn transaction_indexes_that_can_not_be_written_cost_time_only() {
    let dir = folder();
    let log = open(dir.path(), small()).await;
    let to = fill(&log).await;
    log.close().await.unwrap();
    index_files(dir.path()).iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let (log, faults) = open_faulty(dir.path(), small()).await;
    faults.fail_step(1, true);
    assert_eq!(offsets(&log, &to, 0).await, COMMITTED[..6]);
    assert!(index_files(dir.path()).is_empty());
}

#[tokio::test]
async fn a_lost_checkpoint_loses_no_transaction() {
    let dir = folder();
    let log = open(dir.path(), small()).await;
    let to = fill(&log).await;
    log.close().await.unwrap();
    std::fs::remove_file(dir.path().join("t/0/checkpoint")).unwrap();
    is_whole(&open(dir.path(), small()).await, &to, "without its checkpoint").await;
}

/// The checkpoint as a version wrote it that knew of no transactions.
#[tokio::test]
async fn a_checkpoint_without_transactions_still_counts() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    let to = partition(&log).await;
    log.append(&to, batch(&["0"], 1)).await.unwrap();
    log.close().await.unwrap();
    let path = dir.path().join("t/0/checkpoint");
    let bytes = std::fs::read(&path).unwrap();
    let mut body: serde_json::Value = serde_json::from_slice(&bytes[9..]).unwrap();
    for added in ["open", "stamped", "aborted", "txn_indexes"] {
        body.as_object_mut().unwrap().remove(added).unwrap();
    }
    let body = serde_json::to_vec(&body).unwrap();
    std::fs::write(&path, [format!("{:08x}\n", crc32c::crc32c(&body)).as_bytes(), &body].concat()).unwrap();
    // Damage before the checkpoint is not looked at: so it is seen to count.
    let segment = last_segment(&dir.path().join("t/0"));
    let mut damaged = std::fs::read(&segment).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&segment, damaged).unwrap();
    let log = open(dir.path(), settings()).await;
    assert_eq!(log.range(&to).await.unwrap().end, Offset(1));
    assert_eq!(log.append(&to, transactional(7, 0, 0, &["1"])).await.unwrap().start, Offset(1));
    assert_eq!(log.stable_end(&to).await.unwrap(), Offset(1));
}

#[tokio::test]
async fn a_round_that_is_refused_leaves_no_trace_of_its_transactions() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), settings()).await;
    let to = partition(&log).await;
    log.append(&to, batch(&["0"], 1)).await.unwrap();
    faults.set_room(Some(10));
    assert_eq!(log.append(&to, transactional(7, 0, 0, &["1"])).await.unwrap_err().kind(), ErrorKind::Retry);
    assert_eq!(log.stable_end(&to).await.unwrap(), Offset(1));
    assert!(log.producers(&to).await.unwrap().is_empty());
    faults.set_room(None);
    log.append(&to, transactional(7, 0, 0, &["1"])).await.unwrap();
    faults.set_room(Some(10));
    assert_eq!(log.append(&to, marker(Marker::Abort, 7, 0)).await.unwrap_err().kind(), ErrorKind::Retry);
    assert_eq!(log.stable_end(&to).await.unwrap(), Offset(1), "the transaction is still open");
    faults.set_room(None);
    faults.fail_sync(1);
    log.append(&to, marker(Marker::Commit, 7, 0)).await.unwrap_err();
    assert_eq!(log.stable_end(&to).await.unwrap(), Offset(1), "nobody knows whether it has ended");
    assert_eq!(offsets(&log, &to, 0).await, [0]);
}

#[tokio::test]
async fn a_marker_that_is_not_synced_decides_nothing() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), settings()).await;
    let log = std::sync::Arc::new(log);
    let to = partition(&log).await;
    log.append(&to, transactional(7, 0, 0, &["0"])).await.unwrap();
    faults.hold_syncs();
    let (ending, of) = (log.clone(), to.clone());
    let ended = tokio::spawn(async move { ending.append(&of, marker(Marker::Commit, 7, 0)).await });
    let waiting = faults.clone();
    let came = tokio::task::spawn_blocking(move || waiting.wait_for_syncs(1, Duration::from_secs(60))).await.unwrap();
    let stable = log.stable_end(&to).await.unwrap();
    faults.release_syncs();
    assert!(came, "the marker is on its way");
    assert_eq!(stable, Offset(0));
    ended.await.unwrap().unwrap();
    assert_eq!(log.stable_end(&to).await.unwrap(), Offset(2));
}

#[tokio::test]
async fn aborted_transactions_go_with_their_segments() {
    let dir = folder();
    let log = open(dir.path(), small()).await;
    let to = fill(&log).await;
    let before = index_files(dir.path()).len();
    log.trim(&to, Offset(12)).await.unwrap();
    let left = index_files(dir.path());
    assert!(left.len() < before, "{left:?}");
    assert_eq!(offsets(&log, &to, 12).await, [12]);
    let spec = TopicSpec { retention_ms: Some(1), ..log.topic(&to.topic).await.unwrap().spec };
    log.alter_topic(&to.topic, spec).await.unwrap();
    log.retain_now().await.unwrap();
    assert!(index_files(dir.path()).is_empty());
    let end = log.range(&to).await.unwrap().end;
    assert_eq!(log.stable_end(&to).await.unwrap(), end, "of what is kept, which is nothing");
    log.append(&to, batch(&["18"], NOW.0)).await.unwrap();
    log.close().await.unwrap();
    let log = open(dir.path(), small()).await;
    assert_eq!(log.stable_end(&to).await.unwrap(), end, "the transaction is open all the same");
    log.append(&to, marker(Marker::Abort, 7, 0)).await.unwrap();
    assert_eq!(offsets(&log, &to, end.0).await, [end.0]);
}

/// Compressed records are only claimed to be so many.
fn claiming(records: i32) -> Batch {
    let mut bytes = BytesMut::from(&batch(&["x"], 1).bytes()[..]);
    bytes[22] |= 1;
    bytes[23..27].copy_from_slice(&(records - 1).to_be_bytes());
    bytes[57..61].copy_from_slice(&records.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Batch::parse(bytes.freeze()).unwrap()
}

#[tokio::test]
async fn offsets_that_an_index_can_not_say_begin_a_segment() {
    let dir = folder();
    let every = LogSettings { index_interval_bytes: 1, tail_bytes_max: 0, ..settings() };
    let log = open(dir.path(), every.clone()).await;
    let to = partition(&log).await;
    for _ in 0..5 {
        log.append(&to, claiming(i32::MAX)).await.unwrap();
    }
    log.append(&to, batch(&["last"], 1)).await.unwrap();
    log.close().await.unwrap();
    let log = open(dir.path(), every).await;
    let span = i64::from(i32::MAX);
    for at in 0..6 {
        let found = log.read(&to, Offset(at * span), ReadLimit { bytes: 1 }, Duration::ZERO).await.unwrap();
        assert_eq!(found[0].base_offset(), Offset(at * span));
    }
    assert_eq!(log.range(&to).await.unwrap(), OffsetRange { start: Offset(0), end: Offset(5 * span + 1) });
}
