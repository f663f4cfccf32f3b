//! Repeats, gaps, wraps, and who is forgotten.

use super::*;
use crate::batch::{BatchBuilder, Marker};
use crate::clock::Timestamp;

fn produced(id: i64, epoch: i16, first: i32, count: usize, transactional: bool) -> Batch {
    let mut builder = BatchBuilder::new(Timestamp(1));
    builder.set_producer(ProducerSequence { id, epoch, first });
    if transactional {
        builder.set_transactional();
    }
    (0..count).for_each(|_| builder.push(None, Some(b"v")));
    builder.build().unwrap()
}

/// A partition's state, as a log keeps it.
#[derive(Default)]
struct Partition {
    producers: Producers,
    transactions: Transactions,
    end: Offset,
}

impl Partition {
    fn append(&mut self, batch: Batch) -> Result<Verdict> {
        let verdict = self.producers.check(&batch, &self.transactions)?;
        if verdict == Verdict::Append {
            let batch = batch.at(self.end);
            self.producers.record(&batch, self.end, &self.transactions);
            self.transactions.record(&batch);
            self.end = batch.offsets().end;
        }
        Ok(verdict)
    }
}

#[test]
fn sequences_wrap_after_the_largest() {
    let mut partition = Partition::default();
    for (first, count) in [(i32::MAX - 1, 1), (i32::MAX, 1), (0, 2), (2, 1)] {
        assert_eq!(partition.append(produced(7, 0, first, count, false)).unwrap(), Verdict::Append, "sequence {first}");
    }
    let mut across = Partition::default();
    across.append(produced(7, 0, i32::MAX, 3, false)).unwrap();
    assert_eq!(across.append(produced(7, 0, 3, 1, false)).unwrap_err().reason(), Some(Reason::SequenceGap));
    assert_eq!(across.append(produced(7, 0, 2, 1, false)).unwrap(), Verdict::Append);
    let repeated = OffsetRange { start: Offset(0), end: Offset(3) };
    assert_eq!(across.append(produced(7, 0, i32::MAX, 3, false)).unwrap(), Verdict::Duplicate(repeated));
}

#[test]
fn the_last_five_batches_may_be_repeated() {
    let mut partition = Partition::default();
    for first in 0..7 {
        partition.append(produced(7, 0, first, 1, false)).unwrap();
    }
    for first in 0..7 {
        let again = partition.append(produced(7, 0, first, 1, false));
        match first {
            0..2 => assert_eq!(again.unwrap_err().reason(), Some(Reason::SequenceGap)),
            _ => assert!(matches!(again, Ok(Verdict::Duplicate(offsets)) if offsets.start == Offset(i64::from(first)))),
        }
    }
}

#[test]
fn a_marker_of_a_newer_epoch_fences_its_producer() {
    let mut partition = Partition::default();
    partition.append(produced(7, 0, 0, 1, true)).unwrap();
    partition.append(Batch::marker(Marker::Abort, 7, 1, Timestamp(1)).unwrap()).unwrap();
    let fenced = [produced(7, 0, 1, 1, true), Batch::marker(Marker::Commit, 7, 0, Timestamp(1)).unwrap()];
    for batch in fenced {
        assert_eq!(partition.append(batch).unwrap_err().reason(), Some(Reason::ProducerFenced));
    }
    assert_eq!(partition.append(produced(7, 1, 0, 1, true)).unwrap(), Verdict::Append);
}

#[test]
fn the_longest_silent_producer_is_forgotten_unless_its_transaction_is_open() {
    let mut partition = Partition::default();
    partition.append(produced(-2, 0, 0, 1, true)).unwrap();
    for id in 1..PRODUCERS_MAX as i64 + 10 {
        partition.append(produced(id, 0, 0, 1, false)).unwrap();
    }
    let known: Vec<i64> = partition.producers.states().iter().map(|state| state.id).collect();
    assert_eq!(known.len(), PRODUCERS_MAX);
    assert_eq!(known[..2], [-2, 11]);
    partition.append(Batch::marker(Marker::Commit, -2, 0, Timestamp(1)).unwrap()).unwrap();
    partition.append(produced(0, 0, 0, 1, false)).unwrap();
    assert_eq!(partition.producers.state(-2), None);
}

#[test]
fn the_transactions_that_are_open_are_bounded() {
    let mut partition = Partition::default();
    for id in 0..TRANSACTIONS_MAX as i64 {
        partition.append(produced(id, 0, 0, 1, true)).unwrap();
    }
    let more = produced(-7, 0, 0, 1, true);
    assert_eq!(partition.append(more.clone()).unwrap_err().kind(), crate::ErrorKind::Retry);
    assert_eq!(partition.append(produced(3, 0, 1, 1, true)).unwrap(), Verdict::Append, "it is open already");
    partition.append(Batch::marker(Marker::Abort, 3, 0, Timestamp(1)).unwrap()).unwrap();
    assert_eq!(partition.append(more).unwrap(), Verdict::Append);
}
