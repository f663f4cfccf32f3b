//! The layout, digit by digit, and the way back.

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
        multiply_add(&mut limbs, 10, u32::from(byte - b'0')).unwrap();
    }
    let (high, low) = halves(limbs);
    format!("{high:x}{low:032x}")
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
fn other_texts_are_refused() {
    for text in ["", "0", "12", "x", "-1", "99999999999999999999999999999999999999999999999999999999999"] {
        assert!(SequenceNumber::parse(text).is_err(), "{text}");
    }
}

#[test]
fn shard_ids_have_twelve_digits() {
    let mut out = String::new();
    push_shard_id(&mut out, 41);
    assert_eq!(out, "shardId-000000000041");
}

proptest! {
    #[test]
    fn they_come_back_and_grow(shard in any::<u32>(), offset in 0..i64::MAX - 1, seconds in 0..(1_i64 << 36), later in 0..(1_i64 << 36)) {
        let number = SequenceNumber { shard, offset: Offset(offset), arrival: Timestamp(seconds * 1000) };
        prop_assert_eq!(SequenceNumber::parse(&text(number)).unwrap(), number);
        let next = SequenceNumber { offset: Offset(offset + 1), arrival: Timestamp(later * 1000), ..number };
        prop_assert!(text(number) < text(next), "one length, so texts compare as numbers");
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[0-9]{0,60}|.*") {
        let _ = SequenceNumber::parse(&text);
    }
}
