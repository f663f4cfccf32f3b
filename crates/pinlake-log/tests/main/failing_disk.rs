//! A disk that fails, fills up or is slow.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pinlake_core::batch::ProducerSequence;
use pinlake_core::testing::log_contract::{batch, read_all, topic};
use pinlake_core::{BatchBuilder, Clock, ErrorKind, Followers, Log, Offset, Timestamp, TopicName, TopicPartition, TopicSpec};
use pinlake_log::disk::{Disk, Faults, WriteFault};
use pinlake_log::{DiskLog, Durability, LogSettings};
use tokio::task::JoinSet;

use crate::setup::{NOW, copy_whole, folder, last_segment, open, open_faulty, partition, settings};

/// Starts appends and waits until they are all in the queue, behind a sync that is held.
async fn queue_behind_a_held_sync(
    log: &Arc<DiskLog>,
    faults: &Arc<Faults>,
    to: &TopicPartition,
    count: usize,
) -> JoinSet<ErrorOr> {
    faults.hold_syncs();
    let mut appends = JoinSet::new();
    for at in 0..=count {
        let (log, to) = (log.clone(), to.clone());
        appends
            .spawn(async move { log.append(&to, batch(&[&at.to_string()], 1)).await.map_err(|error| error.kind()).map(|_| ()) });
        if at == 0 {
            in_flight(faults, 1).await;
        }
    }
    // Every spawned task gets its turn before this one's again.
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
    appends
}

type ErrorOr = Result<(), ErrorKind>;

async fn in_flight(faults: &Arc<Faults>, syncs: usize) {
    let waiting = faults.clone();
    let patience = Duration::from_secs(60);
    let came = tokio::task::spawn_blocking(move || waiting.wait_for_syncs(syncs, patience)).await.unwrap();
    if !came {
        // A held sync would keep the runtime, and so the test, from ending.
        faults.release_syncs();
        panic!("{syncs} syncs at the same moment never came about, {} did", faults.syncs_in_flight_max());
    }
}

#[tokio::test]
async fn a_failed_sync_acknowledges_nothing_and_stops_the_partition() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), settings()).await;
    let log = Arc::new(log);
    let name = topic(&*log, "t", 2).await;
    let to = name.partition(0);
    log.append(&to, batch(&["good"], 1)).await.unwrap();

    faults.fail_sync(1);
    let mut appends = queue_behind_a_held_sync(&log, &faults, &to, 5).await;
    faults.release_syncs();
    while let Some(append) = appends.join_next().await {
        assert_eq!(append.unwrap(), Err(ErrorKind::Internal));
    }
    let syncs = faults.syncs();
    assert_eq!(log.append(&to, batch(&["later"], 1)).await.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(faults.syncs(), syncs, "a failed sync is never tried again");
    assert_eq!(read_all(&*log, &to, Offset::ZERO).await, [(0, "good".to_owned())], "reads go on");
    let health = log.health();
    assert_eq!(health.len(), 1);
    assert_eq!(health[0].partition, to);
    log.append(&name.partition(1), batch(&["elsewhere"], 1)).await.unwrap();

    assert!(log.close().await.is_err(), "a stopped partition is not closed well");
    let log = open(dir.path(), settings()).await;
    assert_eq!(read_all(&log, &to, Offset::ZERO).await[0].1, "good");
    assert!(log.health().is_empty());
    log.append(&to, batch(&["again"], 1)).await.unwrap();
}

#[tokio::test]
async fn a_torn_write_stops_the_partition_and_is_cut_at_the_next_start() {
    let whole = batch(&["torn"], 1).bytes().len();
    for reaches in 0..=whole {
        let dir = folder();
        let (log, faults) = open_faulty(dir.path(), settings()).await;
        let to = partition(&log).await;
        log.append(&to, batch(&["good"], 1)).await.unwrap();
        faults.fail_write(1, WriteFault { reaches, full: false });
        assert_eq!(log.append(&to, batch(&["torn"], 1)).await.unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(log.health().len(), 1);
        assert_eq!(log.range(&to).await.unwrap().end, Offset(1));
        let copied = copy_whole(dir.path());
        let log = open(copied.path(), settings()).await;
        let found = log.range(&to).await.unwrap().end;
        assert_eq!(found, Offset(if reaches == whole { 2 } else { 1 }), "{reaches} bytes reached the disk");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_appends_and_goes_on_when_there_is_room() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), settings()).await;
    let to = partition(&log).await;
    faults.set_room(Some(0));
    let first = log.append(&to, batch(&["no room for the first segment"], 1)).await.unwrap_err();
    assert_eq!(first.kind(), ErrorKind::Retry);
    faults.set_room(None);
    log.append(&to, batch(&["good"], 1)).await.unwrap();
    let len = std::fs::metadata(last_segment(&dir.path().join("t/0"))).unwrap().len();
    for room in [0, 1, 30, 61, 70] {
        faults.set_room(Some(room));
        let error = log.append(&to, batch(&["refused"], 1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Retry);
        assert!(error.message().contains("full"), "{error}");
        let left = std::fs::metadata(last_segment(&dir.path().join("t/0"))).unwrap().len();
        assert_eq!(left, len, "what was partly written is cut off again");
        assert_eq!(read_all(&log, &to, Offset::ZERO).await.len(), 1, "reads go on");
    }
    assert!(log.health().is_empty());
    faults.set_room(None);
    assert_eq!(log.append(&to, batch(&["fits"], 1)).await.unwrap().start, Offset(1));
    let found = read_all(&open(copy_whole(dir.path()).path(), settings()).await, &to, Offset::ZERO).await;
    assert_eq!(found, [(0, "good".to_owned()), (1, "fits".to_owned())]);
}

#[tokio::test]
async fn appends_are_refused_before_the_disk_is_full() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), LogSettings { disk_free_min: 1000, ..settings() }).await;
    let to = partition(&log).await;
    faults.set_free(Some(1000));
    assert_eq!(log.append(&to, batch(&["x"], 1)).await.unwrap_err().kind(), ErrorKind::Retry);
    faults.set_free(Some(2000));
    log.append(&to, batch(&["x"], 1)).await.unwrap();
}

#[tokio::test]
async fn a_refused_append_does_not_use_up_its_sequence() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), settings()).await;
    let to = partition(&log).await;
    let produced = |first| {
        let mut builder = BatchBuilder::new(Timestamp(1));
        builder.set_producer(ProducerSequence { id: 7, epoch: 0, first });
        builder.push(None, Some(b"x"));
        builder.build().unwrap()
    };
    log.append(&to, produced(0)).await.unwrap();
    faults.set_room(Some(10));
    assert_eq!(log.append(&to, produced(1)).await.unwrap_err().kind(), ErrorKind::Retry);
    assert_eq!(log.append(&to, produced(0)).await.unwrap().start, Offset(0), "what was there before is still known");
    faults.set_room(None);
    for _ in 0..2 {
        assert_eq!(log.append(&to, produced(1)).await.unwrap().start, Offset(1));
        assert_eq!(log.range(&to).await.unwrap().end, Offset(2), "what is acknowledged is there, once");
    }
}

#[tokio::test]
async fn waiting_appends_share_one_write_and_one_sync() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), settings()).await;
    let log = Arc::new(log);
    let to = partition(&log).await;
    let mut appends = queue_behind_a_held_sync(&log, &faults, &to, 50).await;
    faults.release_syncs();
    while let Some(append) = appends.join_next().await {
        append.unwrap().unwrap();
    }
    assert_eq!(faults.syncs(), 2, "one for the first append, one for the fifty that waited");
    assert_eq!(log.range(&to).await.unwrap().end, Offset(51));
}

#[tokio::test]
async fn nothing_is_readable_before_its_sync() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), settings()).await;
    let log = Arc::new(log);
    let to = partition(&log).await;
    let mut appends = queue_behind_a_held_sync(&log, &faults, &to, 0).await;
    assert_eq!(faults.writes(), 1 + 1, "topic.json and the batch are written");
    assert!(log.range(&to).await.unwrap().is_empty());
    assert_eq!(log.offset_at(&to, Timestamp(0)).await.unwrap(), Offset::ZERO);
    faults.release_syncs();
    appends.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(log.range(&to).await.unwrap().end, Offset(1));
}

/// Queues five appends in each partition while the first partition's sync is held.
async fn queue_in_all(log: &Arc<DiskLog>, faults: &Arc<Faults>, partitions: u32) -> JoinSet<ErrorOr> {
    let name = topic(&**log, "t", partitions).await;
    let mut appends = queue_behind_a_held_sync(log, faults, &name.partition(0), 4).await;
    for partition in 1..partitions {
        for _ in 0..5 {
            let (log, to) = (log.clone(), name.partition(partition));
            appends.spawn(async move { log.append(&to, batch(&["x"], 1)).await.map_err(|error| error.kind()).map(|_| ()) });
        }
    }
    // The runtime lets a few dozen tasks run a turn: these are turns enough for every append and every owner.
    for _ in 0..partitions + 10 {
        tokio::task::yield_now().await;
    }
    appends
}

/// Where the file system can be synced as a whole, a round is one sync from 16 partitions on.
#[tokio::test]
async fn syncs_stay_level_from_1_to_200_partitions() {
    for (partitions, most) in [(1, 2), (10, 11), (100, 3), (200, 3)] {
        let dir = folder();
        let faults = Arc::new(Faults::default());
        faults.allow_whole_syncs();
        let log = Arc::new(open_on(&faults, dir.path()).await);
        let appends = queue_in_all(&log, &faults, partitions).await;
        faults.release_syncs();
        assert!(appends.join_all().await.iter().all(Result::is_ok));
        let syncs = faults.syncs();
        assert!(syncs <= most, "{partitions} partitions with 5 appends each took {syncs} syncs");
    }
}

/// Elsewhere the files of a round are synced side by side, each once for all its waiting appends, so that their flushes are shared.
#[tokio::test]
async fn syncs_run_side_by_side_from_1_to_200_partitions() {
    for partitions in [1, 10, 100, 200] {
        let dir = folder();
        let (log, faults) = open_faulty(dir.path(), settings()).await;
        let log = Arc::new(log);
        let appends = queue_in_all(&log, &faults, partitions).await;
        faults.hold_later_syncs();
        let (lanes, others) = (LogSettings::default().sync_lanes, partitions as usize - 1);
        in_flight(&faults, lanes.min(others.max(1))).await;
        faults.release_syncs();
        assert!(appends.join_all().await.iter().all(Result::is_ok));
        assert!(faults.syncs_in_flight_max() <= lanes);
        let syncs = faults.syncs();
        assert!(syncs <= 1 + u64::from(partitions), "{partitions} partitions with 5 appends each took {syncs} syncs");
    }
}

#[tokio::test]
async fn a_failed_sync_of_the_file_system_stops_every_partition_of_its_round() {
    let dir = folder();
    let faults = Arc::new(Faults::default());
    faults.allow_whole_syncs();
    let log = Arc::new(open_on(&faults, dir.path()).await);
    let appends = queue_in_all(&log, &faults, 40).await;
    faults.fail_sync(1);
    faults.release_syncs();
    let answers = appends.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "only the round before is acknowledged");
    assert!(answers.iter().all(|answer| matches!(answer, Ok(()) | Err(ErrorKind::Internal))));
    assert_eq!(log.health().len(), 40);
    let name = pinlake_core::TopicName::new("t").unwrap();
    assert_eq!(log.range(&name.partition(0)).await.unwrap().end, Offset(1));
    assert_eq!(log.range(&name.partition(39)).await.unwrap().end, Offset(0));
}

async fn open_on(faults: &Arc<Faults>, dir: &std::path::Path) -> DiskLog {
    let disk = Disk::with_faults(faults.clone());
    DiskLog::open_on(disk, dir, settings(), Clock::manual(NOW), Followers::default()).await.unwrap()
}

#[tokio::test]
async fn an_append_whose_caller_went_away_is_whole_or_not_there() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), settings()).await;
    let log = Arc::new(log);
    let to = partition(&log).await;
    let mut appends = queue_behind_a_held_sync(&log, &faults, &to, 3).await;
    appends.abort_all();
    while appends.join_next().await.is_some() {}
    faults.release_syncs();
    let after = log.append(&to, batch(&["after"], 1)).await.unwrap();
    let found = read_all(&*log, &to, Offset::ZERO).await;
    assert_eq!(found.len() as i64, after.end.0);
    assert_eq!(found.last().unwrap().1, "after");
}

#[tokio::test]
async fn too_many_waiting_bytes_are_refused() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), LogSettings { append_bytes_max: 10_000, ..settings() }).await;
    let log = Arc::new(log);
    let to = partition(&log).await;
    let value = "x".repeat(4000);
    faults.hold_syncs();
    let mut appends = JoinSet::new();
    for _ in 0..2 {
        let (log, to, value) = (log.clone(), to.clone(), value.clone());
        appends.spawn(async move { log.append(&to, batch(&[&value], 1)).await.unwrap() });
    }
    in_flight(&faults, 1).await;
    tokio::task::yield_now().await;
    assert_eq!(log.append(&to, batch(&[&value], 1)).await.unwrap_err().kind(), ErrorKind::Retry);
    faults.release_syncs();
    appends.join_all().await;
    log.append(&to, batch(&[&value], 1)).await.unwrap();
    log.append(&to, batch(&[&"x".repeat(20_000)], 1)).await.expect("one append over the limit goes alone");
}

#[tokio::test]
async fn interval_syncs_by_itself_and_stops_when_that_fails() {
    let dir = folder();
    let often = LogSettings { durability: Durability::Interval, sync_interval: Duration::from_millis(1), ..settings() };
    let (log, faults) = open_faulty(dir.path(), often).await;
    let to = partition(&log).await;
    faults.hold_syncs();
    log.append(&to, batch(&["acknowledged before the sync"], 1)).await.unwrap();
    in_flight(&faults, 1).await;
    faults.release_syncs();
    faults.fail_sync(1);
    while log.append(&to, batch(&["x"], 1)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.health().len(), 1);
}

#[tokio::test]
async fn close_drains_what_waits() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path(), settings()).await;
    let log = Arc::new(log);
    let to = partition(&log).await;
    let mut appends = queue_behind_a_held_sync(&log, &faults, &to, 10).await;
    let closing = tokio::spawn({
        let log = log.clone();
        async move { log.close().await }
    });
    tokio::task::yield_now().await;
    faults.release_syncs();
    closing.await.unwrap().unwrap();
    while let Some(append) = appends.join_next().await {
        append.unwrap().unwrap();
    }
    assert_eq!(log.append(&to, batch(&["late"], 1)).await.unwrap_err().kind(), ErrorKind::Retry);
    assert_eq!(read_all(&open(dir.path(), settings()).await, &to, Offset::ZERO).await.len(), 11);
}

/// A partition whose records expire after a second.
async fn expiring(dir: &Path, settings: LogSettings) -> (DiskLog, Arc<Faults>, TopicPartition) {
    let (log, faults) = open_faulty(dir, settings).await;
    let name = TopicName::new("t").unwrap();
    log.create_topic(&name, TopicSpec { retention_ms: Some(1000), ..TopicSpec::default() }).await.unwrap();
    (log, faults, name.partition(0))
}

/// All that the partition's range promises is there, in the log and in what a restart makes of its folder. Answers where the two start.
async fn whole_range(log: &DiskLog, dir: &Path, to: &TopicPartition) -> [Offset; 2] {
    let copied = copy_whole(dir);
    let again = open(copied.path(), settings()).await;
    assert!(again.health().is_empty(), "{:?}", again.health());
    let mut starts = Vec::new();
    for log in [log, &again] {
        let range = log.range(to).await.unwrap();
        let offsets: Vec<i64> = read_all(log, to, range.start).await.into_iter().map(|(offset, _)| offset).collect();
        assert_eq!(offsets, (range.start.0..range.end.0).collect::<Vec<i64>>());
        starts.push(range.start);
    }
    [starts[0], starts[1]]
}

/// Retention seals an expired segment that is far from full: appends go on in it if the next one can't be made.
#[tokio::test]
async fn a_segment_that_could_not_be_made_is_no_damage_later() {
    for (for_good, stopped) in [(false, 0), (true, 1)] {
        let dir = folder();
        let (log, faults, to) = expiring(dir.path(), settings()).await;
        log.append(&to, batch(&["0"], 1)).await.unwrap();
        // The folder's sync, after the file is there.
        faults.fail_step(1, for_good);
        assert_eq!(log.retain_now().await.is_err(), !for_good, "a stopped partition has nothing to drop");
        assert_eq!(log.append(&to, batch(&["1"], 1)).await.is_err(), for_good);
        assert_eq!(log.health().len(), stopped, "what can't be undone stops the partition");
        assert_eq!(whole_range(&log, dir.path(), &to).await, [Offset(0); 2]);
    }
}

#[tokio::test]
async fn retention_that_fails_leaves_no_hole_and_tries_again() {
    // The oldest segment's steps are its log, its two indexes and the folder's sync.
    for (failing, dropped) in [(1, 0), (4, 1), (5, 1), (8, 2)] {
        let dir = folder();
        let one_batch_a_segment = LogSettings { segment_bytes: 80, ..settings() };
        let (log, faults, to) = expiring(dir.path(), one_batch_a_segment).await;
        for value in ["0", "1", "2"] {
            log.append(&to, batch(&[value], 1)).await.unwrap();
        }
        log.append(&to, batch(&["3"], NOW.0)).await.unwrap();
        faults.fail_step(failing, false);
        assert_eq!(log.retain_now().await.unwrap(), dropped, "step {failing} failed");
        let [_, start] = whole_range(&log, dir.path(), &to).await;
        assert_eq!(start, Offset(dropped as i64), "step {failing} failed");
        assert_eq!(log.retain_now().await.unwrap(), 3 - dropped);
        assert_eq!(whole_range(&log, dir.path(), &to).await, [Offset(3); 2]);
    }
}

/// Offsets that are used up are the way to a panic in the owner that is left.
#[tokio::test]
async fn a_partition_whose_owner_panicked_is_seen_as_stopped() {
    let dir = folder();
    let log = open(dir.path(), settings()).await;
    let name = topic(&log, "t", 2).await;
    log.append(&name.partition(0), batch(&["0"], 1)).await.unwrap();
    log.close().await.unwrap();
    assert!(log.health().is_empty(), "a closed log has not stopped");
    std::fs::create_dir(dir.path().join("t/1")).unwrap();
    std::fs::write(dir.path().join(format!("t/1/{:020}.log", i64::MAX - 1)), "").unwrap();

    let log = open(dir.path(), settings()).await;
    for _ in 0..2 {
        let error = log.append(&name.partition(1), batch(&["x", "y"], 1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "trying again is no use: {error}");
    }
    assert_eq!(log.health().iter().map(|stopped| &stopped.partition).collect::<Vec<_>>(), [&name.partition(1)]);
    log.append(&name.partition(0), batch(&["1"], 1)).await.expect("the others work");
    log.retain_now().await.expect("there is nothing to drop in it");
    log.close().await.expect_err("a stopped partition is not closed well");
}

/// A data folder is often made with folders above it, each of which is a name in another.
#[tokio::test]
async fn every_folder_made_for_the_log_is_synced_by_name() {
    let dir = folder();
    // Making them, then syncing what holds each.
    for failing in 1..=4 {
        let faults = Arc::new(Faults::default());
        faults.fail_step(failing, false);
        let disk = Disk::with_faults(faults.clone());
        let made = dir.path().join(format!("{failing}/data/log"));
        let opened = DiskLog::open_on(disk, &made, settings(), Clock::manual(NOW), Followers::default()).await;
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::Internal, "step {failing} failed");
        assert_eq!(faults.steps(), failing);
    }
}
