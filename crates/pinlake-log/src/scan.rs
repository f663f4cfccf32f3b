//! Walks a segment's batches: by their headers alone, or whole and checked. It must not change a file.

use std::io;

use bytes::{Bytes, BytesMut};
use pinlake_core::batch::HEADER_LEN;
use pinlake_core::{Batch, Offset, Timestamp};

use crate::disk::File;

/// How much a walk reads at once.
const WINDOW_BYTES: u64 = 64 << 10;
/// How much a checked walk reads at once, a larger batch apart.
const CHECKED_WINDOW_BYTES: u64 = 4 << 20;
/// In the lower byte of a batch's attributes.
const TRANSACTIONAL_BIT: u8 = 0b1_0000;
const CONTROL_BIT: u8 = 0b10_0000;

/// What a batch's header says, unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base_offset: Offset,
    pub(crate) end_offset: Offset,
    pub(crate) max_timestamp: Timestamp,
    pub(crate) len: u64,
    /// The producer whose transaction it belongs to, or ends.
    pub(crate) transactional: Option<i64>,
    /// Whether it holds no records of users.
    pub(crate) control: bool,
}

impl Header {
    /// Reads a header off the front of `bytes`; `None` if no batch can begin so.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER_LEN)?;
        let i64_at = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("the header is whole"));
        let last_delta = i32::from_be_bytes(bytes[23..27].try_into().expect("the header is whole"));
        let base = i64_at(0);
        let span = i64::from(last_delta) + 1;
        if base < 0 || span < 1 || bytes[16] != 2 {
            return None;
        }
        Some(Self {
            base_offset: Offset(base),
            end_offset: Offset(base.checked_add(span)?),
            max_timestamp: Timestamp(i64_at(35)),
            len: Batch::claimed_len(bytes)? as u64,
            transactional: (bytes[22] & TRANSACTIONAL_BIT != 0).then(|| i64_at(43)),
            control: bytes[22] & CONTROL_BIT != 0,
        })
    }

    /// What a checked batch's header says.
    pub(crate) fn of(batch: &Batch) -> Self {
        let offsets = batch.offsets();
        Self {
            base_offset: offsets.start,
            end_offset: offsets.end,
            max_timestamp: batch.max_timestamp(),
            len: batch.bytes().len() as u64,
            transactional: batch.producer().filter(|_| batch.is_transactional()).map(|producer| producer.id),
            control: batch.is_control(),
        }
    }
}

/// A walk over headers.
#[derive(Debug)]
pub(crate) struct Headers<'a> {
    file: &'a File,
    position: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Headers<'a> {
    /// The headers from `position`, where a batch must begin, up to `end`.
    pub(crate) fn new(file: &'a File, position: u64, end: u64) -> Self {
        Self { file, position, end, window: Vec::new(), window_at: position }
    }

    /// The next header and its position; `None` at the end. `Err(InvalidData)` where no whole batch can begin.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Header)>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let at = self.position;
        let inside = at >= self.window_at && at + HEADER_LEN as u64 <= self.window_at + self.window.len() as u64;
        if !inside {
            let len = WINDOW_BYTES.min(self.end - at);
            self.window.resize(usize::try_from(len).expect("a window is small"), 0);
            self.window_at = at;
            self.file.read_at(&mut self.window, at)?;
        }
        let start = usize::try_from(at - self.window_at).expect("it lies in the window");
        let header = Header::parse(&self.window[start..]).filter(|header| at + header.len <= self.end);
        let header = header.ok_or(io::ErrorKind::InvalidData)?;
        self.position += header.len;
        Ok(Some((at, header)))
    }
}

/// Reads and checks every batch of `file` from `position` up to `end`, until `take` refuses one. Answers where the last good batch ends.
/// `take` gets each good batch with its position; `stretch` the bytes of each stretch of good batches, so that they can be written again.
pub(crate) fn check(
    file: &File,
    position: u64,
    end: u64,
    mut take: impl FnMut(&Batch, u64) -> bool,
    mut stretch: impl FnMut(&Bytes, u64) -> io::Result<()>,
) -> io::Result<u64> {
    let mut at = position;
    let mut wanted = CHECKED_WINDOW_BYTES;
    while at < end {
        let mut window = BytesMut::zeroed(usize::try_from(wanted.min(end - at)).expect("a window is small"));
        file.read_at(&mut window, at)?;
        let window = window.freeze();
        let mut used = 0;
        let mut cut_off = None;
        while let Some(len) = Batch::claimed_len(&window[used..]) {
            if used + len > window.len() {
                cut_off = Some(len as u64);
                break;
            }
            let batch = Batch::parse(window.slice(used..used + len));
            if !batch.is_ok_and(|batch| take(&batch, at + used as u64)) {
                break;
            }
            used += len;
        }
        stretch(&window.slice(..used), at)?;
        at += used as u64;
        let header_cut_off = window.len() - used < HEADER_LEN && at + HEADER_LEN as u64 <= end;
        wanted = match cut_off {
            Some(len) if at + len <= end => len.max(CHECKED_WINDOW_BYTES),
            None if header_cut_off => CHECKED_WINDOW_BYTES,
            _ => break,
        };
    }
    Ok(at)
}
