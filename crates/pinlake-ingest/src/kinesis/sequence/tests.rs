//! The layout, digit by digit.

use proptest::prelude::*;

use super::*;

fn text(number: SequenceNumber) -> String {
    let mut out = String::new();
    number.push_to(&mut out);
    out
}

/// The decimal text as hexadecimal digits.
fn hex(decimal: &str) -> String {
    let mut limbs = [0_u32; LIMBS];
    for byte in decimal.bytes() {
        let mut carry = u64::from(byte - b'0');
        for limb in &mut limbs {
            let value = u64::from(*limb) * 10 + carry;
            *limb = value as u32;
            carry = value >> 32;
        }
        assert_eq!(carry, 0, "{decimal}");
    }
    let digits: String = limbs.iter().rev().map(|limb| format!("{limb:08x}")).collect();
    digits.trim_start_matches('0').to_owned()
}

#[test]
fn the_layout_has_47_digits() {
    let number =
        SequenceNumber { shard: 0x12b, offset: Offset(0x0123_4567_89ab_cdef), arrival: Timestamp(0x6_5432_1000 * 1000 + 999) };
    let digits = hex(&text(number));
    assert_eq!(digits, format!("2{}b{}00{}{}2", "000000000", "0123456789abcdef", "654321000", "0000012b"));
    assert_eq!(digits.len(), 47);
}

#[test]
fn they_begin_as_kinesis_ones_do() {
    let first = text(SequenceNumber { shard: 0, offset: Offset(0), arrival: Timestamp(0) });
    assert!(first.starts_with("490"), "{first}");
    assert_eq!(first.len(), 56);
}

#[test]
fn shard_ids_have_twelve_digits() {
    let mut out = String::new();
    push_shard_id(&mut out, 41);
    assert_eq!(out, "shardId-000000000041");
}

proptest! {
    #[test]
    fn all_have_the_layout_and_grow(shard in any::<u32>(), offset in 0..i64::MAX - 1, seconds in 0..(1_i64 << 36), later in 0..(1_i64 << 36)) {
        let number = SequenceNumber { shard, offset: Offset(offset), arrival: Timestamp(seconds * 1000) };
        let layout = format!("2000000000{:x}{offset:016x}00{seconds:09x}{shard:08x}2", shard & 0xf);
        prop_assert_eq!(hex(&text(number)), layout);
        let next = SequenceNumber { offset: Offset(offset + 1), arrival: Timestamp(later * 1000), ..number };
        prop_assert!(text(number) < text(next), "one length, so texts compare as numbers");
    }
}
