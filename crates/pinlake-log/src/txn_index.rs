//! The aborted transactions whose markers lie in one segment: in memory while it is the active one, then in its `.txnindex`, which can always
//! be rebuilt from the partition's batches. It must not decide who sees what: that is the reader's.
//!
//! Kafka's layout, big-endian: (version 0: i16, producer: i64, first offset: i64, marker's offset: i64, stable end behind it: i64), in the
//! order of the markers. A segment without aborted transactions has no such file. That a file is whole is said by a summary in the
//! partition's checkpoint.

#[cfg(test)]
mod tests;

use std::io;

use bytes::BytesMut;
use pinlake_core::transactions::Transactions;
use pinlake_core::{AbortedTransaction, Batch, Offset, OffsetRange};
use serde::{Deserialize, Serialize};

use crate::disk::File;
use crate::scan::Headers;

/// How many a segment holds before the next is begun: what is in memory of them, and read at once.
pub(crate) const ENTRIES_MAX: usize = 16_384;
const ENTRY_LEN: usize = 34;
const VERSION: i16 = 0;

/// An aborted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) aborted: AbortedTransaction,
    /// The partition's stable end once the marker was there.
    pub(crate) stable: Offset,
}

/// What a whole index of a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// The segment's base offset.
    pub(crate) segment: Offset,
    /// The lowest first offset of its transactions.
    pub(crate) first: Offset,
    /// The CRC of the file's bytes.
    crc: u32,
}

/// What a segment knows of the transactions that end in it by an abort.
#[derive(Debug, Clone)]
pub(crate) enum Aborted {
    Here(Vec<Entry>),
    Filed(Summary),
}

impl Default for Aborted {
    fn default() -> Self {
        Self::Here(Vec::new())
    }
}

impl Aborted {
    /// Whether some of them may reach into a range that ends at `end`.
    pub(crate) fn may_reach_before(&self, end: Offset) -> bool {
        match self {
            Self::Here(entries) => entries.iter().any(|entry| entry.aborted.first < end),
            Self::Filed(summary) => summary.first < end,
        }
    }
}

/// Those of `entries` that reach into `range`.
pub(crate) fn within(entries: &[Entry], range: OffsetRange) -> Vec<AbortedTransaction> {
    let from = entries.partition_point(|entry| entry.aborted.last < range.start);
    let aborted = entries[from..].iter().map(|entry| entry.aborted);
    aborted.filter(|aborted| aborted.reaches_into(range)).collect()
}

/// The index of the segment at `segment` as a file, and its summary; `None` if there is nothing to keep.
pub(crate) fn encode(segment: Offset, entries: &[Entry]) -> Option<(Vec<u8>, Summary)> {
    let first = entries.iter().map(|entry| entry.aborted.first).min()?;
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_LEN);
    for Entry { aborted, stable } in entries {
        bytes.extend(VERSION.to_be_bytes());
        for number in [aborted.producer, aborted.first.0, aborted.last.0, stable.0] {
            bytes.extend(number.to_be_bytes());
        }
    }
    let summary = Summary { segment, first, crc: crc32c::crc32c(&bytes) };
    Some((bytes, summary))
}

/// The entries of a file; `None` if it is not the one that `summary` is of.
pub(crate) fn decode(bytes: &[u8], summary: &Summary) -> Option<Vec<Entry>> {
    let (entries, rest) = bytes.as_chunks::<ENTRY_LEN>();
    if !rest.is_empty() || crc32c::crc32c(bytes) != summary.crc {
        return None;
    }
    let offset = |entry: &[u8; ENTRY_LEN], at: usize| {
        Offset(i64::from_be_bytes(entry[at..at + 8].try_into().expect("the entry is whole")))
    };
    let decode = |entry: &[u8; ENTRY_LEN]| Entry {
        aborted: AbortedTransaction { producer: offset(entry, 2).0, first: offset(entry, 10), last: offset(entry, 18) },
        stable: offset(entry, 26),
    };
    Some(entries.iter().map(decode).collect())
}

/// Walks the batches in the first `bytes` of a segment, with the transactions that were open before it: those are brought up to its end.
/// Answers what ends in it by an abort.
pub(crate) fn scan(file: &File, bytes: u64, open: &mut Transactions) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut headers = Headers::new(file, 0, bytes);
    while let Some((position, header)) = headers.next()? {
        let Some(producer) = header.transactional else { continue };
        if !header.control {
            open.begin(producer, header.base_offset);
            continue;
        }
        let mut batch = BytesMut::zeroed(usize::try_from(header.len).map_err(|_| io::ErrorKind::InvalidData)?);
        file.read_at(&mut batch, position)?;
        let batch = Batch::parse(batch.freeze()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let Some(aborted) = open.record(&batch) {
            let stable = open.stable_end(OffsetRange { start: Offset::ZERO, end: header.end_offset });
            entries.push(Entry { aborted, stable });
        }
    }
    Ok(entries)
}
