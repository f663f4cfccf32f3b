//! Batches as no door of ours makes them: compressed, of transactions, compacted, and such that can't be read.

use bytes::Bytes;
use pinlake_core::batch::packing::{self, Pack};
use pinlake_core::batch::{HEADER_LEN, LENGTH_PREFIX_LEN, Marker, ProducerSequence};
use pinlake_core::{Batch, BatchBuilder, Record, Timestamp};

pub(crate) use pinlake_core::batch::packing::CODECS;

/// A transactional producer.
pub(crate) struct Producer {
    id: i64,
    next: i32,
}

impl Producer {
    pub(crate) fn new(id: i64) -> Self {
        Self { id, next: 0 }
    }

    /// The next batch of its transaction.
    pub(crate) fn batch(&mut self, values: &[&str], at: Timestamp) -> Batch {
        let mut batch = BatchBuilder::new(at);
        batch.set_producer(ProducerSequence { id: self.id, epoch: 0, first: self.next });
        batch.set_transactional();
        values.iter().for_each(|value| batch.push(None, Some(value.as_bytes())));
        self.next += i32::try_from(values.len()).unwrap();
        batch.build().unwrap()
    }

    pub(crate) fn marker(&self, end: Marker, at: Timestamp) -> Batch {
        Batch::marker(end, self.id, 0, at).unwrap()
    }
}

/// A batch of these values.
pub(crate) fn plain(values: &[&str], at: Timestamp) -> Batch {
    let records: Vec<Record> = values.iter().map(|value| Record::of_value((*value).to_owned())).collect();
    Batch::of(&records, at).unwrap()
}

/// The same records under a codec.
pub(crate) fn packed(batch: &Batch, (_, codec, pack): (&str, u8, Pack)) -> Batch {
    packing::packed(batch, codec, pack)
}

/// What a codec can't unpack.
pub(crate) fn cut_off(batch: &Batch, (_, codec, pack): (&str, u8, Pack)) -> Batch {
    packing::packed(batch, codec, |records| {
        let whole = pack(records);
        whole[..whole.len() / 2].to_vec()
    })
}

/// One record a value at these deltas, in a batch that takes `span` offsets: what compaction leaves, if the deltas grow and lie within.
/// Values and deltas must be below 64, so that each number takes one byte.
pub(crate) fn compacted(values: &[(&str, u8)], span: i32, at: Timestamp) -> Batch {
    let mut records = Vec::new();
    for (value, delta) in values {
        let length = u8::try_from(value.len()).unwrap();
        let body = [&[0, 0, 2 * delta, 1, 2 * length][..], value.as_bytes(), &[0]].concat();
        records.push(2 * u8::try_from(body.len()).unwrap());
        records.extend(body);
    }
    let mut bytes = plain(&["x"], at).bytes()[..HEADER_LEN].to_vec();
    bytes[23..27].copy_from_slice(&(span - 1).to_be_bytes());
    bytes[57..61].copy_from_slice(&i32::try_from(values.len()).unwrap().to_be_bytes());
    sealed(bytes, &records)
}

fn sealed(mut bytes: Vec<u8>, records: &[u8]) -> Batch {
    bytes.extend_from_slice(records);
    let length = i32::try_from(bytes.len() - LENGTH_PREFIX_LEN).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Batch::parse(Bytes::from(bytes)).unwrap()
}
