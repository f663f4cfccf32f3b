//! The way of a chunk of raw records up to the table's door, the same for streaming and batch: decode, clean, key, digest,
//! and then, in the order of the log, admit.

use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use pinlake_core::Result;
use pinlake_core::pipeline::{Problem, TableSpec};
use serde::{Deserialize, Serialize};

use crate::clean::Cleaning;
use crate::decode::{Decoder, Rejected};
use crate::error;
use crate::keys::{Admission, KeyIndex, Keys, digests_of, keys_of};
use crate::records::unreadable;

/// A table's definition, compiled.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The table's name.
    pub name: Arc<str>,
    decoder: Decoder,
    cleaning: Cleaning,
}

/// A chunk that is ready to be admitted.
#[derive(Debug)]
pub struct Prepared {
    rows: RecordBatch,
    sources: Vec<u32>,
    keys: Keys,
    digests: Vec<u32>,
    /// The records for the quarantine, in order.
    pub rejected: Vec<Rejected>,
}

/// What of a chunk is new.
#[derive(Debug)]
pub struct Admitted {
    /// The clean rows that go into the table.
    pub rows: RecordBatch,
    /// The record that each of them came from.
    pub sources: Vec<u32>,
    /// What became of all the others.
    pub counts: Counts,
}

/// What became of offsets: the ledger's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Rows in the table.
    pub rows: u64,
    /// Records in the quarantine.
    pub quarantined: u64,
    /// Records whose key and content were there already.
    pub duplicates: u64,
    /// Records whose key was there already, with other content.
    pub conflicts: u64,
    /// Records of a shared topic that belong to another table.
    pub elsewhere: u64,
    /// Offsets that are no record to take: transaction markers, records of aborted transactions, and what compaction removed.
    #[serde(default)]
    pub without_record: u64,
}

impl Counts {
    /// All records that were counted.
    pub fn total(&self) -> u64 {
        self.rows + self.quarantined + self.duplicates + self.conflicts + self.elsewhere
    }

    /// All offsets that were counted.
    pub fn offsets(&self) -> u64 {
        self.total() + self.without_record
    }

    /// Adds another count.
    pub fn add(&mut self, other: &Counts) {
        self.rows += other.rows;
        self.quarantined += other.quarantined;
        self.duplicates += other.duplicates;
        self.conflicts += other.conflicts;
        self.elsewhere += other.elsewhere;
        self.without_record += other.without_record;
    }
}

impl Recipe {
    /// Compiles a table's definition.
    ///
    /// # Errors
    /// What is wrong with its cleaning.
    pub async fn compile(table: &TableSpec) -> Result<Recipe, Problem> {
        let decoder = Decoder::new(&table.schema);
        let cleaning = Cleaning::compile(table, decoder.schema()).await?;
        Ok(Recipe { name: Arc::from(table.name.as_str()), decoder, cleaning })
    }

    /// The clean columns.
    pub fn schema(&self) -> &SchemaRef {
        self.cleaning.schema()
    }

    /// Which clean columns are the key.
    pub fn key(&self) -> &[usize] {
        self.cleaning.key()
    }

    /// An empty index for the table's keys.
    pub fn new_index(&self) -> KeyIndex {
        let schema = self.schema();
        let types: Vec<_> = self.key().iter().map(|&at| schema.field(at).data_type()).collect();
        KeyIndex::new(&types)
    }

    /// Decodes and cleans `records`. Pure work: may run on any thread, in any order.
    pub fn prepare(&self, records: &[&[u8]]) -> Result<Prepared> {
        let decoded = self.decoder.decode(records)?;
        let cleaned = self.cleaning.apply(&decoded.rows)?;
        let (mut rows, mut sources, mut rejected) = (cleaned.rows, decoded.sources, decoded.rejected);
        for Rejected { record, reason } in &mut rejected {
            if let Some(why) = unreadable(records[*record as usize]) {
                *reason = why;
            }
        }
        if !cleaned.rejected.is_empty() {
            let mut keep = vec![true; rows.num_rows()];
            for (row, reason) in cleaned.rejected {
                keep[row as usize] = false;
                rejected.push(Rejected { record: sources[row as usize], reason });
            }
            rejected.sort_by_key(|reject| reject.record);
            (rows, sources) = retain(&rows, &sources, keep)?;
        }
        let keys = keys_of(&rows, self.key())?;
        let digests = digests_of(&rows, rows.num_columns())?;
        Ok(Prepared { rows, sources, keys, digests, rejected })
    }

    /// Takes rows that are in the table already into the index: `rows` begins with the clean columns.
    pub fn index_rows(&self, rows: &RecordBatch, index: &mut KeyIndex) -> Result<()> {
        let keys = keys_of(rows, self.key())?;
        let digests = digests_of(rows, self.schema().fields().len())?;
        index.admit(&keys, &digests, |_, _| {})
    }
}

impl Prepared {
    /// Looks the rows' keys up without taking them in: whether each is there, and if so with the same content.
    pub fn find(&self, index: &KeyIndex, each: impl FnMut(usize, Option<bool>)) -> Result<()> {
        index.find(&self.keys, &self.digests, each)
    }

    /// Drops the rows whose key is there already. Must be called in the order of the log: the first row of a key wins.
    pub fn admit(self, index: &mut KeyIndex) -> Result<Admitted> {
        let mut keep = vec![true; self.rows.num_rows()];
        let mut counts = Counts { quarantined: self.rejected.len() as u64, ..Counts::default() };
        index.admit(&self.keys, &self.digests, |row, admission| match admission {
            Admission::New => counts.rows += 1,
            Admission::Duplicate => {
                counts.duplicates += 1;
                keep[row] = false;
            }
            Admission::Conflict => {
                counts.conflicts += 1;
                keep[row] = false;
            }
        })?;
        if counts.rows == self.rows.num_rows() as u64 {
            return Ok(Admitted { rows: self.rows, sources: self.sources, counts });
        }
        let (rows, sources) = retain(&self.rows, &self.sources, keep)?;
        Ok(Admitted { rows, sources, counts })
    }
}

fn retain(rows: &RecordBatch, sources: &[u32], keep: Vec<bool>) -> Result<(RecordBatch, Vec<u32>)> {
    let sources = sources.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(source, _)| *source).collect();
    let rows = filter_record_batch(rows, &BooleanArray::from(keep)).map_err(|e| error::arrow("setting rows aside", e))?;
    Ok((rows, sources))
}
