//! The contract's lines about topics that change, and about records that are let go.

use super::{NO_WAIT, batch, kept, kept_topic, produced, range, read_all};
use crate::batch::Batch;
use crate::clock::Timestamp;
use crate::error::{ErrorKind, Reason};
use crate::log::{Log, ReadLimit, TimestampType, TopicSpec};
use crate::position::{Offset, TopicName};

pub(super) async fn run<L: Log, F: Future<Output = L>>(open: &impl Fn() -> F, has_ids: bool) {
    a_topic_made_again_has_another_id(open().await, has_ids).await;
    a_topic_takes_other_settings_at_once(open().await).await;
    a_topic_may_take_the_time_of_the_append(open().await).await;
    what_is_trimmed_is_no_longer_kept(open().await).await;
    a_partition_trimmed_to_its_end_goes_on(open().await).await;
    time_finds_nothing_that_was_trimmed(open().await).await;
}

async fn a_topic_made_again_has_another_id(log: impl Log, has_ids: bool) {
    let (a, b) = (kept_topic(&log, "a", 1).await, kept_topic(&log, "b", 1).await);
    let first = log.topic(&a).await.unwrap().id;
    assert_ne!(first, log.topic(&b).await.unwrap().id);
    log.alter_topic(&a, TopicSpec::with_partitions(2)).await.unwrap();
    assert_eq!(log.topic(&a).await.unwrap().id, first);
    assert_eq!(log.topics().await.unwrap()[0].id, first);
    log.delete_topic(&a).await.unwrap();
    kept_topic(&log, "a", 1).await;
    assert_eq!(log.topic(&a).await.unwrap().id != first, has_ids);
}

async fn a_topic_takes_other_settings_at_once(log: impl Log) {
    let name = kept_topic(&log, "t", 2).await;
    log.append(&name.partition(1), batch(&["0"], 1)).await.unwrap();
    let spec = TopicSpec { batch_bytes_max: 1000, retention_ms: None, ..TopicSpec::with_partitions(3) };
    log.alter_topic(&name, spec.clone()).await.unwrap();
    assert_eq!(log.topic(&name).await.unwrap().spec, spec);
    let large = batch(&[&"x".repeat(1000)], 1);
    let refused = log.append(&name.partition(1), large.clone()).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::TooLarge));
    assert_eq!(log.append(&name.partition(2), batch(&["0"], 1)).await.unwrap(), range(0, 1));
    assert_eq!(read_all(&log, &name.partition(1), Offset::ZERO).await, [(0, "0".to_owned())]);

    log.alter_topic(&name, TopicSpec::with_partitions(3)).await.unwrap();
    log.append(&name.partition(1), large).await.unwrap();
    for wrong in [TopicSpec::with_partitions(2), TopicSpec { batch_bytes_max: 1, ..spec }] {
        assert_eq!(log.alter_topic(&name, wrong).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(log.topic(&name).await.unwrap().spec, TopicSpec::with_partitions(3));
    let nowhere = log.alter_topic(&TopicName::new("u").unwrap(), TopicSpec::default()).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
}

pub(super) async fn added_partitions_start_where_those_of_a_deleted_topic_ended(log: impl Log) {
    let name = kept_topic(&log, "t", 2).await;
    log.append(&name.partition(1), batch(&["0", "1"], 1)).await.unwrap();
    log.delete_topic(&name).await.unwrap();
    kept_topic(&log, "t", 1).await;
    log.alter_topic(&name, TopicSpec::with_partitions(3)).await.unwrap();
    assert_eq!(log.range(&name.partition(1)).await.unwrap(), range(2, 2));
    assert_eq!(log.append(&name.partition(1), batch(&["2"], 1)).await.unwrap(), range(2, 3));
    assert_eq!(log.range(&name.partition(2)).await.unwrap(), range(0, 0));
}

async fn a_topic_may_take_the_time_of_the_append(log: impl Log) {
    let name = TopicName::new("t").unwrap();
    let (stamped, to) = (TopicSpec { timestamps: TimestampType::Append, ..kept(1) }, name.partition(0));
    log.create_topic(&name, stamped.clone()).await.unwrap();
    log.append(&to, batch(&["0", "1"], 1)).await.unwrap();
    log.append(&to, produced(7, 0, 0, "2")).await.unwrap();
    log.alter_topic(&name, kept(1)).await.unwrap();
    log.append(&to, batch(&["3"], 1)).await.unwrap();
    log.alter_topic(&name, stamped).await.unwrap();
    log.append(&to, batch(&["4"], 1).appended_at(Timestamp(i64::MAX))).await.unwrap();
    assert_eq!(log.append(&to, produced(7, 0, 0, "2")).await.unwrap(), range(2, 3));

    let mut batches = Vec::new();
    for at in [0, 2, 3, 4] {
        batches.push(log.read(&to, Offset(at), ReadLimit { bytes: 1 }, NO_WAIT).await.unwrap().remove(0));
    }
    let own: Vec<bool> = batches.iter().map(|batch| !batch.has_append_time()).collect();
    assert_eq!(own, [false, false, true, false]);
    assert_eq!(batches.remove(2).max_timestamp(), Timestamp(1));
    let times: Vec<Timestamp> = batches.iter().map(Batch::max_timestamp).collect();
    assert!(times[0] > Timestamp(1_000_000_000_000), "it is the time of the day");
    assert!(times.is_sorted() && times[2] < Timestamp(i64::MAX), "{times:?}");
    for batch in &batches {
        Batch::parse(batch.bytes().clone()).expect("it is whole");
        assert!(batch.records().all(|record| record.unwrap().timestamp == batch.max_timestamp()));
    }
}

async fn what_is_trimmed_is_no_longer_kept(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    for values in [&["0", "1", "2"][..], &["3"], &["4", "5"]] {
        log.append(&to, batch(values, 1)).await.unwrap();
    }
    for (before, start) in [(0, 0), (1, 1), (0, 1), (4, 4), (2, 4), (5, 5)] {
        assert_eq!(log.trim(&to, Offset(before)).await.unwrap(), Offset(start), "trimmed to {before}");
        assert_eq!(log.range(&to).await.unwrap(), range(start, 6));
        let kept: Vec<i64> = read_all(&log, &to, Offset(start)).await.into_iter().map(|(offset, _)| offset).collect();
        assert_eq!(kept, (start..6).collect::<Vec<i64>>(), "a batch that is kept in part is read whole");
        for gone in 0..start {
            let refused = log.read(&to, Offset(gone), ReadLimit::default(), NO_WAIT).await.unwrap_err();
            assert_eq!((refused.kind(), refused.reason()), (ErrorKind::NotFound, Some(Reason::OffsetOutOfRange)));
        }
    }
    for wrong in [7, -1] {
        let refused = log.trim(&to, Offset(wrong)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.reason()), (ErrorKind::Invalid, Some(Reason::OffsetOutOfRange)));
    }
    let nowhere = log.trim(&to.topic.partition(1), Offset::ZERO).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    assert_eq!(log.append(&to, batch(&["6"], 1)).await.unwrap(), range(6, 7));
}

async fn a_partition_trimmed_to_its_end_goes_on(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    assert_eq!(log.trim(&to, Offset::ZERO).await.unwrap(), Offset::ZERO, "there is nothing yet");
    for sequence in 0..3 {
        log.append(&to, produced(7, 0, sequence, "x")).await.unwrap();
    }
    assert_eq!(log.trim(&to, Offset(3)).await.unwrap(), Offset(3));
    assert_eq!(log.range(&to).await.unwrap(), range(3, 3));
    assert!(log.read(&to, Offset(3), ReadLimit::default(), NO_WAIT).await.unwrap().is_empty());
    assert_eq!(log.append(&to, produced(7, 0, 2, "x")).await.unwrap(), range(2, 3), "producers are still known");
    assert_eq!(log.append(&to, produced(7, 0, 3, "x")).await.unwrap(), range(3, 4));
    assert_eq!(read_all(&log, &to, Offset(3)).await.len(), 1);
}

async fn time_finds_nothing_that_was_trimmed(log: impl Log) {
    let to = kept_topic(&log, "t", 1).await.partition(0);
    for (values, at) in [(&["0"][..], 300), (&["1", "2"], 100), (&["3"], 200)] {
        log.append(&to, batch(values, at)).await.unwrap();
    }
    log.trim(&to, Offset(2)).await.unwrap();
    for (time, offset) in [(0, 2), (100, 2), (101, 3), (201, 4)] {
        assert_eq!(log.offset_at(&to, Timestamp(time)).await.unwrap(), Offset(offset), "at {time}");
    }
}
