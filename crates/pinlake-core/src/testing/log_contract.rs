//! The contract of [`Log`]: each function is one line of it. An implementation's tests call [`run`] with a way to open a log.

mod topics;
pub mod transactions;

use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::batch::{Batch, BatchBuilder, ProducerSequence};
use crate::clock::Timestamp;
use crate::error::{ErrorKind, Reason};
use crate::log::{Log, ReadLimit, TopicSpec};
use crate::position::{Offset, OffsetRange, TopicName, TopicPartition};
use crate::record::Record;

const NO_WAIT: Duration = Duration::ZERO;

/// What a log leaves to somebody else: the lines of the contract that it does not keep by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Delegated {
    /// A topic that is created again starts at 0, as a cluster of Kafka's has it.
    pub offsets_after_deletion: bool,
    /// Transactions are between a producer and whoever keeps the log: neither their batches nor their markers are appended. The log's own tests
    /// show that their outcome is read.
    pub transactions: bool,
    /// Of a producer's batches only the newest is answered with its own offsets when it comes again, and an old epoch is refused without saying why.
    /// Kafka knows the last five and says so; a program that stands for it need not.
    pub producers_past: bool,
    /// A topic that is created again has the id of the one before: brokers before Kafka 2.8 have none but the name.
    pub topic_ids: bool,
}

/// Runs the whole contract; `open` gives a new, empty log each time.
pub async fn run<L: Log, F: Future<Output = L>>(open: impl Fn() -> F) {
    run_without(Delegated::default(), open).await;
}

/// Runs the contract but for the lines that are delegated: of these it checks what the log does instead.
pub async fn run_without<L: Log, F: Future<Output = L>>(delegated: Delegated, open: impl Fn() -> F) {
    topics_are_created_listed_and_deleted(open().await).await;
    offsets_are_dense_and_reads_answer_from_any_offset(open().await).await;
    a_read_at_the_end_waits_for_the_next_batch(open().await).await;
    reads_outside_the_range_are_refused(open().await).await;
    a_read_answers_one_batch_however_large(open().await).await;
    concurrent_appends_linearise(Arc::new(open().await)).await;
    appends_are_taken_in_the_order_of_their_first_polls(open().await).await;
    a_reader_at_the_end_stays_within_the_range(Arc::new(open().await)).await;
    if delegated.producers_past {
        say("delegated: what is known of a producer but its newest batch");
    }
    let repeats = if delegated.producers_past { 3..4 } else { 0..4 };
    a_repeated_producer_sequence_answers_its_first_offsets(open().await, repeats).await;
    a_gap_in_a_producers_sequence_is_refused(open().await, !delegated.producers_past).await;
    time_finds_its_offset(open().await).await;
    what_is_too_large_is_refused(open().await).await;
    partitions_are_independent(open().await).await;
    what_no_partition_may_hold_is_refused(open().await).await;
    if delegated.topic_ids {
        say("delegated: what tells a topic from one of the same name that was deleted");
    }
    topics::run(&open, !delegated.topic_ids).await;
    if delegated.offsets_after_deletion {
        say("delegated: a topic that is created again starts at 0");
        a_topic_created_again_starts_at_0(open().await).await;
    } else {
        a_topic_created_again_goes_on_where_it_ended(open().await).await;
        an_append_that_meets_a_delete_keeps_its_offset_for_itself(Arc::new(open().await)).await;
        topics::added_partitions_start_where_those_of_a_deleted_topic_ended(open().await).await;
    }
    if delegated.transactions {
        say("delegated: transactions are refused");
        transactions::they_are_refused(open().await).await;
    } else {
        transactions::run(&open).await;
    }
}

#[expect(clippy::print_stderr, reason = "for whoever reads the test's output")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// A topic of `log` with so many partitions.
pub async fn topic(log: &impl Log, name: &str, partitions: u32) -> TopicName {
    let name = TopicName::new(name).unwrap();
    log.create_topic(&name, TopicSpec::with_partitions(partitions)).await.unwrap();
    name
}

/// The same, one that keeps its records for ever.
pub async fn kept_topic(log: &impl Log, name: &str, partitions: u32) -> TopicName {
    let name = TopicName::new(name).unwrap();
    log.create_topic(&name, kept(partitions)).await.unwrap();
    name
}

/// A topic's settings by which its records stay: their timestamps are those of long ago.
fn kept(partitions: u32) -> TopicSpec {
    TopicSpec { retention_ms: None, ..TopicSpec::with_partitions(partitions) }
}

/// A batch with these values, stamped `at`.
pub fn batch(values: &[&str], at: i64) -> Batch {
    let records: Vec<Record> = values.iter().map(|value| Record::of_value(value.to_string())).collect();
    Batch::of(&records, Timestamp(at)).unwrap()
}

/// Offset and value of every record from `at` on.
pub async fn read_all(log: &impl Log, from: &TopicPartition, mut at: Offset) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let end = log.range(from).await.unwrap().end;
    while at < end {
        let batches = log.read(from, at, ReadLimit::default(), NO_WAIT).await.unwrap();
        assert!(!batches.is_empty(), "a read before the end answers something");
        for batch in &batches {
            for record in batch.records().map(Result::unwrap).filter(|record| record.offset >= at) {
                found.push((record.offset.0, String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
            }
        }
        at = batches.last().unwrap().offsets().end;
    }
    found
}

fn range(start: i64, end: i64) -> OffsetRange {
    OffsetRange { start: Offset(start), end: Offset(end) }
}

async fn topics_are_created_listed_and_deleted(log: impl Log) {
    let a = kept_topic(&log, "a", 2).await;
    let b = kept_topic(&log, "b.pin", 1).await;
    let again = log.create_topic(&a, TopicSpec::default()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    let none = log.create_topic(&TopicName::new("c").unwrap(), TopicSpec::with_partitions(0)).await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Invalid);
    let names: Vec<TopicName> = log.topics().await.unwrap().into_iter().map(|topic| topic.name).collect();
    assert_eq!(names, [a.clone(), b.clone()]);
    assert_eq!(log.topic(&a).await.unwrap().spec.partitions, 2);
    log.append(&a.partition(1), batch(&["gone"], 1)).await.unwrap();
    log.delete_topic(&a).await.unwrap();
    assert_eq!(log.topic(&a).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(log.delete_topic(&a).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(log.append(&a.partition(1), batch(&["x"], 1)).await.unwrap_err().kind(), ErrorKind::NotFound);
    log.create_topic(&a, TopicSpec::with_partitions(2)).await.unwrap();
    assert!(log.range(&a.partition(1)).await.unwrap().is_empty(), "a topic made again starts empty");
}

async fn offsets_are_dense_and_reads_answer_from_any_offset(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    assert_eq!(log.append(&to, batch(&["0", "1", "2"], 1)).await.unwrap(), range(0, 3));
    assert_eq!(log.append(&to, batch(&["3"], 1)).await.unwrap(), range(3, 4));
    assert_eq!(log.append(&to, batch(&["4", "5"], 1)).await.unwrap(), range(4, 6));
    assert_eq!(log.range(&to).await.unwrap(), range(0, 6));
    for at in 0..6 {
        let expected: Vec<(i64, String)> = (at..6).map(|offset| (offset, offset.to_string())).collect();
        assert_eq!(read_all(&log, &to, Offset(at)).await, expected);
        let first = log.read(&to, Offset(at), ReadLimit { bytes: 1 }, NO_WAIT).await.unwrap();
        assert_eq!(first.len(), 1, "a limit of one byte answers one batch");
        assert!(first[0].offsets().contains(Offset(at)));
    }
}

async fn a_read_at_the_end_waits_for_the_next_batch(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    assert!(log.read(&to, Offset(0), ReadLimit::default(), NO_WAIT).await.unwrap().is_empty());
    let waiting = log.read(&to, Offset(0), ReadLimit::default(), Duration::from_secs(60));
    let append = async {
        tokio::task::yield_now().await;
        log.append(&to, batch(&["late"], 1)).await.unwrap();
    };
    let (found, ()) = tokio::join!(waiting, append);
    assert_eq!(found.unwrap()[0].offsets(), range(0, 1));
}

async fn reads_outside_the_range_are_refused(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    log.append(&to, batch(&["0"], 1)).await.unwrap();
    let past = log.read(&to, Offset(2), ReadLimit::default(), NO_WAIT).await.unwrap_err();
    assert_eq!((past.kind(), past.reason()), (ErrorKind::Invalid, Some(Reason::OffsetOutOfRange)));
    let other = TopicName::new("t").unwrap().partition(1);
    assert_eq!(log.read(&other, Offset(0), ReadLimit::default(), NO_WAIT).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(log.range(&other).await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn a_read_answers_one_batch_however_large(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    let large = "x".repeat(3 << 20);
    log.append(&to, batch(&[&large], 1)).await.unwrap();
    log.append(&to, batch(&["small"], 1)).await.unwrap();
    let found = log.read(&to, Offset(0), ReadLimit { bytes: 100 }, NO_WAIT).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].records().next().unwrap().unwrap().value.unwrap().len(), large.len());
}

async fn concurrent_appends_linearise(log: Arc<impl Log>) {
    let to = kept_topic(&*log, "t", 1).await.partition(0);
    let mut tasks = Vec::new();
    for writer in 0..8 {
        let (log, to) = (log.clone(), to.clone());
        tasks.push(tokio::spawn(async move {
            let mut placed = Vec::new();
            for turn in 0..20 {
                let value = format!("{writer}-{turn}");
                let offsets = log.append(&to, batch(&[&value], 1)).await.unwrap();
                assert!(log.range(&to).await.unwrap().end >= offsets.end, "what is acknowledged can be read");
                placed.push((offsets.start.0, value));
            }
            placed
        }));
    }
    let mut placed = Vec::new();
    for task in tasks {
        let own = task.await.unwrap();
        assert!(own.is_sorted(), "one writer's appends keep their order");
        placed.extend(own);
    }
    placed.sort();
    assert_eq!(read_all(&*log, &to, Offset(0)).await, placed);
}

/// So many that a task's share of turns is used up, and queues that hold a few hundred are full.
const FIRST_POLLS: usize = 1500;

async fn appends_are_taken_in_the_order_of_their_first_polls(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    let mut appends: Vec<_> = (0..FIRST_POLLS).map(|n| log.append(&to, batch(&[&n.to_string()], 1))).collect();
    let mut first = Vec::new();
    for append in &mut appends {
        first.push(poll_fn(|context| Poll::Ready(append.as_mut().poll(context))).await);
    }
    for (n, (append, first)) in appends.into_iter().zip(first).enumerate() {
        let offsets = match first {
            Poll::Ready(offsets) => offsets,
            Poll::Pending => append.await,
        };
        assert_eq!(offsets.unwrap().start, Offset(n as i64), "append {n}");
    }
}

/// What a read answers lies in the range that is asked for after it, so the next read from there is in order too.
async fn a_reader_at_the_end_stays_within_the_range(log: Arc<impl Log>) {
    const APPENDS: i64 = 500;
    let to = kept_topic(&*log, "t", 1).await.partition(0);
    let writer = {
        let (log, to) = (log.clone(), to.clone());
        tokio::spawn(async move {
            for _ in 0..APPENDS {
                log.append(&to, batch(&["a"], 1)).await.unwrap();
            }
        })
    };
    let mut at = Offset::ZERO;
    while at < Offset(APPENDS) {
        // A follower's way: what is there is taken without waiting, and the end is waited at.
        let mut batches = log.read(&to, at, ReadLimit::default(), NO_WAIT).await.expect("the reader is within the range");
        if batches.is_empty() {
            batches = log.read(&to, at, ReadLimit::default(), Duration::from_secs(5)).await.expect("so it is at the end");
        }
        at = batches.last().map_or(at, |last| last.offsets().end);
        assert!(at <= log.range(&to).await.unwrap().end, "a read answered what the range does not hold yet");
    }
    writer.await.unwrap();
}

fn produced(id: i64, epoch: i16, first: i32, value: &str) -> Batch {
    let mut builder = BatchBuilder::new(Timestamp(1));
    builder.set_producer(ProducerSequence { id, epoch, first });
    builder.push(None, Some(value.as_bytes()));
    builder.build().unwrap()
}

async fn a_repeated_producer_sequence_answers_its_first_offsets(log: impl Log, repeats: Range<i32>) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    for sequence in 0..4 {
        log.append(&to, produced(7, 0, sequence, "once")).await.unwrap();
        log.append(&to, batch(&["other"], 1)).await.unwrap();
    }
    for sequence in repeats {
        let again = log.append(&to, produced(7, 0, sequence, "once")).await.unwrap();
        assert_eq!(again.start, Offset(i64::from(sequence) * 2));
    }
    assert_eq!(log.range(&to).await.unwrap(), range(0, 8));
    assert_eq!(log.append(&to, produced(8, 0, 0, "another producer")).await.unwrap(), range(8, 9));
}

async fn a_gap_in_a_producers_sequence_is_refused(log: impl Log, tells_why: bool) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    log.append(&to, produced(7, 1, 0, "a")).await.unwrap();
    let gap = log.append(&to, produced(7, 1, 2, "gap")).await.unwrap_err();
    assert_eq!((gap.kind(), gap.reason()), (ErrorKind::Invalid, Some(Reason::SequenceGap)));
    let fenced = log.append(&to, produced(7, 0, 1, "old epoch")).await.unwrap_err();
    assert!(!tells_why || (fenced.kind(), fenced.reason()) == (ErrorKind::Conflict, Some(Reason::ProducerFenced)), "{fenced}");
    assert_eq!(log.append(&to, produced(7, 2, 0, "new epoch")).await.unwrap(), range(1, 2));
}

async fn time_finds_its_offset(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    for (value, at) in [("0", 100), ("1", 200), ("2", 300)] {
        log.append(&to, batch(&[value], at)).await.unwrap();
    }
    for (time, offset) in [(0, 0), (100, 0), (101, 1), (200, 1), (300, 2), (301, 3)] {
        assert_eq!(log.offset_at(&to, Timestamp(time)).await.unwrap(), Offset(offset), "at {time}");
    }
}

async fn what_is_too_large_is_refused(log: impl Log) {
    let name = TopicName::new("t").unwrap();
    log.create_topic(&name, TopicSpec { batch_bytes_max: 1000, ..kept(1) }).await.unwrap();
    let large = batch(&[&"x".repeat(1000)], 1);
    let refused = log.append(&name.partition(0), large).await.unwrap_err();
    assert_eq!((refused.kind(), refused.reason()), (ErrorKind::Invalid, Some(Reason::TooLarge)));
    assert_eq!(log.append(&name.partition(0), batch(&["fits"], 1)).await.unwrap(), range(0, 1));
}

async fn partitions_are_independent(log: impl Log) {
    let name = kept_topic(&log, "t", 3).await;
    for partition in [0, 2, 2] {
        log.append(&name.partition(partition), batch(&["x"], 1)).await.unwrap();
    }
    let mut ends = Vec::new();
    for partition in 0..3 {
        ends.push(log.range(&name.partition(partition)).await.unwrap().end.0);
    }
    assert_eq!(ends, [1, 0, 2]);
}

async fn a_topic_created_again_goes_on_where_it_ended(log: impl Log) {
    let name = kept_topic(&log, "t", 3).await;
    log.append(&name.partition(0), batch(&["0", "1"], 100)).await.unwrap();
    log.append(&name.partition(2), produced(7, 0, 0, "0")).await.unwrap();
    log.delete_topic(&name).await.unwrap();

    // Fewer partitions: the third is not there, and its end is kept all the same.
    kept_topic(&log, "t", 1).await;
    let first = name.partition(0);
    assert_eq!(log.range(&first).await.unwrap(), range(2, 2));
    assert!(log.read(&first, Offset(2), ReadLimit::default(), NO_WAIT).await.unwrap().is_empty());
    let before = log.read(&first, Offset(1), ReadLimit::default(), NO_WAIT).await.unwrap_err();
    assert_eq!((before.kind(), before.reason()), (ErrorKind::NotFound, Some(Reason::OffsetOutOfRange)), "as what retention took");
    assert_eq!(log.offset_at(&first, Timestamp(0)).await.unwrap(), Offset(2));
    assert_eq!(log.append(&first, batch(&["2", "3", "4"], 50)).await.unwrap(), range(2, 5));
    assert_eq!(read_all(&log, &first, Offset(2)).await, [(2, "2".into()), (3, "3".into()), (4, "4".into())]);
    assert_eq!(log.offset_at(&first, Timestamp(0)).await.unwrap(), Offset(2));
    log.delete_topic(&name).await.unwrap();

    kept_topic(&log, "t", 4).await;
    for (partition, end) in [(0, 5), (1, 0), (2, 1), (3, 0)] {
        assert_eq!(log.range(&name.partition(partition)).await.unwrap(), range(end, end), "partition {partition}");
    }
    assert_eq!(log.append(&name.partition(2), produced(7, 0, 0, "again")).await.unwrap(), range(1, 2), "producers are forgotten");
    assert_eq!(log.append(&name.partition(2), produced(7, 0, 0, "again")).await.unwrap(), range(1, 2));
    assert_eq!(log.range(&kept_topic(&log, "u", 1).await.partition(0)).await.unwrap(), range(0, 0), "another topic starts at 0");
}

async fn a_topic_created_again_starts_at_0(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    log.append(&to, batch(&["0", "1"], 1)).await.unwrap();
    log.append(&to, produced(7, 0, 0, "2")).await.unwrap();
    log.delete_topic(&to.topic).await.unwrap();
    kept_topic(&log, "t", 1).await;
    assert_eq!(log.range(&to).await.unwrap(), range(0, 0));
    assert_eq!(log.append(&to, produced(7, 0, 0, "0")).await.unwrap(), range(0, 1), "producers are forgotten");
    assert_eq!(log.append(&to, batch(&["1"], 1)).await.unwrap(), range(1, 2));
    assert_eq!(read_all(&log, &to, Offset::ZERO).await, [(0, "0".into()), (1, "1".into())]);
}

async fn an_append_that_meets_a_delete_keeps_its_offset_for_itself(log: Arc<impl Log>) {
    let to = kept_topic(&*log, "t", 1).await.partition(0);
    let mut writers = Vec::new();
    for _ in 0..4 {
        let (log, to) = (log.clone(), to.clone());
        writers.push(tokio::spawn(async move {
            let mut placed = Vec::new();
            while placed.len() < 25 {
                match log.append(&to, batch(&["x"], 1)).await {
                    Ok(offsets) => placed.push(offsets.start.0),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
                }
                tokio::task::yield_now().await;
            }
            placed
        }));
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
        log.delete_topic(&to.topic).await.unwrap();
        kept_topic(&*log, "t", 1).await;
    }
    let mut placed = Vec::new();
    for writer in writers {
        placed.extend(writer.await.unwrap());
    }
    placed.sort_unstable();
    assert_eq!(placed, (0..100).collect::<Vec<i64>>(), "each offset was given once");
    assert_eq!(log.range(&to).await.unwrap().end, Offset(100));
}

async fn what_no_partition_may_hold_is_refused(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    let mut nobodys = BatchBuilder::new(Timestamp(1));
    nobodys.set_transactional();
    nobodys.push(None, Some(b"x"));
    let holes = batch(&["0", "1"], 1).emptied();
    let stamped = batch(&["x"], 1).appended_at(Timestamp(1));
    for refused in [holes, stamped, produced(7, 0, -1, "x"), nobodys.build().unwrap()] {
        assert_eq!(log.append(&to, refused).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(log.range(&to).await.unwrap(), range(0, 0));
}
