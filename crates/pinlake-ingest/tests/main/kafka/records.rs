//! Records in and out: Produce, Fetch, ListOffsets.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, ProduceRequest, ProduceResponse,
    TopicName as WireName,
};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::{Batch, BatchBuilder, Log, Marker, Offset, ProducerSequence, Timestamp, TopicName};
use pinlake_ingest::testing::wire;
use tokio::time::timeout;

use super::client::{Client, Served, batch};
use crate::server::FOREVER;

fn name(topic: &'static str) -> WireName {
    WireName(StrBytes::from_static_str(topic))
}

pub(super) fn produce(topic: &'static str, partition: i32, acks: i16, batch: &Batch) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch.bytes().clone()));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(1000).with_topic_data(vec![topic])
}

/// Error and base offset of the only partition.
async fn produced(client: &mut Client, version: i16, request: &ProduceRequest) -> (i16, i64) {
    placed(&client.call(ApiKey::Produce, version, request).await)
}

/// Error and base offset of an answer's only partition.
pub(super) fn placed(response: &ProduceResponse) -> (i16, i64) {
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

fn fetch(partitions: &[(i32, i64)], max_bytes: i32, wait: i32, isolation: i8) -> FetchRequest {
    let partition = |(number, offset): &(i32, i64)| {
        FetchPartition::default().with_partition(*number).with_fetch_offset(*offset).with_partition_max_bytes(max_bytes)
    };
    let topic = FetchTopic::default().with_topic(name("t")).with_partitions(partitions.iter().map(partition).collect());
    FetchRequest::default()
        .with_max_wait_ms(wait)
        .with_min_bytes(1)
        .with_max_bytes(max_bytes)
        .with_isolation_level(isolation)
        .with_topics(vec![topic])
}

/// The batches of the answer's partition.
fn batches(response: &FetchResponse, at: usize) -> Vec<Batch> {
    wire::batches(response.responses[0].partitions[at].records.clone().unwrap_or_default())
}

#[tokio::test]
async fn a_partition_is_fetched_once_however_often_it_is_named() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    produced(&mut client, 11, &produce("t", 0, -1, &batch(&["a"], 1000))).await;
    let answer: FetchResponse = client.call(ApiKey::Fetch, 12, &fetch(&[(0, 0), (0, 0)], 1 << 20, 0, 0)).await;
    let codes: Vec<i16> = answer.responses[0].partitions.iter().map(|partition| partition.error_code).collect();
    assert_eq!(codes, [0, ResponseError::InvalidRequest.code()]);
    assert_eq!((batches(&answer, 0).len(), batches(&answer, 1).len()), (1, 0));
}

#[tokio::test]
async fn batches_come_back_as_they_were_sent_in_every_version() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let sent = batch(&["a", "b"], 1000);
    for (at, version) in (0..).step_by(2).zip(3..=11) {
        assert_eq!(produced(&mut client, version, &produce("t", 0, -1, &sent)).await, (0, at));
    }
    for version in 4..=12 {
        let answer: FetchResponse = client.call(ApiKey::Fetch, version, &fetch(&[(0, 3)], 1 << 20, 0, 0)).await;
        assert_eq!((answer.error_code, answer.session_id), (0, 0));
        let found = batches(&answer, 0);
        assert_eq!(found.len(), 8, "from the batch that holds offset 3 on");
        assert_eq!(found[0].bytes()[16..], sent.bytes()[16..], "nothing but the offset is changed");
        assert_eq!(found[0].base_offset(), Offset(2));
        assert_eq!(answer.responses[0].partitions[0].high_watermark, 18);
    }
}

#[tokio::test]
async fn topics_go_by_their_ids_from_version_13_on() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    produced(&mut client, 9, &produce("t", 0, 1, &batch(&["a"], 1))).await;
    let id = served.log.topic(&TopicName::new("t").unwrap()).await.unwrap().id;
    for version in 13..=16 {
        let mut request = fetch(&[(0, 0)], 1 << 20, 0, 0);
        request.topics[0].topic = WireName::default();
        request.topics[0].topic_id = id.0;
        let answer: FetchResponse = client.call(ApiKey::Fetch, version, &request).await;
        assert_eq!(batches(&answer, 0).len(), 1);
        request.topics[0].topic_id = uuid::Uuid::nil();
        let answer: FetchResponse = client.call(ApiKey::Fetch, version, &request).await;
        assert_eq!(answer.responses[0].partitions[0].error_code, 100, "an id that no topic has");
    }
}

#[tokio::test]
async fn pipelined_produces_keep_their_order_and_are_answered_in_it() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let mut sent = Vec::new();
    for turn in 0..200 {
        let request = produce("t", turn % 2, -1, &batch(&[&turn.to_string()], 1));
        sent.push(client.send(ApiKey::Produce, 7, &request).await);
    }
    for (turn, correlation) in (0..).zip(sent) {
        assert_eq!(placed(&client.receive(ApiKey::Produce, 7, correlation).await), (0, turn / 2));
    }
    let answer: FetchResponse = client.call(ApiKey::Fetch, 11, &fetch(&[(1, 0)], 1 << 20, 0, 0)).await;
    let values: Vec<String> = batches(&answer, 0)
        .iter()
        .flat_map(|batch| {
            batch.records().map(|record| String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    let expected: Vec<String> = (0..100).map(|turn| (turn * 2 + 1).to_string()).collect();
    assert_eq!(values, expected);
}

#[tokio::test]
async fn acks_0_is_not_answered_and_the_next_request_is() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    client.send(ApiKey::Produce, 7, &produce("t", 0, 0, &batch(&["a"], 1))).await;
    client.send(ApiKey::Produce, 7, &produce("nowhere", 0, 0, &batch(&["a"], 1))).await;
    assert_eq!(produced(&mut client, 7, &produce("t", 0, 1, &batch(&["b"], 1))).await, (0, 1));
}

#[tokio::test]
async fn what_can_not_be_appended_is_told_by_partition() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let good = batch(&["a"], 1);
    let damaged = {
        let mut bytes = good.bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        Bytes::from(bytes)
    };
    let with = |records: Bytes| {
        let mut request = produce("t", 0, -1, &good);
        request.topic_data[0].partition_data[0].records = Some(records);
        request
    };
    let two = Bytes::from([&good.bytes()[..], &good.bytes()[..]].concat());
    let huge = batch(&[&"x".repeat(13 << 20)], 1);
    let marker = Batch::marker(Marker::Commit, 1, 0, Timestamp(1)).unwrap();
    let cases = [
        (produce("nowhere", 0, -1, &good), 3),
        (produce("no/name", 0, -1, &good), 3),
        (produce("t", 2, -1, &good), 3),
        (produce("t", -1, -1, &good), 3),
        (produce("t", 0, 2, &good), 21),
        (produce("__consumer_offsets", 0, -1, &good), 17),
        (with(damaged), 2),
        (with(two), 2),
        (with(Bytes::new()), 2),
        (produce("t", 0, -1, &huge), 10),
        (produce("t", 0, -1, &marker), 87),
        (produce("t", 0, -1, &good.emptied()), 87),
    ];
    for (request, code) in cases {
        assert_eq!(produced(&mut client, 9, &request).await, (code, -1), "{:?}", request.topic_data[0].name);
    }
    assert_eq!(produced(&mut client, 9, &produce("t", 0, -1, &good)).await, (0, 0), "nothing of it was appended");
}

#[tokio::test]
async fn an_idempotent_producer_may_send_again_and_must_not_leave_a_gap() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let numbered = |epoch, first| {
        let mut builder = BatchBuilder::new(Timestamp(1));
        builder.set_producer(ProducerSequence { id: 7, epoch, first });
        builder.push(None, Some(b"v"));
        produce("t", 0, -1, &builder.build().unwrap())
    };
    let cases = [((0, 0), (0, 0)), ((0, 1), (0, 1)), ((0, 0), (0, 0)), ((0, 3), (45, -1)), ((1, 0), (0, 2)), ((0, 2), (47, -1))];
    for ((epoch, first), expected) in cases {
        assert_eq!(produced(&mut client, 7, &numbered(epoch, first)).await, expected, "epoch {epoch}, sequence {first}");
    }
}

#[tokio::test]
async fn a_fetch_waits_for_the_next_record_and_not_past_its_time() {
    let served = Served::start().await;
    let (mut reader, mut writer) = (served.connect().await, served.connect().await);
    let waiting = reader.send(ApiKey::Fetch, 11, &fetch(&[(0, 0), (1, 0)], 1 << 20, 30_000, 0)).await;
    assert_eq!(produced(&mut writer, 7, &produce("t", 1, -1, &batch(&["late"], 1))).await, (0, 0));
    let answer: FetchResponse = timeout(FOREVER, reader.receive(ApiKey::Fetch, 11, waiting)).await.expect("it is woken");
    assert_eq!((batches(&answer, 0).len(), batches(&answer, 1).len()), (0, 1));
    let answer: FetchResponse = reader.call(ApiKey::Fetch, 11, &fetch(&[(0, 0)], 1 << 20, 50, 0)).await;
    assert!(batches(&answer, 0).is_empty(), "after its time it answers with what there is");
}

#[tokio::test]
async fn limits_hold_but_for_the_first_batch() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let large = batch(&[&"x".repeat(1000)], 1);
    for partition in [0, 0, 1] {
        produced(&mut client, 7, &produce("t", partition, -1, &large)).await;
    }
    let counts = async |client: &mut Client, max: i32| {
        let answer: FetchResponse = client.call(ApiKey::Fetch, 11, &fetch(&[(0, 0), (1, 0)], max, 0, 0)).await;
        (batches(&answer, 0).len(), batches(&answer, 1).len())
    };
    assert_eq!(counts(&mut client, 1).await, (1, 0));
    assert_eq!(counts(&mut client, 2500).await, (2, 0));
    assert_eq!(counts(&mut client, 4000).await, (2, 1));
}

#[tokio::test]
async fn offsets_outside_the_partition_are_told_at_once() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    for (partition, offset, code) in [(0, 1, 1), (0, -1, 1), (5, 0, 3)] {
        let answer: FetchResponse = client.call(ApiKey::Fetch, 11, &fetch(&[(partition, offset)], 1 << 20, 60_000, 0)).await;
        assert_eq!(answer.responses[0].partitions[0].error_code, code, "partition {partition} at {offset}");
    }
}

#[tokio::test]
async fn readers_of_committed_records_stop_at_open_transactions_and_are_told_of_aborted_ones() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    let to = TopicName::new("t").unwrap().partition(0);
    let transactional = |id, first| {
        let mut builder = BatchBuilder::new(Timestamp(1));
        builder.set_producer(ProducerSequence { id, epoch: 0, first });
        builder.set_transactional();
        builder.push(None, Some(b"v"));
        builder.build().unwrap()
    };
    served.log.append(&to, transactional(1, 0)).await.unwrap();
    served.log.append(&to, Batch::marker(Marker::Abort, 1, 0, Timestamp(1)).unwrap()).await.unwrap();
    served.log.append(&to, transactional(2, 0)).await.unwrap();
    served.log.append(&to, batch(&["plain"], 1)).await.unwrap();
    let answer: FetchResponse = client.call(ApiKey::Fetch, 11, &fetch(&[(0, 0)], 1 << 20, 0, 1)).await;
    let partition = &answer.responses[0].partitions[0];
    assert_eq!((partition.last_stable_offset, partition.high_watermark), (2, 4));
    let aborted = partition.aborted_transactions.as_ref().unwrap();
    assert_eq!(aborted.iter().map(|aborted| (aborted.producer_id.0, aborted.first_offset)).collect::<Vec<_>>(), [(1, 0)]);
    assert_eq!(batches(&answer, 0).len(), 2);
    let answer: FetchResponse = client.call(ApiKey::Fetch, 11, &fetch(&[(0, 0)], 1 << 20, 0, 0)).await;
    assert_eq!(batches(&answer, 0).len(), 4);
}

async fn offsets(client: &mut Client, version: i16, timestamp: i64) -> (i16, i64, i64) {
    let partition = ListOffsetsPartition::default().with_partition_index(0).with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let answer: ListOffsetsResponse = client.call(ApiKey::ListOffsets, version, &request).await;
    let found = &answer.topics[0].partitions[0];
    (found.error_code, found.offset, found.timestamp)
}

#[tokio::test]
async fn offsets_are_found_by_time_to_the_record() {
    let served = Served::start().await;
    let mut client = served.connect().await;
    assert_eq!(offsets(&mut client, 7, -3).await, (0, -1, -1), "nothing is the newest of nothing");
    for (values, at) in [(["a", "b", "c"], 100), (["d", "e", "f"], 200)] {
        produced(&mut client, 7, &produce("t", 0, -1, &batch(&values, at))).await;
    }
    for version in 1..=8 {
        let cases =
            [(-2, 0, -1), (-1, 6, -1), (0, 0, 100), (101, 1, 101), (103, 3, 200), (202, 5, 202), (203, -1, -1), (-3, 5, 202)];
        for (time, offset, found) in cases {
            assert_eq!(offsets(&mut client, version, time).await, (0, offset, found), "{time} in version {version}");
        }
    }
}
