//! Makes a partition's folder whole after any end of the process before: what is past the checkpoint is checked batch by batch, a torn
//! tail is cut, the rest of it written again and synced, and indexes and producers are rebuilt. It must not cut anything that a
//! checkpoint or a later segment says was good: that is damage, and an error.

use std::io;
use std::path::Path;
use std::sync::Arc;

use pinlake_core::{Batch, Error, ErrorKind, Offset, OffsetRange, Result, Timestamp};

use crate::checkpoint::Checkpoint;
use crate::disk::{Disk, File};
use crate::index::{Index, max_timestamp_in_file};
use crate::remembered::Remembered;
use crate::scan::{self, Headers};
use crate::segment::{Extent, Segment, index_of, path};
use crate::start;
use crate::txn_index::{Aborted, Summary};

/// A partition as it was found, or made.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) range: OffsetRange,
    pub(crate) remembered: Remembered,
}

/// What recovery made of a partition.
#[derive(Debug)]
pub(crate) enum Found {
    Whole(Recovered),
    /// What was durable is damaged or missing: why, and where the records ended, as far as can be told.
    Damaged(Error, Offset),
}

impl Recovered {
    /// A partition that nothing was appended to, and whose first record gets the offset `begin`.
    pub(crate) fn empty_at(begin: Offset) -> Self {
        Self { range: OffsetRange { start: begin, end: begin }, ..Self::default() }
    }
}

/// Recovers the partition in `dir`, which need not be there. A segment whose age is not known begins `now`; without any segment the
/// partition starts at `begin`.
///
/// # Errors
/// When the disk fails. Damage is an answer, because it is one partition's.
pub(crate) fn find(disk: &Disk, dir: &Path, interval: u32, now: Timestamp, begin: Result<Offset>) -> Result<Found> {
    match recover(disk, dir, interval, now, begin) {
        Ok(recovered) => Ok(Found::Whole(recovered)),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Found::Damaged(error, end_of_damaged(disk, dir))),
        Err(error) => Err(error),
    }
}

/// The offset after the last record that a checkpoint or a header tells of.
fn end_of_damaged(disk: &Disk, dir: &Path) -> Offset {
    let noted = Checkpoint::load(disk, dir).ok().flatten().map_or(Offset::ZERO, |noted| noted.next);
    let noted = noted.max(start::load(disk, dir).unwrap_or_default());
    let last = clean_up(disk, dir).ok().and_then(|bases| bases.last().copied());
    let Some(mut end) = last else { return noted };
    if let Ok(file) = disk.open(&path(dir, end, "log"))
        && let Ok(len) = file.len()
    {
        let mut headers = Headers::new(&file, 0, len);
        while let Ok(Some((_, header))) = headers.next()
            && header.base_offset == end
        {
            end = header.end_offset;
        }
    }
    end.max(noted)
}

fn recover(disk: &Disk, dir: &Path, interval: u32, now: Timestamp, begin: Result<Offset>) -> Result<Recovered> {
    let bases = clean_up(disk, dir).map_err(|error| failed("list", dir, error))?;
    let checkpoint = Checkpoint::load(disk, dir).map_err(|error| failed("read the checkpoint of", dir, error))?;
    let trimmed = start::load(disk, dir)?;
    let (Some(first), Some(last)) = (bases.first(), bases.last()) else {
        let begin = begin?;
        return match checkpoint {
            Some(noted) if noted.next > begin => Err(missing(dir, noted.segment)),
            _ if trimmed > begin => Err(missing(dir, trimmed)),
            _ => Ok(Recovered::empty_at(begin)),
        };
    };
    if let Some(noted) = &checkpoint
        && noted.segment > *last
    {
        return Err(missing(dir, noted.segment));
    }
    let start = *first;
    let checkpoint = checkpoint.filter(|noted| bases.contains(&noted.segment)).unwrap_or(Checkpoint::at_start_of(start));
    let remembered = Remembered::from(&checkpoint.state);
    let mut recovery = Recovery { disk, dir, interval, now, segments: Vec::new(), remembered };
    let known = bases.partition_point(|base| *base < checkpoint.segment);
    for pair in bases[..=known].windows(2) {
        let txn_index = checkpoint.txn_indexes.iter().find(|summary| summary.segment == pair[0]);
        recovery.take_sealed(pair[0], pair[1], txn_index)?;
    }
    let end = recovery.check_from(&checkpoint, &bases[known..])?;
    if trimmed > end {
        let text = format!("the records before {trimmed} were let go, and it ends at {end}; restore it from a copy");
        return Err(recovery.corrupt(*last, &text));
    }
    let range = OffsetRange { start: start.max(trimmed), end };
    Ok(Recovered { segments: recovery.segments, range, remembered: recovery.remembered })
}

struct Recovery<'a> {
    disk: &'a Disk,
    dir: &'a Path,
    interval: u32,
    now: Timestamp,
    segments: Vec<Arc<Segment>>,
    remembered: Remembered,
}

impl Recovery<'_> {
    /// A segment that a checkpoint lies behind: it was synced when it was sealed, and each read checks what it reads.
    fn take_sealed(&mut self, base: Offset, end: Offset, txn_index: Option<&Summary>) -> Result<()> {
        let bytes = self.open(base)?.len().map_err(|error| self.failed(base, error))?;
        let extent = Extent { end, bytes, ..Extent::empty(base) };
        let segment = Segment::new(self.disk, self.dir, self.interval, base, extent, None);
        let times = self.disk.open(&path(self.dir, base, "timeindex")).and_then(|times| max_timestamp_in_file(&times));
        let has_index = self.disk.open(&path(self.dir, base, "index")).is_ok();
        let max_timestamp = match times {
            Ok(found) if has_index && (found.is_some() || bytes == 0) => found,
            _ => segment.rebuild_index()?.max_timestamp(),
        };
        let extent = Extent { max_timestamp, ..extent };
        let aborted = txn_index.map_or_else(Aborted::default, |summary| Aborted::Filed(*summary));
        let segment = Segment::new(self.disk, self.dir, self.interval, base, extent, None).with_aborted(aborted);
        self.segments.push(Arc::new(segment));
        Ok(())
    }

    /// Checks what lies behind the checkpoint; `bases` starts with its segment. Answers the log's end.
    fn check_from(&mut self, checkpoint: &Checkpoint, bases: &[Offset]) -> Result<Offset> {
        let mut from = checkpoint.clone();
        let mut moved = false;
        for (at, base) in bases.iter().enumerate() {
            if at > 0 {
                if from.next != *base {
                    return Err(self.corrupt(
                        *base,
                        &format!(
                            "it should start at offset {}, the one before is cut off or missing; restore it from a copy",
                            from.next
                        ),
                    ));
                }
                from = Checkpoint::at_start_of(*base);
            }
            let is_last = at + 1 == bases.len();
            let (segment, changed) = self.check_segment(&from, is_last)?;
            from.next = segment.extent().end;
            moved |= changed || !is_last;
            if !is_last {
                segment.seal();
            }
            self.segments.push(Arc::new(segment));
        }
        if moved && let Some(active) = self.segments.last() {
            let noted = Checkpoint::at_end_of(&self.segments, self.remembered.state(), true);
            noted.and_then(|noted| noted.store(self.disk, self.dir)).map_err(|error| self.failed(active.base, error))?;
        }
        Ok(from.next)
    }

    /// Checks a segment from the checkpoint on; the last one is cut at its first bad batch, written again and synced. Answers whether
    /// there was anything to check.
    fn check_segment(&mut self, from: &Checkpoint, is_last: bool) -> Result<(Segment, bool)> {
        let base = from.segment;
        let file = if is_last {
            self.disk.open_or_create(&path(self.dir, base, "log"))
        } else {
            self.disk.open(&path(self.dir, base, "log"))
        };
        let file = file.map_err(|error| self.failed(base, error))?;
        let len = file.len().map_err(|error| self.failed(base, error))?;
        if len < from.position {
            let text = format!("it has {len} bytes and {} were synced; restore it from a copy", from.position);
            return Err(self.corrupt(base, &text));
        }
        let (index, mut extent) = self.index_before(&file, from)?;
        extent.end = from.next;
        let segment = Segment::new(self.disk, self.dir, self.interval, base, extent, Some(index));
        let segment = segment.with_aborted(Aborted::Here(from.aborted.clone()));
        let mut next = from.next;
        let (now, remembered) = (self.now, &mut self.remembered);
        let take = |batch: &Batch, _| {
            let follows = batch.base_offset() == next;
            if follows {
                next = batch.offsets().end;
                segment.note(std::slice::from_ref(batch), now);
                if let Some(aborted) = remembered.replay(batch) {
                    segment.note_aborted(aborted);
                }
            }
            follows
        };
        let rewrite = |bytes: &bytes::Bytes, at| if is_last { file.write_at(std::slice::from_ref(bytes), at) } else { Ok(()) };
        let good = scan::check(&file, from.position, len, take, rewrite).map_err(|error| self.failed(base, error))?;
        if good < len && !is_last {
            return Err(
                self.corrupt(base, &format!("a batch at byte {good} is damaged and segments follow; restore it from a copy"))
            );
        }
        if is_last && len > from.position {
            self.finish_tail(&file, base, good, len).map_err(|error| self.failed(base, error))?;
        }
        Ok((segment, len > from.position))
    }

    fn finish_tail(&self, file: &File, base: Offset, good: u64, len: u64) -> io::Result<()> {
        if good < len {
            tracing::warn!(segment = %path(self.dir, base, "log").display(), position = good, bytes = len - good, "cut a torn tail");
            file.set_len(good)?;
        }
        file.sync_data()
    }

    /// The index up to the checkpoint: from its files if they are as the checkpoint left them, else from the headers.
    fn index_before(&self, file: &File, from: &Checkpoint) -> Result<(Index, Extent)> {
        let read = |extension| self.disk.read_whole(&path(self.dir, from.segment, extension)).ok().flatten().unwrap_or_default();
        if from.position == 0 {
            return Ok((Index::default(), Extent::empty(from.segment)));
        }
        let (offsets, times) = (read("index"), read("timeindex"));
        let newest = from.max_timestamp.map(Timestamp);
        if from.index_crcs == (crc32c::crc32c(&offsets), crc32c::crc32c(&times))
            && let Some(index) = Index::decode(&offsets, &times, newest, from.last)
        {
            return Ok((
                index,
                Extent { end: from.next, bytes: from.position, began: from.began.map(Timestamp), max_timestamp: newest },
            ));
        }
        let (index, extent) =
            index_of(file, self.interval, from.segment, from.position).map_err(|error| self.failed(from.segment, error))?;
        Ok((index, Extent { began: from.began.map_or(Some(self.now), |began| Some(Timestamp(began))), ..extent }))
    }

    fn open(&self, base: Offset) -> Result<File> {
        self.disk.open(&path(self.dir, base, "log")).map_err(|error| self.failed(base, error))
    }

    fn corrupt(&self, base: Offset, what: &str) -> Error {
        Error::corrupt(format!("segment {}: {what}", path(self.dir, base, "log").display()))
    }

    fn failed(&self, base: Offset, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                self.corrupt(base, "its batches do not follow one another; restore it from a copy").with_source(error)
            }
            _ => failed("recover", &path(self.dir, base, "log"), error),
        }
    }
}

/// Removes what a crash may leave beside the segments; answers the segments' base offsets in order.
fn clean_up(disk: &Disk, dir: &Path) -> io::Result<Vec<Offset>> {
    let names = disk.list(dir)?;
    let base_of = |name: &str| name.split_once('.').and_then(|(base, _)| base.parse().ok().filter(|base| *base >= 0)).map(Offset);
    let bases: Vec<Offset> = names.iter().filter(|name| name.ends_with(".log")).filter_map(|name| base_of(name)).collect();
    for name in &names {
        let orphan = name.ends_with("index") && base_of(name).is_some_and(|base| bases.binary_search(&base).is_err());
        if orphan || name.ends_with(".tmp") {
            disk.remove_file(&dir.join(name))?;
        }
    }
    Ok(bases)
}

fn missing(dir: &Path, base: Offset) -> Error {
    Error::corrupt(format!("segment {} is missing; restore it from a copy", path(dir, base, "log").display()))
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::internal(format!("can't {what} {}", path.display())).with_source(error)
}
