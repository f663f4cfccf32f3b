//! Topics that are deleted and created again, with restarts, killed processes and failed disks between.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pinlake_core::testing::log_contract::{batch, read_all, topic};
use pinlake_core::{Clock, ErrorKind, Followers, Log, Offset, OffsetRange, TopicName, TopicPartition, TopicSpec};
use pinlake_log::disk::{Disk, Faults};
use pinlake_log::{DiskLog, LogSettings};

use crate::setup::{NOW, copy_whole, folder, open, open_faulty, settings};

fn at(offset: i64) -> OffsetRange {
    OffsetRange { start: Offset(offset), end: Offset(offset) }
}

fn t() -> TopicName {
    TopicName::new("t").unwrap()
}

/// A topic `t` whose two partitions end at 3 and 1, in small segments.
async fn fill(log: &DiskLog) -> [TopicPartition; 2] {
    let name = topic(log, "t", 2).await;
    for (partition, value) in [(0, "0"), (0, "1"), (1, "0"), (0, "2")] {
        log.append(&name.partition(partition), batch(&[value], 1)).await.unwrap();
    }
    [name.partition(0), name.partition(1)]
}

fn small() -> LogSettings {
    LogSettings { segment_bytes: 100, ..settings() }
}

async fn starts(log: &DiskLog, offsets: [i64; 2], when: &str) {
    for (partition, offset) in (0..).zip(offsets) {
        assert_eq!(log.range(&t().partition(partition)).await.unwrap(), at(offset), "{when}");
    }
}

/// Ends the process in a way, and opens what it left.
async fn again(log: DiskLog, dir: tempfile::TempDir, kill: bool) -> (DiskLog, tempfile::TempDir) {
    if kill {
        let copied = copy_whole(dir.path());
        return (open(copied.path(), small()).await, copied);
    }
    log.close().await.unwrap();
    (open(dir.path(), small()).await, dir)
}

#[tokio::test]
async fn offsets_go_on_across_restarts_at_any_moment() {
    for kill in [false, true] {
        let dir = folder();
        let log = open(dir.path(), small()).await;
        let [first, _] = fill(&log).await;
        log.delete_topic(&t()).await.unwrap();
        let (log, dir) = again(log, dir, kill).await;
        assert_eq!(log.begins(&first).unwrap(), Offset(3), "known before the topic is there");
        topic(&log, "t", 2).await;
        starts(&log, [3, 1], "restarted between the two").await;
        let (log, dir) = again(log, dir, kill).await;
        starts(&log, [3, 1], "restarted before the first append").await;
        assert_eq!(log.append(&first, batch(&["3"], 1)).await.unwrap().start, Offset(3));
        let (log, dir) = again(log, dir, kill).await;
        assert_eq!(read_all(&log, &first, Offset(3)).await, [(3, "3".to_owned())]);
        assert_eq!(log.append(&first, batch(&["4"], 1)).await.unwrap().start, Offset(4));
        log.delete_topic(&t()).await.unwrap();
        topic(&log, "t", 2).await;
        starts(&log, [5, 1], "created a third time").await;
        let (log, _dir) = again(log, dir, kill).await;
        starts(&log, [5, 1], "restarted after that").await;
    }
}

#[tokio::test]
async fn a_delete_cut_off_anywhere_leaves_a_topic_whole_or_its_ends_known() {
    let (mut whole, mut deleted) = (0, 0);
    for step in 1.. {
        let dir = folder();
        let (log, faults) = open_faulty(dir.path(), small()).await;
        let [first, _] = fill(&log).await;
        let before = faults.steps();
        faults.fail_step(step, true);
        let answer = log.delete_topic(&t()).await;
        if faults.steps() - before < step {
            answer.unwrap();
            break;
        }
        let copied = copy_whole(dir.path());
        let left = open(copied.path(), small()).await;
        if left.topic(&t()).await.is_ok() {
            assert!(answer.is_err(), "cut off at step {step}");
            assert_eq!(read_all(&left, &first, Offset::ZERO).await.len(), 3, "cut off at step {step}");
            left.delete_topic(&t()).await.unwrap();
            whole += 1;
        } else {
            deleted += 1;
        }
        topic(&left, "t", 2).await;
        starts(&left, [3, 1], &format!("cut off at step {step}")).await;
    }
    assert!(whole > 4 && deleted > 1, "{whole} times it was whole, {deleted} times deleted");
}

#[tokio::test]
async fn a_delete_that_fails_leaves_a_topic_that_works_or_none() {
    let (mut whole, mut gone) = (0, 0);
    for step in 1.. {
        let dir = folder();
        let (log, faults) = open_faulty(dir.path(), small()).await;
        let [first, _] = fill(&log).await;
        let before = faults.steps();
        faults.fail_step(step, false);
        let answer = log.delete_topic(&t()).await;
        if faults.steps() - before < step {
            answer.unwrap();
            break;
        }
        let mut end = 3;
        if log.topic(&t()).await.is_ok() {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Internal, "step {step}");
            assert_eq!(log.append(&first, batch(&["3"], 1)).await.unwrap().start, Offset(3), "step {step}");
            assert_eq!(read_all(&log, &first, Offset::ZERO).await.len(), 4, "step {step}");
            log.delete_topic(&t()).await.unwrap();
            (whole, end) = (whole + 1, 4);
        } else {
            gone += 1;
        }
        topic(&log, "t", 2).await;
        starts(&log, [end, 1], &format!("step {step} failed")).await;
        let left = open(copy_whole(dir.path()).path(), small()).await;
        starts(&left, [end, 1], &format!("step {step} failed, restarted")).await;
    }
    assert!(whole > 4 && gone > 1, "{whole} times it was whole, {gone} times gone");
}

#[tokio::test]
async fn a_stopped_partition_ends_where_its_acknowledged_records_do() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), small()).await;
    let [first, _] = fill(&log).await;
    faults.fail_sync(1);
    log.append(&first, batch(&["written but not acknowledged"], 1)).await.unwrap_err();
    log.delete_topic(&t()).await.unwrap();
    topic(&log, "t", 2).await;
    starts(&log, [3, 1], "stopped before").await;
    assert_eq!(log.append(&first, batch(&["3"], 1)).await.unwrap().start, Offset(3), "the new one works");
}

#[tokio::test]
async fn a_delete_that_finds_no_room_for_its_note_leaves_the_topic() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), small()).await;
    let [first, _] = fill(&log).await;
    faults.set_room(Some(0));
    let refused = log.delete_topic(&t()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Retry);
    assert!(refused.message().contains("full"), "{refused}");
    assert_eq!(read_all(&log, &first, Offset::ZERO).await.len(), 3);
    faults.set_room(None);
    log.delete_topic(&t()).await.unwrap();
}

#[tokio::test]
async fn a_create_cut_off_anywhere_keeps_the_ends() {
    for step in 1.. {
        let dir = folder();
        let (log, faults) = open_faulty(dir.path(), small()).await;
        fill(&log).await;
        log.delete_topic(&t()).await.unwrap();
        let before = faults.steps();
        faults.fail_step(step, true);
        let answer = log.create_topic(&t(), TopicSpec::with_partitions(2)).await;
        if faults.steps() - before < step {
            answer.unwrap();
            assert!(step > 5, "a topic takes more than {step} steps to create");
            break;
        }
        assert!(answer.is_err(), "cut off at step {step}");
        let copied = copy_whole(dir.path());
        let left = open(copied.path(), small()).await;
        // It is there if only its last sync was cut off.
        let _ = left.create_topic(&t(), TopicSpec::with_partitions(2)).await;
        starts(&left, [3, 1], &format!("cut off at step {step}")).await;
    }
}

#[tokio::test]
async fn no_topic_takes_the_note_of_another() {
    let dir = folder();
    let names = ["a".to_owned(), "a.tmp".to_owned(), "lock".to_owned(), "ended".to_owned(), "z".repeat(249)];
    let log = open(dir.path(), settings()).await;
    for (records, name) in (1..).zip(&names) {
        let to = topic(&log, name, 1).await.partition(0);
        for _ in 0..records {
            log.append(&to, batch(&["x"], 1)).await.unwrap();
        }
    }
    for name in names.iter().rev() {
        log.delete_topic(&TopicName::new(name).unwrap()).await.unwrap();
    }
    for (records, name) in (1..).zip(&names) {
        let to = topic(&log, name, 1).await.partition(0);
        assert_eq!(log.range(&to).await.unwrap(), at(records), "{name}");
    }
}

#[tokio::test]
async fn a_topic_that_held_nothing_takes_no_note() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    log.delete_topic(&topic(&log, "t", 3).await).await.unwrap();
    assert!(!dir.path().join("=ended").exists());
}

fn damage(root: &Path) -> PathBuf {
    let path = root.join("=ended/t=");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    path
}

#[tokio::test]
async fn a_damaged_note_is_said_out_loud_and_gives_no_offset_twice() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    fill(&log).await;
    log.delete_topic(&t()).await.unwrap();
    let path = damage(dir.path());
    let refused = log.create_topic(&t(), TopicSpec::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.message().contains(path.to_str().unwrap()), "{refused}");
    std::fs::remove_file(&path).unwrap();
    let [first, _] = fill(&log).await;
    log.delete_topic(&t()).await.unwrap();
    topic(&log, "t", 2).await;
    log.append(&first, batch(&["3"], 1)).await.unwrap();
    damage(dir.path());
    assert_eq!(log.delete_topic(&t()).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(log.append(&first, batch(&["4"], 1)).await.unwrap().start, Offset(4), "the topic is none the worse");
}

/// Only a partition without a segment starts by the note.
#[tokio::test]
async fn a_damaged_note_refuses_no_partition_that_has_records() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    let [first, second] = fill(&log).await;
    log.delete_topic(&t()).await.unwrap();
    topic(&log, "t", 2).await;
    log.append(&first, batch(&["3"], 1)).await.unwrap();
    log.close().await.unwrap();
    let path = damage(dir.path());
    let log = open(dir.path(), settings()).await;
    assert_eq!(log.append(&first, batch(&["4"], 1)).await.unwrap().start, Offset(4));
    let refused = log.append(&second, batch(&["1"], 1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.message().contains(path.to_str().unwrap()), "{refused}");
}

/// What follows a topic still stands where it stood if the topic could not be deleted.
#[tokio::test]
async fn followers_are_forgotten_with_the_topic_alone() {
    let dir = folder();
    let (followers, faults) = (Followers::default(), Arc::new(Faults::default()));
    let disk = Disk::with_faults(faults.clone());
    let log = DiskLog::open_on(disk, dir.path(), settings(), Clock::manual(NOW), followers.clone()).await.unwrap();
    let [first, _] = fill(&log).await;
    log.delete_topic(&t()).await.unwrap();
    topic(&log, "t", 2).await;
    log.append(&first, batch(&["3"], 1)).await.unwrap();
    followers.register("table", |_| true);
    followers.report("table", &first, Offset(4));
    // As the ends are noted, and after that.
    for step in [1, 6] {
        faults.fail_step(step, false);
        assert_eq!(log.delete_topic(&t()).await.unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(followers.floor(&first), Some(Offset(4)));
    }
    log.delete_topic(&t()).await.unwrap();
    assert_eq!(followers.floor(&first), Some(Offset::ZERO));
}
