//! The statistics of an `add` action, from the file's own footer: rows, nulls, and the range of numbers and times, which is
//! what readers prune by. Text is left out: it is long, and nobody asks ranges of it here.

use datafusion::arrow::datatypes::{DataType, Schema};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use serde_json::{Map, Number, Value, json};

/// The statistics as Delta's JSON text.
pub(super) fn json(file: &ParquetMetaData, schema: &Schema) -> String {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    let leaves = file.file_metadata().schema_descr();
    for leaf in 0..leaves.num_columns() {
        let parts = leaves.column(leaf).path().parts().to_vec();
        let ([name], Some(field)) = (&parts[..], schema.field_with_name(&parts[0]).ok()) else { continue };
        let chunks: Option<Vec<&Statistics>> = file.row_groups().iter().map(|group| group.column(leaf).statistics()).collect();
        let Some(chunks) = chunks else { continue };
        let null_count: Option<u64> = chunks.iter().map(|chunk| chunk.null_count_opt()).sum();
        if let Some(count) = null_count {
            nulls.insert(name.clone(), Value::from(count));
        }
        if let Some((low, high)) = range(&chunks, field.data_type()) {
            min.insert(name.clone(), low);
            max.insert(name.clone(), high);
        }
    }
    json!({"numRecords": file.file_metadata().num_rows(), "minValues": min, "maxValues": max, "nullCount": nulls}).to_string()
}

fn range(chunks: &[&Statistics], data_type: &DataType) -> Option<(Value, Value)> {
    match data_type {
        DataType::Int64 | DataType::Int32 | DataType::Int16 | DataType::Int8 => {
            let (low, high) = whole_range(chunks)?;
            Some((Value::from(low), Value::from(high)))
        }
        DataType::Timestamp(..) => {
            let (low, high) = whole_range(chunks)?;
            // Readers compare milliseconds: round outwards.
            Some((time(low.div_euclid(1000))?, time(high.div_euclid(1000) + 1)?))
        }
        DataType::Float64 => {
            let ends = |chunk: &&Statistics| match chunk {
                Statistics::Double(ends) => Some((*ends.min_opt()?, *ends.max_opt()?)),
                _ => None,
            };
            let ends: Vec<(f64, f64)> = chunks.iter().map(ends).collect::<Option<_>>()?;
            let low = ends.iter().map(|end| end.0).fold(f64::INFINITY, f64::min);
            let high = ends.iter().map(|end| end.1).fold(f64::NEG_INFINITY, f64::max);
            Some((Value::Number(Number::from_f64(low)?), Value::Number(Number::from_f64(high)?)))
        }
        _ => None,
    }
}

fn whole_range(chunks: &[&Statistics]) -> Option<(i64, i64)> {
    let ends = |chunk: &&Statistics| match chunk {
        Statistics::Int64(ends) => Some((*ends.min_opt()?, *ends.max_opt()?)),
        Statistics::Int32(ends) => Some((i64::from(*ends.min_opt()?), i64::from(*ends.max_opt()?))),
        _ => None,
    };
    let ends: Vec<(i64, i64)> = chunks.iter().map(ends).collect::<Option<_>>()?;
    Some((ends.iter().map(|end| end.0).min()?, ends.iter().map(|end| end.1).max()?))
}

/// Milliseconds since the epoch as Delta writes a time.
fn time(millis: i64) -> Option<Value> {
    let time = jiff::Timestamp::from_millisecond(millis).ok()?;
    Some(Value::from(format!("{time:.3}")))
}
