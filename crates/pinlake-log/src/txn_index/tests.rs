//! The file's bytes, and who is told of what.

use super::*;

fn entry(producer: i64, first: i64, last: i64) -> Entry {
    Entry { aborted: AbortedTransaction { producer, first: Offset(first), last: Offset(last) }, stable: Offset(last + 1) }
}

#[test]
fn the_layout_is_kafkas() {
    let (bytes, summary) = encode(Offset(4), &[entry(1, 2, 5)]).unwrap();
    assert_eq!(bytes.len(), 34);
    assert_eq!(bytes[..10], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "the version and the producer");
    assert_eq!([bytes[17], bytes[25], bytes[33]], [2, 5, 6], "first offset, last offset, stable end");
    assert_eq!((summary.segment, summary.first), (Offset(4), Offset(2)));
    assert_eq!(encode(Offset(4), &[]), None);
}

#[test]
fn a_file_is_read_as_it_was_written_or_not_at_all() {
    let entries = vec![entry(1, 9, 12), entry(2, 3, 14), entry(1, 13, 20)];
    let (bytes, summary) = encode(Offset(10), &entries).unwrap();
    assert_eq!(summary.first, Offset(3));
    assert_eq!(decode(&bytes, &summary), Some(entries));
    for len in 0..bytes.len() {
        assert_eq!(decode(&bytes[..len], &summary), None, "cut to {len}");
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert_eq!(decode(&flipped, &summary), None, "byte {at} flipped");
    }
    assert_eq!(decode(&[bytes, vec![0; 34]].concat(), &summary), None);
}

#[test]
fn who_reads_into_a_transaction_is_told() {
    let entries = [entry(1, 9, 12), entry(2, 3, 14), entry(1, 13, 20)];
    let found = |start, end| {
        let range = OffsetRange { start: Offset(start), end: Offset(end) };
        within(&entries, range).iter().map(|aborted| aborted.last.0).collect::<Vec<_>>()
    };
    assert!(found(0, 3).is_empty());
    assert_eq!(found(0, 4), [14]);
    assert_eq!(found(9, 13), [12, 14]);
    assert_eq!(found(13, 99), [14, 20]);
    assert!(found(21, 99).is_empty());
    assert!(!Aborted::Here(entries.to_vec()).may_reach_before(Offset(3)));
    assert!(Aborted::Here(entries.to_vec()).may_reach_before(Offset(4)));
}
