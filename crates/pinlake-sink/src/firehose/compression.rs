//! How delivered objects are compressed. The same bytes make the same object: no header holds a time.

use std::io::Write;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression as Level, Crc};
use pinlake_core::{Error, Result};

/// Bytes that are compressed at a time for Hadoop, as its own codec does.
const HADOOP_BLOCK: usize = 256 << 10;
/// The first of January 1980, where the times of ZIP begin.
const ZIP_DATE: u16 = 0x21;
const ZIP_VERSION: u16 = 20;
/// A name in UTF-8.
const ZIP_FLAGS: u16 = 0x800;
const ZIP_DEFLATED: u16 = 8;

/// A compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    /// An archive of one file, which has the object's name.
    Zip,
    /// In Snappy's frames.
    Snappy,
    /// In Hadoop's blocks.
    HadoopSnappy,
}

impl Compression {
    /// That of `CompressionFormat`.
    ///
    /// # Errors
    /// `Invalid` if there is none of that name.
    pub(super) fn of(name: &str) -> Result<Self> {
        match name {
            "" | "UNCOMPRESSED" => Ok(Self::None),
            "GZIP" => Ok(Self::Gzip),
            "ZIP" => Ok(Self::Zip),
            "Snappy" => Ok(Self::Snappy),
            "HADOOP_SNAPPY" => Ok(Self::HadoopSnappy),
            _ => {
                let name: String = name.chars().take(100).collect();
                let all = "UNCOMPRESSED, GZIP, ZIP, Snappy, HADOOP_SNAPPY";
                Err(Error::invalid(format!("CompressionFormat '{}' is not known: it takes {all}", name.escape_debug())))
            }
        }
    }

    /// How names end, with the dot.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zip => ".zip",
            Self::Snappy => ".snappy",
            Self::HadoopSnappy => ".hsnappy",
        }
    }

    /// `bytes` as the object of that name holds them. May compute for long.
    ///
    /// # Errors
    /// `Internal` if a library fails.
    pub(super) fn pack(self, bytes: Vec<u8>, name: &str) -> Result<Vec<u8>> {
        let packed = match self {
            Self::None => Ok(bytes),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Level::default());
                encoder.write_all(&bytes).and_then(|()| encoder.finish())
            }
            Self::Zip => zip(&bytes, name),
            Self::Snappy => {
                let mut encoder = snap::write::FrameEncoder::new(Vec::new());
                encoder.write_all(&bytes).and_then(|()| encoder.into_inner().map_err(snap::write::IntoInnerError::into_error))
            }
            Self::HadoopSnappy => hadoop_snappy(&bytes),
        };
        packed.map_err(|e| Error::internal("compressing an object").with_source(e))
    }
}

/// Blocks, each behind its length, and its compressed bytes behind theirs; big-endian.
fn hadoop_snappy(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = snap::raw::Encoder::new();
    for block in bytes.chunks(HADOOP_BLOCK) {
        let packed = encoder.compress_vec(block)?;
        for len in [block.len(), packed.len()] {
            out.extend(u32::try_from(len).map_err(std::io::Error::other)?.to_be_bytes());
        }
        out.extend(packed);
    }
    Ok(out)
}

/// An archive of one file: its header, its bytes, the directory with its header again, and where that begins (PKWARE's APPNOTE 4.3).
fn zip(bytes: &[u8], name: &str) -> std::io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Level::default());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish())?;
    let mut crc = Crc::new();
    crc.update(bytes);
    let size = |len: usize| u32::try_from(len).map_err(std::io::Error::other);
    // What both headers have, from the version on to the length of the name.
    let mut header = Vec::new();
    for field in [ZIP_VERSION, ZIP_FLAGS, ZIP_DEFLATED, 0, ZIP_DATE] {
        header.extend(field.to_le_bytes());
    }
    for field in [crc.sum(), size(packed.len())?, size(bytes.len())?] {
        header.extend(field.to_le_bytes());
    }
    header.extend(u16::try_from(name.len()).map_err(std::io::Error::other)?.to_le_bytes());
    let mut out = Vec::with_capacity(packed.len() + 2 * name.len() + 98);
    out.extend(b"PK\x03\x04");
    out.extend(&header);
    out.extend([0; 2]);
    out.extend(name.as_bytes());
    out.extend(&packed);
    let directory = out.len();
    out.extend(b"PK\x01\x02");
    out.extend(ZIP_VERSION.to_le_bytes());
    out.extend(&header);
    // No extra field and no comment, disk 0, no attributes, and its header is at the beginning.
    out.extend([0; 16]);
    out.extend(name.as_bytes());
    let directory_len = out.len() - directory;
    out.extend(b"PK\x05\x06");
    // One disk, with the one entry.
    out.extend([0, 0, 0, 0, 1, 0, 1, 0]);
    out.extend(size(directory_len)?.to_le_bytes());
    out.extend(size(directory)?.to_le_bytes());
    out.extend([0; 2]);
    Ok(out)
}
