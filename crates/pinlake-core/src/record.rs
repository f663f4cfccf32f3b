//! One record: owned where it is made, borrowed where it is read.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::position::Offset;

/// A record on its way into the log. A `None` value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The key, which decides the partition and what compaction keeps.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// Names and values beside the record.
    pub headers: Vec<(String, Option<Bytes>)>,
}

impl Record {
    /// A record with a value and no key.
    pub fn of_value(value: impl Into<Bytes>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// A record with a key and a value.
    pub fn of_key_value(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { key: Some(key.into()), value: Some(value.into()), ..Self::default() }
    }
}

/// A record as it lies in a batch: borrowed, so that reading a million of them copies nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Where it stands in its partition.
    pub offset: Offset,
    /// When the log (or the producer) says it was made.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The encoded headers: a varint count and the headers themselves.
    pub headers: &'a [u8],
}
