//! The questions' answers as one canonical JSON document, so that two ways to compute them can be compared byte for byte.

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::prelude::SessionContext;
use pinlake_core::Result;
use pinlake_core::pipeline::{Chosen, Question};
use serde_json::{Number, Value};

use crate::error;
use crate::sql::parameters;

/// Rows of one answer: values in column order.
pub type Rows = Vec<Vec<Value>>;

/// One question's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The question's name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// Its rows, sorted by their values as text.
    pub rows: Rows,
}

/// Asks `question` of the tables that `context` knows.
pub async fn ask(context: &SessionContext, question: &Question, chosen: &Chosen) -> Result<Answer> {
    let failed = |e| error::query(&format!("answering {} ({})", question.name, question.path), e);
    let frame = context.sql(&question.sql).await.map_err(failed)?;
    let frame = parameters::bind(frame, &parameters::of_choices(chosen.clone()), failed)?;
    let columns = frame.schema().fields().iter().map(|field| field.name().clone()).collect();
    let batches = frame.collect().await.map_err(failed)?;
    let mut rows = Vec::new();
    for batch in &batches {
        rows.extend(values_of(batch)?);
    }
    rows.sort_by_cached_key(|row: &Vec<Value>| row.iter().map(text_of).collect::<Vec<_>>());
    Ok(Answer { name: question.name.clone(), columns, rows })
}

/// The document: question by question, one compact row a line, UTF-8 as it is.
pub fn document(answers: &[Answer]) -> String {
    let one = |answer: &Answer| {
        let rows: Vec<String> = answer.rows.iter().map(|row| row_text(&answer.columns, row)).collect();
        format!("\"{}\":[\n{}\n]", answer.name, rows.join(",\n"))
    };
    format!("{{\n{}\n}}\n", answers.iter().map(one).collect::<Vec<_>>().join(",\n"))
}

fn row_text(columns: &[String], row: &[Value]) -> String {
    let fields: Vec<String> =
        columns.iter().zip(row).map(|(name, value)| format!("{}:{value}", Value::from(name.as_str()))).collect();
    format!("{{{}}}", fields.join(","))
}

/// The value as it sorts: a null as the text `None`, as in the reference implementations.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    }
}

fn values_of(batch: &RecordBatch) -> Result<Rows> {
    let columns = batch.columns().iter().map(column_values).collect::<Result<Vec<_>>>()?;
    Ok((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect())
}

/// A column's values: whole numbers without a fraction, whatever their type.
fn column_values(column: &std::sync::Arc<dyn Array>) -> Result<Vec<Value>> {
    let to = |data_type: &DataType| cast(column, data_type).map_err(|e| error::arrow("reading an answer", e));
    let data_type = column.data_type();
    let values = if data_type.is_integer() {
        to(&DataType::Int64)?.as_primitive::<Int64Type>().iter().map(|number| number.map_or(Value::Null, Value::from)).collect()
    } else if data_type.is_numeric() {
        to(&DataType::Float64)?
            .as_primitive::<Float64Type>()
            .iter()
            .map(|number| number.map_or(Value::Null, number_value))
            .collect()
    } else {
        to(&DataType::Utf8View)?.as_string_view().iter().map(|text| text.map_or(Value::Null, Value::from)).collect()
    };
    Ok(values)
}

fn number_value(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}
