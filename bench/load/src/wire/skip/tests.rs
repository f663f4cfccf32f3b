//! Answers of Fetch as the codec writes them: whole, cut, with holes and damage.

use std::io::Cursor;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::{AbortedTransaction, FetchResponse, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{ApiKey, ResponseHeader};
use kafka_protocol::protocol::Encodable;

use super::super::batch::SharedBatch;
use super::super::client::topic_name;
use super::{FETCH_VERSION, Fetched, answer};

const CORRELATION: i32 = 9;

/// A batch of three records at this offset.
fn batch(base: i64) -> Vec<u8> {
    let batch = SharedBatch::build(&[Bytes::from_static(b"value")], 61 + 3 * 25, 0).unwrap();
    assert_eq!(batch.records, 3);
    let mut bytes = batch.bytes().to_vec();
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    bytes
}

fn answered(data: PartitionData) -> Vec<u8> {
    let topic = FetchableTopicResponse::default().with_topic(topic_name("t")).with_partitions(vec![data]);
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    let header = ResponseHeader::default().with_correlation_id(CORRELATION);
    header.encode(&mut frame, ApiKey::Fetch.response_header_version(FETCH_VERSION)).unwrap();
    FetchResponse::default().with_responses(vec![topic]).encode(&mut frame, FETCH_VERSION).unwrap();
    let length = i32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.to_vec()
}

fn of(records: &[u8]) -> Vec<u8> {
    answered(PartitionData::default().with_records(Some(Bytes::copy_from_slice(records))))
}

/// What was read from offset 5 on, and where it goes on.
async fn read(bytes: Vec<u8>) -> anyhow::Result<(Fetched, i64)> {
    let (mut from, mut next) = (Cursor::new(bytes), 5);
    let fetched = answer(&mut from, CORRELATION, &mut next, true).await?;
    assert_eq!(from.position(), from.get_ref().len() as u64, "the answer is read to its end");
    Ok((fetched, next))
}

#[tokio::test]
async fn whole_batches_are_counted_and_followed() {
    let records = [batch(5), batch(8)].concat();
    let bytes = records.len() as u64;
    assert_eq!(read(of(&records)).await.unwrap(), (Fetched { batches: 2, records: 6, bytes }, 11));
}

#[tokio::test]
async fn aborted_transactions_are_passed_over() {
    let aborted = Some(vec![AbortedTransaction::default(), AbortedTransaction::default()]);
    let data = PartitionData::default().with_aborted_transactions(aborted).with_records(Some(batch(5).into()));
    assert_eq!(read(answered(data)).await.unwrap().1, 8);
}

#[tokio::test]
async fn a_batch_that_the_limit_cut_is_left_for_the_next_answer() {
    for kept in [1, 60, 61, 70] {
        let records = [batch(5), batch(8)[..kept].to_vec()].concat();
        let (fetched, next) = read(of(&records)).await.unwrap();
        assert_eq!((fetched.batches, next), (1, 8), "{kept} bytes of the second");
    }
}

#[tokio::test]
async fn an_answer_without_records_moves_nothing() {
    assert_eq!(read(answered(PartitionData::default())).await.unwrap(), (Fetched::default(), 5));
    assert_eq!(read(of(&[])).await.unwrap(), (Fetched::default(), 5));
}

#[tokio::test]
async fn a_hole_is_an_error() {
    let error = read(of(&[batch(5), batch(9)].concat())).await.unwrap_err();
    assert_eq!(format!("{error:#}"), "in partition 0: offset 8 was to follow, but a batch begins at 9");
    assert!(read(of(&batch(2))).await.is_err());
}

#[tokio::test]
async fn damage_is_an_error() {
    let mut records = batch(5);
    *records.last_mut().unwrap() ^= 1;
    let error = read(of(&records)).await.unwrap_err();
    assert_eq!(format!("{error:#}"), "in partition 0: the batch at offset 5 is damaged");
}

#[tokio::test]
async fn a_refusal_is_an_error() {
    let error = read(answered(PartitionData::default().with_error_code(1))).await.unwrap_err();
    assert_eq!(format!("{error:#}"), "a fetch from partition 0 was refused: the server answered OffsetOutOfRange (1)");
}

#[tokio::test]
async fn an_answer_that_ends_early_is_an_error() {
    let whole = of(&batch(5));
    for kept in 0..whole.len() {
        let (mut from, mut next) = (Cursor::new(whole[..kept].to_vec()), 5);
        assert!(answer(&mut from, CORRELATION, &mut next, false).await.is_err(), "{kept} bytes");
    }
}
