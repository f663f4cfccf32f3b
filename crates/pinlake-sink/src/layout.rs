//! Which objects there are, what they are named and what is in them: converters, placement, formats and naming put together. It must not write
//! objects, or decide when one is closed.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use pinlake_core::{Error, Offset, RecordView, Timestamp, TopicPartition};

use crate::convert::{Converted, Converter, Converters};
use crate::format::{Compression, Format, Formats, Rows};
use crate::name::Naming;
use crate::place::Placement;
use crate::problem::{Problem, Stage};

/// How the file of keys ends, before its format's own ending, and that of headers.
const KEYS: &str = ".keys";
const HEADERS: &str = ".headers";

/// Which objects there are and what is in them.
#[derive(Debug, Clone)]
pub struct Layout {
    /// What the bytes of keys and values are.
    pub converters: Converters,
    /// Which object a record belongs to.
    pub placement: Placement,
    /// How objects are named.
    pub naming: Naming,
    /// What is in them.
    pub formats: Arc<Formats>,
    /// The place of records without a value; `None` if nothing is written of them.
    pub nulls: Option<String>,
    /// Who finds problems, in the words of whoever described the sink.
    pub words: Words,
}

/// What [`Problem`]s call those that find them, and themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Words {
    /// Who understands keys.
    pub key_by: &'static str,
    /// Who understands values.
    pub value_by: &'static str,
    /// Who understands headers.
    pub headers_by: &'static str,
    /// Who places records and puts them into objects.
    pub put_by: &'static str,
    /// A record whose bytes are not understood.
    pub misfit: &'static str,
    /// A record without a place.
    pub misplaced: &'static str,
    /// A record that its object can't hold.
    pub unfit: &'static str,
}

/// A record that was understood, and where it goes.
#[derive(Debug)]
pub struct Placed {
    /// The folder of its object within the topic's, such as `partition=0`.
    pub folder: String,
    /// The record's time, as the layout takes it.
    pub time: Timestamp,
    /// An object holds records of one number; another begins the next unit. 0 where that does not matter.
    pub schema: u64,
    /// Whether it has no value: its bytes are not there, or stand for nothing.
    pub is_null: bool,
    /// What is put into the object.
    pub row: Row,
}

/// A record as an object takes it.
#[derive(Debug)]
pub struct Row(Rows);

/// An object that fills.
#[derive(Debug)]
pub struct Object {
    formats: Arc<Formats>,
    rows: Rows,
}

/// What an object becomes: a file, or several beside each other.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// The end of its name, from the dot on: `.json`.
    pub extension: String,
    /// Its bytes.
    pub content: Bytes,
}

impl Layout {
    /// Values as they are, one a line, in a folder for each partition.
    pub fn lines(folder: &str) -> Self {
        let values = Format::Bytes { extension: ".json".to_owned(), separator: "\n".to_owned() };
        Self {
            converters: Converters { key: Converter::Bytes, value: Converter::Bytes },
            placement: Placement::Partition,
            naming: Naming { folder: folder.to_owned(), ..Naming::default() },
            formats: Arc::new(Formats { values, keys: None, headers: None, compression: Compression::None }),
            nulls: None,
            words: Words::default(),
        }
    }

    /// What becomes of a record; `at` is the wall clock's time, which may be an earlier one when a unit is done again.
    ///
    /// # Errors
    /// What is wrong with the record.
    pub fn place(&self, of: &TopicPartition, record: &RecordView<'_>, at: Timestamp) -> Result<Placed, Problem> {
        let converted = self.converters.convert(record).map_err(|(stage, why)| self.misfit(stage, why))?;
        let (time, schema, is_null) = (converted.timestamp, converted.schema, converted.value.is_null());
        let (folder, time) = match &self.nulls {
            _ if !is_null => self.folder(of, &converted, at).map_err(|why| self.put_problem(self.words.misplaced, why))?,
            Some(nulls) => (nulls.clone(), time),
            None => return Ok(Placed { folder: String::new(), time, schema, is_null, row: Row(Rows::default()) }),
        };
        let row = self.formats.rows(&converted).map_err(|why| self.put_problem(self.words.unfit, why))?;
        Ok(Placed { folder, time, schema, is_null, row: Row(row) })
    }

    /// What is wrong with a record that has no value, where such are not written.
    pub fn no_value(&self) -> Problem {
        self.put_problem(self.words.unfit, "it has no value, and this sink writes no records without one".to_owned())
    }

    /// What is wrong with a batch that can't be unpacked.
    pub fn unreadable(&self, error: &Error) -> Problem {
        let message = format!("its batch can't be unpacked: {error}");
        Problem { stage: Stage::Read, found_by: self.words.value_by, class: self.words.misfit, message }
    }

    /// Whether it goes by the wall clock: places or times are those of `at`.
    pub fn by_wall_clock(&self) -> bool {
        self.placement.goes_by_clock()
    }

    /// For a layout that goes by the wall clock: until when (exclusive) the records taken at `at` go into the same folders.
    pub fn until(&self, at: Timestamp) -> Option<Timestamp> {
        self.placement.until(at)
    }

    /// An empty object.
    pub fn open(&self) -> Object {
        Object { formats: self.formats.clone(), rows: Rows::default() }
    }

    /// The name of an object's file.
    pub fn path(&self, of: &TopicPartition, folder: &str, first: Offset, extension: &str) -> Path {
        let name = self.naming.name(of, folder, first, extension);
        // The folder is one that `place` has found good, so that the name is good too.
        Path::parse(&name).unwrap_or_else(|_| Path::from(name))
    }

    /// Where a record goes that has a value, if an object can have the name that it would be the first in.
    fn folder(&self, of: &TopicPartition, record: &Converted<'_>, at: Timestamp) -> Result<(String, Timestamp), String> {
        let place = self.placement.place(record, of.partition, at)?;
        if !matches!(self.placement, Placement::Partition) {
            self.naming.check(of, &place.name, record.offset)?;
        }
        Ok((place.name, place.time))
    }

    fn misfit(&self, stage: Stage, message: String) -> Problem {
        let found_by = match stage {
            Stage::Key => self.words.key_by,
            Stage::Value => self.words.value_by,
            _ => self.words.headers_by,
        };
        Problem { stage, found_by, class: self.words.misfit, message }
    }

    fn put_problem(&self, class: &'static str, message: String) -> Problem {
        Problem { stage: Stage::Put, found_by: self.words.put_by, class, message }
    }
}

impl Object {
    /// Puts a record in.
    pub fn push(&mut self, row: Row) {
        let Rows { values, keys, headers } = row.0;
        let Self { rows, .. } = self;
        for (all, one) in [(&mut rows.values, values), (&mut rows.keys, keys), (&mut rows.headers, headers)] {
            match (all, one) {
                (_, None) => {}
                (Some(all), Some(one)) => all.extend_from_slice(&one),
                (none, one) => *none = one,
            }
        }
    }

    /// Its files, the same bytes for the same rows. May compute for long: not for a thread that must not block.
    ///
    /// # Errors
    /// `Internal` if the format's library fails; rows that can't be written are refused by [`Layout::place`].
    pub fn finish(self) -> Result<Vec<File>, Error> {
        let Formats { values, keys, headers, compression } = &*self.formats;
        let parts = [
            ("", Some(values), self.rows.values),
            (KEYS, keys.as_ref(), self.rows.keys),
            (HEADERS, headers.as_ref(), self.rows.headers),
        ];
        let files = parts.into_iter().filter_map(|(beside, format, rows)| Some((beside, format?, rows?)));
        let file = |(beside, format, rows): (&str, &Format, Vec<u8>)| {
            let extension = format!("{beside}{}", format.extension(*compression));
            Ok(File { extension, content: format.finish(rows, *compression)? })
        };
        files.map(file).collect()
    }
}
