//! Cut and flipped bytes: a torn tail recovers to a valid prefix, damage to what was known to be good is said out loud.

use std::path::{Path, PathBuf};

use pinlake_core::testing::log_contract::{batch, read_all};
use pinlake_core::{Clock, Error, ErrorKind, Followers, Log, Offset, ReadLimit, TopicPartition};
use pinlake_log::{DiskLog, LogSettings};

use crate::setup::{NOW, copy_whole, folder, last_segment, open, partition, settings};

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

async fn try_open(dir: &Path, settings: LogSettings) -> Result<DiskLog, Error> {
    DiskLog::open(dir, settings, Clock::manual(NOW), Followers::default()).await
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
    let (dir, _, ends) = folder_with_tail().await;
    let path = change(dir.path(), |bytes| bytes.truncate(usize::try_from(ends[1]).unwrap() - 1));
    let error = try_open(dir.path(), settings()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains(path.to_str().unwrap()), "{error}");
}

/// That the log opens at all shows that recovery does not read what lies before the checkpoint.
#[tokio::test]
async fn damage_before_the_checkpoint_is_found_by_the_read() {
    let (dir, to, ends) = folder_with_tail().await;
    change(dir.path(), |bytes| bytes[usize::try_from(ends[0]).unwrap() - 1] ^= 1);
    let log = open_again(dir.path()).await;
    let error = log.read(&to, Offset::ZERO, ReadLimit::default(), std::time::Duration::ZERO).await.unwrap_err();
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
    assert_eq!(try_open(damaged.path(), small.clone()).await.unwrap_err().kind(), ErrorKind::Corrupt);

    let lost = copy_whole(dir.path());
    std::fs::remove_file(lost.path().join("t/0").join(last.file_name().unwrap())).unwrap();
    assert_eq!(try_open(lost.path(), small.clone()).await.unwrap_err().kind(), ErrorKind::Corrupt);

    let hole = copy_whole(dir.path());
    std::fs::remove_file(hole.path().join("t/0/00000000000000000001.log")).unwrap();
    std::fs::remove_file(hole.path().join("t/0/checkpoint")).unwrap();
    assert_eq!(try_open(hole.path(), small).await.unwrap_err().kind(), ErrorKind::Corrupt);
}
