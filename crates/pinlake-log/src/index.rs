//! A segment's offset index and time index: sparse, in Kafka's layout, and always rebuildable from the segment. Pure but for the search in
//! a sealed segment's files.
//!
//! `.index` holds (offset - base: u32, position: u32), `.timeindex` (largest timestamp so far: i64, offset - base: u32), big-endian.

#[cfg(test)]
mod tests;

use std::io;

use pinlake_core::{Offset, Timestamp};

use crate::disk::File;
use crate::scan::Header;

const OFFSET_ENTRY_LEN: usize = 8;
const TIME_ENTRY_LEN: usize = 12;

/// Both indexes of one segment, in memory while it is the active one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Index {
    offsets: Vec<(u32, u32)>,
    times: Vec<(i64, u32)>,
    max_timestamp: Option<i64>,
    last: u32,
}

impl Index {
    /// Takes note of the batch at `position`, the next one of the segment that starts at `base`.
    pub(crate) fn note(&mut self, interval: u32, base: Offset, header: &Header, position: u64) {
        let relative = relative(base, header.base_offset);
        let position = u32::try_from(position).expect("segments are smaller than 2 GiB but for their last batch");
        self.max_timestamp = self.max_timestamp.max(Some(header.max_timestamp.0));
        self.last = relative;
        let indexed = self.offsets.last().map_or(0, |(_, position)| *position);
        if position - indexed >= interval.max(1) {
            self.offsets.push((relative, position));
            self.push_time();
        }
    }

    /// Ends the time index with the segment's largest timestamp.
    pub(crate) fn seal(&mut self) {
        self.push_time();
    }

    fn push_time(&mut self) {
        if let Some(largest) = self.max_timestamp
            && self.times.last().is_none_or(|(last, _)| *last < largest)
        {
            self.times.push((largest, self.last));
        }
    }

    /// The largest timestamp noted.
    pub(crate) fn max_timestamp(&self) -> Option<Timestamp> {
        self.max_timestamp.map(Timestamp)
    }

    /// The last batch noted, as an offset within the segment.
    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    /// Where to start looking for `at`.
    pub(crate) fn position_of(&self, base: Offset, at: Offset) -> u64 {
        let wanted = relative(base, at);
        let after = self.offsets.partition_point(|(offset, _)| *offset <= wanted);
        after.checked_sub(1).map_or(0, |last| u64::from(self.offsets[last].1))
    }

    /// An offset before which no batch has a timestamp at or after `time`.
    pub(crate) fn offset_before(&self, base: Offset, time: Timestamp) -> Offset {
        let after = self.times.partition_point(|(largest, _)| *largest < time.0);
        base.plus(after.checked_sub(1).map_or(0, |last| u64::from(self.times[last].1)))
    }

    /// The two files' bytes: offset index, time index.
    pub(crate) fn encode(&self) -> (Vec<u8>, Vec<u8>) {
        let offsets = self.offsets.iter().flat_map(|(offset, position)| [offset.to_be_bytes(), position.to_be_bytes()].concat());
        let times = self.times.iter().flat_map(|(time, offset)| [&time.to_be_bytes()[..], &offset.to_be_bytes()[..]].concat());
        (offsets.collect(), times.collect())
    }

    /// The same from the files' bytes; `None` if they can't be an index. What was noted last is not in the files.
    pub(crate) fn decode(offsets: &[u8], times: &[u8], max_timestamp: Option<Timestamp>, last: u32) -> Option<Self> {
        let (offset_entries, rest) = offsets.as_chunks::<OFFSET_ENTRY_LEN>();
        let (time_entries, time_rest) = times.as_chunks::<TIME_ENTRY_LEN>();
        let offsets: Vec<(u32, u32)> = offset_entries.iter().map(|entry| (u32_at(entry, 0), u32_at(entry, 4))).collect();
        let times: Vec<(i64, u32)> = time_entries.iter().map(|entry| (i64_at(entry), u32_at(entry, 8))).collect();
        let rising = offsets.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1) && times.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
        let whole = rest.is_empty() && time_rest.is_empty() && rising;
        whole.then(|| Self { offsets, times, max_timestamp: max_timestamp.map(|time| time.0), last })
    }
}

/// [`Index::position_of`] in a sealed segment's offset index.
pub(crate) fn position_in_file(index: &File, base: Offset, at: Offset) -> io::Result<u64> {
    let wanted = relative(base, at);
    let entries = index.len()? / OFFSET_ENTRY_LEN as u64;
    let entry = |n: u64| {
        let mut entry = [0; OFFSET_ENTRY_LEN];
        index.read_at(&mut entry, n * OFFSET_ENTRY_LEN as u64).map(|()| entry)
    };
    let after = partition_point(entries, |n| Ok(u32_at(&entry(n)?, 0) <= wanted))?;
    if after == 0 { Ok(0) } else { Ok(u64::from(u32_at(&entry(after - 1)?, 4))) }
}

/// [`Index::offset_before`] in a sealed segment's time index.
pub(crate) fn offset_before_in_file(times: &File, base: Offset, time: Timestamp) -> io::Result<Offset> {
    let entries = times.len()? / TIME_ENTRY_LEN as u64;
    let entry = |n: u64| {
        let mut entry = [0; TIME_ENTRY_LEN];
        times.read_at(&mut entry, n * TIME_ENTRY_LEN as u64).map(|()| entry)
    };
    let after = partition_point(entries, |n| Ok(i64_at(&entry(n)?) < time.0))?;
    if after == 0 { Ok(base) } else { Ok(base.plus(u64::from(u32_at(&entry(after - 1)?, 8)))) }
}

/// The largest timestamp of a sealed segment: its time index's last entry.
pub(crate) fn max_timestamp_in_file(times: &File) -> io::Result<Option<Timestamp>> {
    let entries = times.len()? / TIME_ENTRY_LEN as u64;
    let Some(last) = entries.checked_sub(1) else { return Ok(None) };
    let mut entry = [0; TIME_ENTRY_LEN];
    times.read_at(&mut entry, last * TIME_ENTRY_LEN as u64)?;
    Ok(Some(Timestamp(i64_at(&entry))))
}

fn partition_point(entries: u64, mut before: impl FnMut(u64) -> io::Result<bool>) -> io::Result<u64> {
    let (mut low, mut high) = (0, entries);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn relative(base: Offset, at: Offset) -> u32 {
    u32::try_from(at.since(base)).unwrap_or(u32::MAX)
}

fn u32_at(entry: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(entry[at..at + 4].try_into().expect("the entry is whole"))
}

fn i64_at(entry: &[u8]) -> i64 {
    i64::from_be_bytes(entry[..8].try_into().expect("the entry is whole"))
}
