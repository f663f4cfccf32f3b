//! What lies in the folder: the lock, indexes, half made topics, and what retention takes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pinlake_core::testing::log_contract::{batch, read_all, topic};
use pinlake_core::{Clock, ErrorKind, Followers, Log, Offset, ReadLimit, Timestamp, TopicName, TopicPartition, TopicSpec};
use pinlake_log::{DiskLog, LogSettings};

use crate::setup::{NOW, copy_whole, folder, open, open_faulty, partition, settings};

#[tokio::test]
async fn a_folder_is_open_once() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    let second = DiskLog::open(dir.path(), settings(), Clock::System, Followers::default()).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Conflict);
    assert_eq!(DiskLog::check_free(dir.path()).unwrap_err().kind(), ErrorKind::Conflict);
    log.close().await.unwrap();
    DiskLog::check_free(dir.path()).unwrap();
    let nowhere = dir.path().join("nowhere");
    DiskLog::check_free(&nowhere).unwrap();
    assert!(!nowhere.exists());
    open(dir.path(), settings()).await;
}

fn small() -> LogSettings {
    LogSettings { segment_bytes: 2000, index_interval_bytes: 100, tail_bytes_max: 0, ..settings() }
}

async fn fill(log: &DiskLog, to: &TopicPartition, count: i64) {
    for at in 0..count {
        log.append(to, batch(&[&at.to_string()], 1000 + (at * 7) % 50)).await.unwrap();
    }
}

fn index_files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let files = entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()));
    files.filter(|(name, _)| name.ends_with("index")).collect()
}

async fn answers_everything(log: &DiskLog, to: &TopicPartition, count: i64) {
    let expected: Vec<(i64, String)> = (0..count).map(|offset| (offset, offset.to_string())).collect();
    for at in 0..count {
        let found = log.read(to, Offset(at), ReadLimit { bytes: 1 }, Duration::ZERO).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].base_offset(), Offset(at));
    }
    assert_eq!(read_all(log, to, Offset::ZERO).await, expected);
    for time in 990..1060 {
        let first = (0..count).find(|at| 1000 + (at * 7) % 50 >= time).unwrap_or(count);
        assert_eq!(log.offset_at(to, Timestamp(time)).await.unwrap(), Offset(first), "at {time}");
    }
}

#[tokio::test]
async fn deleted_indexes_are_rebuilt_as_they_were() {
    let dir = folder();
    let log = open(dir.path(), small()).await;
    let to = partition(&log).await;
    fill(&log, &to, 100).await;
    log.close().await.unwrap();
    let partition_dir = dir.path().join("t/0");
    let before = index_files(&partition_dir);
    assert!(before.len() >= 8, "there are several segments");
    assert!(before.values().all(|bytes| !bytes.is_empty()));
    for name in before.keys() {
        std::fs::remove_file(partition_dir.join(name)).unwrap();
    }
    let log = open(dir.path(), small()).await;
    answers_everything(&log, &to, 100).await;
    log.append(&to, batch(&["100"], 1)).await.unwrap();
    log.close().await.unwrap();
    let mut after = index_files(&partition_dir);
    let mut before = before;
    // The active segment's grew by the last append.
    let last: Vec<String> = before.keys().rev().take(2).cloned().collect();
    for name in last {
        assert!(after.remove(&name).unwrap().starts_with(&before.remove(&name).unwrap()));
    }
    assert_eq!(after, before);
}

#[tokio::test]
async fn an_index_that_leads_astray_is_rebuilt() {
    let dir = folder();
    let log = open(dir.path(), small()).await;
    let to = partition(&log).await;
    fill(&log, &to, 100).await;
    log.close().await.unwrap();
    let partition_dir = dir.path().join("t/0");
    let before = index_files(&partition_dir);
    for name in before.keys().filter(|name| name.ends_with(".index")) {
        let wrong: Vec<u8> = (1..20_u32).flat_map(|at| [at.to_be_bytes(), (at * 13).to_be_bytes()].concat()).collect();
        std::fs::write(partition_dir.join(name), wrong).unwrap();
    }
    let log = open(dir.path(), small()).await;
    answers_everything(&log, &to, 100).await;
}

/// As when two readers rebuild it at once, or the disk is full.
#[tokio::test]
async fn an_index_that_can_not_be_rebuilt_costs_time_only() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), small()).await;
    let to = partition(&log).await;
    fill(&log, &to, 100).await;
    let partition_dir = dir.path().join("t/0");
    for name in index_files(&partition_dir).keys() {
        std::fs::remove_file(partition_dir.join(name)).unwrap();
    }
    faults.fail_step(1, true);
    answers_everything(&log, &to, 100).await;
    assert!(index_files(&partition_dir).is_empty(), "there was none");
}

#[tokio::test]
async fn half_made_and_half_deleted_topics_are_cleared_away() {
    let dir = folder();
    for (name, file) in [("+new", "topic.json.tmp"), ("~old", "topic.json"), ("~old", "left")] {
        std::fs::create_dir_all(dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join(name).join(file), "{").unwrap();
    }
    std::fs::create_dir(dir.path().join("lost+found")).unwrap();
    let log = open(dir.path(), settings()).await;
    assert!(log.topics().await.unwrap().is_empty());
    assert!(!dir.path().join("+new").exists());
    assert!(!dir.path().join("~old").exists());
    assert!(dir.path().join("lost+found").exists(), "what is not ours is left alone");
}

#[tokio::test]
async fn topics_and_their_settings_are_there_after_a_restart() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    let (a, b) = (TopicName::new("a").unwrap(), TopicName::new(&"b".repeat(249)).unwrap());
    let spec =
        TopicSpec { partitions: 3, retention_ms: None, retention_bytes: Some(5), batch_bytes_max: 9000, ..TopicSpec::default() };
    log.create_topic(&a, spec.clone()).await.unwrap();
    log.create_topic(&b, TopicSpec::default()).await.unwrap();
    log.append(&b.partition(0), batch(&["x"], 1)).await.unwrap();
    log.delete_topic(&b).await.unwrap();
    assert!(!dir.path().join(b.as_str()).exists());
    log.create_topic(&b, TopicSpec::default()).await.unwrap();
    log.close().await.unwrap();
    let log = open(dir.path(), settings()).await;
    assert_eq!(log.topic(&a).await.unwrap().spec, spec);
    assert!(log.range(&b.partition(0)).await.unwrap().is_empty());
    assert_eq!(log.topics().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_waiting_read_learns_that_its_topic_is_deleted() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    let to = partition(&log).await;
    let (waited, deleted) = tokio::join!(log.read(&to, Offset::ZERO, ReadLimit::default(), Duration::from_secs(60)), async {
        log.delete_topic(&to.topic).await
    });
    deleted.unwrap();
    assert_eq!(waited.unwrap_err().kind(), ErrorKind::NotFound);
}

/// A log of one topic that keeps 1000 ms, or so many bytes, with its clock and followers.
async fn keeping(dir: &Path, spec: TopicSpec, settings: LogSettings) -> (DiskLog, TopicPartition, Clock, Followers) {
    let (clock, followers) = (Clock::manual(NOW), Followers::default());
    let log = DiskLog::open(dir, settings, clock.clone(), followers.clone()).await.unwrap();
    let name = TopicName::new("t").unwrap();
    log.create_topic(&name, spec).await.unwrap();
    (log, name.partition(0), clock, followers)
}

fn one_batch_a_segment() -> LogSettings {
    LogSettings { segment_bytes: 80, ..settings() }
}

#[tokio::test]
async fn a_topic_is_not_deleted_under_a_follower_that_is_behind() {
    let dir = folder();
    let (log, to, _, followers) = keeping(dir.path(), TopicSpec::default(), settings()).await;
    followers.register("table", |_| true);
    for value in ["a", "b"] {
        log.append(&to, batch(&[value], NOW.0)).await.unwrap();
    }
    for behind in [None, Some(Offset(1))] {
        behind.inspect(|at| followers.report("table", &to, *at));
        let refused = log.delete_topic(&to.topic).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Retry, "{refused}");
        assert_eq!(log.range(&to).await.unwrap().end, Offset(2), "nothing happened to it");
    }
    followers.report("table", &to, Offset(2));
    log.delete_topic(&to.topic).await.unwrap();
    log.create_topic(&to.topic, TopicSpec::default()).await.unwrap();
    log.delete_topic(&to.topic).await.expect("an empty topic has nothing to take");
}

#[tokio::test]
async fn old_segments_go_and_the_offsets_go_on() {
    let dir = folder();
    let spec = TopicSpec { retention_ms: Some(1000), ..TopicSpec::default() };
    let (log, to, clock, _) = keeping(dir.path(), spec, one_batch_a_segment()).await;
    for at in 0..5 {
        log.append(&to, batch(&[&at.to_string()], NOW.0 + at * 100)).await.unwrap();
    }
    assert_eq!(log.retain_now().await.unwrap(), 0);
    clock.advance(Duration::from_millis(1101));
    assert_eq!(log.retain_now().await.unwrap(), 2);
    assert_eq!(log.range(&to).await.unwrap().start, Offset(2));
    let gone = log.read(&to, Offset(1), ReadLimit::default(), Duration::ZERO).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert_eq!(log.offset_at(&to, Timestamp(0)).await.unwrap(), Offset(2));
    clock.advance(Duration::from_secs(3600));
    assert_eq!(log.retain_now().await.unwrap(), 3, "the active segment is sealed when all of it is old");
    let range = log.range(&to).await.unwrap();
    assert_eq!((range.start, range.end), (Offset(5), Offset(5)));
    let killed = copy_whole(dir.path());
    log.close().await.unwrap();
    for dir in [dir.path(), killed.path()] {
        let log = open(dir, one_batch_a_segment()).await;
        assert_eq!(log.range(&to).await.unwrap(), range);
        assert_eq!(log.append(&to, batch(&["on"], NOW.0)).await.unwrap().start, Offset(5));
    }
}

#[tokio::test]
async fn retention_never_passes_a_follower() {
    let dir = folder();
    let spec = TopicSpec { retention_ms: Some(1), retention_bytes: Some(1), ..TopicSpec::default() };
    let (log, to, clock, followers) = keeping(dir.path(), spec.clone(), one_batch_a_segment()).await;
    followers.register("slow", |_| true);
    followers.register("fast", |_| true);
    followers.report("fast", &to, Offset(6));
    for at in 0..6 {
        log.append(&to, batch(&[&at.to_string()], NOW.0)).await.unwrap();
    }
    clock.advance(Duration::from_secs(10));
    for position in 0..=6 {
        followers.report("slow", &to, Offset(position));
        log.retain_now().await.unwrap();
        assert_eq!(log.range(&to).await.unwrap().start, Offset(position));
    }
    let other = folder();
    let ignoring = LogSettings { retention_ignores_followers: true, ..one_batch_a_segment() };
    let (log, to, _, followers) = keeping(other.path(), spec, ignoring).await;
    followers.register("slow", |_| true);
    for at in 0..3 {
        log.append(&to, batch(&[&at.to_string()], NOW.0)).await.unwrap();
    }
    assert_eq!(log.retain_now().await.unwrap(), 2);
}

#[tokio::test]
async fn large_partitions_shrink_to_their_size() {
    let dir = folder();
    let len = batch(&["0"], 1).bytes().len() as u64;
    let spec = TopicSpec { retention_ms: None, retention_bytes: Some(3 * len), ..TopicSpec::default() };
    let (log, to, ..) = keeping(dir.path(), spec, one_batch_a_segment()).await;
    for at in 0..9 {
        log.append(&to, batch(&[&at.to_string()], NOW.0)).await.unwrap();
    }
    assert_eq!(log.retain_now().await.unwrap(), 6);
    assert_eq!(read_all(&log, &to, Offset(6)).await.len(), 3);
}

#[tokio::test]
async fn an_old_active_segment_is_sealed() {
    let dir = folder();
    let aged = LogSettings { segment_age: Duration::from_secs(60), ..settings() };
    let (log, to, clock, _) = keeping(dir.path(), TopicSpec::default(), aged).await;
    log.append(&to, batch(&["0"], NOW.0)).await.unwrap();
    log.append(&to, batch(&["1"], NOW.0)).await.unwrap();
    clock.advance(Duration::from_secs(61));
    log.append(&to, batch(&["2"], NOW.0 + 61_000)).await.unwrap();
    assert!(dir.path().join("t/0/00000000000000000002.log").exists());
    assert_eq!(read_all(&log, &to, Offset::ZERO).await.len(), 3);
}

#[tokio::test]
async fn many_idle_topics_are_cheap_to_open() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    topic(&log, "idle", 2000).await;
    log.close().await.unwrap();
    let log = open(dir.path(), settings()).await;
    let files = std::fs::read_dir(dir.path().join("idle")).unwrap().count();
    assert_eq!(files, 1, "a partition takes no file before its first append");
    assert!(log.range(&TopicName::new("idle").unwrap().partition(1999)).await.unwrap().is_empty());
}
