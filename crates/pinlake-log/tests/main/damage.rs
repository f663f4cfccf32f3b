//! Cut and flipped bytes: a torn tail recovers to a valid prefix, damage to what was known to be good is said out loud.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pinlake_core::testing::log_contract::{batch, read_all, topic};
use pinlake_core::{Clock, Error, ErrorKind, Followers, Log, Offset, ReadLimit, Timestamp, TopicPartition};
use pinlake_log::{DiskLog, LogSettings};

use crate::setup::{NOW, copy_whole, folder, last_segment, open, partition, settings};

const NO_WAIT: Duration = Duration::ZERO;

/// A folder as `kill -9` leaves it, with two batches before the checkpoint and four after it; where the batches end in the file.
async fn folder_with_tail() -> (tempfile::TempDir, TopicPartition, Vec<u64>) {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    let to = partition(&log).await;
    let mut ends = Vec::new();
    append(&log, &to, &mut ends, &[&["0", "1"], &["2"]]).await;
    log.close().await.unwrap();
    let log = open_again(dir.path()).await;
    append(&log, &to, &mut ends, &[&["3"], &["4", "5", "6"], &["7"], &["8"]]).await;
    (copy_whole(dir.path()), to, ends)
}

async fn append(log: &DiskLog, to: &TopicPartition, ends: &mut Vec<u64>, batches: &[&[&str]]) {
    for values in batches {
        let values = batch(values, 1);
        ends.push(ends.last().unwrap_or(&0) + values.bytes().len() as u64);
        log.append(to, values).await.unwrap();
    }
}

async fn open_again(dir: &Path) -> DiskLog {
    open(dir, settings()).await
}

/// Where each of its batches ends in the log.
const OFFSETS: [i64; 6] = [2, 3, 4, 7, 8, 9];

/// The log opens, the partition `to` is refused as damaged in every way, and the others work. Answers why.
async fn refuses(dir: &Path, settings: LogSettings, to: &TopicPartition) -> (DiskLog, Error) {
    let log = open(dir, settings).await;
    let error = log.append(to, batch(&["x"], 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let read = log.read(to, Offset::ZERO, ReadLimit::default(), NO_WAIT).await.unwrap_err();
    let (range, found) = (log.range(to).await.unwrap_err(), log.offset_at(to, Timestamp(0)).await.unwrap_err());
    assert_eq!([read.message(), range.message(), found.message()], [error.message(); 3]);
    let health = log.health();
    assert_eq!((health.len(), &health[0].partition), (1, to));
    assert!(error.message().contains("from a copy") && error.message().contains("restart"), "it says what to do: {error}");
    let other = topic(&log, "other", 1).await.partition(0);
    log.append(&other, batch(&["works"], 1)).await.unwrap();
    (log, error)
}

/// Opens the damaged folder: what is there is a prefix of what was, with `whole` batches at least, and the log goes on well.
async fn recovers(dir: &Path, to: &TopicPartition, whole: usize, what: &str) -> i64 {
    let log = open_again(dir).await;
    let found = read_all(&log, to, Offset::ZERO).await;
    let expected: Vec<(i64, String)> = (0..9).map(|offset| (offset, offset.to_string())).collect();
    assert!(expected.starts_with(&found), "{what}: {found:?} is no prefix");
    let kept = whole.checked_sub(1).map_or(0, |last| OFFSETS[last]);
    assert!(found.len() as i64 >= kept, "{what}: {} records are left of {kept}", found.len());
    let after = log.append(to, batch(&["after"], 1)).await.unwrap();
    assert_eq!(after.start.0, found.len() as i64, "{what}");
    log.close().await.unwrap();
    let log = open_again(dir).await;
    let again = read_all(&log, to, Offset::ZERO).await;
    assert_eq!(again.len(), found.len() + 1, "{what}: the log is not stable after recovery");
    assert_eq!(again.last().unwrap().1, "after");
    found.len() as i64
}

fn change(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let path = last_segment(&dir.join("t/0"));
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[tokio::test]
async fn every_cut_of_the_tail_recovers_all_whole_batches() {
    let (dir, to, ends) = folder_with_tail().await;
    for len in ends[1]..=*ends.last().unwrap() {
        let copied = copy_whole(dir.path());
        change(copied.path(), |bytes| bytes.truncate(usize::try_from(len).unwrap()));
        let whole = ends.iter().filter(|end| **end <= len).count();
        let found = recovers(copied.path(), &to, whole, &format!("cut to {len} bytes")).await;
        assert_eq!(found, OFFSETS[whole - 1], "cut to {len} bytes: exactly the whole batches are left");
    }
}

#[tokio::test]
async fn every_flipped_bit_of_the_tail_recovers_the_batches_before_it() {
    let (dir, to, ends) = folder_with_tail().await;
    for at in ends[1]..*ends.last().unwrap() {
        let copied = copy_whole(dir.path());
        change(copied.path(), |bytes| bytes[usize::try_from(at).unwrap()] ^= 1 << (at % 8));
        let whole = ends.iter().filter(|end| **end <= at).count();
        recovers(copied.path(), &to, whole, &format!("bit {} of byte {at} flipped", at % 8)).await;
    }
}

#[tokio::test]
async fn noise_after_the_tail_is_cut() {
    let (dir, to, ends) = folder_with_tail().await;
    for noise in [vec![0; 1], vec![0; 5000], vec![0xff; 100], (0..=255).collect()] {
        let copied = copy_whole(dir.path());
        change(copied.path(), |bytes| bytes.extend(&noise));
        assert_eq!(recovers(copied.path(), &to, ends.len(), "noise").await, 9);
    }
}

#[tokio::test]
async fn a_segment_cut_before_its_checkpoint_is_corrupt() {
    let (dir, to, ends) = folder_with_tail().await;
    let whole = copy_whole(dir.path());
    let path = change(dir.path(), |bytes| bytes.truncate(usize::try_from(ends[1]).unwrap() - 1));
    let (log, error) = refuses(dir.path(), settings(), &to).await;
    assert!(error.message().contains(path.to_str().unwrap()), "{error}");
    log.close().await.unwrap();
    std::fs::copy(last_segment(&whole.path().join("t/0")), path).unwrap();
    let log = open_again(dir.path()).await;
    assert!(log.health().is_empty(), "restored from a copy");
    assert_eq!(read_all(&log, &to, Offset::ZERO).await.len(), 9);
}

/// That the log opens at all shows that recovery does not read what lies before the checkpoint.
#[tokio::test]
async fn damage_before_the_checkpoint_is_found_by_the_read() {
    let (dir, to, ends) = folder_with_tail().await;
    change(dir.path(), |bytes| bytes[usize::try_from(ends[0]).unwrap() - 1] ^= 1);
    let log = open_again(dir.path()).await;
    let error = log.read(&to, Offset::ZERO, ReadLimit::default(), NO_WAIT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(read_all(&log, &to, Offset(2)).await.len(), 7, "what is whole is still served");
}

#[tokio::test]
async fn a_lost_checkpoint_costs_time_only() {
    let (dir, to, ends) = folder_with_tail().await;
    std::fs::remove_file(dir.path().join("t/0/checkpoint")).unwrap();
    assert_eq!(recovers(dir.path(), &to, ends.len(), "no checkpoint").await, 9);
}

#[tokio::test]
async fn damage_or_loss_of_a_sealed_segment_is_corrupt() {
    let dir = folder();
    let small = LogSettings { segment_bytes: 100, ..settings() };
    let log = open(dir.path(), small.clone()).await;
    let to = partition(&log).await;
    for value in ["0", "1", "2"] {
        log.append(&to, batch(&[value], 1)).await.unwrap();
    }
    log.close().await.unwrap();
    let first = dir.path().join("t/0/00000000000000000000.log");
    let last = dir.path().join("t/0/00000000000000000002.log");

    let damaged = copy_whole(dir.path());
    std::fs::remove_file(damaged.path().join("t/0/checkpoint")).unwrap();
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[65] ^= 4;
    std::fs::write(damaged.path().join("t/0").join(first.file_name().unwrap()), &bytes).unwrap();
    refuses(damaged.path(), small.clone(), &to).await;

    let lost = copy_whole(dir.path());
    std::fs::remove_file(lost.path().join("t/0").join(last.file_name().unwrap())).unwrap();
    refuses(lost.path(), small.clone(), &to).await;

    let hole = copy_whole(dir.path());
    std::fs::remove_file(hole.path().join("t/0/00000000000000000001.log")).unwrap();
    std::fs::remove_file(hole.path().join("t/0/checkpoint")).unwrap();
    refuses(hole.path(), small, &to).await;
}

/// One of three: the others keep all they had, and go on.
#[tokio::test]
async fn a_damaged_partition_does_not_keep_the_others_from_opening() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    let name = topic(&log, "t", 3).await;
    for partition in 0..3 {
        log.append(&name.partition(partition), batch(&["0", "1"], 1)).await.unwrap();
    }
    log.close().await.unwrap();
    std::fs::remove_file(last_segment(&dir.path().join("t/1"))).unwrap();
    let (log, error) = refuses(dir.path(), settings(), &name.partition(1)).await;
    assert!(error.message().contains("t/1/00000000000000000000.log"), "{error}");
    for partition in [0, 2] {
        assert_eq!(read_all(&log, &name.partition(partition), Offset::ZERO).await.len(), 2);
        assert_eq!(log.append(&name.partition(partition), batch(&["2"], 1)).await.unwrap().start, Offset(2));
    }
    log.retain_now().await.expect("there is nothing to drop in a refused partition");
    log.close().await.expect("what is damaged is as it was");
}

/// Where a damaged partition ended is known by its checkpoint, its headers, or what follows it: the farthest counts.
#[tokio::test]
async fn a_topic_with_a_damaged_partition_can_be_deleted_and_goes_on_behind_it() {
    for (followed, goes_on) in [(0, 9), (4, 9), (12, 12)] {
        let (dir, to, _) = folder_with_tail().await;
        open_again(dir.path()).await.close().await.unwrap();
        change(dir.path(), |bytes| bytes.truncate(70));
        let followers = Followers::default();
        followers.register("table", |_| true);
        followers.report("table", &to, Offset(followed));
        let log = DiskLog::open(dir.path(), settings(), Clock::manual(NOW), followers).await.unwrap();
        assert_eq!(log.health().len(), 1);
        log.delete_topic(&to.topic).await.unwrap();
        let again = partition(&log).await;
        assert_eq!(log.append(&again, batch(&["x"], 1)).await.unwrap().start, Offset(goes_on), "followed up to {followed}");
    }
}

#[tokio::test]
async fn the_headers_tell_where_a_partition_without_its_checkpoint_ended() {
    let dir = folder();
    let small = LogSettings { segment_bytes: 100, ..settings() };
    let log = open(dir.path(), small.clone()).await;
    let to = partition(&log).await;
    for value in ["0", "1", "2"] {
        log.append(&to, batch(&[value], 1)).await.unwrap();
    }
    log.close().await.unwrap();
    std::fs::remove_file(dir.path().join("t/0/checkpoint")).unwrap();
    std::fs::remove_file(dir.path().join("t/0/00000000000000000001.log")).unwrap();
    let (log, _) = refuses(dir.path(), small, &to).await;
    log.delete_topic(&to.topic).await.unwrap();
    let again = partition(&log).await;
    assert_eq!(log.range(&again).await.unwrap().start, Offset(3));
}
