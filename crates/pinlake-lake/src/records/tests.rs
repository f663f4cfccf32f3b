//! What is a batch that does not give its records, and what only looks like one.

use pinlake_core::{Record, Timestamp};

use super::*;

fn batch() -> Batch {
    Batch::of(&[Record::of_value("a"), Record::of_value("b")], Timestamp(7)).unwrap().at(Offset(40))
}

#[test]
fn the_records_of_a_batch_are_its_own() {
    let batch = batch();
    let unpacked = Unpacked::of(&batch);
    let found: Vec<_> = unpacked.records().map(|record| (record.offset.0, record.value)).collect();
    assert_eq!(found, [(40, Some(&b"a"[..])), (41, Some(&b"b"[..]))]);
    assert!(unpacked.problem().is_none());
    assert_eq!(Unpacked::of(&batch.emptied()).records().count(), 0);
    let marker = Batch::marker(pinlake_core::batch::Marker::Abort, 1, 0, Timestamp(7)).unwrap();
    assert_eq!(Unpacked::of(&marker).records().count(), 0, "a marker is no record");
}

#[test]
fn only_a_whole_batch_that_cant_be_read_is_one() {
    assert_eq!(unreadable(batch().bytes()), None, "it can be read");
    // Codec 7, under a checksum that holds.
    let mut bytes = batch().bytes().to_vec();
    bytes[22] |= 7;
    let broken = Batch::parse(Bytes::from(bytes.clone()));
    assert!(broken.is_err() && unreadable(&bytes).is_none(), "the checksum does not hold: it is no batch");
    for other in [&b""[..], b"poison", &[0; 61], &batch().bytes()[1..]] {
        assert_eq!(unreadable(other), None);
    }
}
