//! The records of a batch as everyone behind the log takes them: unpacked; and of a batch that does not give its records, the batch itself
//! as one record, so that nothing is dropped in silence and nobody stops. It must not decide what becomes of a record.
//!
//! Such a record's value is the batch's bytes, which are no JSON. So it ends in the quarantine by the same way as any other record, from the
//! log and from the archive.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use pinlake_core::{Batch, Error, Offset, RecordView, Result};

/// The encoding of no headers.
const NO_HEADERS: &[u8] = &[0];

/// A batch whose records can be read.
#[derive(Debug)]
pub struct Unpacked<'a> {
    batch: &'a Batch,
    plain: Result<Cow<'a, Batch>>,
}

impl<'a> Unpacked<'a> {
    /// Unpacks a batch and checks that its records can be read.
    pub fn of(batch: &'a Batch) -> Self {
        Self { batch, plain: plain(batch) }
    }

    /// Why the batch does not give its records; `None` if it does.
    pub fn problem(&self) -> Option<&Error> {
        self.plain.as_ref().err()
    }

    /// Its records in order, at offsets that grow and are its own: at most one an offset. A batch that does not give its records is one
    /// record at its first offset, without a key.
    pub fn records(&self) -> impl Iterator<Item = RecordView<'_>> {
        let whole = self.plain.is_err().then(|| RecordView {
            offset: self.batch.base_offset(),
            timestamp: self.batch.max_timestamp(),
            key: None,
            value: Some(&self.batch.bytes()[..]),
            headers: NO_HEADERS,
        });
        let plain = self.plain.iter().flat_map(|plain| plain.records());
        plain.map(|record| record.expect("every record was decoded before")).chain(whole)
    }

    /// The offset after its last.
    pub(crate) fn end(&self) -> Offset {
        self.batch.offsets().end
    }

    /// Bytes that its records take in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.plain.as_ref().map_or(self.batch, AsRef::as_ref).bytes().len()
    }
}

fn plain(batch: &Batch) -> Result<Cow<'_, Batch>> {
    if batch.record_count() == 0 || batch.is_control() {
        return Ok(Cow::Owned(batch.emptied()));
    }
    let plain = batch.plain()?;
    let mut next = plain.base_offset();
    for record in plain.records() {
        let offset = record?.offset;
        if offset < next || offset >= plain.offsets().end {
            return Err(Error::corrupt(format!("a record stands at offset {offset}, and {next} or later in its batch was next")));
        }
        next = offset.plus(1);
    }
    Ok(plain)
}

/// Why `value` is a batch that does not give its records; `None` for every other value.
pub(crate) fn unreadable(value: &[u8]) -> Option<String> {
    if Batch::claimed_len(value) != Some(value.len()) {
        return None;
    }
    let batch = Batch::parse(Bytes::copy_from_slice(value)).ok()?;
    plain(&batch).err().map(|error| format!("a record batch that can't be read: {error}"))
}
