//! Builds a batch record by record: each value is copied once, into its final place.

use bytes::Bytes;

use super::varint::{len_i64, put, put_bytes, size, size_bytes};
use super::{Batch, CONTROL_BIT, CRC_FROM, HEADER_LEN, LENGTH_PREFIX_LEN, NO_PRODUCER, ProducerSequence, TRANSACTIONAL_BIT};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::record::Record;

/// The headers of one record, in order.
type Headers<'a> = &'a [(String, Option<Bytes>)];

/// Collects records into one uncompressed batch.
#[derive(Debug)]
pub struct BatchBuilder {
    out: Vec<u8>,
    count: u32,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
    producer: Option<ProducerSequence>,
    attributes: i16,
}

impl BatchBuilder {
    /// An empty batch whose records are stamped `at`.
    pub fn new(at: Timestamp) -> Self {
        Self::with_capacity(at, 0)
    }

    /// The same, with room for `bytes` of records.
    pub fn with_capacity(at: Timestamp, bytes: usize) -> Self {
        let mut out = Vec::with_capacity(HEADER_LEN + bytes);
        out.resize(HEADER_LEN, 0);
        Self { out, count: 0, base_timestamp: at, max_timestamp: at, producer: None, attributes: 0 }
    }

    /// Marks the batch as an idempotent producer's.
    pub fn set_producer(&mut self, producer: ProducerSequence) {
        self.producer = Some(producer);
    }

    /// Marks the batch as part of its producer's transaction.
    pub fn set_transactional(&mut self) {
        self.attributes |= TRANSACTIONAL_BIT;
    }

    /// Marks the batch as one of control records, which no consumer is shown.
    pub(super) fn set_control(&mut self) {
        self.attributes |= CONTROL_BIT;
    }

    /// Appends a record, stamped as the batch.
    pub fn push_record(&mut self, record: &Record) {
        self.put(self.base_timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
    }

    /// Appends a record with a timestamp of its own.
    pub fn push_record_at(&mut self, timestamp: Timestamp, record: &Record) {
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.put(timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
    }

    /// Appends a key and a value, stamped as the batch.
    pub fn push(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.put(self.base_timestamp, key, value, &[]);
    }

    /// Appends a key and a value with a timestamp of their own.
    pub fn push_at(&mut self, timestamp: Timestamp, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.put(timestamp, key, value, &[]);
    }

    /// How many records are in it.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether no record is in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes the batch takes as it stands.
    pub fn size_bytes(&self) -> usize {
        self.out.len()
    }

    /// The finished batch, at offset 0 until a log places it.
    ///
    /// # Errors
    /// `Invalid` when it holds no record or more than 2 GiB.
    pub fn build(self) -> Result<Batch> {
        let mut out = self.out;
        let length = i32::try_from(out.len() - LENGTH_PREFIX_LEN).map_err(|_| Error::invalid("record batch is over 2 GiB"))?;
        if self.count == 0 {
            return Err(Error::invalid("a record batch takes one record at least"));
        }
        let producer = self.producer.unwrap_or(ProducerSequence { id: NO_PRODUCER, epoch: -1, first: -1 });
        let count = self.count.cast_signed();
        out[8..12].copy_from_slice(&length.to_be_bytes());
        out[16] = 2;
        out[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        out[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.0.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.0.to_be_bytes());
        out[43..51].copy_from_slice(&producer.id.to_be_bytes());
        out[51..53].copy_from_slice(&producer.epoch.to_be_bytes());
        out[53..57].copy_from_slice(&producer.first.to_be_bytes());
        out[57..61].copy_from_slice(&count.to_be_bytes());
        let crc = crc32c::crc32c(&out[CRC_FROM..]);
        out[17..21].copy_from_slice(&crc.to_be_bytes());
        Ok(Batch { bytes: Bytes::from(out) })
    }

    fn put(&mut self, timestamp: Timestamp, key: Option<&[u8]>, value: Option<&[u8]>, headers: Headers<'_>) {
        let timestamp_delta = timestamp.0 - self.base_timestamp.0;
        let offset_delta = i64::from(self.count);
        let headers_size: usize =
            headers.iter().map(|(name, value)| size_bytes(Some(name.as_bytes())) + size_bytes(value.as_deref())).sum();
        let body_size = 1
            + size(timestamp_delta)
            + size(offset_delta)
            + size_bytes(key)
            + size_bytes(value)
            + size(len_i64(headers.len()))
            + headers_size;
        let out = &mut self.out;
        put(out, len_i64(body_size));
        out.push(0);
        put(out, timestamp_delta);
        put(out, offset_delta);
        put_bytes(out, key);
        put_bytes(out, value);
        put(out, len_i64(headers.len()));
        for (name, value) in headers {
            put_bytes(out, Some(name.as_bytes()));
            put_bytes(out, value.as_deref());
        }
        self.count += 1;
    }
}
