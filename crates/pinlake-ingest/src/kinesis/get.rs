//! Records on their way out of a shard: a page of them, from a position on. Those that were never committed are not seen. It must not know how a call
//! is written.

use std::time::Duration;

use bytes::Bytes;
use pinlake_core::{Batch, Log, Offset, ReadLimit, Reason, Result, Timestamp, TopicPartition};

/// Characters of a partition key; longer keys of other doors are cut.
const KEY_CHARS_MAX: usize = 256;
/// Reads of the log for one page: a page that many batches without visible records keep short is answered as it is.
const READS_MAX: usize = 32;

/// How much a page may hold; one record at least, however large.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageLimit {
    pub(crate) records: usize,
    /// Of data and keys.
    pub(crate) bytes: usize,
    /// How long to wait for the first record.
    pub(crate) wait: Duration,
}

/// A part of a shard.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) records: Vec<Got>,
    /// Where the next page begins.
    pub(crate) next: Offset,
    /// How old what was read last is, if there is more; 0 at the tip.
    pub(crate) behind_ms: i64,
    /// Whether `next` is the end of the partition, undecided records counted too.
    pub(crate) at_end: bool,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) offset: Offset,
    pub(crate) time: Timestamp,
    /// The partition key; the offset's digits for a record without one.
    pub(crate) key: String,
    pub(crate) data: Bytes,
}

/// Reads a page from `from` on, or from the first record that is kept if that is later.
///
/// # Errors
/// The log's own.
pub(crate) async fn page(log: &dyn Log, of: &TopicPartition, from: Offset, limit: PageLimit, now: Timestamp) -> Result<Page> {
    let range = log.range(of).await?;
    let mut page = Page { next: from.max(range.start), ..Page::default() };
    if page.next > range.end {
        // A position that a client made up of a number that was never given.
        return Ok(Page { at_end: true, ..page });
    }
    let (mut bytes, mut last, mut wait) = (0, None, limit.wait);
    for _ in 0..READS_MAX {
        let max = ReadLimit { bytes: (limit.bytes - bytes).max(1) };
        let read = match log.read_committed(of, page.next, max, std::mem::take(&mut wait)).await {
            // Retention was faster: the next page begins behind it.
            Err(error) if error.reason() == Some(Reason::OffsetOutOfRange) => break,
            read => read?,
        };
        if read.batches.is_empty() {
            break;
        }
        let mut is_full = false;
        for batch in read.visible() {
            is_full = page.take(&batch, limit, &mut bytes)?;
            last = page.records.last().map(|record| record.time).or(last);
            if is_full {
                break;
            }
            last = Some(batch.max_timestamp());
        }
        if is_full {
            break;
        }
    }
    page.at_end = page.next >= log.range(of).await?.end;
    let more = page.next < log.stable_end(of).await?;
    page.behind_ms = if more { last.map_or(0, |last| now.0.saturating_sub(last.0).max(0)) } else { 0 };
    Ok(page)
}

impl Page {
    /// Takes what fits of a batch; answers whether the page is full.
    fn take(&mut self, batch: &Batch, limit: PageLimit, bytes: &mut usize) -> Result<bool> {
        let plain = batch.plain()?;
        for record in plain.records() {
            let record = record?;
            if record.offset < self.next {
                continue;
            }
            let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            let is_full = self.records.len() >= limit.records || *bytes + size > limit.bytes;
            if is_full && !self.records.is_empty() {
                return Ok(true);
            }
            *bytes = (*bytes + size).min(limit.bytes);
            let data = record.value.map_or_else(Bytes::new, |value| plain.bytes().slice_ref(value));
            self.records.push(Got { offset: record.offset, time: record.timestamp, key: key(record.key, record.offset), data });
            self.next = record.offset.plus(1);
        }
        self.next = self.next.max(batch.offsets().end);
        Ok(self.records.len() >= limit.records || *bytes >= limit.bytes)
    }
}

/// What is answered as the partition key: clients expect 1 to 256 characters.
fn key(key: Option<&[u8]>, offset: Offset) -> String {
    let text = String::from_utf8_lossy(key.unwrap_or_default());
    match text.char_indices().nth(KEY_CHARS_MAX) {
        _ if text.is_empty() => offset.to_string(),
        Some((end, _)) => text[..end].to_owned(),
        None => text.into_owned(),
    }
}

/// The first record at or after a time; the end if there is none.
///
/// # Errors
/// The log's own.
pub(crate) async fn position_at(log: &dyn Log, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
    let from = log.offset_at(of, time).await?;
    let end = log.stable_end(of).await?;
    if from >= end {
        return Ok(end);
    }
    // A batch may hold records from before.
    for batch in log.read(of, from, ReadLimit { bytes: 1 }, Duration::ZERO).await? {
        for record in batch.plain()?.records() {
            let record = record?;
            if record.offset >= from && record.timestamp >= time {
                return Ok(record.offset);
            }
        }
    }
    Ok(from)
}
