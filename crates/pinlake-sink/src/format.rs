//! What an object holds of its records: JSON, one value a line; bytes; or Parquet. Rows are made one by one, so that a record which does not fit
//! is found before it is in an object; an object is finished from its rows, and the same rows make the same bytes. Must not know where an object
//! is put or which records it gets.

pub mod parquet;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::write::GzEncoder;
use pinlake_core::{Error, Result};
use serde_json::Value;

use crate::convert::{Converted, Datum};

/// How one file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// JSON, one value a line. Text becomes a string, bytes one in base64.
    Json,
    /// Bytes as they are.
    Bytes {
        /// How the file's name ends, with its dot.
        extension: String,
        /// What stands behind each record.
        separator: String,
    },
    /// Parquet, see [`parquet`].
    Parquet(parquet::Codec),
}

/// How files of JSON and of bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// By gzip, on a level from 0 to 9.
    Gzip(u32),
}

/// What is written of an object's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formats {
    /// How values are written.
    pub values: Format,
    /// How keys are written, in a file beside the values'; each record must have one.
    pub keys: Option<Format>,
    /// How headers are written, likewise.
    pub headers: Option<Format>,
    /// How files of JSON and of bytes are compressed.
    pub compression: Compression,
}

/// What files hold of a record, ready to be put behind those before it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) values: Option<Vec<u8>>,
    pub(crate) keys: Option<Vec<u8>>,
    pub(crate) headers: Option<Vec<u8>>,
}

impl Formats {
    /// What is written of a record: of one without a value, only its key and headers.
    ///
    /// # Errors
    /// Why a format can't hold the record.
    pub(crate) fn rows(&self, record: &Converted<'_>) -> Result<Rows, String> {
        let mut rows = Rows::default();
        if let Some(format) = &self.keys {
            if record.key.is_null() {
                return Err(format!("the record at offset {} has no key, and keys are to be stored", record.offset));
            }
            rows.keys = Some(format.key(&record.key).map_err(|why| format!("the key at offset {} {why}", record.offset))?);
        }
        if let Some(format) = &self.headers {
            if record.headers.is_empty() {
                return Err(format!("the record at offset {} has no headers, and headers are to be stored", record.offset));
            }
            rows.headers = Some(format.headers(record).map_err(|why| format!("the headers at offset {} {why}", record.offset))?);
        }
        if !record.value.is_null() {
            let value = self.values.value(&record.value).map_err(|why| format!("the value at offset {} {why}", record.offset))?;
            rows.values = Some(value);
        }
        Ok(rows)
    }
}

impl Format {
    /// How the name of such a file ends, with its dot.
    pub fn extension(&self, compression: Compression) -> String {
        let gz = if compression == Compression::None { "" } else { ".gz" };
        match self {
            Self::Json => format!(".json{gz}"),
            Self::Bytes { extension, .. } => format!("{extension}{gz}"),
            Self::Parquet(codec) => format!("{}.parquet", codec.extension()),
        }
    }

    /// The file of these rows.
    ///
    /// # Errors
    /// `Internal` if a library fails.
    pub(crate) fn finish(&self, rows: Vec<u8>, compression: Compression) -> Result<Bytes> {
        match (self, compression) {
            (Self::Parquet(codec), _) => parquet::file(&rows, *codec),
            (_, Compression::None) => Ok(Bytes::from(rows)),
            (_, Compression::Gzip(level)) => {
                // No name and no time are in its header, so the same rows make the same bytes.
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(level.min(9)));
                let packed = encoder.write_all(&rows).and_then(|()| encoder.finish());
                packed.map(Bytes::from).map_err(|e| Error::internal("compressing an object").with_source(e))
            }
        }
    }

    fn value(&self, value: &Datum<'_>) -> Result<Vec<u8>, String> {
        match (self, value) {
            (Self::Json, value) => Ok(line(&json(value))),
            (Self::Bytes { separator, .. }, Datum::Bytes(bytes)) => Ok([bytes, separator.as_bytes()].concat()),
            (Self::Bytes { .. }, _) => {
                Err("is not bytes, of which alone this format is: set ByteArrayConverter for it".to_owned())
            }
            (Self::Parquet(_), Datum::Json(text)) => match serde_json::from_str(text) {
                Ok(Value::Object(_)) => Ok(line(text)),
                Ok(_) => Err("is no JSON object, of which alone Parquet makes rows".to_owned()),
                Err(e) => Err(format!("can't be read: {e}")),
            },
            (Self::Parquet(_), _) => {
                Err("is no JSON object, of which alone Parquet makes rows: set JsonConverter for it".to_owned())
            }
        }
    }

    /// A key; in Parquet it is the column `key`.
    fn key(&self, key: &Datum<'_>) -> Result<Vec<u8>, String> {
        match self {
            Self::Parquet(_) => self.value(&Datum::Json(Cow::Owned(format!("{{\"key\":{}}}", json(key))))),
            _ => self.value(key),
        }
    }

    /// The headers as `{"headers":[{"key":NAME,"value":TEXT}]}`.
    fn headers(&self, record: &Converted<'_>) -> Result<Vec<u8>, String> {
        let header = |(name, value): &(Cow<'_, str>, Option<&[u8]>)| {
            let text = value.map(String::from_utf8_lossy);
            serde_json::json!({ "key": name, "value": text })
        };
        let headers: Vec<Value> = record.headers.iter().map(header).collect();
        self.value(&Datum::Json(Cow::Owned(serde_json::json!({ "headers": headers }).to_string())))
    }
}

/// Anything as JSON on one line.
fn json<'a>(datum: &'a Datum<'_>) -> Cow<'a, str> {
    match datum {
        Datum::Null => Cow::Borrowed("null"),
        Datum::Json(text) => Cow::Borrowed(text),
        Datum::Text(text) => Cow::Owned(Value::from(text.as_ref()).to_string()),
        Datum::Bytes(bytes) => Cow::Owned(format!("\"{}\"", STANDARD.encode(bytes))),
    }
}

fn line(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\n"].concat()
}
