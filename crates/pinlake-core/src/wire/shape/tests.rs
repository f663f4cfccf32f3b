//! The walk over shapes of our own; what the product's tables say is compared with the codec where they are.

use super::*;

const TABLE: &str = "\
# A comment.
1 Empty -:
2 Plain 3: 0-1 old i16, name str, 2+ values [i32], data bytes
3 Nested 0: rows [id uuid, inner (flag bool, number i64)], cursor {name str}
4 Tagged 1: code i8, 2+ late @1 [name str]
";

fn shapes(elements_max: usize) -> Shapes {
    Shapes::parse(TABLE, elements_max).expect("the table is well formed")
}

#[track_caller]
fn check(key: i16, version: i16, body: &[u8], holds: bool) {
    assert_eq!(shapes(usize::MAX).holds(key, version, body), holds, "API {key} {version}: {body:?}");
}

#[test]
fn fields_are_walked_by_their_versions() {
    check(1, 0, &[], true);
    check(9, 0, &[], false);
    // A number, a text of one byte, two bytes.
    check(2, 1, &[0, 7, 0, 1, b'a', 0, 0, 0, 2, 1, 2], true);
    check(2, 1, &[0, 7, 0, 1, b'a', 0, 0, 0, 2, 1], false);
    // A null text, an array of one number, null bytes.
    let body = [0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff];
    check(2, 2, &body, true);
    check(2, 1, &body, false);
    // The same, compact, and no tagged fields.
    check(2, 3, &[0, 2, 0, 0, 0, 7, 0, 0], true);
    check(2, 3, &[0, 2, 0, 0, 0, 7, 0], false);
    // A length that is negative and not null.
    check(2, 1, &[0, 7, 0xff, 0xfe, 0, 0, 0, 0, 0, 0], false);
}

#[test]
fn structures_have_their_own_tagged_fields_and_may_be_missing() {
    let row = [&[7; 16][..], &[1], &[0; 8], &[0], &[0]].concat();
    let rows = [&[3][..], &row, &row].concat();
    check(3, 0, &[&rows[..], &[0xff, 0]].concat(), true);
    check(3, 0, &[&rows[..], &[1, 2, b'a', 0, 0]].concat(), true);
    check(3, 0, &[&rows[..], &[1, 2, b'a', 0]].concat(), false);
}

#[test]
fn tagged_fields_that_are_known_are_walked_whatever_their_size() {
    check(4, 0, &[7], true);
    // One that nobody knows.
    check(4, 1, &[7, 1, 1, 2, 9, 9], true);
    check(4, 1, &[7, 1, 1, 2, 9], false);
    // Known, of two texts; its size is a lie.
    check(4, 2, &[7, 1, 1, 0, 3, 2, b'a', 0, 2, b'b', 0], true);
    check(4, 2, &[7, 1, 1, 2, 3, 2, b'a', 0, 2, b'b'], false);
    // Known, and longer than what is there.
    check(4, 2, &[7, 1, 1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f], false);
}

#[test]
fn a_length_in_more_than_32_bits_is_none() {
    check(4, 1, &[7, 0x80, 0x80, 0x80, 0x80, 0x00], true);
    check(4, 1, &[7, 0x80, 0x80, 0x80, 0x80, 0x10], false);
    check(4, 1, &[7, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], false);
}

#[test]
fn arrays_share_one_bound() {
    // Two arrays of one element each.
    let body = [7, 2, 1, 0, 2, 1, 0, 1, 0, 2, 1, 0];
    check(4, 2, &body, true);
    assert!(shapes(2).holds(4, 2, &body));
    assert!(!shapes(1).holds(4, 2, &body));
}

#[test]
fn what_is_no_table_is_told_with_its_line() {
    for line in
        ["1 Name", "x Name -:", "1 Name -: a", "1 Name -: a i9", "1 Name -: a [i32", "1 Name -: a i32 b", "1 Name -: a @x i8", ""]
    {
        let error = Shapes::parse(&format!("# A comment.\n1 Good -: a i32\n{line}\n"), 1).expect_err(line);
        assert!(error.message().contains(&format!("'{line}'")), "{error}");
    }
}
