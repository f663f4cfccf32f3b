//! The body of a fetch's answer, with the batches between what the codec encodes, as the log has them: encoded by the codec they would be
//! copied.

#[cfg(test)]
mod tests;

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::FetchableTopicResponse;
use kafka_protocol::protocol::Encodable;

use super::Found;
use crate::kafka::answer::Pieces;

/// The first version with compact lengths, and with tagged fields at the end of everything.
const FLEXIBLE_FROM: i16 = 12;

/// The answer of `topics`, each with its partitions.
///
/// # Errors
/// What the codec can't encode.
pub(super) fn body(version: i16, topics: &[(FetchableTopicResponse, Vec<Found>)]) -> Result<Pieces, String> {
    let mut pieces = Pieces::default();
    around(&mut pieces, version, &FetchResponse::default(), topics.len(), |pieces| {
        topics.iter().try_for_each(|(topic, partitions)| {
            around(pieces, version, topic, partitions.len(), |pieces| {
                partitions.iter().try_for_each(|found| partition(pieces, version, found))
            })
        })
    })?;
    Ok(pieces)
}

fn partition(pieces: &mut Pieces, version: i16, found: &Found) -> Result<(), String> {
    around(pieces, version, &found.data, found.bytes(), |pieces| {
        found.batches.iter().for_each(|batch| pieces.push(batch.bytes()));
        Ok(())
    })
}

/// Encodes `shell`, whose last field is empty, with `inside` in that field. Its length, of elements or bytes, stands before it.
fn around(
    pieces: &mut Pieces,
    version: i16,
    shell: &impl Encodable,
    length: usize,
    inside: impl FnOnce(&mut Pieces) -> Result<(), String>,
) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("an answer to Fetch does not encode: {error}");
    let mut encoded = BytesMut::new();
    shell.encode(&mut encoded, version).map_err(|error| failed(&error))?;
    // What an empty field is, and then no tagged fields.
    let empty: &[u8] = if version >= FLEXIBLE_FROM { &[1, 0] } else { &[0, 0, 0, 0] };
    let head = encoded.strip_suffix(empty).ok_or_else(|| failed(&"its last field is not empty"))?;
    pieces.open().put_slice(head);
    let length = u32::try_from(length).map_err(|error| failed(&error))?;
    if version < FLEXIBLE_FROM {
        pieces.open().put_u32(length);
        return inside(pieces);
    }
    let length = length.checked_add(1).ok_or_else(|| failed(&"it is over 4 GiB"))?;
    put_varint(pieces.open(), length);
    inside(pieces)?;
    pieces.open().put_u8(0);
    Ok(())
}

/// An unsigned varint of the Kafka protocol guide, "Protocol Primitive Types".
fn put_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}
