//! Objects in folders: converters, placement, formats and naming put together, a record a row.

use std::sync::Arc;

use object_store::path::Path;
use pinlake_core::{Error, Offset, RecordView, Result, Timestamp, TopicPartition};

use super::{File, Layout, Object, Placed, Row};
use crate::convert::{Converted, Converter, Converters};
use crate::format::{Compression, Format, Formats, Rows};
use crate::name::Naming;
use crate::place::Placement;
use crate::problem::{Problem, Stage};

/// How the file of keys ends, before its format's own ending, and that of headers.
const KEYS: &str = ".keys";
const HEADERS: &str = ".headers";

/// Objects in folders, named by the first offset in each.
#[derive(Debug, Clone)]
pub struct Folders {
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

impl Folders {
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

    /// The name of an object's file.
    fn path(&self, of: &TopicPartition, folder: &str, first: Offset, extension: &str) -> Path {
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

impl Layout for Folders {
    fn place(&self, of: &TopicPartition, record: &RecordView<'_>, at: Timestamp) -> Result<Vec<Placed>, Problem> {
        let converted = self.converters.convert(record).map_err(|(stage, why)| self.misfit(stage, why))?;
        let (time, schema, is_null) = (converted.timestamp, converted.schema, converted.value.is_null());
        let (folder, time) = match &self.nulls {
            _ if !is_null => self.folder(of, &converted, at).map_err(|why| self.put_problem(self.words.misplaced, why))?,
            Some(nulls) => (nulls.clone(), time),
            None => return Ok(Vec::new()),
        };
        let row = self.formats.rows(&converted).map_err(|why| self.put_problem(self.words.unfit, why))?;
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len) as u64;
        let bytes = len(record.key) + len(record.value) + record.headers.len() as u64;
        Ok(vec![Placed { folder, time, schema, bytes, row: Row(row) }])
    }

    fn place_unreadable(
        &self,
        _: &TopicPartition,
        _: &RecordView<'_>,
        error: &Error,
        _: Timestamp,
    ) -> Result<Vec<Placed>, Problem> {
        let message = format!("its batch can't be unpacked: {error}");
        Err(Problem { stage: Stage::Read, found_by: self.words.value_by, class: self.words.misfit, message })
    }

    fn no_value(&self) -> Problem {
        self.put_problem(self.words.unfit, "it has no value, and this sink writes no records without one".to_owned())
    }

    fn files(&self, object: Object<'_>) -> Result<Vec<File>> {
        let Formats { values, keys, headers, compression } = &*self.formats;
        let Object { of, folder, first, rows: Row(rows), .. } = object;
        let Rows { values: of_values, keys: of_keys, headers: of_headers } = rows;
        let parts = [("", Some(values), of_values), (KEYS, keys.as_ref(), of_keys), (HEADERS, headers.as_ref(), of_headers)];
        let files = parts.into_iter().filter_map(|(beside, format, rows)| Some((beside, format?, rows?)));
        let file = |(beside, format, rows): (&str, &Format, Vec<u8>)| {
            let extension = format!("{beside}{}", format.extension(*compression));
            let path = self.path(of, folder, first, &extension);
            Ok(File { path, content: format.finish(rows, *compression)?, is_of_errors: false })
        };
        files.map(file).collect()
    }

    fn by_wall_clock(&self) -> bool {
        self.placement.goes_by_clock()
    }

    fn until(&self, at: Timestamp) -> Option<Timestamp> {
        self.placement.until(at)
    }
}
