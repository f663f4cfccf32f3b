//! Any bytes at all as a record batch: no panic, no reading past the end, no more unpacked than may be.

use bytes::Bytes;

use crate::batch::packing::{CODECS, packed};
use crate::batch::{Batch, BatchBuilder, HEADER_LEN, LENGTH_PREFIX_LEN, ProducerSequence, UNPACKED_BYTES_MAX};
use crate::clock::Timestamp;
use crate::error::ErrorKind;
use crate::position::Offset;

/// Reads `bytes` as they are, and with length, version and CRC put right, so that more than those is looked at.
///
/// # Panics
/// When something is read that can't be.
pub fn run(bytes: &[u8]) {
    read(&Bytes::copy_from_slice(bytes));
    if bytes.len() >= HEADER_LEN {
        read(&sealed(bytes.to_vec()));
    }
}

/// Batches to begin with: plain ones, a transaction's, and one packed by each codec.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut builder = BatchBuilder::new(Timestamp(1_600_000_000_000));
    builder.push(Some(b"key"), Some(b"value value value value"));
    builder.push_at(Timestamp(1_600_000_000_007), None, None);
    let plain = builder.build().unwrap();
    let mut builder = BatchBuilder::new(Timestamp(0));
    builder.set_producer(ProducerSequence { id: 1, epoch: 1, first: 0 });
    builder.set_transactional();
    builder.push(None, Some(b"t"));
    let in_transaction = builder.build().unwrap();
    let marker = Batch::marker(crate::batch::Marker::Abort, 1, 1, Timestamp(0)).unwrap();
    let packed = CODECS.map(|(_, codec, pack)| packed(&plain, codec, pack));
    [plain, in_transaction, marker].iter().chain(&packed).map(|batch| batch.bytes().to_vec()).collect()
}

/// The bytes with length, version and CRC of a batch.
fn sealed(mut bytes: Vec<u8>) -> Bytes {
    let length = u32::try_from(bytes.len() - LENGTH_PREFIX_LEN).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[16] = 2;
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

fn read(bytes: &Bytes) {
    let Ok(batch) = Batch::parse(bytes.clone()) else { return };
    assert_eq!(Batch::claimed_len(bytes), Some(bytes.len()));
    let offsets = batch.offsets();
    assert_eq!(offsets.len(), u64::from(batch.offset_span()));
    let _ = (batch.producer(), batch.max_timestamp(), batch.ends_transaction(), batch.codec());
    for changed in [batch.emptied(), batch.clone().appended_at(Timestamp(7)), batch.clone().at(Offset(9))] {
        assert_eq!(Batch::parse(changed.bytes().clone()).unwrap(), changed);
    }
    let plain = match batch.plain() {
        Ok(plain) => plain,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            return;
        }
    };
    assert!(plain.bytes().len() <= bytes.len().max(HEADER_LEN + UNPACKED_BYTES_MAX));
    assert_eq!(Batch::parse(plain.bytes().clone()).unwrap(), *plain);
    read_records(&plain);
}

fn read_records(plain: &Batch) {
    let (mut records, mut size) = (0, 0);
    for record in plain.records() {
        let Ok(record) = record else { return };
        records += 1;
        size += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + record.headers.len();
        if let Ok(headers) = record.decode_headers() {
            assert!(headers.len() <= record.headers.len() / 2);
        }
    }
    assert_eq!(records, plain.record_count());
    assert!(size <= plain.bytes().len() - HEADER_LEN, "no byte belongs to two records");
}
