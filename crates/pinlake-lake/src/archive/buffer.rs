//! One partition's next object while it fills: one record a line, and what stands at the offsets that it takes.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinlake_core::{Offset, RecordView};
use serde::de::IgnoredAny;
use tokio::time::Instant;

use crate::runs::Run;

/// How a line begins that stands for bytes which are not JSON.
const BASE64_PREFIX: &[u8] = b"{\"_base64\":\"";
const BASE64_SUFFIX: &[u8] = b"\"}";

/// What is taken of a partition and not in the archive yet.
#[derive(Debug)]
pub(super) struct Buffer {
    /// The lines.
    pub(super) lines: Vec<u8>,
    /// The first offset that is taken, of a record or not.
    pub(super) begin: Offset,
    /// The offset of the first line; where there is none, `next`.
    pub(super) start: Offset,
    /// The offset after the last that is taken.
    pub(super) next: Offset,
    /// What stands at the offsets from `start` on.
    pub(super) runs: Vec<Run>,
    /// How many records there are.
    pub(super) records: u64,
    /// The records' keys, where the key tells whose a record is.
    pub(super) keys: Option<Vec<Option<Vec<u8>>>>,
    key_bytes: usize,
    /// When the first offset was taken.
    pub(super) since: Option<Instant>,
    /// Whether it was tried to write it as an object.
    pub(super) is_tried: bool,
}

impl Buffer {
    /// An empty buffer; with `keyed` the records' keys are kept too.
    pub(super) fn at(begin: Offset, keyed: bool) -> Self {
        Self {
            lines: Vec::new(),
            begin,
            start: begin,
            next: begin,
            runs: Vec::new(),
            records: 0,
            keys: keyed.then(Vec::new),
            key_bytes: 0,
            since: None,
            is_tried: false,
        }
    }

    /// Takes a record, and the offsets before it, which hold none.
    pub(super) fn push(&mut self, record: &RecordView<'_>) {
        self.pass_to(record.offset);
        push_line(&mut self.lines, record.value);
        if let Some(keys) = &mut self.keys {
            keys.push(record.key.map(<[u8]>::to_vec));
            self.key_bytes += record.key.map_or(0, <[u8]>::len);
        }
        self.records += 1;
        self.next = record.offset.plus(1);
        self.since = self.since.or_else(|| Some(Instant::now()));
        match self.runs.last_mut() {
            Some(Run::Records(count, time)) if *time == record.timestamp => *count += 1,
            _ => self.runs.push(Run::Records(1, record.timestamp)),
        }
    }

    /// Takes the offsets up to `to`, which hold no record.
    pub(super) fn pass_to(&mut self, to: Offset) {
        let passed = to.since(self.next);
        if passed == 0 {
            return;
        }
        self.next = to;
        self.since = self.since.or_else(|| Some(Instant::now()));
        match self.runs.last_mut() {
            // An object begins with a record.
            None => self.start = to,
            Some(Run::Hole(count)) => *count += passed,
            Some(Run::Records(..)) => self.runs.push(Run::Hole(passed)),
        }
    }

    /// Whether nothing was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.next == self.begin
    }

    /// What it holds of records, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.lines.len() + self.key_bytes
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
