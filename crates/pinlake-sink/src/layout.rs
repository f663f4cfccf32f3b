//! Which objects there are, what they are named and what is in them: what the engine asks of whoever describes a sink. It must not write
//! objects, or decide when one is closed.

mod folders;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;

use bytes::Bytes;
use object_store::path::Path;
use pinlake_core::{Error, Offset, RecordView, Result, Timestamp, TopicId, TopicPartition};

use crate::format::Rows;
use crate::problem::Problem;

pub use folders::{Folders, Words};

/// Which objects there are and what is in them. The same records give the same objects, name and bytes, whenever they are asked for.
pub trait Layout: Any + fmt::Debug + Send + Sync {
    /// What becomes of a record; nothing of one that has no value, where such are not written. `at` is the wall clock's time, which may be an
    /// earlier one when a unit is done again.
    ///
    /// # Errors
    /// What is wrong with the record.
    fn place(&self, of: &TopicPartition, record: &RecordView<'_>, at: Timestamp) -> Result<Vec<Placed>, Problem>;

    /// What becomes of a batch that can't be unpacked, as one record.
    ///
    /// # Errors
    /// What is wrong with it, where nothing is written of such.
    fn place_unreadable(
        &self,
        of: &TopicPartition,
        batch: &RecordView<'_>,
        error: &Error,
        at: Timestamp,
    ) -> Result<Vec<Placed>, Problem>;

    /// What is wrong with a record that has no value, where such are not written.
    fn no_value(&self) -> Problem;

    /// The files of an object. May compute for long: not for a thread that must not block.
    ///
    /// # Errors
    /// `Internal` if a format's library fails; what can't be written is refused by [`Layout::place`].
    fn files(&self, object: Object<'_>) -> Result<Vec<File>>;

    /// Whether it goes by the wall clock: places or times are those of `at`.
    fn by_wall_clock(&self) -> bool {
        false
    }

    /// For a layout that goes by the wall clock: until when (exclusive) the records taken at `at` go into the same folders.
    fn until(&self, at: Timestamp) -> Option<Timestamp> {
        let _ = at;
        None
    }
}

/// A record that was understood, or a part of one, and where it goes.
#[derive(Debug)]
pub struct Placed {
    /// Which object of its unit it belongs to, such as `partition=0`.
    pub folder: String,
    /// The record's time, as the layout takes it.
    pub time: Timestamp,
    /// An object holds records of one number; another begins the next unit. 0 where that does not matter.
    pub schema: u64,
    /// The bytes that it counts for.
    pub bytes: u64,
    /// What is put into the object.
    pub row: Row,
}

/// A record as an object takes it.
#[derive(Debug, Default)]
pub struct Row(Rows);

/// An object whose unit is closed: what its files are made of.
#[derive(Debug)]
pub struct Object<'a> {
    /// Whose records.
    pub of: &'a TopicPartition,
    /// Which topic of that name.
    pub topic: TopicId,
    /// What [`Placed::folder`] said.
    pub folder: &'a str,
    /// The offset of its first record.
    pub first: Offset,
    /// The offset after its unit's last.
    pub end: Offset,
    /// The earliest time of its records.
    pub time: Timestamp,
    /// Its rows, one behind the other.
    pub rows: Row,
}

/// A file as it is written.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub path: Path,
    /// Its bytes.
    pub content: Bytes,
    /// Whether it holds what could not be written as it should be: somebody must look when even that fails.
    pub is_of_errors: bool,
}

impl Row {
    /// One file's part.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self(Rows { values: Some(bytes), ..Rows::default() })
    }

    /// What was put in by [`Row::of`].
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.values.unwrap_or_default()
    }

    /// Puts another behind it.
    pub(crate) fn push(&mut self, row: Row) {
        let (Self(all), Rows { values, keys, headers }) = (self, row.0);
        for (all, one) in [(&mut all.values, values), (&mut all.keys, keys), (&mut all.headers, headers)] {
            match (all, one) {
                (_, None) => {}
                (Some(all), Some(one)) => all.extend_from_slice(&one),
                (none, one) => *none = one,
            }
        }
    }
}
