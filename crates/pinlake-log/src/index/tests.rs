//! What the index finds is what a walk over all batches finds, in memory and in the files' form.

use proptest::prelude::*;

use super::*;

fn headers(base: i64, batches: &[(i64, i64, u64)]) -> Vec<(u64, Header)> {
    let (mut offset, mut position) = (base, 0);
    let place = |(span, timestamp, len): &(i64, i64, u64)| {
        let header = Header {
            base_offset: Offset(offset),
            end_offset: Offset(offset + span),
            max_timestamp: Timestamp(*timestamp),
            len: *len,
            transactional: None,
            control: false,
        };
        let placed = (position, header);
        offset += span;
        position += len;
        placed
    };
    batches.iter().map(place).collect()
}

proptest! {
    #[test]
    fn lookups_land_at_or_before_what_a_walk_finds(
        batches in proptest::collection::vec((1..5_i64, -1..50_i64, 61..3000_u64), 1..80),
        interval in 0..5000_u32,
        base in 0..1000_i64,
    ) {
        let headers = headers(base, &batches);
        let mut index = Index::default();
        for (position, header) in &headers {
            index.note(interval, Offset(base), header, *position);
        }
        index.seal();
        let end = headers.last().unwrap().1.end_offset;
        for at in base..end.0 {
            let (found, _) = headers.iter().find(|(_, header)| header.end_offset > Offset(at)).unwrap();
            let near = index.position_of(Offset(base), Offset(at));
            prop_assert!(near <= *found);
            let batch_there = headers.iter().find(|(position, _)| *position == near);
            prop_assert!(batch_there.is_some(), "a batch begins where the index points");
            let span: u64 = headers.iter().filter(|(position, _)| (near..*found).contains(position)).map(|(_, header)| header.len).sum();
            prop_assert!(span <= u64::from(interval) + 3000, "the index is dense enough");
        }
        for time in -2..52 {
            let from = index.offset_before(Offset(base), Timestamp(time));
            prop_assert!(headers.iter().all(|(_, header)| header.base_offset >= from || header.max_timestamp < Timestamp(time)));
        }
        let (offsets, times) = index.encode();
        let again = Index::decode(&offsets, &times, index.max_timestamp(), index.last());
        prop_assert_eq!(again, Some(index));
    }

    #[test]
    fn any_bytes_decode_or_not_without_panic(offsets in proptest::collection::vec(any::<u8>(), 0..64), times in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Index::decode(&offsets, &times, None, 0);
    }
}

#[test]
fn the_files_are_kafkas() {
    let mut index = Index::default();
    for (position, header) in headers(100, &[(2, 500, 70), (1, 400, 80), (3, 900, 90)]) {
        index.note(1, Offset(100), &header, position);
    }
    let (offsets, times) = index.encode();
    assert_eq!(offsets, [[0, 0, 0, 2, 0, 0, 0, 70], [0, 0, 0, 3, 0, 0, 0, 150]].concat());
    let entry = |time: i64, offset: u32| [&time.to_be_bytes()[..], &offset.to_be_bytes()[..]].concat();
    assert_eq!(times, [entry(500, 2), entry(900, 3)].concat());
}
