//! The records of a batch, unpacked; or that they can't be. It must not decide what becomes of them.

use std::borrow::Cow;

use pinlake_core::{Batch, Error, RecordView, Result};

/// The encoding of no headers.
const NO_HEADERS: &[u8] = &[0];

/// A batch whose records can be read, at offsets of its own that grow.
#[derive(Debug)]
pub(crate) struct Unpacked<'a>(Cow<'a, Batch>);

impl<'a> Unpacked<'a> {
    /// # Errors
    /// What keeps its records from being read.
    pub(crate) fn of(batch: &'a Batch) -> Result<Self> {
        if batch.record_count() == 0 || batch.is_control() {
            return Ok(Self(Cow::Owned(batch.emptied())));
        }
        let plain = batch.plain()?;
        let mut next = plain.base_offset();
        for record in plain.records() {
            let offset = record?.offset;
            if offset < next || offset >= plain.offsets().end {
                return Err(Error::corrupt(format!(
                    "a record stands at offset {offset}, and {next} or later in its batch was next"
                )));
            }
            next = offset.plus(1);
        }
        Ok(Self(plain))
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = RecordView<'_>> {
        self.0.records().map(|record| record.expect("every record was decoded before"))
    }
}

/// A batch that can't be unpacked, as one record.
pub(crate) fn as_record(batch: &Batch) -> RecordView<'_> {
    RecordView {
        offset: batch.base_offset(),
        timestamp: batch.max_timestamp(),
        key: None,
        value: Some(&batch.bytes()[..]),
        headers: NO_HEADERS,
    }
}
