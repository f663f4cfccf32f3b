//! The contract's lines about transactions.

use std::time::Duration;

use super::{NO_WAIT, batch, kept_topic, produced, range};
use crate::batch::{Batch, BatchBuilder, Marker, ProducerSequence};
use crate::clock::Timestamp;
use crate::error::{ErrorKind, Reason};
use crate::log::{Log, ReadLimit};
use crate::position::{Offset, TopicPartition};
use crate::transactions::AbortedTransaction;

pub(super) async fn run<L: Log, F: Future<Output = L>>(open: &impl Fn() -> F) {
    nothing_behind_an_open_transaction_is_read_as_committed(open().await).await;
    a_reader_of_committed_records_waits_until_they_are(open().await).await;
    aborted_transactions_are_told_to_those_who_read_into_them(open().await).await;
    a_repeated_batch_begins_no_transaction(open().await).await;
    the_marker_of_a_newer_epoch_fences(open().await).await;
    producers_are_told_with_their_transactions(open().await).await;
    a_trimmed_transaction_leaves_no_trace(open().await).await;
}

/// A log that leaves them to another takes neither a transaction's batches nor its end.
pub(super) async fn they_are_refused(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    for refused in [transactional(7, 0, 0, &["0"]), marker(Marker::Abort, 7, 0), marker(Marker::Commit, 7, 0)] {
        assert_eq!(log.append(&to, refused).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    log.append(&to, batch(&["0"], 1)).await.unwrap();
    assert_eq!(log.stable_end(&to).await.unwrap(), Offset(1));
    let read = log.read_committed(&to, Offset(0), ReadLimit::default(), NO_WAIT).await.unwrap();
    assert_eq!((read.batches.len(), read.aborted.len()), (1, 0));
}

/// A batch of a transaction.
pub fn transactional(id: i64, epoch: i16, first: i32, values: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new(Timestamp(1));
    builder.set_producer(ProducerSequence { id, epoch, first });
    builder.set_transactional();
    values.iter().for_each(|value| builder.push(None, Some(value.as_bytes())));
    builder.build().unwrap()
}

/// The end of a transaction.
pub fn marker(end: Marker, id: i64, epoch: i16) -> Batch {
    Batch::marker(end, id, epoch, Timestamp(1)).unwrap()
}

/// Offset and value of every record from `at` on that readers of committed records are shown.
pub async fn read_all_committed(log: &impl Log, from: &TopicPartition, mut at: Offset) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let stable = log.stable_end(from).await.unwrap();
    while at < stable {
        let read = log.read_committed(from, at, ReadLimit { bytes: 400 }, NO_WAIT).await.unwrap();
        assert!(!read.batches.is_empty(), "a read before the stable end answers something");
        for batch in read.visible() {
            for record in batch.records().map(Result::unwrap).filter(|record| record.offset >= at) {
                found.push((record.offset.0, String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
            }
            at = at.max(batch.offsets().end);
        }
        assert!(at <= stable);
    }
    found
}

async fn offsets(log: &impl Log, from: &TopicPartition, at: i64) -> Vec<i64> {
    read_all_committed(log, from, Offset(at)).await.into_iter().map(|(offset, _)| offset).collect()
}

async fn nothing_behind_an_open_transaction_is_read_as_committed(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    let steps = [
        (batch(&["0"], 1), 1),
        (transactional(7, 0, 0, &["1", "2"]), 1),
        (batch(&["3"], 1), 1),
        (transactional(8, 0, 0, &["4"]), 1),
        (transactional(7, 0, 2, &["5"]), 1),
        (marker(Marker::Commit, 8, 0), 1),
        (marker(Marker::Commit, 7, 0), 8),
        (transactional(8, 0, 1, &["8"]), 8),
        (marker(Marker::Abort, 7, 0), 8),
        (marker(Marker::Abort, 8, 0), 11),
        (batch(&["11"], 1), 12),
    ];
    for (batch, stable) in steps {
        log.append(&to, batch).await.unwrap();
        assert_eq!(log.stable_end(&to).await.unwrap(), Offset(stable));
        assert!(offsets(&log, &to, 0).await.iter().all(|offset| *offset < stable));
    }
    assert_eq!(offsets(&log, &to, 0).await, [0, 1, 2, 3, 4, 5, 11]);
    let end = log.range(&to).await.unwrap().end;
    let read = log.read_committed(&to, end, ReadLimit::default(), NO_WAIT).await.unwrap();
    assert!(read.batches.is_empty() && read.aborted.is_empty());
    let past = log.read_committed(&to, end.plus(1), ReadLimit::default(), NO_WAIT).await.unwrap_err();
    assert_eq!(past.reason(), Some(Reason::OffsetOutOfRange));
}

async fn a_reader_of_committed_records_waits_until_they_are(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    log.append(&to, transactional(7, 0, 0, &["0"])).await.unwrap();
    assert!(log.read_committed(&to, Offset(0), ReadLimit::default(), NO_WAIT).await.unwrap().batches.is_empty());
    let waiting = log.read_committed(&to, Offset(0), ReadLimit::default(), Duration::from_secs(60));
    let commit = async {
        tokio::task::yield_now().await;
        log.append(&to, batch(&["1"], 1)).await.unwrap();
        log.append(&to, marker(Marker::Commit, 7, 0)).await.unwrap();
    };
    let (found, ()) = tokio::join!(waiting, commit);
    assert_eq!(found.unwrap().batches[0].offsets(), range(0, 1));
}

async fn aborted_transactions_are_told_to_those_who_read_into_them(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    let batches = [
        transactional(7, 0, 0, &["0", "1"]),
        transactional(8, 0, 0, &["2"]),
        batch(&["3"], 1),
        marker(Marker::Abort, 8, 0),
        transactional(7, 0, 2, &["5"]),
        marker(Marker::Abort, 7, 0),
        transactional(7, 0, 3, &["7"]),
        marker(Marker::Commit, 7, 0),
    ];
    for batch in batches {
        log.append(&to, batch).await.unwrap();
    }
    let seventh = AbortedTransaction { producer: 7, first: Offset(0), last: Offset(6) };
    let eighth = AbortedTransaction { producer: 8, first: Offset(2), last: Offset(4) };
    for at in 0..9 {
        let expected: Vec<i64> = [3, 7].into_iter().filter(|offset| *offset >= at).collect();
        assert_eq!(offsets(&log, &to, at).await, expected, "from {at}");
        let one = log.read_committed(&to, Offset(at), ReadLimit { bytes: 1 }, NO_WAIT).await.unwrap();
        assert_eq!(one.batches.len(), 1);
        let aborted = match at {
            0..2 => vec![seventh],
            2..5 => vec![eighth, seventh],
            5..7 => vec![seventh],
            _ => vec![],
        };
        assert_eq!(one.aborted, aborted, "from {at}");
    }
}

async fn a_repeated_batch_begins_no_transaction(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    let first = transactional(7, 0, 0, &["0"]);
    log.append(&to, first.clone()).await.unwrap();
    log.append(&to, marker(Marker::Abort, 7, 0)).await.unwrap();
    assert_eq!(log.append(&to, first).await.unwrap(), range(0, 1));
    assert_eq!(log.stable_end(&to).await.unwrap(), Offset(2));
    log.append(&to, marker(Marker::Commit, 7, 0)).await.expect("there need be no transaction");
    assert!(offsets(&log, &to, 0).await.is_empty());
}

async fn the_marker_of_a_newer_epoch_fences(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    log.append(&to, transactional(7, 0, 0, &["0"])).await.unwrap();
    log.append(&to, marker(Marker::Abort, 7, 1)).await.unwrap();
    for late in [transactional(7, 0, 1, &["1"]), marker(Marker::Commit, 7, 0)] {
        assert_eq!(log.append(&to, late).await.unwrap_err().reason(), Some(Reason::ProducerFenced));
    }
    assert_eq!(log.stable_end(&to).await.unwrap(), Offset(2), "what is refused leaves no trace");
    assert!(offsets(&log, &to, 0).await.is_empty());
}

async fn producers_are_told_with_their_transactions(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    assert!(log.producers(&to).await.unwrap().is_empty());
    log.append(&to, produced(9, 3, 5, "0")).await.unwrap();
    log.append(&to, transactional(7, 0, 0, &["1", "2"])).await.unwrap();
    log.append(&to, transactional(7, 0, 2, &["3"])).await.unwrap();
    let producers = log.producers(&to).await.unwrap();
    let shown: Vec<_> = producers.iter().map(|(state, open)| (state.id, state.epoch, state.recent.clone(), *open)).collect();
    assert_eq!(shown, [(7, 0, vec![(0, range(1, 3)), (2, range(3, 4))], Some(Offset(1))), (9, 3, vec![(5, range(0, 1))], None)]);
    log.append(&to, marker(Marker::Commit, 7, 0)).await.unwrap();
    assert!(log.producers(&to).await.unwrap().iter().all(|(_, open)| open.is_none()));
}

async fn a_trimmed_transaction_leaves_no_trace(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    let batches = [
        transactional(7, 0, 0, &["0"]),
        marker(Marker::Abort, 7, 0),
        transactional(8, 0, 0, &["2", "3"]),
        batch(&["4"], 1),
        transactional(7, 0, 1, &["5"]),
        marker(Marker::Abort, 7, 0),
    ];
    for batch in batches {
        log.append(&to, batch).await.unwrap();
    }
    for (before, stable) in [(2, 2), (3, 3), (4, 4)] {
        log.trim(&to, Offset(before)).await.unwrap();
        assert_eq!(log.stable_end(&to).await.unwrap(), Offset(stable), "what is kept is not decided yet");
    }
    log.append(&to, marker(Marker::Abort, 8, 0)).await.unwrap();
    assert_eq!(log.stable_end(&to).await.unwrap(), Offset(8));
    assert_eq!(offsets(&log, &to, 4).await, [4]);
    log.trim(&to, Offset(8)).await.unwrap();
    assert_eq!(log.stable_end(&to).await.unwrap(), Offset(8));
}
