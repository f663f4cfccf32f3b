//! One partition's next object while it fills: one record a line, so that a line's number is its record's offset.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinlake_core::{Offset, RecordView, Timestamp};
use serde::de::IgnoredAny;
use tokio::time::Instant;

/// How a line begins that stands for bytes which are not JSON.
const BASE64_PREFIX: &[u8] = b"{\"_base64\":\"";
const BASE64_SUFFIX: &[u8] = b"\"}";

/// A partition's records that are not in an object yet.
#[derive(Debug)]
pub(super) struct Buffer {
    /// The lines.
    pub(super) lines: Vec<u8>,
    /// The offset of the first.
    pub(super) start: Offset,
    /// The offset after the last.
    pub(super) next: Offset,
    /// Time runs of the records: how many share which time, in order.
    pub(super) times: Vec<(u32, Timestamp)>,
    /// The records' keys, where the key tells whose a record is.
    pub(super) keys: Option<Vec<Option<Vec<u8>>>>,
    key_bytes: usize,
    /// When the first record came in.
    pub(super) since: Option<Instant>,
}

impl Buffer {
    /// An empty buffer; with `keyed` the records' keys are kept too.
    pub(super) fn at(start: Offset, keyed: bool) -> Self {
        Self { lines: Vec::new(), start, next: start, times: Vec::new(), keys: keyed.then(Vec::new), key_bytes: 0, since: None }
    }

    pub(super) fn push(&mut self, record: &RecordView<'_>) {
        push_line(&mut self.lines, record.value);
        if let Some(keys) = &mut self.keys {
            keys.push(record.key.map(<[u8]>::to_vec));
            self.key_bytes += record.key.map_or(0, <[u8]>::len);
        }
        self.next = record.offset.plus(1);
        self.since = self.since.or_else(|| Some(Instant::now()));
        match self.times.last_mut() {
            Some((count, time)) if *time == record.timestamp => *count += 1,
            _ => self.times.push((1, record.timestamp)),
        }
    }

    /// What it holds of records, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.lines.len() + self.key_bytes
    }

    pub(super) fn records(&self) -> u64 {
        self.next.since(self.start)
    }
}

/// Appends a record's value as one line. JSON is kept as it is, without line breaks (in valid JSON they are white space);
/// other bytes are wrapped, so that every line is JSON and nothing is lost.
pub(super) fn push_line(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let value = value.unwrap_or(b"null");
    let is_json = serde_json::from_slice::<IgnoredAny>(value).is_ok() && !value.starts_with(BASE64_PREFIX);
    if !is_json {
        out.extend_from_slice(BASE64_PREFIX);
        out.extend_from_slice(STANDARD.encode(value).as_bytes());
        out.extend_from_slice(BASE64_SUFFIX);
    } else if value.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend(value.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    } else {
        out.extend_from_slice(value);
    }
    out.push(b'\n');
}

/// The bytes that a line of an object stands for.
pub fn unescape(line: &[u8]) -> Cow<'_, [u8]> {
    let inner = line.strip_prefix(BASE64_PREFIX).and_then(|rest| rest.strip_suffix(BASE64_SUFFIX));
    match inner.map(|inner| STANDARD.decode(inner)) {
        Some(Ok(bytes)) => Cow::Owned(bytes),
        _ => Cow::Borrowed(line),
    }
}
