//! Raw records to Arrow: JSON by the declared schema, many records at once; a record that can't be decoded is set aside with
//! the reason and never stops the others.
//!
//! The JSON decoder only takes apart: every field is read as text and turned into its declared type here, strictly, so that
//! a wrong type costs one record and a number never loses digits in silence.

mod convert;
mod unwrap;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use pinlake_core::pipeline::{RawColumn, RawType};
use pinlake_core::{Error, Result};

use crate::error;

/// A record that is set aside: which one, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its index among the records that were given.
    pub record: u32,
    /// Why, in words for the person who looks.
    pub reason: String,
}

/// Decoded records: columns of the declared schema, and which record each row came from.
#[derive(Debug)]
pub struct Decoded {
    /// One row a good record, in order.
    pub rows: RecordBatch,
    /// The record each row came from, as an index among the records given.
    pub sources: Vec<u32>,
    /// The records that were set aside, in order.
    pub rejected: Vec<Rejected>,
}

/// Decodes records of one declared schema.
#[derive(Debug, Clone)]
pub struct Decoder {
    text_schema: SchemaRef,
    schema: SchemaRef,
    /// JSON decoders that are not at work: their buffers have grown to what chunks need.
    idle: Arc<Mutex<Vec<JsonDecoder>>>,
}

/// A JSON decoder and how many records it takes at once.
#[derive(Debug)]
struct JsonDecoder {
    json: arrow_json::reader::Decoder,
    records_max: usize,
}

/// A decoder that has seen more bytes at once than this is not kept.
const KEPT_BYTES_MAX: usize = 8 << 20;

impl Decoder {
    /// A decoder of these columns.
    pub fn new(columns: &[RawColumn]) -> Self {
        let typed = |column: &RawColumn| Field::new(&column.name, data_type(column.kind), true);
        let text = |column: &RawColumn| Field::new(&column.name, DataType::Utf8View, true);
        Self {
            schema: Arc::new(Schema::new(columns.iter().map(typed).collect::<Vec<_>>())),
            text_schema: Arc::new(Schema::new(columns.iter().map(text).collect::<Vec<_>>())),
            idle: Arc::default(),
        }
    }

    /// The schema of [`Decoded::rows`].
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Decodes `records`: each one JSON object, or one wrapped up to three deep in JSON strings or base64.
    ///
    /// # Errors
    /// Only when Arrow itself fails; bad records are in [`Decoded::rejected`].
    pub fn decode(&self, records: &[&[u8]]) -> Result<Decoded> {
        let (text, sources, mut rejected) = match self.decode_together(records)? {
            Some(text) => (text, (0..count_u32(records.len())).collect(), Vec::new()),
            None => self.decode_one_by_one(records)?,
        };
        let (rows, wrong) = convert::to_types(&text, &self.schema)?;
        if wrong.rejected.is_empty() {
            return Ok(Decoded { rows, sources, rejected });
        }
        let rejects = wrong.rejected.into_iter().map(|reject| Rejected { record: sources[reject.record as usize], ..reject });
        rejected.extend(rejects);
        rejected.sort_by_key(|reject| reject.record);
        let rows = filter_record_batch(&rows, &wrong.keep).map_err(|e| error::arrow("setting wrong rows aside", e))?;
        let sources =
            sources.into_iter().enumerate().filter(|(row, _)| wrong.keep.value(*row)).map(|(_, source)| source).collect();
        Ok(Decoded { rows, sources, rejected })
    }

    /// The usual case: every record is one plain object. `None` as soon as one is not.
    fn decode_together(&self, records: &[&[u8]]) -> Result<Option<RecordBatch>> {
        let mut decoder = self.take_idle(records.len())?;
        for (at, record) in records.iter().enumerate() {
            if !feed(&mut decoder.json, record, at) {
                return Ok(None);
            }
        }
        let Ok(rows) = decoder.json.flush() else { return Ok(None) };
        // A failed decoder keeps its half-read state: only this one is good for more.
        if records.iter().map(|record| record.len()).sum::<usize>() <= KEPT_BYTES_MAX {
            self.idle().push(decoder);
        }
        Ok(Some(rows.unwrap_or_else(|| RecordBatch::new_empty(self.text_schema.clone()))))
    }

    /// An idle decoder if there is one that takes so many records, else a new one.
    fn take_idle(&self, records: usize) -> Result<JsonDecoder> {
        match self.idle().pop() {
            Some(decoder) if decoder.records_max >= records => Ok(decoder),
            _ => Ok(JsonDecoder { json: self.json_decoder(records)?, records_max: records }),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<JsonDecoder>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The careful way: finds out which records are bad, then decodes the good ones together.
    fn decode_one_by_one(&self, records: &[&[u8]]) -> Result<(RecordBatch, Vec<u32>, Vec<Rejected>)> {
        let mut good = Vec::with_capacity(records.len());
        let (mut sources, mut rejected) = (Vec::with_capacity(records.len()), Vec::new());
        let mut decoder = self.json_decoder(1)?;
        for (at, record) in records.iter().enumerate() {
            let record_at = count_u32(at);
            match unwrap::object(record) {
                Ok(object) => {
                    if feed(&mut decoder, &object, 0) && matches!(decoder.flush(), Ok(Some(_))) {
                        sources.push(record_at);
                        good.push(object);
                        continue;
                    }
                    // A failed decoder keeps its half-read state: start a new one.
                    decoder = self.json_decoder(1)?;
                    rejected.push(Rejected { record: record_at, reason: unwrap::why_not(&object) });
                }
                Err(reason) => rejected.push(Rejected { record: record_at, reason }),
            }
        }
        let good: Vec<&[u8]> = good.iter().map(AsRef::as_ref).collect();
        let rows = self.decode_together(&good)?;
        let rows = rows.ok_or_else(|| Error::internal("records that decode alone do not decode together"))?;
        Ok((rows, sources, rejected))
    }

    fn json_decoder(&self, records: usize) -> Result<arrow_json::reader::Decoder> {
        arrow_json::ReaderBuilder::new(self.text_schema.clone())
            .with_batch_size(records.max(1))
            .with_coerce_primitive(true)
            .build_decoder()
            .map_err(|e| error::arrow("building the JSON decoder", e))
    }
}

/// Feeds record number `at`; whether it was exactly one whole object.
fn feed(decoder: &mut arrow_json::reader::Decoder, record: &[u8], at: usize) -> bool {
    let starts_as_object = record.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if !starts_as_object || decoder.len() != at {
        return false;
    }
    let taken = decoder.decode(record);
    matches!(taken, Ok(taken) if taken == record.len() || rest_is_blank(&record[taken..]))
        && !decoder.has_partial_record()
        && decoder.len() == at + 1
}

fn rest_is_blank(rest: &[u8]) -> bool {
    rest.iter().all(u8::is_ascii_whitespace)
}

fn data_type(kind: RawType) -> DataType {
    match kind {
        RawType::Bigint => DataType::Int64,
        RawType::Double => DataType::Float64,
        RawType::Boolean => DataType::Boolean,
        RawType::String => DataType::Utf8View,
    }
}

fn count_u32(count: usize) -> u32 {
    u32::try_from(count).expect("a chunk holds fewer than 2^32 records")
}
