//! Text columns to their declared types, strictly: what does not fit sets its row aside.

use std::sync::Arc;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringViewArray,
};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use pinlake_core::Result;

use super::{Rejected, count_u32};
use crate::error;

/// The rows that did not convert.
pub(super) struct Wrong {
    /// One entry a row, first problem only; `record` is the row.
    pub(super) rejected: Vec<Rejected>,
    /// True for the rows that converted.
    pub(super) keep: BooleanArray,
}

/// Converts every column of `text` to the type that `schema` declares.
pub(super) fn to_types(text: &RecordBatch, schema: &SchemaRef) -> Result<(RecordBatch, Wrong)> {
    let mut problems = Problems { rows: text.num_rows(), found: Vec::new() };
    let convert = |(column, field): (&ArrayRef, &Arc<_>)| one_column(column, field, &mut problems);
    let columns = text.columns().iter().zip(schema.fields()).map(convert).collect();
    let rows = RecordBatch::try_new(schema.clone(), columns).map_err(|e| error::arrow("typing decoded columns", e))?;
    Ok((rows, problems.finish()))
}

fn one_column(column: &ArrayRef, field: &datafusion::arrow::datatypes::Field, problems: &mut Problems) -> ArrayRef {
    let text = column.as_string_view();
    match field.data_type() {
        DataType::Int64 => {
            let mut out = Int64Builder::with_capacity(text.len());
            each(text, field.name(), "a whole number", problems, integer, |value| out.append_option(value));
            Arc::new(out.finish())
        }
        DataType::Float64 => {
            let mut out = Float64Builder::with_capacity(text.len());
            each(text, field.name(), "a number", problems, double, |value| out.append_option(value));
            Arc::new(out.finish())
        }
        DataType::Boolean => {
            let mut out = BooleanBuilder::with_capacity(text.len());
            each(text, field.name(), "true or false", problems, |text| text.parse().ok(), |value| out.append_option(value));
            Arc::new(out.finish())
        }
        _ => column.clone(),
    }
}

fn each<T>(
    text: &StringViewArray,
    name: &str,
    wanted: &str,
    problems: &mut Problems,
    parse: impl Fn(&str) -> Option<T>,
    mut put: impl FnMut(Option<T>),
) {
    for (row, value) in text.iter().enumerate() {
        let parsed = value.and_then(&parse);
        if let (Some(value), None) = (value, &parsed) {
            let shown: String = value.chars().take(40).collect();
            problems.found.push((row, format!("{name} is '{shown}', not {wanted}")));
        }
        put(parsed);
    }
}

/// A whole number: digits, or a decimal form without a fraction as data frames write their integers (`7528.0`).
fn integer(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number: f64 = double(text)?;
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

fn double(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

struct Problems {
    rows: usize,
    found: Vec<(usize, String)>,
}

impl Problems {
    fn finish(mut self) -> Wrong {
        self.found.sort_by_key(|(row, _)| *row);
        self.found.dedup_by_key(|(row, _)| *row);
        let mut keep = vec![true; self.rows];
        for (row, _) in &self.found {
            keep[*row] = false;
        }
        let rejected = self.found.into_iter().map(|(row, reason)| Rejected { record: count_u32(row), reason }).collect();
        Wrong { rejected, keep: BooleanArray::from(keep) }
    }
}
