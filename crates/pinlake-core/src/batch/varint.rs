//! Zigzag varints, as in a record's fields.

/// Takes a number off the front of `input`; `None` if it is cut off or longer than 64 bits.
pub(super) fn take(input: &mut &[u8]) -> Option<i64> {
    let mut raw = 0_u64;
    for (at, &byte) in input.iter().enumerate().take(10) {
        raw |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *input = &input[at + 1..];
            return Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()));
        }
    }
    None
}

/// Takes a length and so many bytes: `Some(None)` for the null length -1, `None` if the input is cut off.
#[expect(clippy::option_option, reason = "outer: decodes at all; inner: the field's own null")]
pub(super) fn take_bytes<'a>(input: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = take(input)?;
    if length == -1 {
        return Some(None);
    }
    let (bytes, rest) = input.split_at_checked(usize::try_from(length).ok()?)?;
    *input = rest;
    Some(Some(bytes))
}

/// Appends `value`.
pub(super) fn put(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw >= 0x80 {
        out.push((raw & 0x7f) as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// Appends a length and the bytes, -1 for `None`.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put(out, len_i64(bytes.len()));
            out.extend_from_slice(bytes);
        }
        None => put(out, -1),
    }
}

/// How many bytes [`put`] takes for `value`.
pub(super) fn size(value: i64) -> usize {
    let raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    (64 - (raw | 1).leading_zeros() as usize).div_ceil(7)
}

/// How many bytes [`put_bytes`] takes.
pub(super) fn size_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(size(-1), |bytes| size(len_i64(bytes.len())) + bytes.len())
}

/// A slice's length as a signed number.
pub(super) fn len_i64(len: usize) -> i64 {
    i64::try_from(len).expect("no slice is longer than i64::MAX")
}
