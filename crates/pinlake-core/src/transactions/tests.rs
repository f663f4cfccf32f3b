//! What is open, what was aborted, and what readers see of it.

use super::*;
use crate::batch::{BatchBuilder, ProducerSequence};
use crate::clock::Timestamp;

fn data(id: i64, base: i64, count: usize) -> Batch {
    let mut builder = BatchBuilder::new(Timestamp(1));
    builder.set_producer(ProducerSequence { id, epoch: 0, first: 0 });
    builder.set_transactional();
    (0..count).for_each(|_| builder.push(None, Some(b"v")));
    builder.build().unwrap().at(Offset(base))
}

fn end(id: i64, base: i64, end: Marker) -> Batch {
    Batch::marker(end, id, 0, Timestamp(1)).unwrap().at(Offset(base))
}

fn plain(base: i64) -> Batch {
    let mut builder = BatchBuilder::new(Timestamp(1));
    builder.push(None, Some(b"v"));
    builder.build().unwrap().at(Offset(base))
}

/// Two producers whose transactions interleave; 1 aborts and then commits another, 2 commits.
fn history() -> Vec<Batch> {
    vec![
        data(1, 0, 2),
        data(2, 2, 1),
        plain(3),
        data(1, 4, 1),
        end(2, 5, Marker::Commit),
        end(1, 6, Marker::Abort),
        data(1, 7, 2),
        end(1, 9, Marker::Commit),
        plain(10),
    ]
}

#[test]
fn the_stable_end_is_the_first_record_of_the_oldest_open_transaction() {
    let mut transactions = Transactions::default();
    let ends: Vec<i64> = history()
        .iter()
        .map(|batch| {
            transactions.record(batch);
            transactions.stable_end(OffsetRange { start: Offset::ZERO, end: batch.offsets().end }).0
        })
        .collect();
    assert_eq!(ends, [0, 0, 0, 0, 0, 7, 7, 10, 11]);
    transactions.begin(5, Offset(11));
    let kept = |start| OffsetRange { start: Offset(start), end: Offset(20) };
    assert_eq!(transactions.stable_end(kept(3)), Offset(11));
    assert_eq!(transactions.stable_end(kept(12)), Offset(12), "of what is kept, nothing is decided");
}

/// What `history` aborts.
fn aborted() -> AbortedTransactions {
    let (mut transactions, mut aborted) = (Transactions::default(), AbortedTransactions::default());
    history().iter().filter_map(|batch| transactions.record(batch)).for_each(|one| aborted.push(one));
    aborted
}

#[test]
fn aborted_transactions_are_found_by_what_they_reach_into() {
    let mut known = aborted();
    let aborted = AbortedTransaction { producer: 1, first: Offset(0), last: Offset(6) };
    let found = |start, end| known.within(OffsetRange { start: Offset(start), end: Offset(end) });
    assert_eq!(found(0, 1), [aborted]);
    assert_eq!(found(5, 11), [aborted]);
    assert_eq!(found(6, 7), [aborted]);
    assert_eq!(found(7, 11), []);
    known.trim(Offset(6));
    assert_eq!(known.within(OffsetRange { start: Offset(0), end: Offset(7) }), [aborted]);
    known.trim(Offset(7));
    assert_eq!(known.within(OffsetRange { start: Offset(0), end: Offset(7) }), []);
}

#[test]
fn readers_of_committed_records_see_no_aborted_one_from_wherever_they_start() {
    let known = aborted();
    let all = history();
    for from in 0..all.len() {
        let batches = all[from..].to_vec();
        let start = batches[0].base_offset();
        let aborted = known.within(OffsetRange { start, end: Offset(11) });
        let visible = Committed { batches, aborted }.visible();
        assert_eq!(visible.first().unwrap().base_offset(), start);
        assert!(visible.windows(2).all(|pair| pair[0].offsets().end == pair[1].base_offset()), "no offset is missing");
        let seen: Vec<i64> = visible.iter().flat_map(|batch| batch.records()).map(|record| record.unwrap().offset.0).collect();
        let expected: Vec<i64> = [2, 3, 7, 8, 10].into_iter().filter(|offset| *offset >= start.0).collect();
        assert_eq!(seen, expected);
    }
}
