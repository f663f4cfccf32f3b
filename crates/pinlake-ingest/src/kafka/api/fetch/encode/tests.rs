//! Fetch answers against the codec, for every version, and without a copy.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::fetch_response::{AbortedTransaction, PartitionData};
use kafka_protocol::messages::{ApiKey, ProducerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use pinlake_core::{Batch, Record, Timestamp};
use uuid::Uuid;

use super::*;
use crate::kafka::versions;

fn batch(value: usize) -> Batch {
    Batch::of(&[Record::of_value(vec![b'x'; value])], Timestamp(1)).expect("it builds")
}

fn found(index: i32, aborted: Option<i64>, batches: &[Batch]) -> Found {
    let transaction = |first| AbortedTransaction::default().with_producer_id(ProducerId(7)).with_first_offset(first);
    let data = PartitionData::default()
        .with_partition_index(index)
        .with_high_watermark(40)
        .with_last_stable_offset(30)
        .with_log_start_offset(if index == 0 { 0 } else { -1 })
        .with_preferred_read_replica((-1).into())
        .with_aborted_transactions(aborted.map(|first| vec![transaction(first)]));
    Found { data, batches: batches.to_vec() }
}

fn topics() -> Vec<(FetchableTopicResponse, Vec<Found>)> {
    let topic = |name: &'static str, id| {
        let name = TopicName(StrBytes::from_static_str(name));
        FetchableTopicResponse::default().with_topic(name).with_topic_id(Uuid::from_u128(id))
    };
    vec![
        (topic("empty", 1), Vec::new()),
        (topic("one", 2), vec![found(0, None, &[batch(10)])]),
        (topic("many", 3), vec![found(0, Some(5), &[batch(9000), batch(1), batch(300)]), found(7, None, &[])]),
    ]
}

/// The same by the codec alone.
fn by_codec(version: i16) -> Vec<u8> {
    let whole = |(topic, partitions): (FetchableTopicResponse, Vec<Found>)| {
        let partitions = partitions.into_iter().map(|found| {
            let records: Vec<u8> = found.batches.iter().flat_map(|batch| batch.bytes().to_vec()).collect();
            found.data.with_records(Some(records.into()))
        });
        let mut topic = topic.with_partitions(partitions.collect());
        // The codec refuses what a version does not have.
        if version >= 13 {
            topic.topic = TopicName::default();
        } else {
            topic.topic_id = Uuid::nil();
        }
        topic
    };
    let response = FetchResponse::default().with_responses(topics().into_iter().map(whole).collect());
    let mut out = BytesMut::new();
    response.encode(&mut out, version).expect("it encodes");
    out.to_vec()
}

#[test]
fn every_version_is_encoded_as_the_codec_does_it() {
    let api = versions::find(ApiKey::Fetch as i16).expect("it is served");
    for version in api.served_from..=api.to {
        let mut answer = body(version, &topics()).expect("it encodes").behind(Bytes::new());
        let encoded = answer.copy_to_bytes(answer.remaining());
        assert_eq!(encoded, by_codec(version), "version {version}");
    }
}

#[test]
fn a_large_batch_is_shared_with_the_log() {
    let large = batch(9000);
    let topics = vec![(FetchableTopicResponse::default(), vec![found(0, None, std::slice::from_ref(&large))])];
    let mut answer = body(16, &topics).expect("it encodes").behind(Bytes::new());
    while answer.chunk().as_ptr() != large.bytes().as_ptr() {
        assert!(answer.has_remaining(), "no piece is the log's own");
        answer.advance(answer.chunk().len());
    }
}
