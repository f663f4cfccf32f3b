//! Appends to one partition are there in the order in which they were made, whatever holds one of them up.

use std::time::Duration;

use futures::future::join;
use kafka_protocol::messages::ApiKey;
use pinlake_core::{Batch, BatchBuilder, ErrorKind, Log, Offset, ProducerSequence, Timestamp};

use super::broker::{Act, Fake};
use super::{batch, connect, connect_impatient, partition};

fn own(first: i32) -> Batch {
    let mut builder = BatchBuilder::new(Timestamp(1));
    builder.set_producer(ProducerSequence { id: 900, epoch: 3, first });
    builder.push(None, Some(b"own"));
    builder.build().unwrap()
}

#[tokio::test]
async fn an_append_that_asks_for_settings_is_not_overtaken() {
    let fake = Fake::start().await;
    let log = connect_impatient(&fake).await;
    log.append(&partition(), batch("0")).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    fake.next(ApiKey::Metadata, &[Act::DoInSilence]);
    let to = partition();
    let (first, second) = join(log.append(&to, batch("1")), log.append(&to, batch("2"))).await;
    assert_eq!((first.unwrap().start, second.unwrap().start), (Offset(1), Offset(2)));
}

#[tokio::test]
async fn batches_with_numbers_of_their_own_wait_for_those_before_them() {
    let fake = Fake::start().await;
    let log = connect(&fake).await;
    log.topic(&partition().topic).await.unwrap();
    fake.next(ApiKey::Produce, &[Act::Code(6)]);
    let to = partition();
    let (first, second) = join(log.append(&to, own(0)), log.append(&to, own(1))).await;
    assert_eq!((first.unwrap().start, second.unwrap().start), (Offset(0), Offset(1)));
    let sent: Vec<i32> = fake.state().sent.iter().map(|number| number.first).collect();
    assert_eq!(sent, [0, 0, 1]);
}

#[tokio::test]
async fn a_partition_that_is_not_there_leaves_the_others_their_order() {
    let fake = Fake::start().await;
    let log = connect(&fake).await;
    log.append(&partition(), batch("0")).await.unwrap();
    let absent = partition().topic.partition(1);
    assert_eq!(log.append(&absent, batch("x")).await.unwrap_err().kind(), ErrorKind::NotFound);
    log.append(&partition(), batch("1")).await.unwrap();
    let sent: Vec<(i64, i32)> = fake.state().sent.iter().map(|number| (number.id, number.first)).collect();
    assert_eq!(sent, [(1, 0), (1, 1)], "the same producer goes on");
}
