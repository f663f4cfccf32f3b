//! What is sent is what the codec reads, whichever numbers were written into it.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::{ApiKey, ProduceRequest, RequestHeader};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::records::{BatchDecodeInfo, RecordBatchDecoder, RecordSet};

use super::{Identity, PRODUCE_VERSION, ProduceFrame, SharedBatch};

const AT_MS: i64 = 1_750_000_000_000;

fn values(lens: &[usize]) -> Vec<Bytes> {
    lens.iter().map(|len| Bytes::from(vec![b'v'; *len])).collect()
}

/// The correlation id, the topic, the partition, and the batch, whose checksum the decoder has checked.
fn decoded(sent: &mut impl Buf) -> (i32, String, i32, BatchDecodeInfo, RecordSet) {
    let length = usize::try_from(sent.get_i32()).unwrap();
    let mut frame = sent.copy_to_bytes(sent.remaining());
    assert_eq!(frame.len(), length);
    let header = RequestHeader::decode(&mut frame, ApiKey::Produce.request_header_version(PRODUCE_VERSION)).unwrap();
    let request = ProduceRequest::decode(&mut frame, PRODUCE_VERSION).unwrap();
    assert_eq!((request.acks, frame.len()), (-1, 0));
    let data = &request.topic_data[0].partition_data[0];
    let mut records = data.records.clone().unwrap();
    let info = RecordBatchDecoder::decode_batch_info(&mut records.clone()).unwrap().remove(0);
    let set = RecordBatchDecoder::decode(&mut records).unwrap();
    (header.correlation_id, request.topic_data[0].name.to_string(), data.index, info, set)
}

#[test]
fn a_batch_takes_as_many_records_in_turn_as_fit() {
    let batch = SharedBatch::build(&values(&[100, 200]), 1_000, AT_MS).unwrap();
    assert!(batch.bytes().len() <= 1_000);
    let set = decoded(&mut ProduceFrame::new("t", 0, &batch, None).unwrap().next(1)).4;
    let lens: Vec<usize> = set.records.iter().map(|record| record.value.as_ref().unwrap().len()).collect();
    assert_eq!(lens, [100, 200, 100, 200, 100]);
    assert_eq!(batch.records, 5);
    assert!(set.records.iter().all(|record| record.timestamp == AT_MS));
}

#[test]
fn a_record_over_the_limit_goes_alone() {
    assert_eq!(SharedBatch::build(&values(&[5_000]), 1_000, AT_MS).unwrap().records, 1);
}

#[test]
fn without_records_there_is_no_batch() {
    assert!(SharedBatch::build(&[], 1_000, AT_MS).is_err());
    assert!(SharedBatch::build(&values(&[0]), 1_000, AT_MS).is_err());
}

#[test]
fn a_frame_carries_its_own_numbers_each_time() {
    let batch = SharedBatch::build(&values(&[10]), 200, AT_MS).unwrap();
    let mut frame = ProduceFrame::new("t", 3, &batch, None).unwrap();
    for correlation in [7, 8] {
        let (id, topic, partition, info, _) = decoded(&mut frame.next(correlation));
        assert_eq!((id, topic.as_str(), partition), (correlation, "t", 3));
        assert_eq!((info.producer_id, info.producer_epoch, info.base_sequence), (-1, -1, -1));
    }
}

#[test]
fn an_idempotent_producer_numbers_its_batches() {
    let batch = SharedBatch::build(&values(&[10]), 200, AT_MS).unwrap();
    let mut frame = ProduceFrame::new("t", 0, &batch, Some(Identity { id: 77, epoch: 5 })).unwrap();
    for base_sequence in [0, batch.records, 2 * batch.records] {
        let info = decoded(&mut frame.next(0)).3;
        assert_eq!((info.producer_id, info.producer_epoch, info.base_sequence), (77, 5, base_sequence));
    }
}

#[test]
fn after_the_largest_sequence_number_comes_0() {
    let batch = SharedBatch::build(&values(&[10]), 200, AT_MS).unwrap();
    let mut frame = ProduceFrame::new("t", 0, &batch, Some(Identity { id: 1, epoch: 0 })).unwrap();
    frame.sequence = Some(i32::MAX);
    frame.next(0);
    assert_eq!(frame.sequence, Some(batch.records - 1));
}
