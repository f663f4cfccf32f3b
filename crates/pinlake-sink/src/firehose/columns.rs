//! Records as rows of a table's columns, in Parquet. A record that does not fit is found before it is in an object. It must not know where the
//! columns come from.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as Arrow, SchemaRef};
use bytes::Bytes;
use pinlake_core::Result;
use pinlake_core::pipeline::{RawColumn, RawType};
use serde_json::{Map, Value};

use super::definition::{OpenX, Schema};
use crate::format::parquet::{self, Codec};

/// How records become rows.
#[derive(Debug)]
pub(super) struct Columns {
    /// The table, as the definition names it.
    pub(super) table: Schema,
    columns: Vec<Column>,
    ignores_case: bool,
    dots_to_underscores: bool,
    schema: SchemaRef,
    codec: Codec,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// The field of a record that it is taken from.
    field: String,
    kind: RawType,
}

impl Columns {
    pub(super) fn new(table: Schema, columns: Vec<RawColumn>, input: &OpenX, codec: Codec) -> Self {
        let field = |column: &RawColumn| Field::new(&column.name, arrow_type(column.kind), true);
        let schema = Arc::new(Arrow::new(columns.iter().map(field).collect::<Vec<_>>()));
        let ignores_case = input.case_insensitive.unwrap_or(true);
        let column = |RawColumn { name, kind }: RawColumn| {
            let mapped = input.column_to_json_key_mappings.get(&name);
            Column { field: mapped.unwrap_or(&name).clone(), name, kind }
        };
        let dots_to_underscores = input.convert_dots_in_json_keys_to_underscores;
        Self { table, columns: columns.into_iter().map(column).collect(), ignores_case, dots_to_underscores, schema, codec }
    }

    /// The rows of a record, which is one JSON object or several in a row: as lines of JSON.
    ///
    /// # Errors
    /// What is wrong with the record.
    pub(super) fn rows(&self, record: &[u8]) -> Result<Vec<u8>, String> {
        let mut lines = Vec::new();
        for object in serde_json::Deserializer::from_slice(record).into_iter::<Value>() {
            let object = object.map_err(|e| format!("the record holds no JSON: {e}"))?;
            let Value::Object(fields) = object else { return Err("the record holds JSON that is no object".to_owned()) };
            lines.extend(Value::Object(self.row(fields)?).to_string().into_bytes());
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return Err("the record holds no JSON object".to_owned());
        }
        Ok(lines)
    }

    /// The file of such lines.
    ///
    /// # Errors
    /// `Internal` if the encoder fails.
    pub(super) fn file(&self, lines: &[u8]) -> Result<Bytes> {
        parquet::encode(self.schema.clone(), parquet::rows(lines), self.codec)
    }

    fn row(&self, fields: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut row = Map::new();
        for (key, value) in fields {
            let key = if self.dots_to_underscores { key.replace('.', "_") } else { key };
            let is_it =
                |column: &&Column| column.field == key || self.ignores_case && column.field.to_lowercase() == key.to_lowercase();
            let Some(column) = self.columns.iter().find(is_it).filter(|_| !value.is_null()) else { continue };
            let value = fit(value, column.kind).map_err(|what| format!("the field '{}' is no {what}", column.field))?;
            row.insert(column.name.clone(), value);
        }
        Ok(row)
    }
}

fn arrow_type(kind: RawType) -> DataType {
    match kind {
        RawType::Bigint => DataType::Int64,
        RawType::Double => DataType::Float64,
        RawType::Boolean => DataType::Boolean,
        RawType::String => DataType::Utf8,
    }
}

/// A value as a column of that kind has it, or what it should have been.
fn fit(value: Value, kind: RawType) -> Result<Value, &'static str> {
    match (kind, value) {
        (RawType::Bigint, Value::Number(number)) => number.as_i64().map(Value::from).ok_or("bigint"),
        (RawType::Bigint, Value::String(text)) => text.trim().parse::<i64>().map(Value::from).map_err(|_| "bigint"),
        (RawType::Double, Value::Number(number)) => number.as_f64().map(Value::from).ok_or("double"),
        (RawType::Double, Value::String(text)) => {
            let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            number.map(Value::from).ok_or("double")
        }
        (RawType::Boolean, Value::Bool(is)) => Ok(Value::Bool(is)),
        (RawType::Boolean, Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err("boolean"),
        },
        (RawType::String, Value::String(text)) => Ok(Value::String(text)),
        (RawType::String, other) => Ok(Value::String(other.to_string())),
        (RawType::Bigint, _) => Err("bigint"),
        (RawType::Double, _) => Err("double"),
        (RawType::Boolean, _) => Err("boolean"),
    }
}
