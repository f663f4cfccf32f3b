//! The encoding of what stands at an object's offsets.

use super::*;

#[test]
fn runs_come_back_as_they_went_in_and_as_they_were_before_holes() {
    let runs = [Run::Records(2, Timestamp(-7)), Run::Hole(u64::from(u32::MAX) + 1), Run::Records(u32::MAX, Timestamp(8))];
    assert_eq!(decode_runs(&encode_runs(&runs)), runs);
    let old = [&3_u32.to_le_bytes()[..], &1_700_000_000_000_i64.to_le_bytes()].concat();
    assert_eq!(decode_runs(&old), [Run::Records(3, Timestamp(1_700_000_000_000))]);
    assert_eq!(encode_runs(&[Run::Records(3, Timestamp(1_700_000_000_000))]), old);
}
