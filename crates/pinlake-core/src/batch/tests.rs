//! Round trips, hostile bytes, and one batch that another implementation encoded.

use bytes::Bytes;
use proptest::prelude::*;

use super::packing::{CODECS, packed};
use super::*;
use crate::error::ErrorKind;
use crate::testing::any_batch;

fn any_record() -> impl Strategy<Value = Record> {
    let blob = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from));
    let headers = proptest::collection::vec(("[a-z]{0,8}", blob.clone()), 0..3);
    (blob.clone(), blob, headers).prop_map(|(key, value, headers)| Record { key, value, headers })
}

proptest! {
    #[test]
    fn records_come_back_as_they_went_in(records in proptest::collection::vec(any_record(), 1..40), base in 0..i64::MAX / 2, at in 0..i64::MAX / 4) {
        let batch = Batch::of(&records, Timestamp(at)).unwrap().at(Offset(base));
        let batch = Batch::parse(batch.bytes().clone()).unwrap();
        let found: Vec<RecordView<'_>> = batch.records().collect::<Result<_>>().unwrap();
        prop_assert_eq!(found.len(), records.len());
        for (delta, (found, put)) in found.iter().zip(&records).enumerate() {
            prop_assert_eq!(found.offset, Offset(base).plus(delta as u64));
            prop_assert_eq!(found.timestamp, Timestamp(at));
            prop_assert_eq!(found.key, put.key.as_deref());
            prop_assert_eq!(found.value, put.value.as_deref());
            let headers: Vec<_> = put.headers.iter().map(|(name, value)| (name.as_str().into(), value.as_deref())).collect();
            prop_assert_eq!(found.decode_headers().unwrap(), headers);
        }
    }

    #[test]
    fn one_flipped_bit_is_found(records in proptest::collection::vec(any_record(), 1..5), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = Batch::of(&records, Timestamp(1)).unwrap().bytes().to_vec();
        // The base offset and the leader epoch are outside the CRC by design.
        let covered: Vec<usize> = (8..12).chain(16..bytes.len()).collect();
        bytes[covered[at.index(covered.len())]] ^= 1u8 << bit;
        prop_assert!(Batch::parse(Bytes::from(bytes)).is_err());
    }

    #[test]
    fn any_bytes_parse_or_fail_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Batch::claimed_len(&bytes);
        if let Ok(batch) = Batch::parse(Bytes::from(bytes)) {
            let _ = batch.records().count();
        }
    }

    #[test]
    fn any_bytes_are_headers_or_corrupt(headers in proptest::collection::vec(any::<u8>(), 0..40)) {
        let record = RecordView { offset: Offset(0), timestamp: Timestamp(0), key: None, value: None, headers: &headers };
        if let Err(error) = record.decode_headers() {
            prop_assert_eq!(error.kind(), crate::error::ErrorKind::Corrupt);
        }
    }
}

/// A batch with a good CRC around bad records, as a hostile producer may send it.
#[test]
fn records_that_do_not_fill_the_batch_are_corrupt() {
    let mut bytes = Batch::of(&[Record::of_value("value")], Timestamp(1)).unwrap().bytes().to_vec();
    bytes[23..27].copy_from_slice(&1_i32.to_be_bytes());
    bytes[57..61].copy_from_slice(&2_i32.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[CRC_FROM..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    let batch = Batch::parse(Bytes::from(bytes)).unwrap();
    assert!(batch.records().last().unwrap().is_err());
}

#[test]
fn an_empty_batch_is_refused() {
    assert!(BatchBuilder::new(Timestamp(0)).build().is_err());
}

/// Encoded by hand from the Kafka protocol guide: one record, key `k`, value `v`, at offset 7, timestamp 1000.
#[test]
fn the_format_is_kafkas() {
    let record = [0x10, 0x00, 0x00, 0x00, 0x02, b'k', 0x02, b'v', 0x00];
    let mut expected = Vec::new();
    expected.extend(7_i64.to_be_bytes());
    expected.extend((49_i32 + 9).to_be_bytes());
    expected.extend(0_i32.to_be_bytes());
    expected.push(2);
    expected.extend([0; 4]);
    expected.extend(0_i16.to_be_bytes());
    expected.extend(0_i32.to_be_bytes());
    expected.extend(1000_i64.to_be_bytes());
    expected.extend(1000_i64.to_be_bytes());
    expected.extend((-1_i64).to_be_bytes());
    expected.extend((-1_i16).to_be_bytes());
    expected.extend((-1_i32).to_be_bytes());
    expected.extend(1_i32.to_be_bytes());
    expected.extend(record);
    let crc = crc32c::crc32c(&expected[21..]);
    expected[17..21].copy_from_slice(&crc.to_be_bytes());
    let batch = Batch::of(&[Record::of_key_value("k", "v")], Timestamp(1000)).unwrap().at(Offset(7));
    assert_eq!(batch.bytes(), &expected[..]);
    assert_eq!(batch.offsets(), OffsetRange { start: Offset(7), end: Offset(8) });
    assert_eq!(batch.producer(), None);
}

#[test]
fn compressed_batches_unpack_to_their_records() {
    let records: Vec<Record> = (0..300).map(|n| Record::of_value(format!("value {n}"))).collect();
    let batch = Batch::of(&records, Timestamp(7)).unwrap().at(Offset(40));
    assert!(matches!(batch.plain().unwrap(), std::borrow::Cow::Borrowed(_)));
    for (name, codec, pack) in CODECS {
        let packed = Batch::parse(packed(&batch, codec, pack).bytes().clone()).unwrap();
        assert!(packed.records().next().unwrap().is_err(), "compressed records are not read as they are");
        let plain = packed.plain().unwrap();
        assert_eq!(plain.offsets(), batch.offsets());
        assert_eq!(plain.bytes()[HEADER_LEN..], batch.bytes()[HEADER_LEN..], "{name}");
    }
}

#[test]
fn what_does_not_unpack_or_unpacks_to_too_much_is_refused() {
    let batch = Batch::of(&[Record::of_value("v")], Timestamp(7)).unwrap();
    let zeros = vec![0; UNPACKED_BYTES_MAX + 1];
    for (name, codec, pack) in CODECS {
        let cut = packed(&batch, codec, |bytes| {
            let whole = pack(bytes);
            whole[..whole.len() / 2].to_vec()
        });
        assert_eq!(cut.plain().unwrap_err().kind(), ErrorKind::Invalid, "{name}, cut off");
        let bomb = packed(&batch, codec, |_| pack(&zeros));
        assert!(bomb.plain().unwrap_err().message().contains("more than"), "{name}, a bomb");
    }
    // 64 MiB in four bytes of a varint, and one byte.
    let claim = packed(&batch, 2, |_| vec![0x80, 0x80, 0x80, 0x20, 0]);
    assert!(claim.plain().unwrap_err().message().contains("larger than its bytes can be"), "no room is set aside for a claim");
    assert_eq!(packed(&batch, 5, <[u8]>::to_vec).plain().unwrap_err().kind(), ErrorKind::Invalid);
}

/// What fuzzing starts from and what it found, each a file below `tests/fuzz/batch/`.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads its files")]
fn any_bytes_are_a_batch_or_corrupt() {
    let seeds = any_batch::seeds();
    assert!(seeds.iter().all(|seed| Batch::parse(seed.clone().into()).unwrap().plain().is_ok()), "seeds lead into every codec");
    seeds.iter().for_each(|seed| any_batch::run(seed));
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/batch");
    for file in std::fs::read_dir(folder).into_iter().flatten() {
        any_batch::run(&std::fs::read(file.unwrap().path()).unwrap());
    }
}

proptest! {
    #[test]
    fn bytes_near_a_batch(seed in prop::sample::select(any_batch::seeds()), at in any::<prop::sample::Index>(), byte: u8, end in any::<prop::sample::Index>()) {
        let mut bytes = seed;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        any_batch::run(&bytes);
        any_batch::run(&bytes[..end.index(bytes.len())]);
    }
}

/// A reader may trust that the headers of a record that decodes do too.
#[test]
fn records_whose_headers_are_none_do_not_decode() {
    let header = |value: Option<Bytes>| Record { headers: vec![("name".to_owned(), value)], ..Record::of_value("v") };
    let good = Batch::of(&[header(Some("value".into()))], Timestamp(7)).unwrap();
    let with =
        |from: u8, to: u8| packed(&good, 0, |bytes| bytes.iter().map(|byte| if *byte == from { to } else { *byte }).collect());
    // What stands behind the header, two headers where one is, a name without a length.
    for (from, to) in [(10, 8), (2, 4), (8, 1)] {
        let batch = with(from, to);
        assert_eq!(batch.records().next().unwrap().unwrap_err().kind(), ErrorKind::Corrupt, "{to} for {from}");
    }
    let strange = with(b'm', 0xff);
    let headers = strange.records().next().unwrap().unwrap().decode_headers().unwrap();
    assert_eq!(headers, [("na\u{fffd}e".into(), Some(&b"value"[..]))]);
}

#[test]
fn a_batch_to_send_is_one_as_a_producer_makes_it() {
    let kept = Batch::of(&[Record::of_value("a")], Timestamp(5)).unwrap().at(Offset(7)).appended_at(Timestamp(9));
    let producer = ProducerSequence { id: 1 << 40, epoch: 3, first: i32::MAX };
    let sent = Batch::parse(kept.to_send(Some(producer)).bytes().clone()).unwrap();
    assert_eq!((sent.base_offset(), sent.has_append_time(), sent.producer()), (Offset(0), false, Some(producer)));
    assert_eq!(sent.records().next().unwrap().unwrap().timestamp, Timestamp(5));
    assert_eq!(Batch::parse(kept.to_send(None).bytes().clone()).unwrap().producer(), None);
}
