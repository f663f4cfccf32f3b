//! Batches as producers that compress send them. Only for tests (feature `testing`): the product unpacks and never packs.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::Write;

use bytes::BytesMut;

use super::{Batch, HEADER_LEN, LENGTH_PREFIX_LEN};

/// What a codec makes of bytes.
pub type Pack = fn(&[u8]) -> Vec<u8>;

/// The codecs as clients use them: a name, the number in a batch's attributes, and what it does. Snappy comes raw and in the Java client's frame.
pub const CODECS: [(&str, u8, Pack); 5] =
    [("gzip", 1, gzip), ("snappy", 2, snappy), ("snappy, framed", 2, xerial), ("lz4", 3, lz4), ("zstd", 4, zstd)];

/// The same records under a codec: what a producer of it sends.
pub fn packed(batch: &Batch, codec: u8, pack: impl FnOnce(&[u8]) -> Vec<u8>) -> Batch {
    let mut bytes = BytesMut::from(&batch.bytes()[..HEADER_LEN]);
    bytes.extend_from_slice(&pack(&batch.bytes()[HEADER_LEN..]));
    let length = i32::try_from(bytes.len() - LENGTH_PREFIX_LEN).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[22] |= codec;
    Batch::sealed(bytes)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

/// Snappy as the Java client frames it, in blocks of 1,000 bytes.
fn xerial(bytes: &[u8]) -> Vec<u8> {
    let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in bytes.chunks(1000).map(snappy) {
        out.extend_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&block);
    }
    out
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
