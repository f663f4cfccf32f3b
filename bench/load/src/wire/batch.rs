//! Record batches and whole produce requests, encoded once. Between two sendings only numbers are written into a request: its correlation
//! id and, where the producer is idempotent, the batch's first sequence, with the checksum put together from that of the records.

#[cfg(test)]
mod tests;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};

use super::client::{self, CORRELATION};

/// Bytes of a batch before its records; where it has its length, its checksum, what that begins with, and what says whose it is.
pub(crate) const HEADER_BYTES: usize = 61;
const CRC: usize = 17;
const CHECKED: usize = 21;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
/// The last version of Produce whose frame ends with the batch.
pub(crate) const PRODUCE_VERSION: i16 = 8;
/// All replicas.
const ACKS_ALL: i16 = -1;
/// An upper bound of what a record takes beside its value: its own length, time and offset deltas, no key, no headers.
const RECORD_OVERHEAD: usize = 20;

/// A batch that is sent as often as one likes.
#[derive(Debug, Clone)]
pub(crate) struct SharedBatch {
    bytes: Bytes,
    records_crc: u32,
    /// Records in it.
    pub(crate) records: i32,
}

impl SharedBatch {
    /// As many values, in turn, as fit into `bytes_max`; one at least.
    pub(crate) fn build(values: &[Bytes], bytes_max: usize, at_ms: i64) -> Result<Self> {
        ensure!(values.iter().any(|value| !value.is_empty()), "there are no records to send");
        let (mut records, mut bytes) = (Vec::new(), HEADER_BYTES);
        for value in values.iter().cycle() {
            bytes += value.len() + RECORD_OVERHEAD;
            if bytes > bytes_max && !records.is_empty() {
                break;
            }
            records.push(record(value.clone(), i32::try_from(records.len())?, at_ms));
        }
        let mut encoded = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut encoded, &records, &options).context("encoding a batch")?;
        let records_crc = crc32c::crc32c(&encoded[HEADER_BYTES..]);
        Ok(Self { bytes: encoded.freeze(), records_crc, records: i32::try_from(records.len())? })
    }

    /// Header and records.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The offset and the sequence number both count from 0: the encoder puts into one batch what advances alike.
fn record(value: Bytes, number: i32, at_ms: i64) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(number),
        sequence: NO_SEQUENCE.wrapping_add(number),
        timestamp: at_ms,
        key: None,
        value: Some(value),
        headers: Default::default(),
    }
}

/// Who sends, as the server has numbered it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// A whole request: one batch to one partition.
#[derive(Debug)]
pub(crate) struct ProduceFrame {
    /// Everything up to the batch's records: this request's own.
    head: Vec<u8>,
    /// Header and records of the batch, of which all requests share the latter.
    batch: SharedBatch,
    /// The next sequence number, if the producer is idempotent.
    sequence: Option<i32>,
}

impl ProduceFrame {
    pub(crate) fn new(topic: &str, partition: i32, batch: &SharedBatch, identity: Option<Identity>) -> Result<Self> {
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch.bytes.clone()));
        let topic = TopicProduceData::default().with_name(client::topic_name(topic)).with_partition_data(vec![data]);
        let request = ProduceRequest::default().with_acks(ACKS_ALL).with_timeout_ms(30_000).with_topic_data(vec![topic]);
        let whole = client::frame(PRODUCE_VERSION, 0, &request)?;
        ensure!(whole.ends_with(&batch.bytes), "the request does not end with its batch");
        let head = whole[..whole.len() - batch.bytes.len() + HEADER_BYTES].to_vec();
        let mut frame = Self { head, batch: batch.clone(), sequence: identity.map(|_| 0) };
        if let Some(Identity { id, epoch }) = identity {
            frame.header()[PRODUCER_ID..PRODUCER_EPOCH].copy_from_slice(&id.to_be_bytes());
            frame.header()[PRODUCER_EPOCH..BASE_SEQUENCE].copy_from_slice(&epoch.to_be_bytes());
        }
        Ok(frame)
    }

    /// The bytes to send next, with this correlation id and the next sequence number.
    pub(crate) fn next(&mut self, correlation: i32) -> impl Buf {
        self.head[CORRELATION].copy_from_slice(&correlation.to_be_bytes());
        if let Some(sequence) = self.sequence {
            let (records, records_crc) = (self.batch.records, self.batch.records_crc);
            let records_len = self.batch.bytes.len() - HEADER_BYTES;
            let header = self.header();
            header[BASE_SEQUENCE..][..4].copy_from_slice(&sequence.to_be_bytes());
            let crc = crc32c::crc32c_combine(crc32c::crc32c(&header[CHECKED..]), records_crc, records_len);
            header[CRC..CHECKED].copy_from_slice(&crc.to_be_bytes());
            // After the largest number comes 0.
            self.sequence = Some(sequence.wrapping_add(records) & i32::MAX);
        }
        self.head.chain(&self.batch.bytes[HEADER_BYTES..])
    }

    /// Records in each sending.
    pub(crate) fn records(&self) -> i32 {
        self.batch.records
    }

    fn header(&mut self) -> &mut [u8] {
        let at = self.head.len() - HEADER_BYTES;
        &mut self.head[at..]
    }
}
