//! Holes at the start, in the middle and at the end of a buffer.

use pinlake_core::Timestamp;

use super::*;

fn record(offset: i64, time: i64) -> RecordView<'static> {
    RecordView { offset: Offset(offset), timestamp: Timestamp(time), key: None, value: Some(b"1"), headers: &[0] }
}

#[tokio::test]
async fn holes_are_told_from_records() {
    let mut buffer = Buffer::at(Offset(10), false);
    assert!(buffer.is_empty());
    buffer.pass_to(Offset(12));
    buffer.pass_to(Offset(11));
    assert_eq!((buffer.start, buffer.next, buffer.is_empty()), (Offset(12), Offset(12), false));
    buffer.push(&record(13, 7));
    buffer.push(&record(14, 7));
    buffer.pass_to(Offset(16));
    buffer.push(&record(17, 7));
    buffer.push(&record(18, 8));
    buffer.pass_to(Offset(20));
    assert_eq!((buffer.begin, buffer.start, buffer.next, buffer.records), (Offset(10), Offset(13), Offset(20), 4));
    let wanted =
        [Run::Records(2, Timestamp(7)), Run::Hole(2), Run::Records(1, Timestamp(7)), Run::Records(1, Timestamp(8)), Run::Hole(1)];
    assert_eq!(buffer.runs, wanted);
    assert_eq!(buffer.lines, b"1\n1\n1\n1\n");
}
