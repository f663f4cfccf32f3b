//! Kafka record batches, version 2: the same bytes on the wire, on disk and in a fetch.
//!
//! Format: the Kafka protocol guide, "Record Batch". All integers are big-endian; those inside a record are zigzag varints.
//! The base offset and the leader epoch lie outside the CRC, so a log may set them without touching the records.

mod builder;
mod compression;
mod marker;
#[cfg(any(test, feature = "testing"))]
pub mod packing;
mod varint;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

pub use builder::BatchBuilder;
pub use compression::{Codec, UNPACKED_BYTES_MAX};
pub use marker::Marker;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::position::{Offset, OffsetRange};
use crate::record::{Record, RecordView};

/// Bytes before the first record.
pub const HEADER_LEN: usize = 61;
/// Bytes before `batchLength` starts to count: the base offset and the length itself.
pub const LENGTH_PREFIX_LEN: usize = 12;
/// Where the CRC's coverage starts.
const CRC_FROM: usize = 21;
const COMPRESSION_MASK: i16 = 0b0111;
const APPEND_TIME_BIT: i16 = 0b1000;
const TRANSACTIONAL_BIT: i16 = 0b1_0000;
const CONTROL_BIT: i16 = 0b10_0000;
const NO_PRODUCER: i64 = -1;

/// A producer's identity and the sequence number of a batch's first record, for idempotent appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerSequence {
    /// The producer's id, assigned by the log's owner.
    pub id: i64,
    /// The producer's epoch; a lower one is fenced.
    pub epoch: i16,
    /// The first record's sequence number; wraps after 2^31 - 1.
    pub first: i32,
}

/// One record batch, checked: its length, version, CRC and counts agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    bytes: Bytes,
}

impl Batch {
    /// A batch of `records`, all stamped `at`. `records` must not be empty.
    pub fn of(records: &[Record], at: Timestamp) -> Result<Batch> {
        let mut builder = BatchBuilder::new(at);
        for record in records {
            builder.push_record(record);
        }
        builder.build()
    }

    /// Takes one whole batch and checks it.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not one whole batch of version 2 or the CRC does not hold.
    pub fn parse(bytes: Bytes) -> Result<Batch> {
        let batch = Batch { bytes };
        if batch.bytes.len() < HEADER_LEN {
            return Err(Error::corrupt(format!(
                "a record batch takes {HEADER_LEN} bytes at least, {} are there",
                batch.bytes.len()
            )));
        }
        if batch.bytes[16] != 2 {
            return Err(Error::corrupt(format!("record batch version {} is not 2", batch.bytes[16])));
        }
        let length = i64::from(batch.i32_at(8)) + LENGTH_PREFIX_LEN as i64;
        if length != batch.bytes.len() as i64 {
            return Err(Error::corrupt(format!("record batch says {length} bytes, {} are there", batch.bytes.len())));
        }
        let (stated, found) = (batch.u32_at(17), crc32c::crc32c(&batch.bytes[CRC_FROM..]));
        if stated != found {
            return Err(Error::corrupt(format!("record batch CRC is {found:#010x}, its header says {stated:#010x}")));
        }
        // Compaction and transactions leave fewer records than offsets, never more.
        let (count, last_delta) = (i64::from(batch.i32_at(57)), i64::from(batch.i32_at(23)));
        let fits = (0..=last_delta + 1).contains(&count) && last_delta >= 0;
        if !fits
            || last_delta == i64::from(i32::MAX)
            || batch.base_offset().0.checked_add(last_delta + 1).is_none_or(|end| end < 1)
        {
            return Err(Error::corrupt("record batch counts are out of range"));
        }
        Ok(batch)
    }

    /// The length in bytes that the batch starting with `prefix` claims for itself, once [`LENGTH_PREFIX_LEN`] bytes are
    /// there; `None` for a length no batch can have.
    pub fn claimed_len(prefix: &[u8]) -> Option<usize> {
        let length = i32::from_be_bytes(prefix.get(8..LENGTH_PREFIX_LEN)?.try_into().ok()?);
        let total = usize::try_from(length).ok()?.checked_add(LENGTH_PREFIX_LEN)?;
        (total >= HEADER_LEN).then_some(total)
    }

    /// The whole batch as bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The first record's offset, as the log assigned it.
    pub fn base_offset(&self) -> Offset {
        Offset(self.i64_at(0))
    }

    /// The offsets of its records: base up to the last delta, which compaction may leave with holes.
    pub fn offsets(&self) -> OffsetRange {
        let start = self.base_offset();
        OffsetRange { start, end: start.plus(u64::from(self.offset_span())) }
    }

    /// How many offsets it takes in its partition.
    pub fn offset_span(&self) -> u32 {
        self.i32_at(23).cast_unsigned() + 1
    }

    /// How many records it holds.
    pub fn record_count(&self) -> u32 {
        self.i32_at(57).cast_unsigned()
    }

    /// The largest timestamp among its records.
    pub fn max_timestamp(&self) -> Timestamp {
        Timestamp(self.i64_at(35))
    }

    /// Who produced it, if an idempotent producer did.
    pub fn producer(&self) -> Option<ProducerSequence> {
        let id = self.i64_at(43);
        (id != NO_PRODUCER).then(|| ProducerSequence {
            id,
            epoch: i16::from_be_bytes([self.bytes[51], self.bytes[52]]),
            first: self.i32_at(53),
        })
    }

    /// Whether it is a control batch (a transaction's marker), which holds no user records.
    pub fn is_control(&self) -> bool {
        self.attributes() & CONTROL_BIT != 0
    }

    /// Whether it belongs to a transaction, as a record batch or as the marker that ends it.
    pub fn is_transactional(&self) -> bool {
        self.attributes() & TRANSACTIONAL_BIT != 0
    }

    /// Whether its records have the time of their append, not the producer's.
    pub fn has_append_time(&self) -> bool {
        self.attributes() & APPEND_TIME_BIT != 0
    }

    /// The leader epoch of the broker that appended it; 0 for those of this server.
    pub fn leader_epoch(&self) -> i32 {
        self.i32_at(12)
    }

    /// A batch without records that takes the same offsets: what readers of committed records get for one that they must not see.
    #[must_use]
    pub fn emptied(&self) -> Batch {
        let mut bytes = BytesMut::from(&self.bytes[..HEADER_LEN]);
        bytes[8..12].copy_from_slice(&((HEADER_LEN - LENGTH_PREFIX_LEN) as i32).to_be_bytes());
        bytes[21..23].copy_from_slice(&0_i16.to_be_bytes());
        bytes[43..57].fill(0xff);
        bytes[57..61].copy_from_slice(&0_i32.to_be_bytes());
        Batch::sealed(bytes)
    }

    /// The same batch with `at` as the time of all its records, as a topic that takes the time of the append has it.
    #[must_use]
    pub fn appended_at(self, at: Timestamp) -> Batch {
        let mut bytes = self.into_mut();
        let attributes = i16::from_be_bytes([bytes[21], bytes[22]]) | APPEND_TIME_BIT;
        bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
        bytes[35..43].copy_from_slice(&at.0.to_be_bytes());
        Batch::sealed(bytes)
    }

    /// The same batch at `base` in its partition. Copies only if the bytes are shared.
    #[must_use]
    pub fn at(self, base: Offset) -> Batch {
        let mut bytes = self.into_mut();
        bytes[0..8].copy_from_slice(&base.0.to_be_bytes());
        bytes[12..16].copy_from_slice(&0_i32.to_be_bytes());
        Batch { bytes: bytes.freeze() }
    }

    /// The same batch as a producer sends it: at offset 0, without a time of the log, by `producer` if that is given.
    #[must_use]
    pub fn to_send(&self, producer: Option<ProducerSequence>) -> Batch {
        let mut bytes = BytesMut::from(&self.bytes[..]);
        bytes[0..8].fill(0);
        bytes[12..16].fill(0xff);
        let attributes = self.attributes() & !APPEND_TIME_BIT;
        bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
        if let Some(producer) = producer {
            bytes[43..51].copy_from_slice(&producer.id.to_be_bytes());
            bytes[51..53].copy_from_slice(&producer.epoch.to_be_bytes());
            bytes[53..57].copy_from_slice(&producer.first.to_be_bytes());
        }
        Batch::sealed(bytes)
    }

    /// Its records in order. Compressed ones must be unpacked first, see [`Batch::plain`].
    ///
    /// # Errors
    /// The iterator ends with one error: `Corrupt` if the records do not fill the batch exactly, `Invalid` if they are compressed.
    pub fn records(&self) -> Records<'_> {
        let compressed = self.attributes() & COMPRESSION_MASK != 0;
        Records {
            rest: if compressed { None } else { Some(&self.bytes[HEADER_LEN..]) },
            left: self.record_count(),
            base_offset: self.base_offset(),
            base_timestamp: self.i64_at(27),
            append_time: self.has_append_time().then(|| self.max_timestamp()),
        }
    }

    /// Bytes with everything but the CRC in place, as a batch.
    fn sealed(mut bytes: BytesMut) -> Batch {
        let crc = crc32c::crc32c(&bytes[CRC_FROM..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        Batch { bytes: bytes.freeze() }
    }

    fn into_mut(self) -> BytesMut {
        self.bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]))
    }

    fn attributes(&self) -> i16 {
        i16::from_be_bytes([self.bytes[21], self.bytes[22]])
    }

    fn i32_at(&self, at: usize) -> i32 {
        i32::from_be_bytes(self.bytes[at..at + 4].try_into().expect("the header is there"))
    }

    fn u32_at(&self, at: usize) -> u32 {
        self.i32_at(at).cast_unsigned()
    }

    fn i64_at(&self, at: usize) -> i64 {
        i64::from_be_bytes(self.bytes[at..at + 8].try_into().expect("the header is there"))
    }
}

/// The records of a batch, in order; see [`Batch::records`].
#[derive(Debug)]
pub struct Records<'a> {
    rest: Option<&'a [u8]>,
    left: u32,
    base_offset: Offset,
    base_timestamp: i64,
    append_time: Option<Timestamp>,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let Some(mut rest) = self.rest else {
            self.left = 0;
            return Some(Err(Error::invalid("compressed record batches are not read: send them uncompressed")));
        };
        let record = self.decode(&mut rest);
        let whole = self.left > 0 || rest.is_empty();
        self.rest = Some(rest);
        let Some(record) = record.filter(|_| whole) else {
            self.left = 0;
            return Some(Err(Error::corrupt("record batch does not decode into its records")));
        };
        Some(Ok(record))
    }
}

impl<'a> Records<'a> {
    fn decode(&self, rest: &mut &'a [u8]) -> Option<RecordView<'a>> {
        let mut body = varint::take_bytes(rest)??;
        let (_attributes, after) = body.split_first()?;
        body = after;
        let timestamp_delta = varint::take(&mut body)?;
        let offset_delta = varint::take(&mut body)?;
        let key = varint::take_bytes(&mut body)?;
        let value = varint::take_bytes(&mut body)?;
        check_headers(body)?;
        Some(RecordView {
            offset: Offset(self.base_offset.0.checked_add(offset_delta)?),
            timestamp: self.append_time.unwrap_or(Timestamp(self.base_timestamp.checked_add(timestamp_delta)?)),
            key,
            value,
            headers: body,
        })
    }
}

/// A header's name and value.
type HeaderView<'a> = (Cow<'a, str>, Option<&'a [u8]>);

impl<'a> RecordView<'a> {
    /// The headers, decoded: names and values. Bytes of a name that are no UTF-8 are shown as U+FFFD, as Kafka's own client does.
    ///
    /// # Errors
    /// `Corrupt` if the bytes are not headers, which those of a batch always are.
    pub fn decode_headers(&self) -> Result<Vec<HeaderView<'a>>> {
        decode_headers(self.headers)
            .ok_or_else(|| Error::corrupt(format!("the headers of the record at offset {} do not decode", self.offset)))
    }
}

fn decode_headers(mut rest: &[u8]) -> Option<Vec<HeaderView<'_>>> {
    let count = usize::try_from(varint::take(&mut rest)?).ok()?;
    // The count is only a claim: each header takes two bytes at least.
    let mut headers = Vec::with_capacity(count.min(rest.len() / 2));
    for _ in 0..count {
        let (name, value) = take_header(&mut rest)?;
        headers.push((String::from_utf8_lossy(name), value));
    }
    rest.is_empty().then_some(headers)
}

/// A count and so many headers, and nothing behind them.
fn check_headers(mut rest: &[u8]) -> Option<()> {
    for _ in 0..usize::try_from(varint::take(&mut rest)?).ok()? {
        take_header(&mut rest)?;
    }
    rest.is_empty().then_some(())
}

fn take_header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    Some((varint::take_bytes(rest)??, varint::take_bytes(rest)?))
}
