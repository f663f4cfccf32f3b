//! Unpacks compressed record batches, never further than a bound: what a batch claims of itself allocates nothing.
//!
//! Codecs: the Kafka protocol guide, "Record Batch". Snappy comes raw (librdkafka) and in xerial's frame (the Java client, kafkajs).

use std::borrow::Cow;
use std::io::Read;

use bytes::BytesMut;

use super::{Batch, COMPRESSION_MASK, HEADER_LEN, LENGTH_PREFIX_LEN};
use crate::error::{Error, Result};

/// The most bytes that the records of one batch may unpack to.
pub const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// The most bytes that one byte of snappy can stand for: a copy of 64 bytes takes three.
const SNAPPY_GROWTH_MAX: usize = 22;
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
/// The magic and two version numbers.
const XERIAL_HEADER_LEN: usize = 16;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// gzip, number 1.
    Gzip,
    /// Snappy, number 2.
    Snappy,
    /// LZ4 frames, number 3.
    Lz4,
    /// Zstandard, number 4.
    Zstd,
}

impl Batch {
    /// How its records are compressed; `None` if they are not.
    ///
    /// # Errors
    /// `Invalid` for a number that stands for no codec.
    pub fn codec(&self) -> Result<Option<Codec>> {
        Ok(Some(match self.attributes() & COMPRESSION_MASK {
            0 => return Ok(None),
            1 => Codec::Gzip,
            2 => Codec::Snappy,
            3 => Codec::Lz4,
            4 => Codec::Zstd,
            other => return Err(Error::invalid(format!("compression {other} is unknown: use gzip, snappy, lz4, zstd or none"))),
        }))
    }

    /// The batch with its records as they can be read: itself, or an unpacked copy.
    ///
    /// # Errors
    /// `Invalid` when the codec is unknown, its bytes do not unpack, or there are more than [`UNPACKED_BYTES_MAX`] of them.
    pub fn plain(&self) -> Result<Cow<'_, Batch>> {
        let Some(codec) = self.codec()? else { return Ok(Cow::Borrowed(self)) };
        let records = unpack(codec, &self.bytes[HEADER_LEN..])?;
        let mut bytes = BytesMut::with_capacity(HEADER_LEN + records.len());
        bytes.extend_from_slice(&self.bytes[..HEADER_LEN]);
        bytes.extend_from_slice(&records);
        let length = i32::try_from(bytes.len() - LENGTH_PREFIX_LEN).expect("the bound is far below 2 GiB");
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        let attributes = self.attributes() & !COMPRESSION_MASK;
        bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
        Ok(Cow::Owned(Batch::sealed(bytes)))
    }
}

fn unpack(codec: Codec, packed: &[u8]) -> Result<Vec<u8>> {
    match codec {
        Codec::Gzip => drain("gzip", flate2::read::MultiGzDecoder::new(packed)),
        Codec::Lz4 => drain("lz4", lz4_flex::frame::FrameDecoder::new(packed)),
        Codec::Zstd => drain("zstd", zstd::stream::read::Decoder::with_buffer(packed).map_err(|error| broken("zstd", error))?),
        Codec::Snappy => snappy(packed),
    }
}

/// Everything that comes out of `reader`, if it is not too much.
fn drain(codec: &str, reader: impl Read) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let most = UNPACKED_BYTES_MAX as u64;
    reader.take(most + 1).read_to_end(&mut out).map_err(|error| broken(codec, error))?;
    if out.len() > UNPACKED_BYTES_MAX { Err(too_large()) } else { Ok(out) }
}

fn snappy(packed: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    if !packed.starts_with(XERIAL_MAGIC) {
        snappy_block(packed, &mut out)?;
        return Ok(out);
    }
    let mut rest = packed.get(XERIAL_HEADER_LEN..).ok_or_else(|| broken("snappy", "its header is cut off"))?;
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (block, behind) = behind.split_at_checked(length).ok_or_else(|| broken("snappy", "a block is cut off"))?;
        snappy_block(block, &mut out)?;
        rest = behind;
    }
    if rest.is_empty() { Ok(out) } else { Err(broken("snappy", "a block's length is cut off")) }
}

fn snappy_block(block: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let claimed = snap::raw::decompress_len(block).map_err(|error| broken("snappy", error))?;
    if claimed > UNPACKED_BYTES_MAX - out.len() {
        return Err(too_large());
    }
    if claimed > block.len().saturating_mul(SNAPPY_GROWTH_MAX) {
        return Err(broken("snappy", "a block says that it is larger than its bytes can be"));
    }
    let start = out.len();
    out.resize(start + claimed, 0);
    snap::raw::Decoder::new().decompress(block, &mut out[start..]).map_err(|error| broken("snappy", error))?;
    Ok(())
}

fn broken(codec: &str, why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("the batch's {codec} data does not unpack: {why}"))
}

fn too_large() -> Error {
    Error::invalid(format!("the batch unpacks to more than {UNPACKED_BYTES_MAX} bytes: send smaller batches"))
}
