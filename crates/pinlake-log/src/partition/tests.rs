//! What callers see of a batch between its write and its acknowledgement.

use pinlake_core::TopicName;
use pinlake_core::testing::log_contract::batch;

use super::*;
use crate::txn_index::{ENTRIES_MAX, Entry};

/// Nothing was appended; the owner's place is taken by the test.
fn open(dir: &std::path::Path) -> Partition {
    let (disk, settings) = (Disk::system(), LogSettings::default());
    let lock = disk.lock(&dir.join("lock")).unwrap().unwrap();
    let context = Arc::new(Context::new(disk, settings, Clock::manual(Timestamp(1)), lock, None));
    let id = TopicName::new("t").unwrap().partition(0);
    Partition::start(&context, id, Arc::default(), dir.join("t/0"), Recovered::default())
}

#[tokio::test]
async fn times_of_what_is_not_acknowledged_answer_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let partition = open(dir.path());
    partition.append(batch(&["acknowledged"], 10)).await.unwrap();
    let end = partition.range().unwrap().end;
    let segment = partition.view.segment_of(end).unwrap();
    let written = [batch(&["written"], 20).at(end), batch(&["too"], 30).at(end.plus(1))];
    let file = partition.context.disk.open_or_create(&segment.log_path()).unwrap();
    file.write_at(&written.clone().map(|batch| batch.bytes().clone()), segment.extent().bytes).unwrap();
    segment.note(&written, Timestamp(1));
    assert_eq!(partition.offset_at(Timestamp(30)).await.unwrap(), end);
}

#[tokio::test]
async fn a_segment_holds_so_many_aborted_transactions_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let partition = open(dir.path());
    partition.append(batch(&["0"], 10)).await.unwrap();
    let segment = partition.view.segment_of(Offset::ZERO).unwrap();
    let aborted = AbortedTransaction { producer: 7, first: Offset::ZERO, last: Offset::ZERO };
    for (noted, segments) in [(ENTRIES_MAX - 1, 1), (1, 2)] {
        (0..noted).for_each(|_| segment.note_aborted(Entry { aborted, stable: Offset::ZERO }));
        partition.append(batch(&["next"], 10)).await.unwrap();
        assert_eq!(partition.view.segments.read().unwrap().len(), segments);
    }
}

/// Who keeps little of what was read keeps little memory: doors count what they keep.
#[tokio::test]
async fn few_batches_keep_no_read_buffer() {
    let dir = tempfile::tempdir().unwrap();
    let partition = open(dir.path());
    let large = "x".repeat(1 << 20);
    partition.append(batch(&["small"], 10)).await.unwrap();
    partition.append(batch(&[&large], 10)).await.unwrap();
    let segment = partition.view.segment_of(Offset::ZERO).unwrap();
    let buffers = Buffers::default();
    let few = segment.read(Offset::ZERO, 1 << 20, &buffers).unwrap();
    assert_eq!(few.len(), 1, "the large one does not fit");
    assert_eq!(buffers.unused(), 1, "the buffer is free while the batch is kept");
    let many = segment.read(Offset::ZERO, 2 << 20, &buffers).unwrap();
    assert_eq!(many.len(), 1, "a buffer holds no more");
}
