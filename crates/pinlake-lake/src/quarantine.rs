//! The quarantine: records that could not be decoded or break a rule, kept with their bytes, the reason and where they stood.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, Int32Builder, Int64Builder, RecordBatch, StringViewBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use pinlake_core::{Offset, Result, Timestamp, TopicPartition};

use crate::error;
use crate::schema::timestamp;

/// The columns of every quarantine table.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("reason", DataType::Utf8View, true),
        Field::new("raw", DataType::Binary, true),
        Field::new("_topic", DataType::Utf8View, true),
        Field::new("_partition", DataType::Int32, true),
        Field::new("_offset", DataType::Int64, true),
        Field::new("_ingested_at", timestamp(), true),
    ]))
}

/// Collects quarantined records into rows.
#[derive(Debug)]
pub struct QuarantineRows {
    reason: StringViewBuilder,
    raw: BinaryBuilder,
    topic: StringViewBuilder,
    partition: Int32Builder,
    offset: Int64Builder,
    ingested_at: TimestampMicrosecondBuilder,
    rows: usize,
    bytes: usize,
    done: Vec<RecordBatch>,
}

impl Default for QuarantineRows {
    fn default() -> Self {
        Self {
            reason: StringViewBuilder::new(),
            raw: BinaryBuilder::new(),
            topic: StringViewBuilder::new(),
            partition: Int32Builder::new(),
            offset: Int64Builder::new(),
            ingested_at: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            rows: 0,
            bytes: 0,
            done: Vec::new(),
        }
    }
}

impl QuarantineRows {
    /// Takes one record.
    pub fn push(&mut self, reason: &str, raw: &[u8], of: &TopicPartition, offset: Offset, ingested_at: Option<Timestamp>) {
        self.reason.append_value(reason);
        self.raw.append_value(raw);
        self.topic.append_value(of.topic.as_str());
        self.partition.append_value(of.partition.0.cast_signed());
        self.offset.append_value(offset.0);
        self.ingested_at.append_option(ingested_at.map(|time| time.0.saturating_mul(1000)));
        self.rows += 1;
        self.bytes += raw.len() + reason.len();
    }

    /// How many were taken.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Bytes of what was taken.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether none was taken.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// All rows that were taken. They stay until [`QuarantineRows::clear`].
    pub fn batches(&mut self) -> Result<Vec<RecordBatch>> {
        if self.reason.len() > 0 {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(self.reason.finish()),
                Arc::new(self.raw.finish()),
                Arc::new(self.topic.finish()),
                Arc::new(self.partition.finish()),
                Arc::new(self.offset.finish()),
                Arc::new(self.ingested_at.finish()),
            ];
            let rows = RecordBatch::try_new(schema(), columns).map_err(|e| error::arrow("building quarantine rows", e))?;
            self.done.push(rows);
        }
        Ok(self.done.clone())
    }

    /// Forgets the rows.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
