//! Answers as JSON, CSV or an Arrow stream.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use pinlake_core::{Error, Result};
use serde_json::{Map, Value, json};

use super::query::QueryResult;
use crate::error;

/// `{"columns":[..],"rows":[[..]],"row_count":n,"elapsed_ms":t,"snapshot":{..}}`.
pub fn json(result: &QueryResult, elapsed_ms: f64) -> Result<Vec<u8>> {
    let columns: Vec<Value> =
        result.schema.fields().iter().map(|field| json!({"name": field.name(), "type": type_name(field.data_type())})).collect();
    let mut rows = Vec::new();
    for batch in &result.batches {
        rows.extend(rows_of(batch)?);
    }
    let snapshot: Map<String, Value> = result
        .snapshot
        .iter()
        .map(|(table, (version, tail_rows))| (table.clone(), json!({"version": version, "tail_rows": tail_rows})))
        .collect();
    let answer = json!({
        "columns": columns,
        "row_count": rows.len(),
        "rows": rows,
        "elapsed_ms": elapsed_ms,
        "truncated": result.truncated,
        "snapshot": snapshot,
    });
    serde_json::to_vec(&answer).map_err(|e| Error::internal("encoding an answer").with_source(e))
}

/// Comma-separated values with a line of column names.
pub fn csv(result: &QueryResult) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = csv::WriterBuilder::new().with_header(true).build(&mut out);
    let empty = RecordBatch::new_empty(result.schema.clone());
    for batch in std::iter::once(&empty).chain(&result.batches) {
        writer.write(&as_text(batch)?).map_err(|e| error::arrow("encoding an answer", e))?;
    }
    drop(writer);
    Ok(out)
}

/// An Arrow IPC stream.
pub fn arrow_stream(result: &QueryResult) -> Result<Vec<u8>> {
    let failed = |e| error::arrow("encoding an answer", e);
    let mut writer = StreamWriter::try_new(Vec::new(), &result.schema).map_err(failed)?;
    for batch in &result.batches {
        writer.write(batch).map_err(failed)?;
    }
    writer.into_inner().map_err(failed)
}

/// The rows as JSON values, in column order.
pub fn rows_of(batch: &RecordBatch) -> Result<Vec<Vec<Value>>> {
    let columns = batch.columns().iter().map(values).collect::<Result<Vec<_>>>()?;
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    let row = |_| columns.iter_mut().map(|column| column.next().unwrap_or(Value::Null)).collect();
    Ok((0..batch.num_rows()).map(row).collect())
}

/// A type as people know it: views are a form in memory only.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => "Utf8".to_owned(),
        DataType::BinaryView | DataType::LargeBinary => "Binary".to_owned(),
        other => other.to_string(),
    }
}

fn values(column: &ArrayRef) -> Result<Vec<Value>> {
    let failed = |e| error::arrow("encoding an answer", e);
    check_times(column)?;
    if is_bytes(column.data_type()) {
        let column = cast(column, &DataType::BinaryView).map_err(failed)?;
        return Ok(column.as_binary_view().iter().map(bytes).collect());
    }
    let batch = RecordBatch::try_from_iter_with_nullable([("v", column.clone(), true)]).map_err(failed)?;
    let mut writer =
        arrow_json::WriterBuilder::new().with_explicit_nulls(true).build::<_, arrow_json::writer::LineDelimited>(Vec::new());
    let unshown = |e| Error::invalid("the answer has a value that has no form in JSON: cast it, or leave it out").with_source(e);
    writer.write(&batch).map_err(unshown)?;
    writer.finish().map_err(failed)?;
    let lines = writer.into_inner();
    let value =
        |line: &[u8]| serde_json::from_slice::<Map<String, Value>>(line).map(|mut row| row.remove("v").unwrap_or(Value::Null));
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(value).collect::<Result<_, _>>().map_err(|e| Error::internal("encoding an answer").with_source(e))
}

/// Refuses times that have no text: the encoder would write what is no value.
fn check_times(column: &ArrayRef) -> Result<()> {
    if !column.data_type().is_temporal() {
        return Ok(());
    }
    let options = FormatOptions::default().with_display_error(false);
    let is_shown = match ArrayFormatter::try_new(column, &options) {
        Ok(shown) => (0..column.len()).all(|row| column.is_null(row) || shown.value(row).try_to_string().is_ok()),
        // A time zone that there is not.
        Err(_) => false,
    };
    if is_shown {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the answer has a {} that is no time or date people write: cast it to a number, or leave it out",
        type_name(column.data_type())
    )))
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// Bytes as the API shows those of records: text as it is, others in base64.
fn bytes(value: Option<&[u8]>) -> Value {
    match value.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => Value::Null,
        Some((_, Ok(text))) => Value::from(text),
        Some((bytes, Err(_))) => json!({"base64": STANDARD.encode(bytes)}),
    }
}

/// CSV has no lists: they become their JSON text. Bytes that are text are shown as it.
fn as_text(batch: &RecordBatch) -> Result<RecordBatch> {
    let plain = |column: &ArrayRef| -> Result<ArrayRef> {
        check_times(column)?;
        if !column.data_type().is_nested() && !is_bytes(column.data_type()) {
            return Ok(column.clone());
        }
        let text = values(column)?.into_iter().map(|value| match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        });
        Ok(Arc::new(text.collect::<StringArray>()))
    };
    let columns = batch.columns().iter().map(plain).collect::<Result<Vec<_>>>()?;
    let names = batch.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let named = names.into_iter().zip(columns).map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(named).map_err(|e| error::arrow("encoding an answer", e))
}
