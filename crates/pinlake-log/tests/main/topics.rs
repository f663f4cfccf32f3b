//! Topics that change, and partitions that are trimmed: what is durable of it, and what a process that ends on the way leaves.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pinlake_core::log::TimestampType;
use pinlake_core::testing::log_contract::{batch, read_all, topic};
use pinlake_core::{
    Clock, ErrorKind, Followers, Log, Offset, OffsetRange, ReadLimit, Reason, Timestamp, TopicId, TopicName, TopicPartition,
    TopicSpec,
};
use pinlake_log::disk::{Disk, Faults};
use pinlake_log::{DiskLog, LogSettings};

use crate::setup::{NOW, copy_whole, folder, open, open_faulty, partition, settings};

const NO_WAIT: Duration = Duration::ZERO;

fn range(start: i64, end: i64) -> OffsetRange {
    OffsetRange { start: Offset(start), end: Offset(end) }
}

fn one_batch_a_segment() -> LogSettings {
    LogSettings { segment_bytes: 80, ..settings() }
}

async fn id(log: &DiskLog, name: &TopicName) -> TopicId {
    log.topic(name).await.unwrap().id
}

fn edit_settings(dir: &Path, edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) {
    let path = dir.join("t/topic.json");
    let mut settings: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(settings.as_object_mut().unwrap());
    std::fs::write(path, settings.to_string()).unwrap();
}

#[tokio::test]
async fn a_topics_id_lasts_as_long_as_the_topic() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    let name = topic(&log, "t", 1).await;
    let first = id(&log, &name).await;
    let killed = copy_whole(dir.path());
    log.close().await.unwrap();
    for dir in [dir.path(), killed.path()] {
        let log = open(dir, settings()).await;
        assert_eq!(id(&log, &name).await, first);
        log.close().await.unwrap();
    }
    let log = open(dir.path(), settings()).await;
    log.delete_topic(&name).await.unwrap();
    topic(&log, "t", 1).await;
    assert_ne!(id(&log, &name).await, first);
}

#[tokio::test]
async fn a_topic_of_a_version_without_ids_gets_one_for_good() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    let name = topic(&log, "t", 3).await;
    log.close().await.unwrap();
    edit_settings(dir.path(), |settings| {
        settings.remove("id").unwrap();
        settings.remove("timestamps").unwrap();
    });
    // A disk that is full keeps no log from opening.
    let copied = copy_whole(dir.path());
    let faults = Arc::new(Faults::default());
    faults.set_room(Some(0));
    let disk = Disk::with_faults(faults);
    let full = DiskLog::open_on(disk, copied.path(), settings(), Clock::manual(NOW), Followers::default()).await.unwrap();
    assert_eq!(full.topic(&name).await.unwrap().spec, TopicSpec::with_partitions(3));

    let log = open(dir.path(), settings()).await;
    let given = id(&log, &name).await;
    assert_eq!(log.topic(&name).await.unwrap().spec, TopicSpec::with_partitions(3));
    log.close().await.unwrap();
    assert_eq!(id(&open(dir.path(), settings()).await, &name).await, given);
}

#[tokio::test]
async fn settings_of_a_later_version_are_passed_over() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    let name = topic(&log, "t", 2).await;
    let first = id(&log, &name).await;
    log.close().await.unwrap();
    edit_settings(dir.path(), |settings| drop(settings.insert("unheard_of".to_owned(), 5.into())));
    let log = open(dir.path(), settings()).await;
    let found = log.topic(&name).await.unwrap();
    assert_eq!((found.id, found.spec), (first, TopicSpec::with_partitions(2)));
}

#[tokio::test]
async fn other_settings_last_and_retention_goes_by_them_at_once() {
    let dir = folder();
    let log = open(dir.path(), one_batch_a_segment()).await;
    let to = partition(&log).await;
    for _ in 0..4 {
        log.append(&to, batch(&["old"], NOW.0 - 10_000)).await.unwrap();
    }
    assert_eq!(log.retain_now().await.unwrap(), 0);
    let spec = TopicSpec {
        retention_ms: Some(5000),
        batch_bytes_max: 1000,
        timestamps: TimestampType::Append,
        ..TopicSpec::with_partitions(2)
    };
    log.alter_topic(&to.topic, spec.clone()).await.unwrap();
    assert_eq!(log.retain_now().await.unwrap(), 4);
    log.append(&to, batch(&["new"], 1)).await.unwrap();
    assert_eq!(log.retain_now().await.unwrap(), 0);
    let given = id(&log, &to.topic).await;
    let killed = copy_whole(dir.path());
    let log = open(killed.path(), one_batch_a_segment()).await;
    assert_eq!(log.topic(&to.topic).await.unwrap().spec, spec);
    assert_eq!(id(&log, &to.topic).await, given);
    assert_eq!(read_all(&log, &to, Offset(4)).await, [(4, "new".to_owned())]);
    log.append(&to.topic.partition(1), batch(&["0"], 1)).await.unwrap();
}

#[tokio::test]
async fn a_change_cut_off_anywhere_is_done_or_not_begun() {
    let (before, after) = (TopicSpec::with_partitions(2), TopicSpec { retention_ms: None, ..TopicSpec::with_partitions(4) });
    for step in 1.. {
        let dir = folder();
        let (log, faults) = open_faulty(dir.path(), settings()).await;
        let name = topic(&log, "t", 2).await;
        log.append(&name.partition(1), batch(&["0"], 1)).await.unwrap();
        let steps = faults.steps();
        faults.fail_step(step, true);
        let answer = log.alter_topic(&name, after.clone()).await;
        if faults.steps() - steps < step {
            answer.unwrap();
            assert!(step > 4, "a change takes more than {step} steps");
            break;
        }
        assert_eq!(log.topic(&name).await.unwrap().spec, if answer.is_ok() { after.clone() } else { before.clone() });
        let copied = copy_whole(dir.path());
        let left = open(copied.path(), settings()).await;
        let found = left.topic(&name).await.unwrap().spec;
        assert!(found == after || (found == before && answer.is_err()), "cut off at step {step}: {found:?}");
        assert_eq!(left.range(&name.partition(1)).await.unwrap(), range(0, 1));
    }
}

/// The first and the last offset that a log answers, with all between.
async fn is_trimmed_to(log: &DiskLog, of: &TopicPartition, start: i64, end: i64, what: &str) {
    assert!(log.health().is_empty(), "{what}: {:?}", log.health());
    assert_eq!(log.range(of).await.unwrap(), range(start, end), "{what}");
    let kept: Vec<i64> = read_all(log, of, Offset(start)).await.into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(kept, (start..end).collect::<Vec<i64>>(), "{what}");
    if start > 0 {
        let refused = log.read(of, Offset(start - 1), ReadLimit::default(), NO_WAIT).await.unwrap_err();
        assert_eq!((refused.kind(), refused.reason()), (ErrorKind::NotFound, Some(Reason::OffsetOutOfRange)), "{what}");
    }
    assert_eq!(log.offset_at(of, Timestamp(0)).await.unwrap(), Offset(start), "{what}");
}

fn segments(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir.join("t/0")).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|extension| extension == "log")).count()
}

#[tokio::test]
async fn what_was_trimmed_stays_away_after_restarts_and_kills() {
    for (settings, before, left) in
        [(settings(), 4, 1), (settings(), 9, 1), (one_batch_a_segment(), 4, 2), (one_batch_a_segment(), 9, 1)]
    {
        let dir = folder();
        let log = open(dir.path(), settings.clone()).await;
        let to = partition(&log).await;
        for values in [&["0", "1", "2"], &["3", "4", "5"], &["6", "7", "8"]] {
            log.append(&to, batch(values, 1)).await.unwrap();
        }
        assert_eq!(log.trim(&to, Offset(before)).await.unwrap(), Offset(before));
        assert_eq!(segments(dir.path()), left);
        is_trimmed_to(&log, &to, before, 9, "trimmed").await;
        let killed = copy_whole(dir.path());
        log.close().await.unwrap();
        for (dir, what) in [(dir.path(), "closed"), (killed.path(), "killed")] {
            let log = open(dir, settings.clone()).await;
            is_trimmed_to(&log, &to, before, 9, what).await;
            assert_eq!(log.append(&to, batch(&["9"], 1)).await.unwrap(), range(9, 10));
            is_trimmed_to(&log, &to, before, 10, what).await;
        }
    }
}

#[tokio::test]
async fn a_trim_cut_off_anywhere_is_done_or_not_begun() {
    for (settings, before) in [(settings(), 2), (one_batch_a_segment(), 2), (one_batch_a_segment(), 4)] {
        for step in 1.. {
            let dir = folder();
            let (log, faults) = open_faulty(dir.path(), settings.clone()).await;
            let to = partition(&log).await;
            for value in ["0", "1", "2", "3"] {
                log.append(&to, batch(&[value], 1)).await.unwrap();
            }
            let steps = faults.steps();
            faults.fail_step(step, true);
            let answer = log.trim(&to, Offset(before)).await;
            if faults.steps() - steps < step {
                answer.unwrap();
                assert!(step > 5, "trimming takes more than {step} steps");
                break;
            }
            let copied = copy_whole(dir.path());
            let left = open(copied.path(), settings.clone()).await;
            let found = left.range(&to).await.unwrap().start.0;
            assert!(found == before || (found == 0 && answer.is_err()), "cut off at step {step}: it starts at {found}");
            is_trimmed_to(&left, &to, found, 4, &format!("cut off at step {step}")).await;
            left.trim(&to, Offset(before)).await.unwrap();
            is_trimmed_to(&left, &to, before, 4, &format!("cut off at step {step}, trimmed again")).await;
        }
    }
}

/// What a trim could not remove, retention removes, whoever still follows.
#[tokio::test]
async fn segments_that_a_trim_left_go_with_the_next_retention() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), one_batch_a_segment()).await;
    let to = partition(&log).await;
    for value in ["0", "1", "2"] {
        log.append(&to, batch(&[value], 1)).await.unwrap();
    }
    // Behind the note's five steps.
    faults.fail_step(6, false);
    assert_eq!(log.trim(&to, Offset(2)).await.unwrap(), Offset(2));
    is_trimmed_to(&log, &to, 2, 3, "not all was removed").await;
    assert!(segments(dir.path()) > 1);
    log.retain_now().await.unwrap();
    assert_eq!(segments(dir.path()), 1);
}

#[tokio::test]
async fn what_a_follower_needs_is_not_trimmed() {
    for ignores in [false, true] {
        let (dir, followers) = (folder(), Followers::default());
        let settings = LogSettings { retention_ignores_followers: ignores, ..one_batch_a_segment() };
        let log = DiskLog::open(dir.path(), settings, Clock::manual(NOW), followers.clone()).await.unwrap();
        let to = partition(&log).await;
        for value in ["0", "1", "2"] {
            log.append(&to, batch(&[value], 1)).await.unwrap();
        }
        followers.register("table", |_| true);
        followers.report("table", &to, Offset(1));
        assert_eq!(log.trim(&to, Offset(1)).await.unwrap(), Offset(1), "it has taken these");
        if ignores {
            assert_eq!(log.trim(&to, Offset(2)).await.unwrap(), Offset(2));
            continue;
        }
        let refused = log.trim(&to, Offset(2)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.reason()), (ErrorKind::Retry, Some(Reason::NotFollowedYet)));
        assert_eq!(log.delete_topic(&to.topic).await.unwrap_err().reason(), Some(Reason::NotFollowedYet));
        assert_eq!(log.trim(&to, Offset(4)).await.unwrap_err().kind(), ErrorKind::Invalid, "waiting is no use");
        assert_eq!(log.range(&to).await.unwrap(), range(1, 3));
        followers.report("table", &to, Offset(3));
        assert_eq!(log.trim(&to, Offset(3)).await.unwrap(), Offset(3));
    }
}

#[tokio::test]
async fn a_damaged_note_of_a_trim_is_said_out_loud() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    let to = partition(&log).await;
    log.append(&to, batch(&["0", "1", "2"], 1)).await.unwrap();
    log.trim(&to, Offset(2)).await.unwrap();
    log.close().await.unwrap();
    let path = dir.path().join("t/0/start");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let log = open(dir.path(), settings()).await;
    let refused = log.append(&to, batch(&["3"], 1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.message().contains(path.to_str().unwrap()), "{refused}");
    assert_eq!(log.stable_end(&to).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(log.producers(&to).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(log.trim(&to, Offset(2)).await.unwrap_err().kind(), ErrorKind::Corrupt);
    log.close().await.unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(open(dir.path(), settings()).await.range(&to).await.unwrap(), range(0, 3), "what is left of them is back");
}

/// The machine's clock may be set back while the server is down, and while it runs.
#[tokio::test]
async fn the_times_that_the_log_gives_never_go_back() {
    for kill in [false, true] {
        let dir = folder();
        let spec = TopicSpec { timestamps: TimestampType::Append, ..TopicSpec::default() };
        let to = TopicName::new("t").unwrap().partition(0);
        let mut copied = None;
        for (at, given) in [(5000, 5000), (3000, 5000), (6000, 6000)] {
            let folder = copied.as_ref().map_or(dir.path(), tempfile::TempDir::path).to_owned();
            let log = DiskLog::open(&folder, settings(), Clock::manual(Timestamp(at)), Followers::default()).await.unwrap();
            let _ = log.create_topic(&to.topic, spec.clone()).await;
            let offsets = log.append(&to, batch(&["x"], i64::MAX)).await.unwrap();
            let found = log.read(&to, offsets.start, ReadLimit::default(), NO_WAIT).await.unwrap();
            assert_eq!(found[0].max_timestamp(), Timestamp(given), "at {at}");
            if kill {
                copied = Some(copy_whole(&folder));
            } else {
                log.close().await.unwrap();
            }
        }
    }
}
