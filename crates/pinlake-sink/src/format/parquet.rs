//! Parquet of JSON objects. Schemaless values get their schema from the records of the file:
//!
//! - Each field is a column, in the order in which they first appear, and may be null. A field that is always null is text.
//! - Numbers are 64-bit integers, or 64-bit floats if one of them has a fraction, an exponent or more digits. Booleans and texts are that.
//! - Objects are structs of their fields, arrays are lists; what is in them is put together in the same way.
//! - Where kinds differ, and where an object never has a field, the column is text: texts as they are, all else as its JSON.
//! - A file has [`COLUMNS_MAX`] columns at most. An object that would bring more is text; fields of the record itself that would, and one named
//!   [`REST`], are put as one JSON object into the column [`REST`]. It is also there, and null, if no object has any field.
//!
//! So any objects make a file, and the same objects make the same bytes.

mod shape;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_writer::ArrowWriterOptions;
use ::parquet::basic::{Compression, GzipLevel, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow::datatypes::SchemaRef;
use arrow_json::ReaderBuilder;
use bytes::Bytes;
use pinlake_core::{Error, Result};
use serde_json::Value;

use shape::Shape;
pub use shape::{COLUMNS_MAX, REST};

/// Rows that are encoded together.
const BATCH_ROWS: usize = 1024;

/// How the pages of a file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// By Snappy.
    Snappy,
    /// By LZ4, in the form that every reader knows.
    Lz4,
    /// By Zstandard.
    Zstd,
    /// By gzip.
    Gzip,
}

impl Codec {
    /// What stands in a file's name before `.parquet`.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Snappy => ".snappy",
            Self::Lz4 => ".lz4",
            Self::Zstd => ".zstd",
            Self::Gzip => ".gz",
        }
    }

    fn compression(self) -> Compression {
        match self {
            Self::None => Compression::UNCOMPRESSED,
            Self::Snappy => Compression::SNAPPY,
            Self::Lz4 => Compression::LZ4_RAW,
            Self::Zstd => Compression::ZSTD(ZstdLevel::default()),
            Self::Gzip => Compression::GZIP(GzipLevel::default()),
        }
    }
}

/// The file of lines of JSON, an object each.
///
/// # Errors
/// `Internal` if the lines are something else, or the encoder fails.
pub(super) fn file(lines: &[u8], codec: Codec) -> Result<Bytes> {
    let mut shape = Shape::default();
    for row in rows(lines) {
        shape.take(&row?);
    }
    let schema = Arc::new(shape.schema());
    encode(schema, rows(lines).map(|row| row.map(|row| shape.fit(row))), codec)
}

/// The file of rows that are objects of these columns.
///
/// # Errors
/// `Internal` if a row is something else, or the encoder fails.
pub(crate) fn encode(schema: SchemaRef, rows: impl Iterator<Item = Result<Value>>, codec: Codec) -> Result<Bytes> {
    let failed = |what: &'static str| move |error: arrow::error::ArrowError| Error::internal(what).with_source(error);
    // What wrote the file is not said by version: an object that is written again after an update must be the same.
    let properties = WriterProperties::builder().set_compression(codec.compression()).set_created_by("pinlake".to_owned());
    let options = ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
    let writer = ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options);
    let mut writer = writer.map_err(|e| Error::internal("starting a Parquet file").with_source(e))?;
    let mut decoder = ReaderBuilder::new(schema).with_batch_size(BATCH_ROWS).build_decoder().map_err(failed("decoding rows"))?;
    let mut left = rows.peekable();
    while left.peek().is_some() {
        let batch = left.by_ref().take(BATCH_ROWS).collect::<Result<Vec<Value>>>()?;
        decoder.serialize(&batch).map_err(failed("decoding rows"))?;
        if let Some(batch) = decoder.flush().map_err(failed("decoding rows"))? {
            writer.write(&batch).map_err(|e| Error::internal("encoding rows as Parquet").with_source(e))?;
        }
    }
    let content = writer.into_inner().map_err(|e| Error::internal("closing a Parquet file").with_source(e))?;
    Ok(Bytes::from(content))
}

/// Lines of JSON, taken apart.
pub(crate) fn rows(lines: &[u8]) -> impl Iterator<Item = Result<Value>> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|e| Error::internal("a row is no JSON").with_source(e)))
}
