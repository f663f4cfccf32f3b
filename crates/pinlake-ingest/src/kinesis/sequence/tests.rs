//! The layout, digit by digit.

use proptest::prelude::*;

use super::*;

fn number(shard: u32, offset: i64, seconds: i64) -> SequenceNumber {
    SequenceNumber { shard, created: 0, offset: Offset(offset), arrival: Timestamp(seconds * 1000), mark: Mark::Record }
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

/// Hexadecimal digits as the decimal text.
fn decimal(hex: &str) -> String {
    let mut limbs = [0_u32; LIMBS];
    for (at, digit) in hex.bytes().rev().enumerate() {
        limbs[at / 8] |= (digit as char).to_digit(16).unwrap() << (4 * (at % 8));
    }
    let mut digits = Vec::new();
    while limbs.iter().any(|limb| *limb != 0) {
        digits.push(char::from_digit(divide(&mut limbs, 10), 10).unwrap());
    }
    digits.iter().rev().collect()
}

#[test]
fn the_layout_has_47_digits() {
    let arrival = Timestamp(0x6_5432_1000 * 1000 + 999);
    let number = SequenceNumber {
        shard: 0x12b,
        created: 0x5_f5e0_ff00,
        offset: Offset(0x0123_4567_89ab_cdef),
        arrival,
        mark: Mark::Record,
    };
    let digits = hex(&number.to_text());
    assert_eq!(digits, format!("2{}b{}00{}{}2", "5f5e0ff00", "0123456789abcdef", "654321000", "0000012b"));
    assert_eq!(digits.len(), 47);
    assert_eq!(
        SequenceNumber::parse(&number.to_text()),
        Some(SequenceNumber { arrival: Timestamp(0x6_5432_1000 * 1000), ..number })
    );
}

#[test]
fn they_begin_as_kinesis_ones_do() {
    let first = number(0, 0, 0).to_text();
    assert!(first.starts_with("490"), "{first}");
    assert_eq!(first.len(), 56);
}

#[test]
fn what_no_shard_gave_is_none() {
    let good = "20000000005000000000000000000000000000000000052";
    assert_eq!(SequenceNumber::parse(&decimal(good)).map(|number| number.shard), Some(5));
    for wrong in [
        "30000000005000000000000000000000000000000000052",
        "20000000005000000000000000000000000000000000053",
        "20000000005000000000000000000000000000000000050",
        "20000000004000000000000000000000000000000000052",
        "20000000005000000000000000001000000000000000052",
        "20000000005800000000000000000000000000000000052",
        "20000000000000000000000000000000000000800000002",
        "120000000005000000000000000000000000000000000052",
        "2",
    ] {
        assert_eq!(SequenceNumber::parse(&decimal(wrong)), None, "{wrong}");
    }
    for wrong in ["", "0", "5", "-1", "1x", &"9".repeat(58), &"9".repeat(59), &"0".repeat(500)] {
        assert_eq!(SequenceNumber::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn shard_ids_have_twelve_digits() {
    assert_eq!(shard_id(41), "shardId-000000000041");
}

proptest! {
    #[test]
    fn all_have_the_layout_and_grow(
        shard in 0..i32::MAX.cast_unsigned(),
        created in 0..(1_i64 << 36),
        offset in 0..i64::MAX - 1,
        seconds in 0..(1_i64 << 36),
        later in 0..(1_i64 << 36),
    ) {
        let number = SequenceNumber { created, ..number(shard, offset, seconds) };
        let layout = format!("2{created:09x}{:x}{offset:016x}00{seconds:09x}{shard:08x}2", shard & 0xf);
        prop_assert_eq!(hex(&number.to_text()), layout);
        prop_assert_eq!(SequenceNumber::parse(&number.to_text()), Some(number));
        let next = SequenceNumber { offset: Offset(offset + 1), arrival: Timestamp(later * 1000), ..number };
        let between = SequenceNumber { mark: Mark::Before, arrival: Timestamp(0), ..next };
        prop_assert_eq!(SequenceNumber::parse(&between.to_text()), Some(between));
        prop_assert!(number.to_text() < between.to_text(), "one length, so texts compare as numbers");
        prop_assert!(between.to_text() < next.to_text());
    }

    #[test]
    fn any_digits_are_read_without_a_panic(text in "[0-9]{1,60}") {
        if let Some(number) = SequenceNumber::parse(&text) {
            prop_assert_eq!(number.to_text(), text);
        }
    }
}
