//! An append whose answer is lost is in the log once, whatever took the answer away.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use pinlake_core::{BatchBuilder, ErrorKind, Log, Offset, OffsetRange, ProducerSequence, Reason, Timestamp};

use super::broker::{Act, Fake};
use super::{batch, connect, connect_impatient, options, partition};
use crate::kafka::{ClusterOptions, KafkaLog};

fn range(start: i64, end: i64) -> OffsetRange {
    OffsetRange { start: Offset(start), end: Offset(end) }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_with_the_same_number() {
    for lost in [Act::DoAndClose, Act::DoInSilence, Act::DoAndCut, Act::DoAndMix, Act::DoAndEmpty] {
        let fake = Fake::start().await;
        let log = connect_impatient(&fake).await;
        assert_eq!(log.append(&partition(), batch("0")).await.unwrap(), range(0, 1));
        fake.next(ApiKey::Produce, &[lost.clone(), lost.clone(), Act::Code(6)]);
        assert_eq!(log.append(&partition(), batch("1")).await.unwrap(), range(1, 2), "{lost:?}");
        assert_eq!(log.append(&partition(), batch("2")).await.unwrap(), range(2, 3));
        let mut sent: Vec<(i64, i32)> = fake.state().sent.iter().map(|number| (number.id, number.first)).collect();
        let id = sent[0].0;
        assert!(sent.iter().filter(|number| **number == (id, 1)).count() >= 4, "{lost:?}: {sent:?}");
        sent.dedup();
        assert_eq!(sent, [(id, 0), (id, 1), (id, 2)], "{lost:?}");
    }
}

#[tokio::test]
async fn an_outcome_that_stays_unknown_is_said_and_is_not_repeated_under_another_number() {
    let fake = Fake::start().await;
    let log = connect(&fake).await;
    log.append(&partition(), batch("0")).await.unwrap();
    for code in [45, 59, 47] {
        fake.next(ApiKey::Produce, &[Act::DoAndClose, Act::Code(code)]);
        let unknown = log.append(&partition(), batch("perhaps")).await.unwrap_err();
        assert_eq!((unknown.kind(), unknown.reason()), (ErrorKind::Retry, None), "{unknown}");
        assert!(unknown.message().contains("nobody knows"));
    }
    // What comes next does not go on from a number that may not be there.
    log.append(&partition(), batch("4")).await.unwrap();
    assert_eq!(fake.state().sent.last().unwrap(), &ProducerSequence { id: 4, epoch: 0, first: 0 });
    assert_eq!(fake.state().batches.len(), 5);
}

#[tokio::test]
async fn a_refused_number_is_given_to_the_next_batch() {
    let fake = Fake::start().await;
    let log = connect(&fake).await;
    fake.next(ApiKey::Produce, &[Act::Code(10), Act::Code(87)]);
    for _ in 0..2 {
        assert_eq!(log.append(&partition(), batch("x")).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    log.append(&partition(), batch("0")).await.unwrap();
    assert!(fake.state().sent.iter().all(|number| number.first == 0 && number.id == 1));
}

#[tokio::test]
async fn a_batch_that_is_there_already_is_found() {
    let fake = Fake::start().await;
    let log = connect(&fake).await;
    log.append(&partition(), batch("0")).await.unwrap();
    fake.next(ApiKey::Produce, &[Act::DoAndClose, Act::Code(46)]);
    assert_eq!(log.append(&partition(), batch("1")).await.unwrap(), range(1, 2));
    assert_eq!(log.append(&partition(), batch("2")).await.unwrap(), range(2, 3));
    assert_eq!(fake.state().sent.last().unwrap().first, 2, "the number goes on");
}

#[tokio::test]
async fn a_producers_own_numbers_are_kept() {
    let fake = Fake::start().await;
    let log = connect(&fake).await;
    let own = ProducerSequence { id: 900, epoch: 3, first: 17 };
    let mut builder = BatchBuilder::new(Timestamp(1));
    builder.set_producer(own);
    builder.push(None, Some(b"own"));
    let own_batch = builder.build().unwrap();
    fake.next(ApiKey::Produce, &[Act::DoAndClose]);
    assert_eq!(log.append(&partition(), own_batch.clone()).await.unwrap(), range(0, 1));
    assert_eq!(fake.state().sent, [own, own]);
    for (code, kind, reason) in [
        (47, ErrorKind::Conflict, Reason::ProducerFenced),
        (90, ErrorKind::Conflict, Reason::ProducerFenced),
        (45, ErrorKind::Invalid, Reason::SequenceGap),
    ] {
        fake.next(ApiKey::Produce, &[Act::Code(code)]);
        let refused = log.append(&partition(), own_batch.clone()).await.unwrap_err();
        assert_eq!((refused.kind(), refused.reason()), (kind, Some(reason)));
    }
}

#[tokio::test]
async fn an_append_goes_on_when_its_caller_goes_away() {
    let fake = Fake::start().await;
    let log = Arc::new(connect_impatient(&fake).await);
    log.append(&partition(), batch("0")).await.unwrap();
    fake.next(ApiKey::Produce, &[Act::Close, Act::DoInSilence]);
    let appending = tokio::spawn({
        let log = log.clone();
        async move { log.append(&partition(), batch("1")).await }
    });
    while fake.state().batches.len() < 2 {
        fake.came.notified().await;
    }
    appending.abort();
    assert_eq!(log.append(&partition(), batch("2")).await.unwrap(), range(2, 3), "it waits for its turn");
    assert_eq!(fake.state().batches.len(), 3);
}

#[tokio::test]
async fn too_many_waiting_bytes_are_refused() {
    let fake = Fake::start().await;
    let answer_timeout = Duration::from_millis(300);
    let options = ClusterOptions { append_bytes_max: 1, answer_timeout, ..options(&fake) };
    let log = Arc::new(KafkaLog::connect(options, Default::default()).await.unwrap());
    fake.next(ApiKey::Produce, &[Act::DoInSilence]);
    let appending = tokio::spawn({
        let log = log.clone();
        async move { log.append(&partition(), batch("0")).await }
    });
    while fake.state().sent.is_empty() {
        fake.came.notified().await;
    }
    assert_eq!(log.append(&partition(), batch("1")).await.unwrap_err().kind(), ErrorKind::Retry);
    assert_eq!(appending.await.unwrap().unwrap(), range(0, 1));
    assert_eq!(log.append(&partition(), batch("1")).await.unwrap(), range(1, 2));
}

#[tokio::test]
async fn a_read_whose_caller_goes_away_leaves_its_connection_usable() {
    let fake = Fake::start().await;
    let log = connect(&fake).await;
    log.append(&partition(), batch("0")).await.unwrap();
    for _ in 0..20 {
        let from = partition();
        let reading = log.read(&from, Offset(0), Default::default(), Duration::from_secs(9));
        assert!(futures::FutureExt::now_or_never(reading).is_none(), "it has only begun");
        log.read(&from, Offset(0), Default::default(), Duration::from_secs(9)).await.unwrap();
    }
    assert!(fake.state().connections < 8, "{} connections were made", fake.state().connections);
}
