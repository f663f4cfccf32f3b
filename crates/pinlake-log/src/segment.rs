//! One segment: a run of batches in a file, with its indexes. What it knows of itself is durable; bytes past that are never read. It must
//! not append: that is the partition's writer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use pinlake_core::transactions::Transactions;
use pinlake_core::{AbortedTransaction, Batch, Error, Offset, OffsetRange, Reason, Result, Timestamp};

use crate::buffers::{self, BUFFER_BYTES, Buffers};
use crate::disk::{Disk, File};
use crate::index::{self, Index};
use crate::scan::{Header, Headers};
use crate::txn_index::{self, Aborted, Entry, Summary};

/// A segment of one partition.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The offset its name states: that of its first record.
    pub(crate) base: Offset,
    dir: PathBuf,
    disk: Disk,
    interval: u32,
    known: RwLock<Known>,
}

/// What a segment knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The offset after its last record.
    pub(crate) end: Offset,
    /// How many bytes of the file are batches.
    pub(crate) bytes: u64,
    /// When its first batch was appended, by the log's clock: producers may send old timestamps.
    pub(crate) began: Option<Timestamp>,
    /// The largest timestamp.
    pub(crate) max_timestamp: Option<Timestamp>,
}

impl Extent {
    /// A segment without batches that starts at `base`.
    pub(crate) fn empty(base: Offset) -> Self {
        Self { end: base, bytes: 0, began: None, max_timestamp: None }
    }
}

#[derive(Debug)]
struct Known {
    extent: Extent,
    /// In memory while the segment is the active one.
    index: Option<Index>,
    aborted: Aborted,
}

impl Segment {
    /// A segment in `dir`; the active one has its index in memory.
    pub(crate) fn new(disk: &Disk, dir: &Path, interval: u32, base: Offset, extent: Extent, index: Option<Index>) -> Self {
        let known = RwLock::new(Known { extent, index, aborted: Aborted::default() });
        Self { base, dir: dir.to_owned(), disk: disk.clone(), interval, known }
    }

    /// The same with what is known of its aborted transactions.
    pub(crate) fn with_aborted(self, aborted: Aborted) -> Self {
        self.known_mut().aborted = aborted;
        self
    }

    /// Where the batches lie.
    pub(crate) fn log_path(&self) -> PathBuf {
        path(&self.dir, self.base, "log")
    }

    /// What it holds now.
    pub(crate) fn extent(&self) -> Extent {
        self.known().extent
    }

    /// Takes note of batches that are durable behind the others, `now`.
    pub(crate) fn note(&self, batches: &[Batch], now: Timestamp) {
        let mut known = self.known_mut();
        let known = &mut *known;
        for batch in batches {
            let header = Header::of(batch);
            let extent = &mut known.extent;
            if let Some(index) = &mut known.index {
                index.note(self.interval, self.base, &header, extent.bytes);
            }
            extent.bytes += header.len;
            extent.end = header.end_offset;
            extent.began.get_or_insert(now);
            extent.max_timestamp = extent.max_timestamp.max(Some(header.max_timestamp));
        }
    }

    /// Takes note of a transaction that was aborted in the active segment.
    pub(crate) fn note_aborted(&self, entry: Entry) {
        if let Aborted::Here(entries) = &mut self.known_mut().aborted {
            entries.push(entry);
        }
    }

    /// Whether so many transactions were aborted in it that the next segment is due.
    pub(crate) fn is_full_of_aborted(&self) -> bool {
        matches!(&self.known().aborted, Aborted::Here(entries) if entries.len() >= txn_index::ENTRIES_MAX)
    }

    /// The aborted transactions of the active segment.
    pub(crate) fn aborted_here(&self) -> Vec<Entry> {
        match &self.known().aborted {
            Aborted::Here(entries) => entries.clone(),
            Aborted::Filed(_) => Vec::new(),
        }
    }

    /// What a sealed segment's transaction index is, or has to be; `None` if it needs none.
    pub(crate) fn txn_summary(&self) -> Option<Summary> {
        match &self.known().aborted {
            Aborted::Here(entries) => txn_index::encode(self.base, entries).map(|(_, summary)| summary),
            Aborted::Filed(summary) => Some(*summary),
        }
    }

    /// Whether a transaction that was aborted in it may reach into a range that ends at `end`.
    pub(crate) fn may_abort_before(&self, end: Offset) -> bool {
        self.known().aborted.may_reach_before(end)
    }

    /// The index as it stands in memory, if it does.
    pub(crate) fn index(&self) -> Option<Index> {
        self.known().index.clone()
    }

    /// Ends the segment: its indexes go to the disk and out of memory. An index that can't be written is rebuilt when it is needed.
    pub(crate) fn seal(&self) {
        let aborted = self.aborted_here();
        if !aborted.is_empty() {
            self.file_aborted(aborted);
        }
        let Some(mut index) = self.index() else { return };
        index.seal();
        if let Err(error) = self.write_index(&index, true) {
            tracing::warn!(segment = %self.log_path().display(), %error, "the index of a sealed segment was not written, it will be rebuilt");
            self.remove_index();
        }
        self.known_mut().index = None;
    }

    /// Writes both index files; answers the CRCs of their content.
    pub(crate) fn write_index(&self, index: &Index, durable: bool) -> io::Result<(u32, u32)> {
        let (offsets, times) = index.encode();
        self.disk.replace(&path(&self.dir, self.base, "index"), &offsets, durable)?;
        self.disk.replace(&path(&self.dir, self.base, "timeindex"), &times, durable)?;
        Ok((crc32c::crc32c(&offsets), crc32c::crc32c(&times)))
    }

    /// Writes the transaction index; in memory it stays only if that fails.
    fn file_aborted(&self, entries: Vec<Entry>) {
        let aborted = match txn_index::encode(self.base, &entries) {
            Some((bytes, summary)) => match self.disk.replace(&self.txn_path(), &bytes, true) {
                Ok(()) => Aborted::Filed(summary),
                Err(error) => {
                    tracing::warn!(segment = %self.log_path().display(), %error, "the transaction index was not written, it stays in memory");
                    Aborted::Here(entries)
                }
            },
            None => Aborted::default(),
        };
        self.known_mut().aborted = aborted;
    }

    fn txn_path(&self) -> PathBuf {
        path(&self.dir, self.base, "txnindex")
    }

    /// Removes the segment's files. Readers that hold them open are served to the end.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.disk.remove_file(&self.log_path())?;
        self.remove_index();
        if self.txn_summary().is_some() {
            let _ = self.disk.remove_file(&self.txn_path());
        }
        Ok(())
    }

    fn remove_index(&self) {
        for extension in ["index", "timeindex"] {
            let _ = self.disk.remove_file(&path(&self.dir, self.base, extension));
        }
    }

    /// The batches from the one that holds `at` on: one at least, else not more than `bytes_max`, nor than a buffer holds.
    pub(crate) fn read(&self, at: Offset, bytes_max: usize, buffers: &Buffers) -> Result<Vec<Batch>> {
        let file = self.open_log()?;
        let bytes = self.extent().bytes;
        let found = self.seek(&file, at, bytes, |header| header.end_offset > at)?;
        let (position, first) = found.ok_or_else(|| self.corrupt(bytes, "a record that should be in it is missing"))?;
        let len = first.len.max((bytes_max.min(BUFFER_BYTES) as u64).min(bytes - position));
        let len = usize::try_from(len).expect("segments are smaller than 4 GiB");
        let buffer = buffers.filled(len, |buffer| file.read_at(buffer, position));
        let mut buffer = buffer.map_err(|error| self.failed("read", error))?;
        // Few batches must not keep a whole buffer for as long as somebody has them.
        let whole = whole_batches(&buffer);
        if whole < buffers::kept_by(len) / 2 {
            buffer = Bytes::copy_from_slice(&buffer[..whole]);
        }
        self.split(&buffer, position)
    }

    /// The first offset whose batch has a timestamp at or after `time`, of batches that reach past `start`.
    pub(crate) fn first_at(&self, time: Timestamp, start: Offset) -> Result<Option<Offset>> {
        let extent = self.extent();
        if extent.max_timestamp.is_none_or(|largest| largest < time) {
            return Ok(None);
        }
        let file = self.open_log()?;
        let from = self.offset_before(time).map_err(|error| self.failed("search the time index of", error))?;
        let late = |header: &Header| header.base_offset >= from && header.end_offset > start && header.max_timestamp >= time;
        let found = self.seek(&file, from, extent.bytes, late)?;
        Ok(found.map(|(_, header)| header.base_offset))
    }

    /// The transactions that were aborted in it and reach into `range`; `None` if its transaction index is lost.
    fn aborted_in(&self, range: OffsetRange) -> Option<Vec<AbortedTransaction>> {
        let summary = match &self.known().aborted {
            Aborted::Here(entries) => return Some(txn_index::within(entries, range)),
            Aborted::Filed(summary) if summary.first >= range.end => return Some(Vec::new()),
            Aborted::Filed(summary) => *summary,
        };
        let bytes = self.disk.read_whole(&self.txn_path()).ok().flatten()?;
        Some(txn_index::within(&txn_index::decode(&bytes, &summary)?, range))
    }

    /// Finds its aborted transactions again, with those that were open before it, and writes them if they were written before.
    fn rebuild_aborted(&self, open: &mut Transactions) -> Result<()> {
        let scanned = txn_index::scan(&self.open_log()?, self.extent().bytes, open);
        let entries = scanned.map_err(|error| self.failed("rebuild the transaction index of", error))?;
        let filed = matches!(self.known().aborted, Aborted::Filed(_));
        if filed {
            self.file_aborted(entries);
        }
        Ok(())
    }

    /// Rebuilds the index from the batches and writes it.
    pub(crate) fn rebuild_index(&self) -> Result<Index> {
        let file = self.open_log()?;
        let (index, _) = index_of(&file, self.interval, self.base, self.extent().bytes)
            .map_err(|error| self.failed("rebuild the index of", error))?;
        let mut index = index;
        index.seal();
        self.write_index(&index, false).map_err(|error| self.failed("write the index of", error))?;
        Ok(index)
    }

    /// The first batch that `wanted` accepts, found from where the index says that `at` is near. An index that leads astray is rebuilt once.
    fn seek(&self, file: &File, at: Offset, bytes: u64, wanted: impl Fn(&Header) -> bool) -> Result<Option<(u64, Header)>> {
        let near = self.position_of(at).and_then(|from| Ok((from, self.walk(file, from, at, bytes, &wanted)?)));
        let from = match near {
            Ok((_, Some(found))) => return Ok(Some(found)),
            Ok((from, None)) => from,
            Err(error) if astray(&error) => {
                tracing::warn!(segment = %self.log_path().display(), "the index is missing or wrong, rebuilding it");
                // The walk needs none: another reader may be at the same, or the disk full.
                if let Err(error) = self.rebuild_index() {
                    tracing::warn!(segment = %self.log_path().display(), %error, "the index was not rebuilt, reading goes on without it");
                }
                1
            }
            Err(error) => return Err(self.failed("search", error)),
        };
        if from == 0 {
            return Ok(None);
        }
        self.walk(file, 0, at, bytes, &wanted).map_err(|error| self.failed("search", error))
    }

    fn walk(
        &self,
        file: &File,
        from: u64,
        at: Offset,
        bytes: u64,
        wanted: impl Fn(&Header) -> bool,
    ) -> io::Result<Option<(u64, Header)>> {
        let mut headers = Headers::new(file, from, bytes);
        let mut expected = if from == 0 { Some(self.base) } else { None };
        while let Some((position, header)) = headers.next()? {
            let in_order =
                expected.map_or(header.base_offset >= self.base && header.base_offset <= at, |end| header.base_offset == end);
            if !in_order {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if wanted(&header) {
                return Ok(Some((position, header)));
            }
            expected = Some(header.end_offset);
        }
        Ok(None)
    }

    fn position_of(&self, at: Offset) -> io::Result<u64> {
        if let Some(index) = &self.known().index {
            return Ok(index.position_of(self.base, at));
        }
        index::position_in_file(&self.disk.open(&path(&self.dir, self.base, "index"))?, self.base, at)
    }

    fn offset_before(&self, time: Timestamp) -> io::Result<Offset> {
        if let Some(index) = &self.known().index {
            return Ok(index.offset_before(self.base, time));
        }
        match self.disk.open(&path(&self.dir, self.base, "timeindex")) {
            Ok(times) => index::offset_before_in_file(&times, self.base, time),
            Err(error) if astray(&error) => Ok(self.base),
            Err(error) => Err(error),
        }
    }

    /// The whole batches in `buffer`, each checked against its CRC.
    fn split(&self, buffer: &Bytes, position: u64) -> Result<Vec<Batch>> {
        let mut batches = Vec::new();
        let mut at = 0;
        while let Some(len) = Batch::claimed_len(&buffer[at..]).filter(|len| at + len <= buffer.len()) {
            let batch = Batch::parse(buffer.slice(at..at + len))
                .map_err(|error| self.corrupt(position + at as u64, "a batch is damaged").with_source(error))?;
            // The base offset is outside the CRC: that batches follow one another is what vouches for it.
            if batches.last().is_some_and(|last: &Batch| last.offsets().end != batch.base_offset()) {
                return Err(self.corrupt(position + at as u64, "a batch does not follow the one before"));
            }
            batches.push(batch);
            at += len;
        }
        if batches.is_empty() { Err(self.corrupt(position, "a batch is cut off")) } else { Ok(batches) }
    }

    fn open_log(&self) -> Result<File> {
        self.disk.open(&self.log_path()).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let text = format!("segment {} is no longer kept", self.log_path().display());
                Error::not_found(text).because(Reason::OffsetOutOfRange)
            }
            _ => self.failed("open", error),
        })
    }

    fn failed(&self, what: &str, error: io::Error) -> Error {
        let text = format!("can't {what} segment {}", self.log_path().display());
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Error::corrupt(format!("{text}: its batches do not follow one another; restore it from a copy"))
                    .with_source(error)
            }
            _ => Error::internal(text).with_source(error),
        }
    }

    fn corrupt(&self, position: u64, what: &str) -> Error {
        Error::corrupt(format!("segment {} at byte {position}: {what}; restore it from a copy", self.log_path().display()))
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The aborted transactions that reach into `range`, of a partition with these segments. A transaction index that is lost is rebuilt from the
/// batches of all segments before it, because transactions begin in them.
pub(crate) fn aborted_in(segments: &[Arc<Segment>], range: OffsetRange) -> Result<Vec<AbortedTransaction>> {
    // Markers before the range have no say in it.
    let from = segments.partition_point(|segment| segment.base <= range.start).saturating_sub(1);
    let mut found = Vec::new();
    for (at, segment) in segments.iter().enumerate().skip(from) {
        let aborted = match segment.aborted_in(range) {
            Some(aborted) => aborted,
            None => {
                tracing::warn!(segment = %segment.log_path().display(), "the transaction index is missing or damaged, rebuilding it");
                let mut open = Transactions::default();
                segments[..=at].iter().try_for_each(|segment| segment.rebuild_aborted(&mut open))?;
                let lost = || segment.corrupt(0, "its transaction index is gone again");
                segment.aborted_in(range).ok_or_else(lost)?
            }
        };
        found.extend(aborted);
    }
    Ok(found)
}

/// How many bytes of `buffer` are whole batches, by what they claim.
fn whole_batches(buffer: &[u8]) -> usize {
    let mut at = 0;
    while let Some(len) = Batch::claimed_len(&buffer[at..]).filter(|len| at + len <= buffer.len()) {
        at += len;
    }
    at
}

/// A file of the segment that starts at `base`.
pub(crate) fn path(dir: &Path, base: Offset, extension: &str) -> PathBuf {
    dir.join(format!("{:020}.{extension}", base.0))
}

/// The index of a segment's first `bytes`, from its headers, and what they hold.
pub(crate) fn index_of(file: &File, interval: u32, base: Offset, bytes: u64) -> io::Result<(Index, Extent)> {
    let mut index = Index::default();
    let mut extent = Extent::empty(base);
    let mut headers = Headers::new(file, 0, bytes);
    while let Some((position, header)) = headers.next()? {
        if header.base_offset != extent.end {
            return Err(io::ErrorKind::InvalidData.into());
        }
        index.note(interval, base, &header, position);
        extent.bytes += header.len;
        extent.end = header.end_offset;
    }
    extent.max_timestamp = index.max_timestamp();
    Ok((index, extent))
}

/// Whether an error says that an index is missing or does not fit its segment.
fn astray(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
}
