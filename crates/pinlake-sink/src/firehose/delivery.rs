//! What is delivered: records, taken apart, placed by their partition keys, with what stands behind each, in objects that are compressed or
//! Parquet; and those that can't be, as errors beside them. So each record is in the objects of its unit, whatever it is.

use std::collections::{BTreeMap, BTreeSet};

use pinlake_core::{Error, RecordView, Result, Timestamp, TopicPartition};
use serde_json::Value;

use super::columns::Columns;
use super::compression::Compression;
use super::failure::{self, Failure};
use super::name::{Names, Which};
use super::query::Query;
use super::records::Parts;
use crate::layout::{File, Layout, Object, Placed, Row};
use crate::problem::{Problem, Stage};

/// The most objects that the parts of one record may go to.
const FOLDERS_MAX: usize = 500;

/// How a delivery stream's records are written.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) names: Names,
    pub(super) parts: Parts,
    /// What partition keys are taken from records, if any are.
    pub(super) query: Option<Query>,
    pub(super) behind: Behind,
    pub(super) content: Content,
    /// How the names of delivered objects end.
    pub(super) extension: String,
}

/// What stands behind each record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// A newline, unless the record ends in one.
    Newline,
    Nothing,
    Always(Vec<u8>),
}

/// What is in delivered objects.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Compression),
    Parquet(Columns),
}

impl Delivery {
    /// Where a part of a record goes, and what is put there.
    fn part(&self, part: &[u8], time: Timestamp) -> Result<(String, Vec<u8>), Failure> {
        let mut folder = String::new();
        if let Some(query) = &self.query {
            let failed = |why: String| Failure::processing("DynamicPartitioning.MetadataExtractionFailed", why);
            let record: Value = serde_json::from_slice(part).map_err(|e| failed(format!("the record is no JSON: {e}")))?;
            let keys = query.evaluate(&record).map_err(failed)?;
            self.names.check(Which::Keys(&keys), time, &self.extension).map_err(failed)?;
            folder = serde_json::to_string(&keys).map_err(|e| failed(e.to_string()))?;
        }
        let row = match &self.content {
            Content::Bytes(_) => self.behind.with(part),
            Content::Parquet(columns) => {
                columns.rows(part).map_err(|why| Failure::conversion("DataFormatConversion.MalformedData", why))?
            }
        };
        Ok((folder, row))
    }

    /// A part that can't be delivered, among the errors.
    fn failed(&self, record: &RecordView<'_>, raw: &[u8], number: usize, failure: &Failure, at: Timestamp) -> Placed {
        let table = match &self.content {
            Content::Parquet(columns) => Some(&columns.table),
            Content::Bytes(_) => None,
        };
        placed(failure.kind.to_owned(), record, failure.line(record, raw, number, at, table))
    }
}

fn placed(folder: String, record: &RecordView<'_>, row: Vec<u8>) -> Placed {
    Placed { folder, time: record.timestamp, schema: 0, bytes: row.len() as u64, row: Row::of(row) }
}

impl Layout for Delivery {
    fn place(&self, _: &TopicPartition, record: &RecordView<'_>, at: Timestamp) -> Result<Vec<Placed>, Problem> {
        let value = record.value.unwrap_or_default();
        let parts = match self.parts.of(value) {
            Ok(parts) => parts,
            Err(failure) => return Ok(vec![self.failed(record, value, 0, &failure, at)]),
        };
        let (mut folders, mut rows) = (BTreeSet::new(), Vec::with_capacity(parts.len()));
        for (number, part) in parts.into_iter().enumerate() {
            let one = self.part(part, record.timestamp).and_then(|(folder, row)| {
                if folders.len() < FOLDERS_MAX || folders.contains(&folder) {
                    folders.insert(folder.clone());
                    return Ok(placed(folder, record, row));
                }
                let why = format!("the parts of the record go to more than {FOLDERS_MAX} partitions");
                Err(Failure::processing("DynamicPartitioning.ActivePartitionLimitExceeded", why))
            });
            rows.push(one.unwrap_or_else(|failure| self.failed(record, part, number, &failure, at)));
        }
        Ok(rows)
    }

    fn place_unreadable(
        &self,
        _: &TopicPartition,
        batch: &RecordView<'_>,
        error: &Error,
        at: Timestamp,
    ) -> Result<Vec<Placed>, Problem> {
        let failure = Failure::processing("Batch.Unreadable", format!("the batch can't be unpacked: {error}"));
        Ok(vec![self.failed(batch, batch.value.unwrap_or_default(), 0, &failure, at)])
    }

    fn no_value(&self) -> Problem {
        Problem { stage: Stage::Put, found_by: "", class: "", message: "it holds no record".to_owned() }
    }

    fn files(&self, object: Object<'_>) -> Result<Vec<File>> {
        let keys: BTreeMap<String, String>;
        let (which, extension) = match object.folder {
            failure::PROCESSING => (Which::Errors(failure::PROCESSING), ""),
            failure::CONVERSION => (Which::Errors(failure::CONVERSION), ""),
            "" => (Which::Keys(&BTreeMap::new()), self.extension.as_str()),
            folder => {
                let defect = |e| Error::internal("a folder is no map of partition keys").with_source(e);
                keys = serde_json::from_str(folder).map_err(defect)?;
                (Which::Keys(&keys), self.extension.as_str())
            }
        };
        let path = self.names.path(&object, which, extension);
        let (is_of_errors, rows) = (matches!(which, Which::Errors(_)), object.rows.into_bytes());
        let content = match &self.content {
            _ if is_of_errors => rows.into(),
            Content::Bytes(compression) => compression.pack(rows, path.filename().unwrap_or_default())?.into(),
            Content::Parquet(columns) => columns.file(&rows)?,
        };
        Ok(vec![File { path, content, is_of_errors }])
    }
}

impl Behind {
    fn with(&self, record: &[u8]) -> Vec<u8> {
        match self {
            Self::Newline if !record.ends_with(b"\n") => [record, b"\n"].concat(),
            Self::Newline | Self::Nothing => record.to_vec(),
            Self::Always(behind) => [record, behind].concat(),
        }
    }
}
