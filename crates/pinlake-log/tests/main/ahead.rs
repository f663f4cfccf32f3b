//! What comes while a sync is under way is written for the next one already: nobody sees it before its own sync, and no failure leaves a trace.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use pinlake_core::batch::{Marker, ProducerSequence};
use pinlake_core::testing::log_contract::transactions::{marker, read_all_committed, transactional};
use pinlake_core::testing::log_contract::{batch, read_all, topic};
use pinlake_core::{Batch, BatchBuilder, Clock, ErrorKind, Followers, Log, Offset, Timestamp, TopicPartition};
use pinlake_log::disk::{Disk, Faults, WriteFault};
use pinlake_log::{DiskLog, LogSettings};
use tokio::task::JoinHandle;

use crate::setup::{NOW, copy_whole, folder, last_segment, open, open_faulty, partition, settings};

/// What is written ahead at once, in these tests: more than one small batch.
const AHEAD: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(60);

fn ahead() -> LogSettings {
    LogSettings { ahead_bytes: AHEAD, ..settings() }
}

type Answer = JoinHandle<Result<i64, ErrorKind>>;

/// A log with one partition, and whose syncs can be held.
struct Held {
    log: Arc<DiskLog>,
    faults: Arc<Faults>,
    to: TopicPartition,
    dir: tempfile::TempDir,
}

impl Held {
    async fn new() -> Self {
        let dir = folder();
        let (log, faults) = open_faulty(dir.path(), ahead()).await;
        let to = partition(&log).await;
        log.append(&to, batch(&["durable"], 1)).await.unwrap();
        Self { log: Arc::new(log), faults, to, dir }
    }

    /// Starts an append, which has its place when this answers.
    async fn append(&self, batch: Batch) -> Answer {
        let (log, to) = (self.log.clone(), self.to.clone());
        let append =
            tokio::spawn(
                async move { log.append(&to, batch).await.map(|offsets| offsets.start.0).map_err(|error| error.kind()) },
            );
        // On this runtime's one thread all that is spawned gets its turn before this goes on.
        tokio::task::yield_now().await;
        append
    }

    /// Starts an append whose sync is held.
    async fn append_held(&self, batch: Batch) -> Answer {
        self.faults.hold_syncs();
        let append = self.append(batch).await;
        self.wait(|faults| faults.wait_for_syncs(1, PATIENCE), "a held sync").await;
        append
    }

    /// Starts an append of so much that it is written ahead, and waits until it is being written.
    async fn append_ahead(&self, batch: Batch) -> Answer {
        let writes = self.faults.writes();
        let append = self.append(batch).await;
        self.wait(move |faults| faults.wait_for_writes(writes + 1, PATIENCE), "a write ahead").await;
        append
    }

    /// Lets the held syncs go on, and waits until the next round's are held.
    async fn next_syncs(&self, count: u64) {
        let syncs = self.faults.syncs();
        self.faults.hold_later_syncs();
        self.wait(move |faults| faults.wait_for_syncs_begun(syncs + count, PATIENCE), "the next round's syncs").await;
    }

    async fn wait(&self, until: impl FnOnce(&Faults) -> bool + Send + 'static, what: &str) {
        let faults = self.faults.clone();
        let came = tokio::task::spawn_blocking(move || until(&faults)).await.unwrap();
        assert!(came, "{what} never came about");
    }

    async fn end(&self) -> i64 {
        self.log.range(&self.to).await.unwrap().end.0
    }

    fn file_len(&self) -> u64 {
        std::fs::metadata(last_segment(&self.dir.path().join("t/0"))).unwrap().len()
    }

    /// The records that a start after `kill -9` finds now.
    async fn after_a_kill(&self) -> Vec<String> {
        let copied = copy_whole(self.dir.path());
        let log = open(copied.path(), ahead()).await;
        assert!(log.health().is_empty());
        read_all(&log, &self.to, Offset::ZERO).await.into_iter().map(|(_, value)| value).collect()
    }
}

/// What is held would keep the runtime, and so a test that fails, from ending.
impl Drop for Held {
    fn drop(&mut self) {
        self.faults.release_syncs();
        self.faults.release_write();
    }
}

fn much(what: &str) -> Batch {
    batch(&[what, &"x".repeat(AHEAD)], 1)
}

fn produced(first: i32) -> Batch {
    let mut builder = BatchBuilder::new(Timestamp(1));
    builder.set_producer(ProducerSequence { id: 7, epoch: 0, first });
    builder.push(None, Some(&[b'x'; AHEAD]));
    builder.build().unwrap()
}

#[tokio::test]
async fn much_is_written_while_a_sync_is_held_and_seen_after_its_own() {
    let held = Held::new().await;
    let writes = held.faults.writes();
    let first = held.append_held(batch(&["first"], 1)).await;
    let little = held.append(batch(&["little"], 1)).await;
    assert_eq!(held.faults.writes(), writes + 1, "little waits");
    let more = held.append_ahead(much("more")).await;
    let last = held.append_ahead(much("last")).await;
    assert_eq!(held.faults.writes(), writes + 3, "little goes with what is much");
    assert_eq!(held.end().await, 1, "nothing is seen before a sync");
    let syncs = held.faults.syncs();
    held.next_syncs(1).await;
    assert_eq!(first.await.unwrap(), Ok(1));
    assert_eq!(held.end().await, 2, "what is written ahead is not seen with the round before");
    held.faults.release_syncs();
    assert_eq!((little.await.unwrap(), more.await.unwrap(), last.await.unwrap()), (Ok(2), Ok(3), Ok(5)));
    assert_eq!((held.faults.syncs(), held.faults.writes()), (syncs + 1, writes + 3), "one sync, and nothing is written again");
    let found = read_all(&*held.log, &held.to, Offset::ZERO).await;
    assert_eq!(held.after_a_kill().await, found.into_iter().map(|(_, value)| value).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failed_sync_acknowledges_nothing_that_was_written_behind_it() {
    for fails in [1, 2] {
        let held = Held::new().await;
        held.faults.fail_sync(fails);
        let first = held.append_held(batch(&["first"], 1)).await;
        let next = held.append_ahead(much("next")).await;
        held.faults.release_syncs();
        let acknowledged = fails == 2;
        assert_eq!(first.await.unwrap(), if acknowledged { Ok(1) } else { Err(ErrorKind::Internal) });
        assert_eq!(next.await.unwrap(), Err(ErrorKind::Internal));
        assert_eq!(held.log.health().len(), 1, "the partition stopped");
        assert_eq!(held.end().await, 1 + i64::from(acknowledged));
        assert!(held.after_a_kill().await.starts_with(&["durable".to_owned()]));
    }
}

#[tokio::test]
async fn a_disk_without_room_refuses_what_is_written_ahead_and_keeps_the_round_before() {
    let held = Held::new().await;
    let first = held.append_held(produced(0)).await;
    let len = held.file_len();
    held.faults.set_room(Some(100));
    let next = held.append_ahead(produced(1)).await;
    assert_eq!(next.await.unwrap(), Err(ErrorKind::Retry));
    assert_eq!(held.file_len(), len, "what was partly written is cut off again");
    let later = held.append(produced(1)).await;
    held.faults.set_room(None);
    held.faults.release_syncs();
    assert_eq!(first.await.unwrap(), Ok(1));
    assert_eq!(later.await.unwrap(), Ok(2), "the sequence was not used up");
    assert!(held.log.health().is_empty());
    assert_eq!(held.after_a_kill().await.len(), 3);
}

#[tokio::test]
async fn a_round_that_finds_no_room_for_its_rest_leaves_nothing_of_what_was_ahead() {
    let held = Held::new().await;
    let first = held.append_held(produced(0)).await;
    let len = held.file_len();
    let next = held.append_ahead(produced(1)).await;
    let rest = held.append(batch(&["rest"], 1)).await;
    held.faults.set_room(Some(10));
    held.faults.release_syncs();
    assert_eq!(first.await.unwrap(), Ok(1));
    assert_eq!((next.await.unwrap(), rest.await.unwrap()), (Err(ErrorKind::Retry), Err(ErrorKind::Retry)));
    assert_eq!(held.file_len(), len);
    assert_eq!(held.after_a_kill().await.len(), 2);
    held.faults.set_room(None);
    assert_eq!(held.append(produced(1)).await.await.unwrap(), Ok(2), "the sequence was not used up");
    assert_eq!(held.after_a_kill().await.len(), 3);
}

/// What a sync took along is cut off for good before another segment follows: else it would be found in the place of what that holds.
#[tokio::test]
async fn a_cut_is_synced_before_a_segment_follows() {
    for written_ahead_alone in [false, true] {
        let dir = folder();
        let (log, faults) = open_faulty(dir.path(), LogSettings { segment_bytes: 4000, ..ahead() }).await;
        let to = partition(&log).await;
        let held = Held { log: Arc::new(log), faults, to, dir };
        held.log.append(&held.to, batch(&["durable"], 1)).await.unwrap();
        let first = held.append_held(batch(&["first"], 1)).await;
        if written_ahead_alone {
            held.faults.set_room(Some(1));
        }
        let next = held.append_ahead(much("next")).await;
        let rest = held.append(batch(&["rest"], 1)).await;
        held.faults.set_room(Some(1));
        held.faults.release_syncs();
        assert_eq!(first.await.unwrap(), Ok(1));
        assert_eq!((next.await.unwrap(), rest.await.unwrap()), (Err(ErrorKind::Retry), Err(ErrorKind::Retry)));
        held.faults.set_room(None);
        let (before, syncs) = (last_segment(&held.dir.path().join("t/0")), held.faults.syncs());
        assert_eq!(held.append(batch(&["large", &"y".repeat(3900)], 1)).await.await.unwrap(), Ok(2));
        assert_ne!(last_segment(&held.dir.path().join("t/0")), before);
        assert_eq!(held.faults.syncs(), syncs + 2, "of the segment that was cut, and of the new one");
    }
}

#[tokio::test]
async fn what_is_synced_is_acknowledged_while_the_next_is_still_written() {
    let held = Held::new().await;
    let first = held.append_held(batch(&["first"], 1)).await;
    held.faults.hold_write(1);
    let next = held.append_ahead(much("next")).await;
    held.faults.release_syncs();
    assert_eq!(first.await.unwrap(), Ok(1));
    assert_eq!(held.end().await, 2);
    held.faults.release_write();
    assert_eq!(next.await.unwrap(), Ok(2));
}

#[tokio::test]
async fn a_log_that_is_closed_has_its_file_free_though_a_write_ahead_takes_long() {
    let held = Held::new().await;
    held.faults.fail_sync(1);
    let first = held.append_held(batch(&["first"], 1)).await;
    held.faults.hold_write(1);
    let next = held.append_ahead(much("next")).await;
    let log = held.log.clone();
    let closing = tokio::spawn(async move { log.close().await });
    held.faults.release_syncs();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!closing.is_finished(), "somebody still writes");
    held.faults.release_write();
    assert!(closing.await.unwrap().is_err(), "a stopped partition is not closed well");
    assert_eq!((first.await.unwrap(), next.await.unwrap()), (Err(ErrorKind::Internal), Err(ErrorKind::Internal)));
    assert_eq!(read_all(&open(held.dir.path(), ahead()).await, &held.to, Offset::ZERO).await[0].1, "durable");
}

#[tokio::test]
async fn a_write_ahead_that_is_torn_stops_the_partition_and_keeps_the_round_before() {
    let held = Held::new().await;
    let first = held.append_held(batch(&["first"], 1)).await;
    held.faults.fail_write(1, WriteFault { reaches: 70, full: false });
    let next = held.append_ahead(much("next")).await;
    assert_eq!(next.await.unwrap(), Err(ErrorKind::Internal));
    held.faults.release_syncs();
    assert_eq!(first.await.unwrap(), Ok(1));
    assert_eq!(held.log.health().len(), 1);
    assert_eq!(held.append(batch(&["later"], 1)).await.await.unwrap(), Err(ErrorKind::Internal));
    assert_eq!(held.after_a_kill().await, ["durable", "first"]);
}

#[tokio::test]
async fn a_repeat_of_what_is_written_ahead_is_answered_as_the_first() {
    let held = Held::new().await;
    let first = held.append_held(produced(0)).await;
    let next = held.append_ahead(produced(1)).await;
    let repeats = [held.append(produced(0)).await, held.append(produced(1)).await];
    held.faults.release_syncs();
    assert_eq!((first.await.unwrap(), next.await.unwrap()), (Ok(1), Ok(2)));
    for (repeat, offset) in repeats.into_iter().zip([1, 2]) {
        assert_eq!(repeat.await.unwrap(), Ok(offset));
    }
    assert_eq!(held.end().await, 3);
}

#[tokio::test]
async fn a_marker_that_is_written_ahead_decides_nothing_before_its_sync() {
    let held = Held::new().await;
    held.log.append(&held.to, transactional(7, 0, 0, &["aborted"])).await.unwrap();
    let first = held.append_held(batch(&["first"], 1)).await;
    let end = held.append(marker(Marker::Abort, 7, 0)).await;
    let more = held.append_ahead(much("more")).await;
    held.next_syncs(1).await;
    assert_eq!(first.await.unwrap(), Ok(2));
    let committed = read_all_committed(&*held.log, &held.to, Offset::ZERO).await;
    assert_eq!(committed, [(0, "durable".to_owned())], "the transaction is still open");
    held.faults.release_syncs();
    assert_eq!((end.await.unwrap(), more.await.unwrap()), (Ok(3), Ok(4)));
    let committed = read_all_committed(&*held.log, &held.to, Offset::ZERO).await;
    assert_eq!(committed.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [0, 2, 4, 5]);
}

/// What is noted of producers at a checkpoint must be in the log: else a repeat of what was lost with the power would be taken for a duplicate.
#[tokio::test]
async fn no_checkpoint_knows_of_what_is_written_ahead() {
    let dir = folder();
    // Each round is due to be noted.
    let (log, faults) = open_faulty(dir.path(), LogSettings { checkpoint_bytes: 1, ..ahead() }).await;
    let to = partition(&log).await;
    let held = Held { log: Arc::new(log), faults, to, dir };
    let writes = held.faults.writes();
    let first = held.append_held(produced(0)).await;
    let next = held.append(produced(1)).await;
    assert_eq!(held.faults.writes(), writes + 1, "nothing is written ahead of a checkpoint");
    held.next_syncs(1).await;
    assert_eq!(first.await.unwrap(), Ok(0));
    let copied = copy_whole(held.dir.path());
    let path = last_segment(&copied.path().join("t/0"));
    let log = std::fs::read(&path).unwrap();
    std::fs::write(&path, &log[..log.len() / 2]).unwrap();
    held.faults.release_syncs();
    assert_eq!(next.await.unwrap(), Ok(1));
    let log = open(copied.path(), ahead()).await;
    assert_eq!(log.append(&held.to, produced(1)).await.unwrap().start, Offset(1));
    assert_eq!(log.range(&held.to).await.unwrap().end, Offset(2), "the power was lost with it, so it is appended");
}

/// A sync of the whole file system tells a failure once, to the round that asked: who has written meanwhile can't trust its own.
#[tokio::test(start_paused = true)]
async fn a_failed_sync_of_the_file_system_is_not_missed_by_who_wrote_ahead_of_it() {
    let dir = folder();
    let faults = Arc::new(Faults::default());
    faults.allow_whole_syncs();
    let disk = Disk::with_faults(faults.clone());
    let log = DiskLog::open_on(disk, dir.path(), ahead(), Clock::manual(NOW), Followers::default()).await.unwrap();
    let name = topic(&log, "t", 60).await;
    let held = Held { log: Arc::new(log), faults, to: name.partition(0), dir };
    let some = async |partitions: Range<u32>| {
        let append = |number| {
            let (log, to) = (held.log.clone(), name.partition(number));
            tokio::spawn(async move { log.append(&to, batch(&["x"], 1)).await.map(|_| ()).map_err(|error| error.kind()) })
        };
        let appends: Vec<_> = partitions.map(append).collect();
        // Turns enough of this runtime's one thread for all of them and their partitions' owners.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        appends
    };
    // Both ways are tried. That of syncing each file is found to be the dearer, so the other is taken from then on.
    for syncs in [1, 20] {
        let alone = held.append_held(batch(&["alone"], 1)).await;
        let round = some(1..21).await;
        held.next_syncs(syncs).await;
        tokio::time::advance(Duration::from_secs(syncs - 1)).await;
        held.faults.release_syncs();
        alone.await.unwrap().unwrap();
        assert!(join_all(round).await.into_iter().all(|append| append.unwrap().is_ok()));
    }

    let alone = held.append_held(batch(&["alone"], 1)).await;
    let (first, first_round) = (held.append(batch(&["first"], 1)).await, some(1..20).await);
    held.next_syncs(1).await;
    held.faults.hold_write(1);
    let ahead = held.append_ahead(much("ahead")).await;
    let second_round = some(20..40).await;
    held.faults.fail_sync(1);
    held.next_syncs(1).await;
    let third_round = some(40..60).await;
    held.faults.release_write();
    first.await.unwrap().unwrap();
    held.faults.release_syncs();
    alone.await.unwrap().unwrap();
    assert!(join_all(first_round.into_iter().chain(third_round)).await.into_iter().all(|append| append.unwrap().is_ok()));
    assert!(join_all(second_round).await.into_iter().all(|append| append.unwrap() == Err(ErrorKind::Internal)));
    assert_eq!(ahead.await.unwrap(), Err(ErrorKind::Internal), "its own sync went well, but the one before may have been for it");
    assert_eq!(held.log.health().len(), 21);
}

#[tokio::test]
async fn segments_are_as_large_as_they_may_be_and_no_larger() {
    let dir = folder();
    let log = open(dir.path(), LogSettings { segment_bytes: 5000, ahead_bytes: 1, round_appends_max: 2, ..settings() }).await;
    let to = partition(&log).await;
    let appends = join_all((0..30).map(|at| log.append(&to, batch(&[&at.to_string(), &"x".repeat(700)], 1))));
    assert!(appends.await.iter().all(Result::is_ok));
    let lens: Vec<u64> = segments(&dir.path().join("t/0"));
    assert!(lens.iter().all(|len| *len <= 5000), "{lens:?}");
    assert_eq!(lens.len(), 5, "six batches a segment: {lens:?}");
    let copied = copy_whole(dir.path());
    assert_eq!(read_all(&open(copied.path(), settings()).await, &to, Offset::ZERO).await.len(), 60);
}

fn segments(partition: &Path) -> Vec<u64> {
    let files = std::fs::read_dir(partition).unwrap().map(|entry| entry.unwrap());
    let logs = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "log"));
    logs.map(|file| file.metadata().unwrap().len()).collect()
}

/// A batch of a producer: one record that names both.
fn numbered(id: i64, sequence: i32) -> Batch {
    let mut builder = BatchBuilder::new(Timestamp(1));
    builder.set_producer(ProducerSequence { id, epoch: 0, first: sequence });
    let value = format!("{id}/{sequence}/{}", "z".repeat(sequence as usize * 7 % 500));
    builder.push(None, Some(value.as_bytes()));
    builder.build().unwrap()
}

/// Sends so many batches behind the first, five under way at a time, to a disk that is full now and then. Answers the offsets of all,
/// and how often the disk was full.
async fn produce(log: Arc<DiskLog>, faults: Arc<Faults>, to: TopicPartition, id: i64, count: i32) -> (Vec<i64>, usize) {
    let (mut acknowledged, mut refused) = (vec![id], 0);
    for turn in 0_usize.. {
        let next = acknowledged.len() as i32;
        if next >= count {
            break;
        }
        faults.set_room((turn % 3 == 0).then_some(turn * 331 % 2500));
        for answer in join_all((next..next + 5).map(|sequence| log.append(&to, numbered(id, sequence)))).await {
            match answer {
                Ok(offsets) => acknowledged.push(offsets.start.0),
                // Those behind it are refused too, or repeated.
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Retry, "{error}");
                    refused += 1;
                    break;
                }
            }
        }
    }
    faults.set_room(None);
    (acknowledged, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refusals_of_a_full_disk_lose_double_and_reorder_nothing() {
    let mut refused = 0;
    for seed in 0..4 {
        let dir = folder();
        let (ahead_bytes, round_appends_max) = (1 + seed % 3 * 300, 2 + seed);
        let settings =
            LogSettings { ahead_bytes, round_appends_max, segment_bytes: 20_000, checkpoint_bytes: 3_000, ..settings() };
        let (log, faults) = open_faulty(dir.path(), settings.clone()).await;
        let (to, log) = (partition(&log).await, Arc::new(log));
        // A log that does not know a producer takes any of its batches for the first.
        for id in 0..6 {
            assert_eq!(log.append(&to, numbered(id, 0)).await.unwrap().start, Offset(id));
        }
        let producers = (0..6).map(|id| tokio::spawn(produce(log.clone(), faults.clone(), to.clone(), id, 200)));
        let acknowledged = join_all(producers).await;
        let found = read_all(&*log, &to, Offset::ZERO).await;
        assert!(found.iter().map(|(offset, _)| *offset).eq(0..found.len() as i64));
        for (id, acknowledged) in acknowledged.into_iter().enumerate() {
            let own = found.iter().filter_map(|(offset, value)| {
                let sequence = value.strip_prefix(&format!("{id}/"))?.split('/').next()?.parse::<usize>().unwrap();
                Some((sequence, *offset))
            });
            let own: Vec<_> = own.collect();
            assert!(own.iter().map(|(sequence, _)| *sequence).eq(0..own.len()), "producer {id} of {seed}: {own:?}");
            let (acknowledged, times) = acknowledged.unwrap();
            refused += times;
            assert!(acknowledged.iter().zip(&own).all(|(offset, (_, found))| offset == found), "producer {id} of {seed}");
            assert!(own.len() >= acknowledged.len());
        }
        assert_eq!(read_all(&open(copy_whole(dir.path()).path(), settings).await, &to, Offset::ZERO).await, found);
    }
    assert!(refused > 20, "the disk was full {refused} times only");
}
