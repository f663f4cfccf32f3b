//! What decides without a broker: the batches of an answer, versions, settings.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use pinlake_core::log::TimestampType;
use pinlake_core::{ErrorKind, Offset, ReadLimit, TopicSpec};

use super::{batch, partition};
use crate::kafka::read::{Whole, batches_in};
use crate::kafka::settings::{self, NAMES};
use crate::kafka::versions::Versions;

fn joined(count: i64) -> Bytes {
    let mut joined = BytesMut::new();
    for at in 0..count {
        joined.extend_from_slice(batch("x").at(Offset(at)).bytes());
    }
    joined.freeze()
}

fn taken(records: &Bytes, at: i64, bytes: usize) -> Vec<i64> {
    let whole = batches_in(records.clone(), &partition(), Offset(at), ReadLimit { bytes }).unwrap();
    whole.batches.iter().map(|batch| batch.base_offset().0).collect()
}

#[test]
fn whole_batches_are_taken_from_where_the_reader_stands_up_to_its_limit() {
    let records = joined(4);
    let one = records.len() / 4;
    assert_eq!(taken(&records, 0, usize::MAX), [0, 1, 2, 3]);
    assert_eq!(taken(&records, 2, usize::MAX), [2, 3]);
    assert_eq!(taken(&records, 1, 1), [1], "one at least");
    assert_eq!(taken(&records, 0, 3 * one - 1), [0, 1]);
    for cut in 1..one {
        assert_eq!(taken(&records.slice(..records.len() - cut), 0, usize::MAX), [0, 1, 2], "the last is cut by {cut}");
    }
    assert!(taken(&Bytes::new(), 0, 1).is_empty());
}

#[test]
fn a_first_batch_that_is_cut_says_how_long_it_is() {
    let records = joined(1);
    let whole = batches_in(records.slice(..records.len() - 1), &partition(), Offset(0), ReadLimit::default()).unwrap();
    assert_eq!(whole, Whole { batches: Vec::new(), cut: Some(records.len()) });
}

#[test]
fn what_is_no_batch_is_said() {
    let (records, whole) = (joined(2), ReadLimit { bytes: usize::MAX });
    for magic in [0, 1] {
        let mut old = records.to_vec();
        old[16] = magic;
        let refused = batches_in(old.into(), &partition(), Offset(0), whole).unwrap_err();
        assert!(refused.kind() == ErrorKind::Invalid && refused.message().contains("message format"), "{refused}");
    }
    let mut flipped = records.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(batches_in(flipped.into(), &partition(), Offset(0), whole).unwrap_err().kind(), ErrorKind::Corrupt);
    for length in [i32::MIN, -1, 0, 48] {
        let mut wrong = records.to_vec();
        wrong[8..12].copy_from_slice(&length.to_be_bytes());
        assert_eq!(batches_in(wrong.into(), &partition(), Offset(0), whole).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn the_newest_version_in_common_is_spoken() {
    let of = |min, max| {
        let range = ApiVersion::default().with_api_key(ApiKey::Fetch as i16).with_min_version(min).with_max_version(max);
        Versions::of(&ApiVersionsResponse::default().with_api_keys(vec![range]))
    };
    for (min, max, spoken) in [(0, 4, Some(4)), (4, 11, Some(11)), (0, 30, Some(12)), (0, 3, None), (13, 20, None)] {
        assert_eq!(of(min, max).pick(ApiKey::Fetch as i16).ok(), spoken, "{min} to {max}");
    }
    assert!(of(0, 12).pick(ApiKey::Produce as i16).is_err());
}

#[test]
fn settings_come_back_as_they_went() {
    let all = TopicSpec {
        retention_ms: None,
        retention_bytes: Some(7),
        batch_bytes_max: 1 << 20,
        timestamps: TimestampType::Append,
        partitions: 3,
    };
    for spec in [all, TopicSpec::default()] {
        let mut read = settings::untold(spec.partitions);
        NAMES.iter().for_each(|name| settings::set(&mut read, name, &settings::value_of(&spec, name)));
        assert_eq!(read, spec);
    }
}
