//! Reads an answer of Fetch by what stands in front of its batches and skips the rest, so that reading costs little more than taking bytes off
//! a socket. The records are not looked at, unless their checksum is asked for.

#[cfg(test)]
mod tests;

use std::io;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::batch::HEADER_BYTES;
use super::client;

/// Where a batch has its length, from where on that counts, its checksum, what that begins with, its last offset, and its number of records.
const LENGTH: usize = 8;
const LENGTH_FROM: usize = 12;
const CRC: usize = 17;
const CHECKED: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const RECORDS: usize = 57;
/// The last version of Fetch without tagged fields, which is also the last that calls topics by name alone.
pub(crate) const FETCH_VERSION: i16 = 11;

/// What was in an answer.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) batches: u64,
    pub(crate) records: u64,
    /// Of whole batches.
    pub(crate) bytes: u64,
}

impl Fetched {
    pub(crate) fn add(&mut self, other: Self) {
        self.batches += other.batches;
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

/// Reads one answer about one partition. `next` is the offset at which its first batch must begin, and moves behind its last one.
pub(crate) async fn answer<R: AsyncBufRead + Unpin>(
    from: &mut R,
    correlation: i32,
    next: &mut i64,
    check_crc: bool,
) -> Result<Fetched> {
    let left = usize::try_from(from.read_i32().await.context("the server closed the connection")?)?;
    let mut frame = Frame { from, left };
    ensure!(frame.i32().await? == correlation, "an answer to another request came");
    let _throttled_ms = frame.i32().await?;
    client::check(frame.i16().await?).context("a fetch was refused")?;
    let _session = frame.i32().await?;
    ensure!(frame.i32().await? == 1, "the answer is not about one topic");
    let name = usize::try_from(frame.i16().await?)?;
    frame.skip(name).await?;
    ensure!(frame.i32().await? == 1, "the answer is not about one partition");
    let partition = frame.i32().await?;
    client::check(frame.i16().await?).with_context(|| format!("a fetch from partition {partition} was refused"))?;
    // High watermark, last stable offset, log start.
    frame.skip(3 * 8).await?;
    let aborted = usize::try_from(frame.i32().await?.max(0))?;
    // Each one's producer and first offset, then the replica to ask instead.
    frame.skip(aborted * 16 + 4).await?;
    let bytes = usize::try_from(frame.i32().await?.max(0))?;
    ensure!(bytes == frame.left, "the answer has {} bytes behind its length where its batches have {bytes}", frame.left);
    frame.batches(next, check_crc).await.with_context(|| format!("in partition {partition}"))
}

/// An answer of which so much has not been read yet.
struct Frame<'a, R> {
    from: &'a mut R,
    left: usize,
}

impl<R: AsyncBufRead + Unpin> Frame<'_, R> {
    async fn batches(&mut self, next: &mut i64, check_crc: bool) -> Result<Fetched> {
        let mut fetched = Fetched::default();
        while self.left >= HEADER_BYTES {
            let header: [u8; HEADER_BYTES] = self.take().await?;
            let length = LENGTH_FROM + usize::try_from(i32_at(&header, LENGTH))?;
            ensure!(length >= HEADER_BYTES, "a batch of {length} bytes can't be");
            if length - HEADER_BYTES > self.left {
                // Kafka cuts the last batch where the limit is.
                break;
            }
            let base = i64::from_be_bytes(*header.first_chunk().context("a header has an offset")?);
            ensure!(base == *next, "offset {next} was to follow, but a batch begins at {base}");
            let crc = if check_crc { Some(crc32c::crc32c(&header[CHECKED..])) } else { None };
            let crc = self.pass(length - HEADER_BYTES, crc).await?;
            ensure!(crc.is_none_or(|crc| crc == i32_at(&header, CRC).cast_unsigned()), "the batch at offset {base} is damaged");
            *next = base + i64::from(i32_at(&header, LAST_OFFSET_DELTA)) + 1;
            fetched.batches += 1;
            fetched.records += u64::try_from(i32_at(&header, RECORDS))?;
            fetched.bytes += length as u64;
        }
        self.skip(self.left).await?;
        Ok(fetched)
    }

    async fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take().await?))
    }

    async fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take().await?))
    }

    async fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.left = self.left.checked_sub(N).context("the answer is cut short")?;
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    async fn skip(&mut self, count: usize) -> Result<()> {
        self.pass(count, None).await?;
        Ok(())
    }

    /// Goes over bytes, and goes on with their checksum if there is one.
    async fn pass(&mut self, mut count: usize, mut crc: Option<u32>) -> Result<Option<u32>> {
        self.left = self.left.checked_sub(count).context("the answer is cut short")?;
        while count > 0 {
            let bytes = self.from.fill_buf().await?;
            ensure!(!bytes.is_empty(), io::Error::from(io::ErrorKind::UnexpectedEof));
            let bytes = &bytes[..bytes.len().min(count)];
            crc = crc.map(|crc| crc32c::crc32c_append(crc, bytes));
            let passed = bytes.len();
            self.from.consume(passed);
            count -= passed;
        }
        Ok(crc)
    }
}

fn i32_at(header: &[u8; HEADER_BYTES], at: usize) -> i32 {
    i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}
