//! Answers of the query engine in chunks of rows whose values are text or null.

use pinlake_core::{Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::metadata::ENGINE_TYPES;
use super::types::{self, Type};
use crate::console::QueryAnswer;

/// Bytes of a chunk, about.
const CHUNK_BYTES: usize = 4 << 20;
/// The largest answer, bytes.
const BYTES_MAX: usize = 64 << 20;

/// An answer, ready to be handed out.
#[derive(Debug)]
pub(in crate::databricks) struct Answered {
    columns: Vec<(String, Type)>,
    chunks: Vec<Chunk>,
    truncated: bool,
}

#[derive(Debug)]
struct Chunk {
    row_offset: usize,
    rows: usize,
    /// A list of lists, as JSON.
    data: Box<RawValue>,
}

#[derive(Deserialize)]
struct Encoded<'a> {
    columns: Vec<Column>,
    #[serde(borrow)]
    rows: Vec<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Answered {
    /// Reads the engine's JSON. Rows behind `bytes_max` bytes are left out.
    ///
    /// # Errors
    /// `Invalid` for an answer that is too large, `Internal` for what is none.
    pub(in crate::databricks) fn read(answer: &QueryAnswer, bytes_max: Option<usize>, in_chunks: bool) -> Result<Self> {
        let broken = |e| Error::internal("reading an answer").with_source(e);
        let encoded: Encoded<'_> = serde_json::from_slice(&answer.body).map_err(broken)?;
        let of_types = encoded.columns.iter().position(|column| column.name == ENGINE_TYPES);
        let name = |name: String| if name == ENGINE_TYPES { "columnType".to_owned() } else { name };
        let columns: Vec<_> = encoded.columns.into_iter().map(|column| (name(column.name), types::of(&column.kind))).collect();
        let chunk_bytes = if in_chunks { CHUNK_BYTES } else { usize::MAX };
        let limit = bytes_max.unwrap_or(BYTES_MAX).min(BYTES_MAX);
        let (mut chunks, mut bytes, mut truncated) = (Chunks::default(), 0, answer.truncated);
        for row in encoded.rows {
            let row = row_of(&row, &columns, of_types).map_err(broken)?;
            if bytes + row.len() > limit {
                if bytes_max.is_none_or(|wanted| wanted > BYTES_MAX) {
                    return Err(Error::invalid(format!(
                        "the answer is larger than {BYTES_MAX} bytes: ask for fewer rows with LIMIT"
                    )));
                }
                truncated = true;
                break;
            }
            bytes += row.len();
            chunks.add(&row, chunk_bytes).map_err(broken)?;
        }
        Ok(Self { columns, chunks: chunks.finish().map_err(broken)?, truncated })
    }

    /// How much it holds.
    pub(in crate::databricks) fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.data.get().len()).sum()
    }

    /// What the answer is made of.
    pub(in crate::databricks) fn manifest(&self) -> Value {
        let column = |(position, (name, kind)): (usize, &(String, Type))| {
            let mut column = json!({ "name": name, "type_text": kind.text, "type_name": kind.name, "position": position });
            if let Some((precision, scale)) = kind.decimal {
                column["type_precision"] = precision.into();
                column["type_scale"] = scale.into();
            }
            column
        };
        let columns: Vec<Value> = self.columns.iter().enumerate().map(column).collect();
        let chunks: Vec<Value> = self.chunks.iter().enumerate().map(|(number, chunk)| chunk.head(number)).collect();
        let rows: usize = self.chunks.iter().map(|chunk| chunk.rows).sum();
        json!({
            "format": "JSON_ARRAY",
            "schema": { "column_count": columns.len(), "columns": columns },
            "total_chunk_count": chunks.len(),
            "chunks": chunks,
            "total_row_count": rows,
            "total_byte_count": self.bytes(),
            "truncated": self.truncated,
        })
    }

    /// A chunk of the answer of statement `id` as JSON text, if there is one of that number.
    pub(in crate::databricks) fn chunk(&self, id: &str, number: usize) -> Option<String> {
        let chunk = self.chunks.get(number)?;
        let mut head = chunk.head(number);
        if number + 1 < self.chunks.len() {
            head["next_chunk_index"] = (number + 1).into();
            head["next_chunk_internal_link"] = format!("/api/2.0/sql/statements/{id}/result/chunks/{}", number + 1).into();
        }
        let head = head.to_string();
        let head = head.strip_suffix('}').unwrap_or(&head);
        // The rows are text already: reading them again would cost more than the rest of the answer.
        Some(format!("{},\"data_array\":{}}}", head, chunk.data.get()))
    }
}

impl Chunk {
    fn head(&self, number: usize) -> Value {
        let bytes = self.data.get().len();
        json!({ "chunk_index": number, "row_offset": self.row_offset, "row_count": self.rows, "byte_count": bytes })
    }
}

#[derive(Default)]
struct Chunks {
    done: Vec<Chunk>,
    row_offset: usize,
    rows: usize,
    open: String,
}

impl Chunks {
    fn add(&mut self, row: &str, bytes: usize) -> serde_json::Result<()> {
        if self.rows > 0 && self.open.len() + row.len() > bytes {
            self.close()?;
        }
        self.open.push(if self.rows == 0 { '[' } else { ',' });
        self.open.push_str(row);
        self.rows += 1;
        Ok(())
    }

    fn close(&mut self) -> serde_json::Result<()> {
        let mut open = std::mem::take(&mut self.open);
        open.push_str(if self.rows == 0 { "[]" } else { "]" });
        open.shrink_to_fit();
        let (rows, row_offset) = (std::mem::take(&mut self.rows), self.row_offset);
        self.row_offset += rows;
        self.done.push(Chunk { row_offset, rows, data: RawValue::from_string(open)? });
        Ok(())
    }

    /// There is always one chunk, though it be empty.
    fn finish(mut self) -> serde_json::Result<Vec<Chunk>> {
        if self.rows > 0 || self.done.is_empty() {
            self.close()?;
        }
        Ok(self.done)
    }
}

/// A row as a list of texts and nulls; in the column `of_types` stand names of the engine's types.
fn row_of(row: &[&RawValue], columns: &[(String, Type)], of_types: Option<usize>) -> serde_json::Result<String> {
    let mut text = String::from("[");
    for (number, value) in row.iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        let kind = columns.get(number).map(|(_, kind)| kind.name);
        match value.get().as_bytes().first() {
            // `null`
            Some(b'n') => text.push_str("null"),
            Some(b'"') if of_types == Some(number) => {
                let engine: String = serde_json::from_str(value.get())?;
                text.push_str(&serde_json::to_string(&types::of_column(&engine).text)?);
            }
            Some(b'"') if kind == Some("TIMESTAMP") => text.push_str(&types::timestamp(value.get())),
            Some(b'"') => text.push_str(value.get()),
            // Numbers and booleans as they stand, lists and objects as their JSON.
            _ => text.push_str(&serde_json::to_string(value.get())?),
        }
    }
    text.push(']');
    Ok(text)
}
